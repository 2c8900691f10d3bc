"""Ctrl-C and SIGTERM that end the work for certain.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a destructor, or in a weak
reference's callback, it is printed and forgotten, and the work goes on as if nobody had asked. So
the signal knocks again until somebody has noticed.
"""

import signal
from types import FrameType

RESEND_AFTER_S = 2.0  # longer than anything that tidies up on its way to being noticed


def install_signal_handlers() -> None:
    """From now on Ctrl-C (unless it is ignored) and SIGTERM raise KeyboardInterrupt for certain."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)


def acknowledge_interrupt() -> None:
    """The work is ending: knock no more, so that it can tidy up in peace."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_REAL, RESEND_AFTER_S)
    raise KeyboardInterrupt
