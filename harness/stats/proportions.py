"""A single proportion: intervals, the exact threshold test, and its minimum sample size."""

import math
from typing import NamedTuple

from harness.stats.distributions import (
    beta_quantile,
    binomial_at_least,
    binomial_at_most,
    normal_quantile,
)
from harness.stats.vectors import Interval, check_fraction


class ThresholdTest(NamedTuple):
    """Exact binomial tests of a proportion against a threshold p0, one for each direction.

    Attributes:
        p_above: P-value of H0: p <= p0; small if the proportion is above the threshold.
        p_below: P-value of H0: p >= p0; small if the proportion is below the threshold.
    """

    p_above: float
    p_below: float


def wilson_interval(k: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Compute the score interval for k successes in n trials (Wilson 1927, JASA 22:209).

    k and n need not be whole: for clustered items divide both by the design effect.

    Raises:
        ValueError: If not 0 <= k <= n with n > 0, or confidence is not in (0, 1).
    """
    _check_counts(k, n)
    z = normal_quantile((1 - check_fraction(confidence, name="confidence")) / 2)
    p, q = k / n, (n - k) / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * q / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return Interval(0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half)


def clopper_pearson_interval(k: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Compute the exact interval, with at least the nominal coverage (Clopper & Pearson 1934).

    Without a success its upper end is 1 - tail^(1/n), or 3/n by the rule of thumb. k and n need not
    be whole: for clustered items divide both by the design effect.

    Raises:
        ValueError: If not 0 <= k <= n with n > 0, or confidence is not in (0, 1).
    """
    _check_counts(k, n)
    tail = (1 - check_fraction(confidence, name="confidence")) / 2
    low = 0.0 if k == 0 else beta_quantile(1 - tail, k, n - k + 1)
    high = 1.0 if k == n else beta_quantile(tail, k + 1, n - k)
    return Interval(low, high)


def exact_threshold_test(k: int, n: int, *, p0: float) -> ThresholdTest:
    """Test k successes in n trials against the threshold `p0` with exact binomial tests.

    Raises:
        ValueError: If not 0 <= k <= n with n > 0, or p0 is not in (0, 1).
    """
    _check_counts(k, n)
    check_fraction(p0, name="p0")
    return ThresholdTest(p_above=binomial_at_least(k, n, p0), p_below=binomial_at_most(k, n, p0))


def minimum_n_for_threshold(p0: float, alpha: float = 0.05) -> int:
    """Find the least n at which n successes in n trials show p > p0: p0^n <= alpha.

    A gate on fewer items cannot pass for any model.

    Raises:
        ValueError: If p0 or alpha is not in (0, 1).
    """
    check_fraction(p0, name="p0")
    check_fraction(alpha, name="alpha")
    return math.ceil(math.log(alpha) / math.log(p0) - 1e-12)


def _check_counts(k: float, n: float) -> None:
    if not (n > 0 and 0 <= k <= n):
        raise ValueError(f"k successes in n trials need 0 <= k <= n and n > 0; k={k}, n={n}.")
