"""Training: recipes become checkpoints, by pre-training, SFT, preference methods and online RL."""
