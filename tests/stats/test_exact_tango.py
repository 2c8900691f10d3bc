"""Tango's test with an exact error rate, against sums over all tables."""

import math

import numpy as np
import pytest

from harness.stats.exact_tango import (
    critical_z,
    exact_tango_bound,
    exact_tango_power,
    exact_tango_test,
)
from harness.stats.paired_proportions import PairedCounts, tango_test

ALPHA = 0.05


def tables(n: int) -> list[PairedCounts]:
    return [PairedCounts(0, b, c, n - b - c) for b in range(n + 1) for c in range(n + 1 - b)]


def chance(table: PairedCounts, wins: float, losses: float) -> float:
    _, b, c, rest = table
    log = math.lgamma(table.n + 1) - sum(math.lgamma(k + 1) for k in (b, c, rest))
    for k, p in ((b, wins), (c, losses), (rest, 1 - wins - losses)):
        if k and p <= 1e-12:
            return 0.0
        log += k * math.log(p) if k else 0.0
    return math.exp(log)


def size(n: int, boundary: float) -> float:
    """The largest chance of a rejection over the shares of items that differ."""
    rejected = [t for t in tables(n) if exact_tango_test(t, boundary) <= ALPHA]
    losses = np.linspace(max(0.0, -boundary), (1 - boundary) / 2, 83)
    return max(sum(chance(t, q + boundary, q) for t in rejected) for q in losses)


@pytest.mark.parametrize("boundary", [0.0, -0.1, 0.05, 0.3])
@pytest.mark.parametrize("n", [3, 9, 15, 30])
def test_it_errs_at_most_as_often_as_it_says(n: int, boundary: float) -> None:
    assert size(n, boundary) <= ALPHA + 5e-4


def test_where_tangos_own_test_errs_most_it_keeps_to_its_rate() -> None:
    """Superiority by .05 on 100 items: his test passes 6.5 % of the time at worst."""
    assert critical_z(100, 0.05, ALPHA) > 1.75 > 1.645


def test_the_p_value_is_the_largest_chance_of_a_table_as_extreme() -> None:
    observed, boundary = PairedCounts(3, 6, 1, 2), -0.05
    extreme = [
        t for t in tables(12) if tango_test(t, boundary) <= tango_test(observed, boundary) + 1e-9
    ]
    losses = np.linspace(0.05, 0.525, 2001)
    largest = max(sum(chance(t, q + boundary, q) for t in extreme) for q in losses)
    assert exact_tango_test(observed, boundary) == pytest.approx(largest, abs=5e-4)


def test_three_wins_of_three_have_the_chance_of_three_coins() -> None:
    assert exact_tango_test(PairedCounts(0, 3, 0, 0), 0.0) == pytest.approx(1 / 8)
    assert exact_tango_test(PairedCounts(5, 0, 0, 4), 0.0) == 1


def test_the_bound_exceeds_the_boundary_where_the_test_rejects() -> None:
    for table in tables(14):
        for boundary in (0.0, -0.1, 0.2):
            low = exact_tango_bound(table, boundary)
            if abs(low - boundary) > 1e-9:
                assert (low > boundary) is (exact_tango_test(table, boundary) <= ALPHA)


@pytest.mark.parametrize(("n", "power"), [(30, 0.325), (50, 0.607), (80, 0.804)])
def test_shares_of_85_and_95_percent_are_told_apart_so_often(n: int, power: float) -> None:
    """The review's figures: the candidate alone succeeds on 12 %, the baseline alone on 2 %."""
    assert exact_tango_power(n, 0.0, 0.12, 0.02, ALPHA) == pytest.approx(power, abs=0.001)


def test_its_power_is_the_chance_of_the_tables_that_it_rejects() -> None:
    n, wins, losses = 20, 0.3, 0.05
    rejected = [t for t in tables(n) if exact_tango_test(t, 0.0) <= ALPHA]
    summed = sum(chance(t, wins, losses) for t in rejected)
    assert exact_tango_power(n, 0.0, wins, losses, ALPHA) == pytest.approx(summed, abs=1e-6)


def test_a_hundred_thousand_items_are_no_burden() -> None:
    table = PairedCounts(90_000, 600, 500, 8_900)
    assert exact_tango_test(table, 0.0) == pytest.approx(tango_test(table, 0.0), abs=5e-4)
