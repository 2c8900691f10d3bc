"""How many calls may run at once, and how fast they may start: as many as the endpoint admits.

Additive increase, multiplicative decrease, as TCP does it, on two quantities: a window of calls
in flight (endpoints that admit so many at once) and a rate of starts (endpoints that admit so
many a second). Whichever held calls back is the one that grows when all goes well, and the one
that is to blame for a 429. Only 429s shrink anything: an endpoint that breaks is not full.

This is the arithmetic, without a clock; throttle.py lets calls wait for it.
"""

import asyncio
import math
import time
from collections import deque
from typing import Literal, NamedTuple

FIRST_WINDOW = 16  # no fewer than batch.py's OUTAGE_ASKS: a closed door is told at the first try


PROBE_CUT = 0.92  # after a 429 that follows a long good stretch: the limit is near


SEARCH_CUT = 0.85  # of what gets through, after any other


FEWEST = 10  # accepted calls that a rate is told from


GOOD_STRETCH = 50  # accepted calls that make a stretch good


# Accepted calls until a rate is back where it was cut. Until a 429 is seen, a round trip's calls
# go out too fast; a climb of many round trips keeps them rare.
CLIMB, CLIMB_ROUND_TRIPS = 150, 8


# Some endpoints refuse a few calls however slowly they come, and slowing down for them would end
# in a standstill. Below a limit 429s stop; such noise goes on, a few calls apart, through cut after
# cut. Once so many cuts were mild, only twice the noise's share cuts again.
MILD_CUTS, MILD_SHARE = 5, 1 / 8


LONG_STRETCH = 100  # accepted calls without a 429 that speak against noise; less than a climb


NOISE_ANSWERS = 200  # the last answers that its share is taken of


CATCH_UP_S = 0.025  # timers are late on a busy machine; starts missed so recently are made up for


BLIND_PAUSE_S = 1.0  # when nothing gets through and no Retry-After says for how long


LimitedBy = Literal["pause", "window", "rate"]


class Ticket(NamedTuple):
    """A started call."""

    started: float


class RateController:
    """The window and the rate, and how answers move them. Times are monotonic seconds."""

    def __init__(self, max_window: int) -> None:
        self.window = AdaptiveLimit(
            float(min(FIRST_WINDOW, max_window)), most=float(max_window), step=1.0
        )
        self.rate = AdaptiveLimit(math.inf)
        self.in_flight = 0
        self.held_by: LimitedBy | None = None
        self._round_trip_s = 0.0
        self._accepted = _Recent()
        self._noise = RefusalNoise()
        self._accepted_since_cut = 0
        self._cut_at = -math.inf
        self._next_start = -math.inf
        self._paused_until = -math.inf

    def wait_s(self, now: float) -> float:
        """Seconds until the next call may start; infinite when one must end first."""
        self.held_by = None
        if now < self._paused_until:
            self.held_by = "pause"
            return self._paused_until - now
        if self.in_flight >= int(self.window.value):
            self.held_by = "window"
            return math.inf
        if now < self._next_start:
            self.held_by = "rate"
            return self._next_start - now
        return 0.0

    def start(self, now: float) -> Ticket:
        """A call starts now."""
        self.in_flight += 1
        self._next_start = max(self._next_start, now - CATCH_UP_S) + 1 / self.rate.value
        return Ticket(now)

    def end(self) -> None:
        """A call has ended, however it did."""
        self.in_flight -= 1

    def accept(self, ticket: Ticket, now: float) -> None:
        """The endpoint answered: grow what holds calls back."""
        took = now - ticket.started
        self._round_trip_s += (took - self._round_trip_s) * (0.1 if self._round_trip_s else 1.0)
        self._accepted.add(now, gap_s=3 * self._steady_s())
        self._noise.add(refused=False)
        self._accepted_since_cut += 1
        if self.held_by == "window":
            self.window.grow()
        elif self.held_by == "rate":
            self.rate.grow()

    def refuse(self, ticket: Ticket, now: float, retry_after_s: float | None) -> None:
        """The endpoint said 429: cut, once for all calls that could not know of the last cut."""
        self._noise.add(refused=True)
        if ticket.started < self._cut_at:
            return
        if now < max(self._cut_at, self._paused_until) + self._round_trip_s:
            return  # what is admitted now has not answered yet
        n_accepted, per_s = self._accepted.since(
            max(now - self._steady_s(), self._paused_until), now
        )
        if not n_accepted:
            # Nothing gets through any more: this is a closed door, not a narrow one.
            pause_s = BLIND_PAUSE_S if retry_after_s is None else retry_after_s
            self._paused_until = max(self._paused_until, now + pause_s)
        elif self._noise.explains():
            return
        else:
            # In a window of one or two, few are all there will be.
            told = n_accepted >= FEWEST or self.window.value < 3
            self._cut(per_s if told else math.inf)
            self._next_start = now + 1 / self.rate.value
        self._cut_at = now
        self._accepted_since_cut = 0

    def _cut(self, accepted_per_s: float) -> None:
        near = self._accepted_since_cut >= GOOD_STRETCH and not self._noise.known
        climb = max(CLIMB, CLIMB_ROUND_TRIPS * self.in_flight)
        if self.rate.value == math.inf:
            # The first 429 does not tell which of the two it is about. While the window was
            # opening fewer answers came than are admitted, so what was in flight counts as well.
            started_per_s = self.in_flight / max(0.05, self._round_trip_s)
            self.window.cut(SEARCH_CUT * min(self.window.value, self.in_flight), climb, least=1.0)
            if accepted_per_s < math.inf:
                self.rate.cut(SEARCH_CUT * max(accepted_per_s, started_per_s), climb)
            return
        if self.held_by != "rate":
            self.window.cut(self.window.value * (PROBE_CUT if near else SEARCH_CUT), climb, least=1)
        if self.held_by != "window":
            found = math.inf if near else accepted_per_s * SEARCH_CUT
            self.rate.cut(min(self.rate.value * PROBE_CUT, found), climb)

    def _steady_s(self) -> float:
        """Long enough that answers coming in clusters even out."""
        return max(1.0, 2 * self._round_trip_s, 10 / self.rate.value)


