"""Recipes become checkpoints: pre-training, SFT, preference pairs and DPO."""
