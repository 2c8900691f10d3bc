"""An endpoint without sockets or waiting: what `RateController` makes of it in so many seconds."""

import heapq
import random
from typing import NamedTuple

from harness.models.endpoint.rate_limit import RateController, Ticket


class Outcome(NamedTuple):
    """After the warm-up: answers a second, and the share of 429s."""

    accepted_per_s: float
    refused: float


def simulate(
    limits: RateController,
    *,
    rate: float,
    burst: float,
    latency_s: float,
    refusal_latency_s: float | None = None,
    noise: float = 0.0,
    seconds: float = 120.0,
    warm_up: float = 60.0,
    retry_after_s: float | None = 1.0,
) -> Outcome:
    """A token bucket under endless demand; `noise` of its answers are 429 whatever the rate."""
    drawn = random.Random(0)
    now = then = 0.0
    tokens = burst
    under_way: list[tuple[float, int, bool, Ticket]] = []
    counts = {True: 0, False: 0}
    number = 0
    while now < seconds:
        while (wait_s := limits.wait_s(now)) <= 0:
            ticket = limits.start(now)
            tokens, then, number = min(burst, tokens + (now - then) * rate), now, number + 1
            admitted = tokens >= 1 and drawn.random() >= noise
            tokens -= admitted
            took = latency_s if admitted or refusal_latency_s is None else refusal_latency_s
            heapq.heappush(
                under_way, (now + took * drawn.uniform(0.9, 1.1), number, admitted, ticket)
            )
        now = min(now + wait_s, under_way[0][0]) if under_way else now + wait_s
        while under_way and under_way[0][0] <= now:
            _, _, admitted, ticket = heapq.heappop(under_way)
            if admitted:
                limits.accept(ticket, now)
            else:
                limits.refuse(ticket, now, retry_after_s)
            limits.end()
            counts[admitted] += now > warm_up
    return Outcome(counts[True] / (seconds - warm_up), counts[False] / sum(counts.values()))
