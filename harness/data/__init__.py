"""Tables, samples and tasks, training rows and their conversion, hygiene, redaction, contamination."""
