"""Train, gate, certify and promote; export of checkpoints and talking with them."""
