"""Answers as they come in, so that judges need not wait for the last one.

The main thread posts responses; each judge reads from a thread of its own and falls asleep where
nothing new is there. So wall time is the longer of answering and judging, not their sum. Whoever
fails closes the board for all: the others ask nothing more, and what they were answered is kept.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from harness.core.signals import acknowledge_interrupt
from harness.types import Response

T = TypeVar("T")


GRACE_S = 5.0  # what a thread gets to store what it has, after an interruption


class StreamClosedError(Exception):
    """Work on this board has ended early; the cause is raised elsewhere."""


class ResponseStream:
    """The responses of several models to the same items."""

    def __init__(self, models: Sequence[str], n_items: int) -> None:
        self.models = tuple(models)
        self._responses: dict[str, dict[str, Response]] = {model: {} for model in models}
        self._order: dict[str, list[str]] = {model: [] for model in models}
        self._n_items = n_items
        self._changed = threading.Condition()
        self._closed = False
        self._failure: BaseException | None = None

    def post(self, response: Response) -> None:
        """One more answer."""
        with self._changed:
            self._responses[response.model][response.sample_id] = response
            self._order[response.model].append(response.sample_id)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Close the board because of `error`; the first one counts."""
        with self._changed:
            self._failure = self._failure or error
            self._closed = True
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what closed the board, if anything did.

        Raises:
            BaseException: what a judge failed with.
        """
        if self._failure is not None:
            raise self._failure

    @property
    def closed(self) -> bool:
        """Whether work has ended early, so that nothing more should be asked."""
        return self._closed

    @property
    def failure(self) -> BaseException | None:
        """What closed the board early."""
        return self._failure

    def arrivals(self, *models: str) -> Iterator[tuple[Response, ...] | None]:
        """All these models' responses to one item, item by item as they are complete.

        None says that nothing has come since, so that who reads can do something else meanwhile.

        Raises:
            BoardClosedError: the board was closed before the last one came.
        """
        waiting: list[str] = []  # items that the last model has answered, and another has not
        seen = told = 0
        while told < self._n_items:
            with self._changed:
                if self._closed:
                    raise StreamClosedError
                waiting += self._order[models[-1]][seen:]
                seen = len(self._order[models[-1]])
                complete = [i for i in waiting if all(i in self._responses[m] for m in models)]
            if not complete:
                yield None
                continue
            waiting = [i for i in waiting if i not in set(complete)]
            told += len(complete)
            for item in complete:
                yield tuple(self._responses[model][item] for model in models)

    @contextmanager
    def closed_on_error(self, threads: Collection["JudgeWorker[Any]"]) -> Iterator[None]:
        """Whatever goes wrong inside closes the board and gives the threads a moment to end.

        Raises:
            BaseException: the first failure of all that work on this board.
        """
        try:
            yield
        except BaseException as error:
            acknowledge_interrupt()
            self.fail(error)
            for thread in threads:
                thread.join(GRACE_S)
            cause = self.failure or error
            if cause is error:
                raise
            raise cause from None

    def all_responses(self) -> dict[str, dict[str, Response]]:
        """Everything that was posted, by model and sample id."""
        return self._responses


class JudgeWorker(threading.Thread, Generic[T]):
    """Work beside the main thread; its failure closes the board."""

    def __init__(self, board: ResponseStream, work: Callable[[], T]) -> None:
        # A daemon: a second Ctrl-C must not wait for a judge that hangs.
        super().__init__(daemon=True)
        self._board = board
        self._work = work
        self._result: list[T] = []
        self.start()

    def run(self) -> None:
        """Do the work; called by the thread itself."""
        try:
            self._result.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._board.fail(error)

    def result(self) -> T:
        """What the work gave, waited for.

        Raises:
            BoardClosedError: it failed, or was stopped by another's failure.
        """
        self.join()
        if not self._result:
            raise StreamClosedError
        return self._result[0]
