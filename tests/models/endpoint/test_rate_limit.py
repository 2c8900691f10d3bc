import time

import pytest

from harness.models.endpoint.rate_limit import RateController
from tests.builders.asking import make_asks, make_endpoint
from tests.builders.simulation import simulate
from tests.loopback.faults import script
from tests.loopback.server import LoopbackServer, TokenBucket


@pytest.mark.parametrize("burst_s", [0.2, 1.0, 10.0])
@pytest.mark.parametrize("retry_after_s", [None, 1.0])
@pytest.mark.parametrize(
    ("rate", "latency_s", "refusal_latency_s"),
    [(50, 0.2, None), (50, 0.2, 0.005), (200, 0.5, None), (100, 2.0, None), (10, 0.2, None)],
)
def test_nine_tenths_of_what_an_endpoint_admits_is_used_and_few_calls_are_refused(
    rate: float,
    latency_s: float,
    refusal_latency_s: float | None,
    burst_s: float,
    retry_after_s: float | None,
) -> None:
    found = simulate(
        RateController(256),
        rate=rate,
        burst=max(5, rate * burst_s),
        latency_s=latency_s,
        refusal_latency_s=refusal_latency_s,
        retry_after_s=retry_after_s,
    )
    assert found.accepted_per_s >= 0.9 * rate
    assert found.refused <= 0.02


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.04, 0.08])
def test_a_few_refusals_at_any_speed_do_not_bring_it_to_a_standstill(noise: float) -> None:
    found = simulate(RateController(64), rate=1e6, burst=1e6, latency_s=0.2, noise=noise)
    assert found.accepted_per_s >= 50  # 64 in flight could make 320


@pytest.mark.parametrize(("rate", "latency_s"), [(1, 1.0), (5, 1.0), (10, 0.2)])
def test_a_slow_endpoint_is_found_as_well(rate: float, latency_s: float) -> None:
    found = simulate(
        RateController(64), rate=rate, burst=3 * rate, latency_s=latency_s, seconds=600, warm_up=120
    )
    assert found.accepted_per_s >= 0.9 * rate
    assert found.refused <= 0.02


def test_an_endpoint_that_admits_all_is_used_to_the_full() -> None:
    found = simulate(RateController(64), rate=1e6, burst=1e6, latency_s=0.2, seconds=10, warm_up=1)
    assert found.accepted_per_s >= 0.95 * 64 / 0.2
    assert found.refused == 0


def test_a_burst_of_429s_cuts_once() -> None:
    limits = RateController(64)
    limits.window.value = 64.0
    tickets = [limits.start(0.0) for _ in range(64)]
    for ticket in tickets[:32]:
        limits.accept(ticket, 0.2)
    limits.refuse(tickets[32], 0.2, None)
    window, rate = limits.window.value, limits.rate.value
    for ticket in tickets[33:]:
        limits.refuse(ticket, 0.21, None)
    assert (limits.window.value, limits.rate.value) == (window, rate)
    assert 32 < window < 64


def test_failures_other_than_429_shrink_nothing() -> None:
    with LoopbackServer(fault=script(*["500", "reset"] * 10)) as server:
        endpoint = make_endpoint(server)
        list(endpoint.ask_all(make_asks(60)))
        limits = endpoint._runner._throttle.limits
    assert limits.window.value == 16
    assert limits.rate.value == float("inf")


def test_where_nothing_gets_through_everyone_waits_as_long_as_told() -> None:
    limits = RateController(64)
    tickets = [limits.start(0.0) for _ in range(4)]
    for ticket in tickets:
        limits.refuse(ticket, 0.1, 30.0)
        limits.end()
    assert limits.wait_s(1.1) == pytest.approx(29.0)
    assert limits.wait_s(30.2) == 0


@pytest.mark.slow
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "1"}])
def test_steady_state_against_a_token_bucket(headers: dict[str, str]) -> None:
    rate, warm_up, seconds = 50.0, 20.0, 60.0
    bucket = TokenBucket(rate, burst=rate, headers=headers)
    with LoopbackServer(latency_s=0.2, admits=bucket, keep=False) as server:
        start = time.monotonic()
        replies = make_endpoint(server, max_concurrency=64).ask_all(make_asks(10**6))
        while time.monotonic() - start < warm_up + seconds:
            next(replies)
        replies.close()
    late = [
        kind for at, kind in server.outcomes if start + warm_up <= at < start + warm_up + seconds
    ]
    print(f"{late.count('ok') / seconds / rate:.1%} used, {late.count('429') / len(late):.1%} 429")
    assert late.count("ok") >= 0.9 * rate * seconds
    assert late.count("429") <= 0.02 * len(late)
