"""The process's one event loop, in a thread of its own.

HTTP connections belong to the loop that they were opened in. A loop for each call, as with
`asyncio.run`, would break a client at its second use, and notebooks run a loop already.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the loop; start it at the first call, and again in a forked child."""
    global _running
    with _lock:
        if _running is None or _running[0] != os.getpid():
            _running = (os.getpid(), _start())
        return _running[1]


def run_in_background(work: Coroutine[Any, Any, T], *, timeout_s: float | None = None) -> T:
    """Run a coroutine in the loop and wait here for its result."""
    return asyncio.run_coroutine_threadsafe(work, background_loop()).result(timeout_s)


def _start() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="harness-endpoints", daemon=True)
    thread.start()
    atexit.register(_stop, loop, thread, os.getpid())
    return loop


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread, pid: int) -> None:
    if os.getpid() == pid:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
