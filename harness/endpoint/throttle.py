"""Lets calls start one by one, as limits.py allows."""

import asyncio
import math
import time
from collections import deque

from harness.endpoint.limits import Limits, Ticket


class Throttle:
    """The queue of calls that want to start; lives in one event loop."""

    def __init__(self, max_concurrency: int) -> None:
        self.limits = Limits(max_concurrency)
        self._queue: deque[asyncio.Future[Ticket]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def admit(self, *, again: bool = False) -> Ticket:
        """Return when the call may start; one that comes `again` goes to the head of the queue."""
        place: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        if again:
            self._queue.appendleft(place)
        else:
            self._queue.append(place)
        self._let_in()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # it was let in, and will not come
            raise

    def leave(self) -> None:
        """A call has ended; the next may come."""
        self.limits.end()
        self._let_in()

    def accept(self, ticket: Ticket) -> None:
        """The endpoint answered this call."""
        self.limits.accept(ticket, time.monotonic())

    def refuse(self, ticket: Ticket, retry_after_s: float | None) -> None:
        """The endpoint refused this call with 429."""
        self.limits.refuse(ticket, time.monotonic(), retry_after_s)

    def _let_in(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._queue:
            if self._queue[0].done():  # cancelled while it waited
                self._queue.popleft()
                continue
            now = time.monotonic()
            wait_s = self.limits.wait_s(now)
            if wait_s > 0:
                if math.isfinite(wait_s):
                    self._timer = asyncio.get_running_loop().call_later(wait_s, self._let_in)
                return
            self._queue.popleft().set_result(self.limits.start(now))
        self.limits.held_by = None  # nobody waits: the asks are the limit
