"""Signal handlers by which Ctrl-C and SIGTERM end the work reliably.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a destructor, or in a weak
reference's callback, it is printed and lost, and the work goes on. So an alarm raises it again every
two seconds until it has been acknowledged. Compiled code may also turn it into an error of its own, as
pydantic does while it writes JSON, so it is remembered (`is_interrupted`).
"""

import signal
from types import FrameType

RESEND_AFTER_S = 2.0  # longer than the cleanup on the way to the acknowledgement


def install_signal_handlers() -> None:
    """Make Ctrl-C (unless it is ignored) and SIGTERM raise KeyboardInterrupt until acknowledged."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)


def is_interrupted() -> bool:
    """Return whether an interrupt came and was not acknowledged."""
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def acknowledge_interrupt() -> None:
    """Stop raising the interrupt again: shutdown has begun and must not be interrupted itself."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_REAL, RESEND_AFTER_S)
    raise KeyboardInterrupt
