"""Error rates of the gate and its tests, by simulation."""
