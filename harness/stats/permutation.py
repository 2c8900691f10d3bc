"""The sign-flip randomisation test of a mean difference.

If baseline and candidate are interchangeable on every item, each difference was as likely to have
the other sign (Fisher 1935, The Design of Experiments, section 21). The sum of squares
does not change under flips, so the test of the sum is also the test of the t statistic.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.vectors import Alternative, Vector, as_vector, cluster_sums

# Means over repeats, orders and criteria are whole numbers over a denominator up to this.
LARGEST_DENOMINATOR = 64

# Sums kept in memory at once for an exact distribution: all of them, or those in a window.
LARGEST_SUPPORT = 2_000_000

# Additions up to which the exact distribution enumerates every sum: about 0.1 s.
MOST_STEPS = 100_000_000
DRAWS_AT_ONCE = 2_000_000  # random signs held in memory at once
ROUNDING = 1e-9  # sums closer than this share of the largest difference are the same sum
LOST = 1e-20  # probability of a sum outside the window of the transform

# Maximum of theta times the smallest size: beyond it no probability differs from 1 in 16 digits.
STEEPEST = 60.0


class SignFlip(NamedTuple):
    """The p-value of a sign-flip test and its method.

    Attributes:
        p_value: Probability, under random signs, of a sum at least as extreme as the observed one.
        method: "exact" (without random numbers) or "monte-carlo".
        resamples: Random sign vectors drawn; 0 if exact.
    """

    p_value: float
    method: Literal["exact", "monte-carlo"]
    resamples: int


def signflip_test(
    d: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    alternative: Alternative = "two-sided",
    seed: int = 0,
    resamples: int = 9999,
) -> SignFlip:
    """Test by sign flips whether the mean difference is zero; whole clusters flip together.

    The p-value is the ordinary P(|T*| >= |T|), observed data included, and not a mid-p. It is
    exact, by convolution, if all sums are whole numbers over a common denominator of at most 64
    (rubric scores, win scores, means over repeats); otherwise (1 + extreme) / (1 + resamples)
    from random signs (Phipson & Smyth 2010, https://arxiv.org/abs/1603.05766). Either way it
    depends neither on the order of items nor, if two-sided, on which model is called baseline.

    Args:
        d: One difference an item, candidate less baseline.
        clusters: One label an item, for items that share a source.
        alternative: "greater" tests for a better candidate.
        seed: Of the random signs; unused if the test is exact.
        resamples: Number of random sign vectors; unused if the test is exact.

    Raises:
        ValueError: If `d` is empty or not finite, `clusters` is not one label an item, or
            resamples is below 1.
    """
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, but it is {resamples}.")
    sums = cluster_sums(as_vector(d, name="d"), clusters)
    # Exact for whole numbers over a common denominator, else Monte Carlo.
    integers = _as_whole_numbers(sums)
    if integers is not None:
        return SignFlip(exact_signflip_p(integers, alternative=alternative), "exact", 0)
    p_value = _monte_carlo_p(sums, alternative=alternative, seed=seed, resamples=resamples)
    return SignFlip(p_value, "monte-carlo", resamples)


def exact_signflip_p(d: NDArray[np.int64], *, alternative: Alternative) -> float:
    """Compute the exact p-value of whole-number d, from the null distribution of the sum.

    The sum is twice the sum of those |d_i| with a positive sign, less the total; so the
    distribution of that subset sum is enough. It takes n * sum|d| steps and 8 * sum|d| bytes, or, where that is
    too much, one Fourier transform (`tail_chance`) as long as a few times sqrt(sum d^2).
    """
    sizes = np.abs(d[d != 0])
    total, positive = int(sizes.sum()), int(d[d > 0].sum())
    if sizes.size * total <= MOST_STEPS:
        chances = subset_sum_chances(sizes)

        def chance_of_at_least(least: int) -> float:
            return min(1.0, float(chances[least:].sum()))
    else:

        def chance_of_at_least(least: int) -> float:
            return min(1.0, tail_chance(sizes, least))

    match alternative:
        case "greater":
            return chance_of_at_least(positive)
        case "less":
            return chance_of_at_least(total - positive)
        case "two-sided":
            return min(1.0, 2 * chance_of_at_least(max(positive, total - positive)))


def subset_sum_chances(sizes: NDArray[np.int64]) -> Vector:
    """Compute P(S = s) for s = 0 .. sum(sizes), where each size is in S with probability 1/2."""
    chances = np.zeros(int(sizes.sum()) + 1)
    chances[0] = 1.0
    reach = 1
    for size in np.sort(sizes).tolist():
        halved = chances[:reach] / 2
        chances[:reach] = halved
        chances[size : size + reach] += halved
        reach += size
    return chances


def _as_whole_numbers(d: Vector) -> NDArray[np.int64] | None:
    slack = ROUNDING * min(1.0, float(np.abs(d).max()))
    for denominator in range(1, LARGEST_DENOMINATOR + 1):
        scaled = d * denominator
        rounded = np.rint(scaled)
        if np.abs(scaled - rounded).max() <= slack:
            integers = rounded.astype(np.int64)
            return integers if window_of(np.abs(integers)) <= LARGEST_SUPPORT else None
    return None


def _monte_carlo_p(d: Vector, *, alternative: Alternative, seed: int, resamples: int) -> float:
    rng = np.random.default_rng(seed)
    magnitudes = np.sort(np.abs(d))
    observed = float(-d.sum() if alternative == "less" else d.sum())
    slack = ROUNDING * magnitudes[-1]
    rows = max(1, DRAWS_AT_ONCE // d.size)
    extreme = 0
    for start in range(0, resamples, rows):
        shape = (min(rows, resamples - start), d.size)
        sums = (2 * rng.integers(0, 2, size=shape, dtype=np.int8) - 1) @ magnitudes
        if alternative == "two-sided":
            extreme += int((np.abs(sums) >= abs(observed) - slack).sum())
        else:
            extreme += int((sums >= observed - slack).sum())
    return (1 + extreme) / (1 + resamples)


# --- tail probabilities of large sums ---------------------------------------------------------


def window_of(sizes: NDArray[np.int64]) -> int:
    """Return the length of the transform: adjacent sums with all but `LOST` of the probability."""
    reach = math.sqrt(float((sizes.astype(np.float64) ** 2).sum()) * math.log(2 / LOST) / 2)
    return int(min(2 * math.ceil(reach) + 2, int(sizes.sum()) + 1))


def tail_chance(sizes: NDArray[np.int64], least: int) -> float:
    """Compute P(S >= least), where each of the positive `sizes` is in S with probability 1/2.

    Exact up to rounding (about ten digits), also for very small probabilities.
    """
    total = int(sizes.sum())
    if least <= 0:
        return 1.0
    if least > total:
        return 0.0
    if 2 * least <= total:  # S and total - S have the same distribution
        return 1.0 - tail_chance(sizes, total - least + 1)
    distinct, counts = np.unique(sizes, return_counts=True)
    theta = _tilt_to(least, distinct, counts)
    length = window_of(sizes)
    chances = _tilted_chances(distinct, counts, theta, length)
    j = np.arange(min((length + 1) // 2 + 1, total - least + 1))
    beyond = float((chances[(least + j) % length] * np.exp(-theta * j)).sum())
    halves = np.logaddexp(0.0, theta * distinct) - math.log(2)
    return math.exp(float((counts * halves).sum()) - theta * least) * beyond


def _tilt_to(target: int, distinct: NDArray[np.int64], counts: NDArray[np.int64]) -> float:
    """Find by bisection the theta under which the mean of S is `target`."""
    low, high = 0.0, STEEPEST / int(distinct[0])
    for _ in range(100):
        theta = (low + high) / 2
        if float((counts * distinct * _joins(distinct, theta)).sum()) < target:
            low = theta
        else:
            high = theta
    return (low + high) / 2


def _joins(distinct: NDArray[np.int64], theta: float) -> Vector:
    chances: Vector = 1 / (1 + np.exp(-theta * distinct))
    return chances


def _tilted_chances(
    distinct: NDArray[np.int64], counts: NDArray[np.int64], theta: float, length: int
) -> Vector:
    """Compute P_theta(S = s) at the index s modulo `length`."""
    angles = 2 * np.pi * np.arange(length // 2 + 1) / length
    function = np.ones(angles.size, dtype=np.complex128)
    for size, count, joins in zip(
        distinct.tolist(), counts.tolist(), _joins(distinct, theta).tolist(), strict=True
    ):
        function *= (1 - joins + joins * np.exp(-1j * angles * size)) ** count
    chances: Vector = np.fft.irfft(function, n=length)
    return np.maximum(chances, 0.0)
