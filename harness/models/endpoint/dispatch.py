"""Many flows at one endpoint at a time: requests go to the event loop, replies come back.

Three threads meet in one queue of turns. A feeder takes flows, because the next one may be long in
coming. The event loop sends requests. The caller's thread gives each flow its reply and hands on the
results.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from harness.models.endpoint.attempts import RequestRunner
from harness.models.endpoint.budget import BudgetSpentError
from harness.models.endpoint.event_loop import background_loop, run_in_background
from harness.models.endpoint.flows import ChatFlow, Ended, advance
from harness.models.endpoint.replies import OUTAGE_PROBLEMS, Reply
from harness.models.endpoint.transport import Ask, Transport

OUTAGE_ASKS = 16  # failed requests in a row that end the run; fewer where fewer run at once
MIN_OUTAGE_ASKS = 5
GRACE_S = 1.0  # for requests in flight when the endpoint refuses them all
CLOSE_S = 5.0

T = TypeVar("T")


class _Turn(NamedTuple, Generic[T]):
    """A flow to start, or to give the reply to its request."""

    number: int
    flow: ChatFlow[T]
    reply: Reply | None = None


class _End(NamedTuple):
    """The end of the flows, or the error that ends them early."""

    error: BaseException | None = None


_Turns = SimpleQueue[_Turn[T] | _End]


def run_flows(
    runner: RequestRunner,
    open_transport: Callable[[], Transport],
    flows: Iterable[ChatFlow[T]],
    *,
    max_concurrency: int,
) -> Iterator[tuple[int, T]]:
    """Run the flows; yield each one's result with its number, as they end.

    A flow's next request is sent before new flows begin. The connections are opened at the first
    request and closed at the end.

    Raises:
        EndpointRefusedError: the endpoint refuses or fails everything.
        BudgetSpentError: the budget allows no further request.
    """
    turns: _Turns[T] = SimpleQueue()
    calls = _Calls(runner, open_transport, turns, max_concurrency)
    feeder = _Feeder(flows, turns, max_concurrency)
    n_open, more = 0, True
    try:
        while more or n_open:
            # Wait for a new flow, a reply or the end.
            turn = turns.get()
            if isinstance(turn, _End):
                if turn.error:
                    raise turn.error
                more = False
                continue
            # Send the flow's next request, or hand on its result.
            n_open += turn.reply is None
            step = advance(turn.flow, turn.reply)
            if isinstance(step, Ended):
                n_open -= 1
                yield turn.number, step.result
                feeder.slots.release()
            else:
                calls.send(turn, step)
    finally:
        feeder.stop()
        calls.close()


class _Feeder(Generic[T]):
    """A thread that takes the next flow whenever there is a free slot.

    A flow keeps its slot until its result has been handed on, and so can be stored: a kill costs no
    more than `n_slots` replies.
    """

    def __init__(self, flows: Iterable[ChatFlow[T]], turns: _Turns[T], n_slots: int) -> None:
        self.slots = threading.Semaphore(n_slots)
        self._flows = enumerate(flows)
        self._turns = turns
        self._stopped = False
        # A daemon: the process must not wait for a flow that never comes.
        threading.Thread(target=self._feed, name="harness-feeder", daemon=True).start()

    def stop(self) -> None:
        """Take no further flow."""
        self._stopped = True
        self.slots.release()

    def _feed(self) -> None:
        try:
            while self.slots.acquire() and not self._stopped:
                self._turns.put(_Turn(*next(self._flows)))
        except StopIteration:
            self._turns.put(_End())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._turns.put(_End(error))


class _Calls(Generic[T]):
    """The requests that are under way.

    `send` and `close` are called in the caller's thread; the rest runs in the event loop.
    """

    def __init__(
        self,
        runner: RequestRunner,
        open_transport: Callable[[], Transport],
        turns: _Turns[T],
        max_concurrency: int,
    ) -> None:
        self._runner = runner
        self._open_transport = open_transport
        self._transport: Transport | None = None
        self._turns = turns
        self._max_failures = max(MIN_OUTAGE_ASKS, min(OUTAGE_ASKS, max_concurrency))
        self._loop = background_loop()
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._started: set[asyncio.Task[Reply]] = set()  # tasks whose first attempt has begun
        self._failed_in_a_row = 0
        self._ending: asyncio.Task[None] | None = None

    def send(self, turn: _Turn[T], ask: Ask) -> None:
        """Send a request of the turn's flow, once the rate limit admits it."""
        self._transport = self._transport or self._open_transport()
        self._loop.call_soon_threadsafe(self._begin, self._transport, turn, ask)

    def close(self) -> None:
        """Cancel the requests in flight and close the connections.

        Connections that do not close in time, on a busy machine, end with the process. Nothing is
        lost with them, because every reply has been handed on.
        """
        # The loop is closed when the interpreter shuts down.
        if self._transport and not self._loop.is_closed():
            with suppress(TimeoutError):
                run_in_background(self._close(self._transport), timeout_s=CLOSE_S)

    async def _close(self, transport: Transport) -> None:
        ending = [self._ending] if self._ending else []
        await _cancel([*self._tasks, *ending])
        await transport.close()

    def _begin(self, transport: Transport, turn: _Turn[T], ask: Ask) -> None:
        if self._ending:
            return
        call = self._runner.call(transport, ask, on_start=lambda: self._started.add(task))
        task = self._loop.create_task(call)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._finish(turn, task))

    def _finish(self, turn: _Turn[T], task: asyncio.Task[Reply]) -> None:
        self._tasks.discard(task)
        self._started.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            self._end(error)
            return
        reply = task.result()
        self._turns.put(turn._replace(reply=reply))
        failed = reply.problem in OUTAGE_PROBLEMS
        self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
        if self._failed_in_a_row >= self._max_failures:
            self._end(self._runner.outage_error(self._failed_in_a_row, reply))

    def _end(self, error: BaseException) -> None:
        if not self._ending:
            self._ending = self._loop.create_task(self._wind_down(error))

    async def _wind_down(self, error: BaseException) -> None:
        """Begin nothing more, wait for the requests in flight, then report the error."""
        await _cancel(self._tasks - self._started)
        if self._started:
            # Under a spent budget these requests are paid for; each ends by its own deadline.
            grace_s = None if isinstance(error, BudgetSpentError) else GRACE_S
            await asyncio.wait(self._started, timeout=grace_s)
        await _cancel(self._tasks)
        self._turns.put(_End(error))


async def _cancel(tasks: "Iterable[asyncio.Task[Reply] | asyncio.Task[None]]") -> None:
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
