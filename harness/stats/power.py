"""Sample sizes, power, and minimum detectable effects of comparisons."""

import math
from typing import Literal

import numpy as np

from harness.stats.distributions import (
    binomial_at_least,
    noncentral_t_tail,
    t_quantile,
)
from harness.stats.proportions import minimum_n_for_threshold
from harness.stats.vectors import bisect_flip, check_fraction, first_true

FARTHEST = 1e6  # noncentrality; scipy gives NaN far beyond it, where the power is 1

Sides = Literal["two-sided", "one-sided"]


def t_test_power(
    effect_size: float, n: float, *, alpha: float = 0.05, alternative: Sides = "two-sided"
) -> float:
    """Compute the power of a paired t test for an effect of `effect_size` standard deviations.

    From the noncentral t distribution with n - 1 degrees of freedom and noncentrality
    effect_size * sqrt(n) (Cohen 1988, section 2.3). n may be fractional; for clustered items
    divide it by the design effect.

    Raises:
        ValueError: If n is not above 1, or alpha is not in (0, 1).
    """
    check_fraction(alpha, name="alpha")
    if n <= 1:
        raise ValueError(f"n must be above 1, but it is {n}.")
    df, shift = n - 1, min(abs(effect_size) * math.sqrt(n), FARTHEST)
    if alternative == "one-sided":
        return noncentral_t_tail(t_quantile(alpha, df), df, shift)
    critical = t_quantile(alpha / 2, df)
    # The far tail is written as a mirrored upper tail, because nct.cdf(-critical, df, shift) can
    # be NaN in scipy 1.17.
    return noncentral_t_tail(critical, df, shift) + noncentral_t_tail(critical, df, -shift)


def minimum_detectable_effect(
    sd: float,
    n: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    alternative: Sides = "two-sided",
) -> float:
    """Find the smallest true mean difference that n items show with probability `power`, in points.

    Args:
        sd: Standard deviation of the item differences, in points.
        n: Number of items.
        alpha: Error rate of the test.
        power: Probability of finding the effect; above alpha.
        alternative: Whether the test looks to one side only.

    Raises:
        ValueError: If sd is not positive, n is not above 1, or not 0 < alpha < power < 1.
    """
    _check_plan(sd, alpha, power)

    def is_found(effect_size: float) -> bool:
        return t_test_power(effect_size, n, alpha=alpha, alternative=alternative) >= power

    # Double the effect until it is found, then bisect.
    largest = 1.0
    while not is_found(largest):
        largest *= 2
    return sd * bisect_flip(is_found, low=0.0, high=largest)


def sample_size_proportion_threshold(
    p0: float, p1: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Find the fewest items with which a true proportion `p1` passes the exact gate p > `p0`.

    The power of an exact test is a saw-tooth function of n, so use this n and not one slightly
    above it.

    Raises:
        ValueError: If not 0 < p0 < p1 < 1 or not 0 < alpha < power < 1.
    """
    from scipy import stats

    _check_plan(1.0, alpha, power)
    if not 0 < p0 < p1 < 1:
        raise ValueError(f"0 < p0 < p1 < 1 is needed; {p0=}, {p1=}.")
    first = minimum_n_for_threshold(p0, alpha)
    while True:
        n = np.arange(first, 2 * first + 1)
        needed = np.asarray(stats.binom.isf(alpha, n, p0)) + 1
        enough = np.flatnonzero(np.asarray(stats.binom.sf(needed - 1, n, p1)) >= power)
        if enough.size:
            return int(n[enough[0]])
        first *= 2


def threshold_successes(p0: float, n: int, *, alpha: float = 0.05) -> int:
    """Return the least number of successes among `n` that passes the exact gate p > `p0`.

    It is n + 1 where not even n do.
    """
    return first_true(lambda k: binomial_at_least(k, n, p0) <= alpha, 1, n + 1)


def minimum_detectable_proportion(
    p0: float, n: int, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Find the smallest proportion that passes the exact gate p > `p0` with probability `power`.

    Returns:
        The proportion; None where n is so small that no proportion passes the gate.

    Raises:
        ValueError: If n is below 1, p0 is not in (0, 1), or not 0 < alpha < power < 1.
    """
    _check_plan(1.0, alpha, power)
    if n < 1:
        raise ValueError(f"n must be at least 1, but it is {n}.")
    needed = threshold_successes(p0, n, alpha=alpha)
    if needed > n:
        return None
    return bisect_flip(lambda p: binomial_at_least(needed, n, p) >= power, low=p0, high=1.0)


def _check_plan(sd: float, alpha: float, power: float) -> None:
    if sd <= 0:
        raise ValueError(f"sd must be positive, but it is {sd}.")
    if not 0 < alpha < power < 1:
        raise ValueError(f"0 < alpha < power < 1 is needed; {alpha=}, {power=}.")