class AdaptiveLimit:
    """A quantity that grows by steps and is cut back."""

    def __init__(self, value: float, *, most: float = math.inf, step: float = 0.0) -> None:
        self.value = value
        self._most = most
        self._step = step
        self._faster = 1.0  # how the step itself grows, past where the last cut was
        self._goal = math.inf

    def grow(self) -> None:
        self.value = min(self._most, self.value + self._step)
        if self.value > self._goal:
            # Past its former limit the endpoint has more room, and no one knows how much.
            self._step *= self._faster

    def cut(self, value: float, climb: int, *, least: float = 0.0) -> None:
        """Fall to `value`, and take `climb` steps to come back."""
        self._goal = min(self.value, value / SEARCH_CUT)
        self.value = max(least, value)
        self._step = max(self._goal - self.value, self.value * (1 - PROBE_CUT)) / climb
        self._faster = 1 + 1 / climb


class RefusalNoise:
    """Whether 429s are of the kind that slowing down does not help."""

    def __init__(self) -> None:
        self._refused: deque[bool] = deque(maxlen=NOISE_ANSWERS)
        self._accepted = self._refusals = 0  # since the last 429 that was looked at
        self._mild_cuts = 0
        self._share = 0.0

    def add(self, *, refused: bool) -> None:
        self._refused.append(refused)
        self._accepted += not refused
        self._refusals += refused

    @property
    def known(self) -> bool:
        """Has such noise been found?"""
        return self._share > 0

    def explains(self) -> bool:
        """Is the 429 that has just come no reason to cut?"""
        self._count_mild_cuts()
        share = sum(self._refused) / len(self._refused)
        if len(self._refused) == NOISE_ANSWERS:
            if share <= 1 / NOISE_ANSWERS:  # it is the only one among them
                self._share, self._mild_cuts = 0.0, 0
            elif not self._share and self._mild_cuts >= MILD_CUTS and share < MILD_SHARE:
                self._share = share
        if not self._share:
            return False
        if len(self._refused) < NOISE_ANSWERS or share < max(MILD_SHARE, 2 * self._share):
            return True
        self._refused.clear()  # the next cut needs new evidence
        return False

    def _count_mild_cuts(self) -> None:
        if self._accepted >= LONG_STRETCH:
            self._mild_cuts = 0
        elif self._refusals <= MILD_SHARE * self._accepted:
            self._mild_cuts += 1
        self._accepted = self._refusals = 0


class _Recent:
    """How often something has happened lately."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1024)

    def add(self, now: float, *, gap_s: float) -> None:
        """Count one; after a gap as long as `gap_s` counting starts anew."""
        if self._times and now - self._times[-1] > gap_s:
            self._times.clear()
        self._times.append(now)

    def since(self, start: float, now: float) -> tuple[int, float]:
        """How many since `start`, or since counting began if that was later, and how many a second."""
        n = sum(time > start for time in self._times)
        began = max(start, self._times[0]) if n else start
        return n, n / max(0.1, now - began)


class Throttle:
    """The queue of calls that want to start; lives in one event loop."""

    def __init__(self, max_concurrency: int) -> None:
        self.limits = RateController(max_concurrency)
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
