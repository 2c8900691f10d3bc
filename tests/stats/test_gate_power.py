"""The power that a plan states, against simulation of the gate's own tests."""

import numpy as np
import pytest

from harness.stats.bounded_means import JUDGED, betting_lower_bound
from harness.stats.gate_power import (
    detectable_by_gate,
    detectable_share,
    fewest_for_gate,
    fewest_for_shares,
    gate_power,
    share_power,
)
from harness.stats.means import mean_moments
from harness.stats.power import t_test_power
from harness.stats.unseen_worst import bound_below

RUNS = 1000


def simulated(n: int, effect: float, sd: float = 1.87) -> float:
    d = np.clip(np.random.default_rng(n).normal(effect, sd, (RUNS, n)), -9, 9)
    return float(np.mean([bound_below(mean_moments(row), worst=-9, alpha=0.05) > 0 for row in d]))


@pytest.mark.parametrize(("n", "effect"), [(30, 1.0), (50, 0.5), (50, 1.0), (100, 0.5), (200, 0.3)])
def test_power_is_that_of_the_rule(n: int, effect: float) -> None:
    assert gate_power(effect, 1.87, n, reach=9) == pytest.approx(simulated(n, effect), abs=0.05)


def test_without_a_worst_it_is_that_of_students_test() -> None:
    usual = t_test_power(0.3, 80, alternative="one-sided")
    assert gate_power(0.3, 1.0, 80, reach=0) == pytest.approx(usual)
    n = int(fewest_for_gate(1.0, 0.3, reach=0))
    least, fewer = (t_test_power(0.3, k, alternative="one-sided") for k in (n, n - 1))
    assert least >= 0.8 > fewer


def test_what_is_detectable_is_found_with_the_power_said() -> None:
    effect = detectable_by_gate(2.07, 60, reach=9)
    assert gate_power(effect, 2.07, 60, reach=9) == pytest.approx(0.8)
    n = int(fewest_for_gate(2.07, effect, reach=9))
    assert n == 60


def test_nothing_is_detectable_where_the_worst_is_out_of_all_proportion() -> None:
    assert detectable_by_gate(0.3, 60, reach=1e12) == float("inf")


def test_a_betting_bound_shows_about_as_much_as_is_said() -> None:
    d = np.clip(np.random.default_rng(2).normal(0.5, 1.87, (400, 200)), -9, 9)
    found = np.mean([betting_lower_bound(row, bounds=(-9, 9), begin=JUDGED) > 0 for row in d])
    assert gate_power(0.5, 1.87, 200, reach=9, betting=True) == pytest.approx(found, abs=0.1)


def test_shares_have_the_power_of_the_exact_test() -> None:
    assert share_power(0.1, 0.0, 0.14, 50, 0.05) == pytest.approx(0.607, abs=0.001)
    effect = detectable_share(0.0, 0.1, 150, alpha=0.05, power=0.8)
    assert effect is not None
    assert share_power(effect, 0.0, 0.1, 150, 0.05) == pytest.approx(0.8, abs=0.01)
    n = fewest_for_shares(0.0, effect, 0.1, alpha=0.05, power=0.8, most=10_000)
    assert n == pytest.approx(150, abs=10)
