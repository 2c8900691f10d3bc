"""How often Tango's test rejects a true null, summed exactly over all tables instead of simulated."""

import math

import numpy as np
import pytest

from harness.stats.paired_proportions import PairedCounts, tango_test

ALPHA = 0.05


def worst_size(n: int, boundary: float) -> float:
    """The largest chance of a rejection over the shares of items that differ, at that boundary."""
    rejected = [
        (b, c)
        for b in range(n + 1)
        for c in range(n + 1 - b)
        if tango_test(PairedCounts(0, b, c, n - b - c), boundary) <= ALPHA
    ]
    return max(_chance(rejected, n, psi, boundary) for psi in np.linspace(abs(boundary), 1, 61))


def _chance(tables: list[tuple[int, int]], n: int, psi: float, boundary: float) -> float:
    logs = [
        _log_power((psi + boundary) / 2, b) + _log_power((psi - boundary) / 2, c)
        + _log_power(1 - psi, n - b - c)
        + math.lgamma(n + 1) - math.lgamma(b + 1) - math.lgamma(c + 1) - math.lgamma(n - b - c + 1)
        for b, c in tables
    ]  # fmt: skip
    return math.fsum(math.exp(log) for log in logs)


def _log_power(p: float, k: int) -> float:
    if k == 0:
        return 0.0
    return k * math.log(p) if p > 1e-12 else -math.inf


@pytest.mark.parametrize(
    ("n", "boundary", "size"), [(3, 0.0, 0.125), (9, 0.0, 0.090), (15, -0.1, 0.077)]
)
def test_on_few_items_it_errs_more_often_than_it_says(n: int, boundary: float, size: float) -> None:
    assert worst_size(n, boundary) == pytest.approx(size, abs=0.001)


@pytest.mark.parametrize("boundary", [0.0, -0.05, -0.1])
def test_from_a_hundred_items_on_it_errs_little_more_than_it_says(boundary: float) -> None:
    assert worst_size(100, boundary) <= 0.058
