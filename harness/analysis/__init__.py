"""Comparisons, sensitivity, slices, length, rankings and judge reliability: the analyses that a report shows next to the gate."""
