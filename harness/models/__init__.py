"""Models that answer: local weights, endpoints and batch files."""
