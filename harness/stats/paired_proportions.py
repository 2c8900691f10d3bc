"""Two models' yes-or-no outcomes on the same items: McNemar tests and intervals."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import binomial_at_most, normal_quantile, normal_tail
from harness.stats.vectors import Interval, as_vector, bisect_flip, check_fraction


class PairedCounts(NamedTuple):
    """Counts of items by the models that succeeded on them.

    Attributes:
        both: Under both models.
        candidate_only: Under the candidate alone.
        baseline_only: Under the baseline alone.
        neither: Under neither.
    """

    both: int
    candidate_only: int
    baseline_only: int
    neither: int

    @property
    def n(self) -> int:
        """Return the number of items."""
        return sum(self)

    @property
    def risk_difference(self) -> float:
        """Return the candidate's share of successes less the baseline's, in [-1, 1]."""
        return (self.candidate_only - self.baseline_only) / self.n


def count_pairs(baseline: ArrayLike, candidate: ArrayLike) -> PairedCounts:
    """Count pairs of 0/1 outcomes, one an item, in the same order for both models.

    Raises:
        ValueError: If the two differ in length, are empty, or hold anything but 0 and 1.
    """
    before = as_vector(baseline, name="baseline")
    after = as_vector(candidate, name="candidate")
    if before.size != after.size:
        raise ValueError(f"baseline has {before.size} items, but candidate has {after.size}.")
    if not np.isin([*before, *after], (0, 1)).all():
        raise ValueError("baseline and candidate must hold 0 and 1 only.")
    both, candidate_only = int((before * after).sum()), int(((1 - before) * after).sum())
    baseline_only = int((before * (1 - after)).sum())
    neither = before.size - both - candidate_only - baseline_only
    return PairedCounts(both, candidate_only, baseline_only, neither)


def mcnemar_exact(b: int, c: int) -> float:
    """Compute the two-sided exact p-value for b against c discordant pairs; 1 if there are none.

    Its error rate is guaranteed to be at most alpha; it is very conservative.

    Raises:
        ValueError: If b or c is negative.
    """
    _check_discordant(b, c)
    return min(1.0, 2 * binomial_at_most(min(b, c), b + c, 0.5))


def mcnemar_midp(b: int, c: int) -> float:
    """Compute the two-sided mid-p value for b against c discordant pairs; 1 if there are none.

    The exact p-value less the chance of the observed split; less half of it if b = c
    (Fagerland, Lydersen & Laake 2013, https://doi.org/10.1186/1471-2288-13-91).

    Raises:
        ValueError: If b or c is negative.
    """
    _check_discordant(b, c)
    if b + c == 0:
        return 1.0
    fewer, n = min(b, c), b + c
    observed = binomial_at_most(fewer, n, 0.5) - binomial_at_most(fewer - 1, n, 0.5)
    return mcnemar_exact(b, c) - (observed / 2 if b == c else observed)


def tango_interval(counts: PairedCounts, *, confidence: float = 0.95) -> Interval:
    """Compute the score interval for the risk difference: all values a score test does not reject.

    Tango 1998, Statistics in Medicine 17:891. Each end is a one-sided bound at half the error,
    so a non-inferiority gate at 5 % uses confidence 0.90.

    Raises:
        ValueError: If there are no items, or confidence is not in (0, 1).
    """
    _check_items(counts)
    z = normal_quantile((1 - check_fraction(confidence, name="confidence")) / 2)
    b, c, n = counts.candidate_only, counts.baseline_only, counts.n
    return Interval(_tango_lower(b, c, n, z), -_tango_lower(c, b, n, z))


def tango_test(counts: PairedCounts, boundary: float) -> float:
    """Compute the one-sided p-value of H0: risk difference <= boundary, by Tango's score test.

    It is at most alpha exactly where the lower end of `tango_interval` at confidence 1 - 2 alpha
    is above the boundary.

    Raises:
        ValueError: If there are no items, or boundary is not in (-1, 1).
    """
    _check_items(counts)
    if not -1 < boundary < 1:
        raise ValueError(f"boundary must lie between -1 and 1, but it is {boundary}.")
    b, c, n = counts.candidate_only, counts.baseline_only, counts.n
    excess, variance = b - c - n * boundary, _tango_variance(b, c, n, boundary)
    if variance <= 0:  # boundary 0 without a discordant pair: no evidence either way
        return 1.0
    return normal_tail(excess / math.sqrt(variance))


def _tango_lower(b: int, c: int, n: int, z: float) -> float:
    def rejected(delta: float) -> bool:
        return (b - c - n * delta) ** 2 > z**2 * _tango_variance(b, c, n, delta)

    return bisect_flip(rejected, low=-1.0, high=(b - c) / n)


def _tango_variance(b: int, c: int, n: int, delta: float) -> float:
    """Compute the variance of b - c if the true risk difference is delta (constrained MLE)."""
    linear = (2 * n - b + c) * delta - b - c
    root = math.sqrt(linear**2 + 8 * n * c * delta * (1 - delta))
    c_chance = (root - linear) / (4 * n)
    return n * (2 * c_chance + delta * (1 - delta))


def _check_discordant(b: int, c: int) -> None:
    if b < 0 or c < 0:
        raise ValueError(f"Discordant counts cannot be negative; b={b}, c={c}.")


def _check_items(counts: PairedCounts) -> None:
    if min(counts) < 0 or counts.n == 0:
        raise ValueError(f"Counts must not be negative, and not all zero: {counts}.")
