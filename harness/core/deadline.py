"""A limit on the time of other people's code that runs in this process, such as chat templates."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def run_within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises.

    Work that takes longer cannot be stopped; it is left to a thread that ends with the process.

    Raises:
        TimeoutError: it has not ended in time.
    """
    ended: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            ended.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            ended.put((None, error))

    Thread(target=run, daemon=True).start()
    try:
        value, error = ended.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # `work` returned it
