"""Analyses next to the gate: comparisons, sensitivity, slices, length, rankings, reliability."""
