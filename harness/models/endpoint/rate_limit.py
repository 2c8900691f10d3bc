"""Rate limits of one endpoint, found by probing: calls in flight and call starts per second.

Additive increase, multiplicative decrease, as in TCP, on two quantities: a window of calls in
flight (for endpoints that limit concurrency) and a rate of starts (for endpoints that limit calls
per second). The one that delayed calls grows while calls succeed, and is cut after a 429. Only
429s cut: an endpoint that fails in other ways is not overloaded.

`RateController` is the arithmetic, without a clock; `Throttle` is the queue that waits for it.
"""

import asyncio
import math
import time
from collections import deque
from typing import Literal, NamedTuple

FIRST_WINDOW = 16  # at least OUTAGE_ASKS in dispatch.py: the first window shows a full refusal
PROBE_CUT = 0.92  # after a 429 that follows a long good stretch: the limit is near
SEARCH_CUT = 0.85  # of the accepted rate, after any other 429
FEWEST = 10  # accepted calls that a rate is estimated from
GOOD_STRETCH = 50  # accepted calls that make a stretch good

# Accepted calls until a rate is back where it was cut. Until a 429 is seen, a round trip's calls
# go out too fast; a climb of many round trips keeps 429s rare.
CLIMB, CLIMB_ROUND_TRIPS = 150, 8

# Some endpoints refuse a few calls at any rate, and slowing down for them would end in a
# standstill. Below a limit 429s stop; such noise goes on, a few calls apart, through cut after
# cut. After MILD_CUTS mild cuts, only twice the noise's share cuts again.
MILD_CUTS, MILD_SHARE = 5, 1 / 8
LONG_STRETCH = 100  # accepted calls without a 429 that are evidence against noise; below CLIMB
NOISE_ANSWERS = 200  # latest answers over which the share of noise is computed
CATCH_UP_S = 0.025  # timers are late on a busy machine; starts missed by up to this are made up
BLIND_PAUSE_S = 1.0  # pause when nothing is accepted and there is no Retry-After

LimitedBy = Literal["pause", "window", "rate"]


class Ticket(NamedTuple):
    """A call that has started."""

    started: float


