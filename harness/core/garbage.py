"""Python's search for cycles of unused objects, paused while many records are built.

The search visits every live record, again and again while their number grows, and records hold no cycles:
counting references frees them.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_pauses = 0  # blocks under way, in any thread
_was_enabled = False  # before the first of them


@contextmanager
def no_cycle_search() -> Iterator[None]:
    """Pause the search in this process until the last such block ends; then it is as before the first."""
    global _pauses, _was_enabled
    with _lock:
        if not _pauses:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if not _pauses and _was_enabled:
                gc.enable()
