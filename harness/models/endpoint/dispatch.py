"""One `ask_all`: asks go to the event loop's thread as they are made, replies come back."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple

from harness.models.endpoint.attempts import RequestRunner
from harness.models.endpoint.budget import BudgetSpentError
from harness.models.endpoint.event_loop import background_loop, run_in_background
from harness.models.endpoint.replies import OUTAGE_PROBLEMS, Reply
from harness.models.endpoint.transport import Ask, Transport

OUTAGE_ASKS = 16  # failed asks in a row that end the run; fewer where fewer run at once


FEWEST_OUTAGE_ASKS = 5


GRACE_S = 1.0  # for calls in flight when the endpoint refuses them all


CLOSE_S = 5.0


PAUSE_S = 0.02  # after asks had nothing to ask for the moment


class _Done(NamedTuple):
    number: int
    reply: Reply


class _Ended(NamedTuple):
    error: BaseException


def ask_all(
    caller: RequestRunner,
    open_wire: Callable[[], Transport],
    asks: Iterable[Ask | None],
    *,
    max_concurrency: int,
) -> Iterator[tuple[int, Reply]]:
    """Each ask's reply with the ask's number, as replies come.

    The connections are opened at the first ask and closed at the end.

    Raises:
        EndpointRefusedError: the endpoint refuses or fails everything.
        BudgetSpentError: the budget allows no further call.
    """
    patience = max(FEWEST_OUTAGE_ASKS, min(OUTAGE_ASKS, max_concurrency))
    batch = _Batch(caller, open_wire, patience)
    try:
        yield from _exchange(batch, iter(asks), max_concurrency)
    finally:
        batch.close()


def _exchange(
    batch: "_Batch", asks: Iterator[Ask | None], at_once: int
) -> Iterator[tuple[int, Reply]]:
    number, pending, more, idle = 0, 0, True, False
    while more or pending:
        # What has come is handed on, and so can be stored, before anything new is begun: a kill
        # costs no more than what may be in flight.
        room = more and pending < at_once
        match batch.next_event(None if not room else PAUSE_S if idle else 0.0):
            case _Ended(error):
                raise error
            case _Done(index, reply):
                pending -= 1
                yield index, reply
                continue
        try:
            ask = next(asks)
        except StopIteration:
            more = False
            continue
        idle = ask is None
        if ask is not None:
            batch.submit(number, ask)
            number, pending = number + 1, pending + 1


class _Batch:
    """The asks of one `ask_all` that are under way.

    `submit`, `next_event` and `close` are the caller's thread's; the rest runs in the loop.
    """

    def __init__(
        self, caller: RequestRunner, open_wire: Callable[[], Transport], patience: int
    ) -> None:
        self._caller = caller
        self._open_wire = open_wire
        self._wire: Transport | None = None
        self._patience = patience
        self._loop = background_loop()
        self._events: SimpleQueue[_Done | _Ended] = SimpleQueue()
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._begun: set[asyncio.Task[Reply]] = set()
        self._failed_in_a_row = 0
        self._ending: asyncio.Task[None] | None = None

    def submit(self, number: int, ask: Ask) -> None:
        """Begin an ask."""
        self._wire = self._wire or self._open_wire()
        self._loop.call_soon_threadsafe(self._begin, self._wire, number, ask)

    def next_event(self, wait_s: float | None) -> _Done | _Ended | None:
        """What comes next within `wait_s`, however long it takes when that is None."""
        try:
            return self._events.get(block=wait_s != 0, timeout=wait_s)
        except Empty:
            return None

    def close(self) -> None:
        """Cancel what is in flight and close the connections.

        Those that do not close in time, on a busy machine, end with the process: every reply has
        been handed on, and nothing is lost with them.
        """
        # The loop is closed when the interpreter shuts down.
        if self._wire and not self._loop.is_closed():
            with suppress(TimeoutError):
                run_in_background(self._close(self._wire), timeout_s=CLOSE_S)

    async def _close(self, wire: Transport) -> None:
        ending = [self._ending] if self._ending else []
        await _cancel([*self._tasks, *ending])
        await wire.close()

    def _begin(self, wire: Transport, number: int, ask: Ask) -> None:
        if self._ending:
            return
        call = self._caller.call(wire, ask, on_start=lambda: self._begun.add(task))
        task = self._loop.create_task(call)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._finish(number, task))

    def _finish(self, number: int, task: asyncio.Task[Reply]) -> None:
        self._tasks.discard(task)
        self._begun.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            self._end(error)
            return
        reply = task.result()
        self._events.put(_Done(number, reply))
        failed = reply.problem in OUTAGE_PROBLEMS
        self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
        if self._failed_in_a_row >= self._patience:
            self._end(self._caller.outage_error(self._failed_in_a_row, reply))

    def _end(self, error: BaseException) -> None:
        if not self._ending:
            self._ending = self._loop.create_task(self._wind_down(error))

    async def _wind_down(self, error: BaseException) -> None:
        """Begin nothing more, let come what is in flight, then tell the caller why."""
        await _cancel(self._tasks - self._begun)
        if self._begun:
            # Under a spent budget these calls are paid for; each ends by its own deadline.
            grace_s = None if isinstance(error, BudgetSpentError) else GRACE_S
            await asyncio.wait(self._begun, timeout=grace_s)
        await _cancel(self._tasks)
        self._events.put(_Ended(error))


async def _cancel(tasks: "Iterable[asyncio.Task[Reply] | asyncio.Task[None]]") -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
