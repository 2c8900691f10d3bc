"""A finished run in the team's tools: MLflow, Weights & Biases, Trackio and the Hugging Face hub.

records.py     RunResult → metrics, lineage and tables by name; pure, and without any client
files.py       which files go along, and which only with --with-items
guard.py       what is refused before anything is sent: secrets, protected items
send.py        to each destination in turn, with what has arrived
to_*.py        one tool each, through its own client
"""
