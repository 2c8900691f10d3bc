"""Tango's score test of two paired shares, with an exact error rate.

Tango's statistic orders the tables; its normal tail is only approximate, and errs up to 8 % of the
time on few items, and with rare differences on any number. The exact unconditional p-value is the
chance of a table at least as extreme, at its largest over the shares of items that differ (Suissa &
Shuster 1991, Biometrics 47:361; Hsueh, Liu & Chen 2001, Biometrics 57:478). For c losses the extreme
tables are those with at least b*(c) wins, as the statistic rises with the wins, so that the chance is

    sum over c of Bin(c; n, p_c) P(Bin(n - c, p_b / (1 - p_c)) >= b*(c)),   p_b = p_c + boundary.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.stats.distributions import normal_quantile
from harness.stats.paired_proportions import PairedCounts, tango_interval, tango_test
from harness.stats.vectors import Vector, check_fraction

EVEN_POINTS = 96  # of the grid over the shares, even in the arc sine of their root
LEAST_COUNT, RATIO = (
    0.02,
    1.3,
)  # expected items that differ: the first of a geometric grid, and its steps
REACH = 6.0  # standard deviations of a count that are summed; beyond is less than 1e-8
ROUNDING = 1e-9  # z values closer than this are ties
LARGEST_LEVEL = 0.499

Counts = NDArray[np.int64]


def exact_tango_test(counts: PairedCounts, boundary: float) -> float:
    """Compute the exact one-sided p-value of H0: risk difference <= boundary.

    Raises:
        ValueError: If there are no items, or boundary is not in (-1, 1).
    """
    p = tango_test(counts, boundary)  # checks both
    if p >= 1:
        return 1.0
    z = float(_statistic(*_as_arrays(counts), counts.n, boundary)[0])
    return _largest_chance(counts.n, boundary, z)


def exact_tango_bound(counts: PairedCounts, boundary: float, *, alpha: float = 0.05) -> float:
    """Return a lower bound of the risk difference, calibrated at `boundary`.

    It is Tango's bound at a level that is as much lower than alpha as his p-value of this table is
    below the exact one. So it is above the boundary exactly where the exact p-value is at most alpha.

    Raises:
        ValueError: As `exact_tango_test`, or if alpha is not in (0, 1).
    """
    check_fraction(alpha, name="alpha")
    approximate, exact = tango_test(counts, boundary), exact_tango_test(counts, boundary)
    ratio = approximate / exact if approximate > 0 and exact > 0 else 1.0
    level = min(alpha * ratio, LARGEST_LEVEL)
    return tango_interval(counts, confidence=1 - 2 * level).low


@lru_cache(maxsize=256)
def critical_z(n: int, boundary: float, alpha: float) -> float:
    """Find the least z that the statistic must exceed for an exact error rate of at most alpha.

    It is within 0.001, on the safe side.
    """
    low, high = normal_quantile(min(2 * alpha, LARGEST_LEVEL)), normal_quantile(alpha) + 3
    while high - low > 0.001:
        middle = (low + high) / 2
        safe = _largest_chance(n, boundary, middle) <= alpha
        low, high = (low, middle) if safe else (middle, high)
    return high


def exact_tango_power(n: int, boundary: float, wins: float, losses: float, alpha: float) -> float:
    """Compute the chance that n items reject H0: risk difference <= boundary.

    Args:
        n: Items.
        boundary: Of the risk difference.
        wins: True share of items on which the candidate alone succeeds.
        losses: True share on which the baseline alone does.
        alpha: Error rate of the test.
    """
    least = _least_wins(n, boundary, critical_z(n, boundary, alpha))
    return float(_chances(n, least, np.array([wins]), np.array([losses]))[0])


@lru_cache(maxsize=8192)
def _largest_chance(n: int, boundary: float, z: float) -> float:
    """Return the chance that the statistic reaches z, the largest over the true shares."""
    losses = _nuisance_grid(n, boundary)
    return float(_chances(n, _least_wins(n, boundary, z), losses + boundary, losses).max())


def _nuisance_grid(n: int, boundary: float) -> Vector:
    """Return shares of losses, those of wins being larger by the boundary: dense where few differ."""
    least, most = max(0.0, -boundary), (1 - boundary) / 2
    reach = most - least
    even = np.sin(np.linspace(0, math.pi / 2, EVEN_POINTS)) ** 2
    few = np.geomspace(LEAST_COUNT / n, 1, math.ceil(math.log(n / LEAST_COUNT) / math.log(RATIO)))
    shares = np.concatenate([even, few, 1 - few]) * reach + least
    return np.unique(np.clip(shares, least, most))


def _least_wins(n: int, boundary: float, z: float) -> Counts:
    """Return b*(c) for each number of losses c: the least number of wins whose statistic reaches z.

    It is n - c + 1 where none does.
    """
    losses = np.arange(n + 1)
    low, high = np.full(n + 1, -1), n - losses + 1  # numbers that do not reach it, and that do
    while (high - low > 1).any():
        middle = (low + high) // 2
        reached = _statistic(np.maximum(middle, 0), losses, n, boundary) >= z - ROUNDING
        open_ = high - low > 1
        high = np.where(open_ & reached, middle, high)
        low = np.where(open_ & ~reached, middle, low)
    return high


def _statistic(wins: Counts, losses: Counts, n: int, boundary: float) -> Vector:
    """Compute Tango's z; minus infinity without variance, as without an item that differs."""
    linear = (2 * n - wins + losses) * boundary - wins - losses
    square = linear**2 + 8 * n * losses * boundary * (1 - boundary)
    root = np.sqrt(np.maximum(square, 0.0))  # below 0 by rounding only
    variance = n * ((root - linear) / (2 * n) + boundary * (1 - boundary))
    excess = wins - losses - n * boundary
    positive = variance > 0
    z: Vector = np.where(positive, excess / np.sqrt(np.where(positive, variance, 1.0)), -np.inf)
    return z


def _chances(n: int, least: Counts, wins: Vector, losses: Vector) -> Vector:
    """Compute the chance of the tables with at least least[c] wins, for each pair of true shares."""
    from scipy.special import betainc, gammaln, xlog1py, xlogy

    spread = REACH * np.sqrt(n * losses * (1 - losses)) + REACH
    first = np.maximum(np.floor(n * losses - spread), 0).astype(np.int64)
    last = np.minimum(np.ceil(n * losses + spread), n).astype(np.int64)
    # One row for each pair of shares and each number of losses that is not practically impossible.
    rows = last - first + 1
    pair = np.repeat(np.arange(losses.size), rows)
    c = np.arange(pair.size) - np.repeat(np.cumsum(rows) - rows, rows) + first[pair]
    needed = least[c]
    possible = needed <= n - c
    pair, c, needed = pair[possible], c[possible], needed[possible]
    chance = gammaln(n + 1) - gammaln(c + 1) - gammaln(n - c + 1)
    chance = np.exp(chance + xlogy(c, losses[pair]) + xlog1py(n - c, -losses[pair]))
    p = np.clip(wins[pair] / np.maximum(1 - losses[pair], 1e-300), 0.0, 1.0)
    tail = np.where(needed > 0, betainc(np.maximum(needed, 1), n - c - needed + 1, p), 1.0)
    return np.asarray(np.bincount(pair, chance * tail, losses.size), dtype=np.float64)


def _as_arrays(counts: PairedCounts) -> tuple[Counts, Counts]:
    return np.array([counts.candidate_only]), np.array([counts.baseline_only])
