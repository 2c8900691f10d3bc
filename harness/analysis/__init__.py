"""Comparisons, sensitivity, slices, length, rankings and judge reliability: what a report shows beside the gate."""
