"""Training in several processes, started through accelerate."""
