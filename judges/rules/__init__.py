"""The offline judge: deterministic rules on English text, and their word lists."""