class Throttle:
    """The queue of calls that wait to start; belongs to one event loop."""

    def __init__(self, max_concurrency: int) -> None:
        self.limits = RateController(max_concurrency)
        self._queue: deque[asyncio.Future[Ticket]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def admit(self, *, retry: bool = False) -> Ticket:
        """Return when the call may start; a `retry` goes to the head of the queue."""
        turn: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        if retry:
            self._queue.appendleft(turn)
        else:
            self._queue.append(turn)
        self._start_waiting()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was admitted but will not run
            raise

    def leave(self) -> None:
        """Count the end of a call and start the next ones."""
        self.limits.end()
        self._start_waiting()

    def accept(self, ticket: Ticket) -> None:
        """Record that the endpoint answered this call."""
        self.limits.accept(ticket, time.monotonic())

    def refuse(self, ticket: Ticket, retry_after_s: float | None) -> None:
        """Record that the endpoint refused this call with 429."""
        self.limits.refuse(ticket, time.monotonic(), retry_after_s)

    def _start_waiting(self) -> None:
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
                    self._timer = asyncio.get_running_loop().call_later(wait_s, self._start_waiting)
                return
            self._queue.popleft().set_result(self.limits.start(now))
        self.limits.limited_by = None  # nothing waits: neither limit delays calls


class RateController:
    """The window and the rate, and their changes after answers. Times are monotonic seconds."""

    def __init__(self, max_window: int) -> None:
        self.window = AdaptiveLimit(
            float(min(FIRST_WINDOW, max_window)), maximum=float(max_window), step=1.0
        )
        self.rate = AdaptiveLimit(math.inf)
        self.in_flight = 0
        self.limited_by: LimitedBy | None = None
        self._round_trip_s = 0.0
        self._accepted = _EventRate()
        self._noise = RefusalNoise()
        self._accepted_since_cut = 0
        self._cut_at = -math.inf
        self._next_start = -math.inf
        self._paused_until = -math.inf

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next call may start; infinite when one must end first."""
        self.limited_by = None
        if now < self._paused_until:
            self.limited_by = "pause"
            return self._paused_until - now
        if self.in_flight >= int(self.window.value):
            self.limited_by = "window"
            return math.inf
        if now < self._next_start:
            self.limited_by = "rate"
            return self._next_start - now
        return 0.0

    def start(self, now: float) -> Ticket:
        """Count a call that starts."""
        self.in_flight += 1
        self._next_start = max(self._next_start, now - CATCH_UP_S) + 1 / self.rate.value
        return Ticket(now)

    def end(self) -> None:
        """Count a call that has ended, in any way."""
        self.in_flight -= 1

    def accept(self, ticket: Ticket, now: float) -> None:
        """Record an answer and grow the limit that delays calls."""
        took = now - ticket.started
        self._round_trip_s += (took - self._round_trip_s) * (0.1 if self._round_trip_s else 1.0)
        self._accepted.add(now, gap_s=3 * self._averaging_window_s())
        self._noise.add(refused=False)
        self._accepted_since_cut += 1
        if self.limited_by == "window":
            self.window.grow()
        elif self.limited_by == "rate":
            self.rate.grow()

    def refuse(self, ticket: Ticket, now: float, retry_after_s: float | None) -> None:
        """Record a 429 and cut, once for all calls that started before the last cut."""
        self._noise.add(refused=True)
        if ticket.started < self._cut_at:
            return
        if now < max(self._cut_at, self._paused_until) + self._round_trip_s:
            return  # calls admitted since the cut have not been answered yet
        n_accepted, per_s = self._accepted.since(
            max(now - self._averaging_window_s(), self._paused_until), now
        )
        if not n_accepted:
            # Nothing is accepted at all: pause instead of narrowing the limits.
            pause_s = BLIND_PAUSE_S if retry_after_s is None else retry_after_s
            self._paused_until = max(self._paused_until, now + pause_s)
        elif self._noise.explains():
            return
        else:
            # A window of one or two never has more than a few accepted calls.
            measurable = n_accepted >= FEWEST or self.window.value < 3
            self._cut(per_s if measurable else math.inf)
            self._next_start = now + 1 / self.rate.value
        self._cut_at = now
        self._accepted_since_cut = 0

    def _cut(self, accepted_per_s: float) -> None:
        near = self._accepted_since_cut >= GOOD_STRETCH and not self._noise.detected
        climb = max(CLIMB, CLIMB_ROUND_TRIPS * self.in_flight)
        if self.rate.value == math.inf:
            # The first 429 may be due to either limit. While the window was opening fewer answers
            # came than were admitted, so the calls in flight count as well.
            started_per_s = self.in_flight / max(0.05, self._round_trip_s)
            self.window.cut(SEARCH_CUT * min(self.window.value, self.in_flight), climb, minimum=1.0)
            if accepted_per_s < math.inf:
                self.rate.cut(SEARCH_CUT * max(accepted_per_s, started_per_s), climb)
            return
        if self.limited_by != "rate":
            self.window.cut(
                self.window.value * (PROBE_CUT if near else SEARCH_CUT), climb, minimum=1
            )
        if self.limited_by != "window":
            new_rate = math.inf if near else accepted_per_s * SEARCH_CUT
            self.rate.cut(min(self.rate.value * PROBE_CUT, new_rate), climb)

    def _averaging_window_s(self) -> float:
        """Return a time over which answers that come in clusters average out."""
        return max(1.0, 2 * self._round_trip_s, 10 / self.rate.value)


class AdaptiveLimit:
    """A limit that grows in steps and is cut after refusals."""

    def __init__(self, value: float, *, maximum: float = math.inf, step: float = 0.0) -> None:
        self.value = value
        self._maximum = maximum
        self._step = step
        self._step_growth = 1.0  # growth factor of the step above the value of the last cut
        self._goal = math.inf

    def grow(self) -> None:
        """Add a step; above the value before the last cut the steps grow too."""
        self.value = min(self._maximum, self.value + self._step)
        if self.value > self._goal:
            # The endpoint admits more than before, and the new limit is unknown.
            self._step *= self._step_growth

    def cut(self, value: float, climb: int, *, minimum: float = 0.0) -> None:
        """Cut to `value`; `climb` steps lead back to the value before."""
        self._goal = min(self.value, value / SEARCH_CUT)
        self.value = max(minimum, value)
        self._step = max(self._goal - self.value, self.value * (1 - PROBE_CUT)) / climb
        self._step_growth = 1 + 1 / climb


class RefusalNoise:
    """Detection of 429s that come at any rate, so that slowing down does not help."""

    def __init__(self) -> None:
        self._refused: deque[bool] = deque(maxlen=NOISE_ANSWERS)
        self._accepted = self._refusals = 0  # since the last 429 that was examined
        self._mild_cuts = 0
        self._share = 0.0

    def add(self, *, refused: bool) -> None:
        """Record an answer."""
        self._refused.append(refused)
        self._accepted += not refused
        self._refusals += refused

    @property
    def detected(self) -> bool:
        """Return whether such noise has been found."""
        return self._share > 0

    def explains(self) -> bool:
        """Return whether the 429 just recorded is noise and no reason to cut."""
        self._count_mild_cuts()
        share = sum(self._refused) / len(self._refused)
        if len(self._refused) == NOISE_ANSWERS:
            if share <= 1 / NOISE_ANSWERS:  # the latest 429 is the only one
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


class _EventRate:
    """The rate of recent events."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1024)

    def add(self, now: float, *, gap_s: float) -> None:
        """Record an event; after a gap of `gap_s` counting starts anew."""
        if self._times and now - self._times[-1] > gap_s:
            self._times.clear()
        self._times.append(now)

    def since(self, start: float, now: float) -> tuple[int, float]:
        """Return the events since `start`, or since counting began, and their rate per second."""
        n = sum(time > start for time in self._times)
        counting_from = max(start, self._times[0]) if n else start
        return n, n / max(0.1, now - counting_from)
