"""Run a command, and end it with all of its processes once a pipe closes.

    python supervisor.py FD COMMAND ...

The harness holds the other end of the pipe FD. The system closes it when the harness ends, be it by
kill -9, so that an engine never outlives its harness. Only the standard library is imported, so that this
starts in milliseconds.
"""

import os
import select
import signal
import subprocess
import sys
import time

GRACE_S = 10.0  # between SIGTERM and SIGKILL
POLL_S = 0.2


def main() -> int:
    """Run the command until it ends or the pipe closes; return its exit status."""
    pipe, command = int(sys.argv[1]), sys.argv[2:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when the harness does
    child = subprocess.Popen(  # noqa: S603 - the command of the harness
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_default_signals
    )
    while child.poll() is None:
        readable, _, _ = select.select([pipe], [], [], POLL_S)
        if readable:  # nothing is ever written: it was closed
            break
    _end_group(child)
    status = child.wait()
    return status if status >= 0 else 128 - status


def _default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _end_group(child: "subprocess.Popen[bytes]") -> None:
    """End the child's process group: by SIGTERM, and what is left after a while by SIGKILL."""
    deadline = time.monotonic() + GRACE_S
    number: int = signal.SIGTERM
    while True:
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):  # nobody is left; PermissionError on macOS
            return
        child.poll()
        if number == signal.SIGKILL:
            return
        number = signal.SIGKILL if time.monotonic() > deadline else 0
        time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(main())
