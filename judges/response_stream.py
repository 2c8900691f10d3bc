"""Responses as they come in, so that judges need not wait for the last one.

The main thread puts responses into the stream. Each judge reads them in a thread of its own and waits
where there is no new one, so the wall time is the longer of answering and judging, not their sum.
The first error ends the stream for all: nothing more is asked, and outcomes so far are kept.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from harness.core.signals import acknowledge_interrupt
from harness.types import Response
from harness.types.samples import Responses

T = TypeVar("T")

GRACE_S = 5.0  # for a thread to store its outcomes after an interruption


class StreamClosedError(Exception):
    """Work on this stream has ended early; the cause is raised elsewhere."""


class ResponseStream:
    """The responses of several models to the same items, in the order they come."""

    def __init__(self, models: Sequence[str], n_items: int) -> None:
        self.models = tuple(models)
        self._n_items = n_items
        self._responses: list[Response] = []
        self._failure: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, response: Response) -> None:
        with self._changed:
            self._responses.append(response)
            self._changed.notify_all()

    def iter_complete(self, *models: str) -> Iterator[tuple[Response, ...]]:
        """Yield the responses of these models to one item, item by item as they are complete.

        Waits for the next item.

        Raises:
            StreamClosedError: the stream was closed before the last item.
        """
        if not self._n_items:
            return
        partial: defaultdict[str, dict[str, Response]] = defaultdict(dict)
        n_complete = 0
        for response in self._iter_responses():
            if response.model not in models:
                continue
            by_model = partial[response.sample_id]
            by_model[response.model] = response
            if len(by_model) == len(models):
                n_complete += 1
                yield tuple(by_model[model] for model in models)
                if n_complete == self._n_items:
                    return

    def _iter_responses(self) -> Iterator[Response]:
        """Yield the responses in the order they came, and wait for the next ones, without end."""
        position = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.closed or len(self._responses) > position)  # noqa: B023
                arrived = self._responses[position:]
            for response in arrived:
                if self.closed:
                    raise StreamClosedError
                yield response
            if self.closed:
                raise StreamClosedError
            position += len(arrived)

    def by_model(self) -> dict[str, Responses]:
        """Return the responses so far, by model and sample id."""
        responses: dict[str, Responses] = {model: {} for model in self.models}
        for response in self._responses:
            responses[response.model][response.sample_id] = response
        return responses

    # --- failure ---------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Return whether work has ended early, so that nothing more should be asked."""
        return self._failure is not None

    def fail(self, error: BaseException) -> None:
        """Close the stream because of `error`; the first error counts."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def check(self) -> None:
        """Raise the error that closed the stream, if any.

        Raises:
            BaseException: the failure of a judge.
        """
        if self._failure is not None:
            raise self._failure

    @contextmanager
    def abort_on_error(self, workers: Collection["JudgeWorker[Any]"]) -> Iterator[None]:
        """Run the body; on an error close the stream and give the workers a moment to end.

        Raises:
            BaseException: the first failure of all work on this stream.
        """
        try:
            yield
        except BaseException as error:
            acknowledge_interrupt()
            self.fail(error)
            for worker in workers:
                worker.join(GRACE_S)
            cause = self._failure or error
            if cause is error:
                raise
            raise cause from None


class JudgeWorker(threading.Thread, Generic[T]):
    """A thread that works on a stream; its failure closes the stream."""

    def __init__(self, stream: ResponseStream, work: Callable[[], T]) -> None:
        # A daemon: a second Ctrl-C must not wait for a judge that hangs.
        super().__init__(daemon=True)
        self._stream = stream
        self._work = work
        self._result: list[T] = []
        self._done = threading.Event()
        self.start()

    def run(self) -> None:
        """Do the work; called by the thread itself."""
        try:
            self._result.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._stream.fail(error)
        finally:
            self._done.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the work, at most `timeout` seconds.

        Python 3.11 takes a thread for dead once Ctrl-C has interrupted its own `join`, and a second
        `join` returns at once (https://github.com/python/cpython/issues/90882).
        """
        if self._done.wait(timeout):
            super().join()

    def result(self) -> T:
        """Wait for the work and return its result.

        Raises:
            StreamClosedError: it failed, or was stopped by another's failure.
        """
        self.join()
        if not self._result:
            raise StreamClosedError
        return self._result[0]
