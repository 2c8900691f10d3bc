"""How easy an answer is to read."""
