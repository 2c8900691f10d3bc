"""Checkpoints made where they are missing, and evaluation during training."""
