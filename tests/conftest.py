"""What holds for every test: Ctrl-C interrupts, and a process computes on one core."""

import os
import signal

# Two workers share a machine (`make test`), and the tiny models are slower on several threads than on one.
# Set before anything imports numpy or torch; what a test starts inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored, and so would be every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
