"""Processes that share work, and end with the block that started them, or with their parent."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import TypeVar

from harness.core.errors import InfrastructureError

T = TypeVar("T")
R = TypeVar("R")
SAFE_PATH = "PYTHONSAFEPATH"


@contextmanager
def parallel_map(
    function: Callable[[T], R], jobs: int, *, at_once: int
) -> Iterator[Callable[[Iterable[T]], Iterator[R]]]:
    """Yield a function that applies another to each element, in order, in that many processes.

    It gives them `at_once` elements at a time, and returns while they work.

    Raises:
        InfrastructureError: a process was killed.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"  # a file in the working folder is no module of theirs
    processes = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_end_with_parent)
    try:
        yield partial(processes.map, function, chunksize=at_once)
    except BaseException as error:
        for process in active_children():  # they may be at work for long
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            raise InfrastructureError(
                "a process of this command was killed, perhaps for want of memory. Run again."
            ) from None
        raise
    finally:
        processes.shutdown(cancel_futures=True)
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and end where it is killed: the queue of work would never close."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
