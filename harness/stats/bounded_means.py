"""Bounds for the mean of bounded values by betting, at a fixed number of items or at any time.

An e-process is the wealth of a bettor against the null hypothesis, item by item. If the hypothesis
is true, the probability that the wealth ever grows 1/alpha-fold is at most alpha (Ville's
inequality), for any number of looks and any stopping rule. So 1 / wealth is a p-value at any time,
and the hypotheses that are not yet rejected are a confidence sequence.

`betting_*_bound` and `betting_interval` shuffle the items and tune the stakes to their number.
`betting_e_values`, `sign_e_values` and `confidence_sequence` keep the order in which items came.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.vectors import (
    Interval,
    Vector,
    as_vector,
    bisect_flip,
    check_fraction,
    cluster_sizes,
    cluster_sums,
)


class Stakes(NamedTuple):
    """How the stakes begin, on the unit scale: any choice is valid, and some win sooner.

    Attributes:
        variance: That is expected of the values before any was seen.
        weight: Of that expectation, in values.
        largest: Share of the wealth that a single bet may lose (the paper's c).
    """

    variance: float = 0.25
    weight: float = 1.0
    largest: float = 0.75


BOLD = Stakes()  # where nothing is known of the values' spread
# For the differences that judges give: 2.07 points on a scale from -9 to 9.
JUDGED = Stakes(variance=(2.07 / 18) ** 2, weight=5.0, largest=0.95)
LARGEST_STAKE = BOLD.largest


def betting_lower_bound(
    x: ArrayLike,
    *,
    bounds: tuple[float, float],
    alpha: float = 0.05,
    clusters: ArrayLike | None = None,
    seed: int = 0,
    begin: Stakes = BOLD,
) -> float:
    """Compute a one-sided lower confidence bound for the mean of `x`, valid at every n.

    Args:
        x: One value an item.
        bounds: Least and greatest value an item can take, known before looking. They must
            bound the scale, not the sample: for differences of 1-10 scores they are (-9, 9).
        alpha: Chance that the bound is above the true mean.
        clusters: One label an item; each bet is then on a whole cluster.
        seed: Of the shuffle. The order of bets must not depend on the values, as it would in a
            sorted file.
        begin: How the stakes begin.

    Returns:
        The bound in the units of `x`, never below `bounds[0]`.

    Raises:
        ValueError: If `x` is empty, not finite or outside `bounds`, or alpha is not in (0, 1).
    """
    low, high = bounds
    target = -math.log(check_fraction(alpha, name="alpha"))
    log_wealth = _shuffled_wealth(x, bounds, target, clusters, seed, begin)

    def rejected(mean: float) -> bool:
        return log_wealth(mean) >= target

    # Each factor falls as the mean grows, so the rejected means are all those below the bound.
    bound = bisect_flip(rejected, low=0.0, high=1.0) if rejected(0.0) else 0.0
    return low + (high - low) * bound


def betting_p_above(
    x: ArrayLike,
    boundary: float,
    *,
    bounds: tuple[float, float],
    alpha: float = 0.05,
    clusters: ArrayLike | None = None,
    seed: int = 0,
    begin: Stakes = BOLD,
) -> float:
    """Compute the p-value of H0: mean <= boundary, one over the greatest wealth against it.

    It is valid at any level; `alpha` is the one for which the stakes are tuned, where it is at most
    alpha exactly if `betting_lower_bound` is not below the boundary.

    Raises:
        ValueError: As `betting_lower_bound`.
    """
    low, high = bounds
    target = -math.log(check_fraction(alpha, name="alpha"))
    log_wealth = _shuffled_wealth(x, bounds, target, clusters, seed, begin)
    if boundary <= low:
        return 0.0 if boundary < low else min(1.0, math.exp(-log_wealth(0.0)))
    if boundary >= high:
        return 1.0
    return min(1.0, math.exp(-log_wealth((boundary - low) / (high - low))))


def betting_upper_bound(
    x: ArrayLike,
    *,
    bounds: tuple[float, float],
    alpha: float = 0.05,
    clusters: ArrayLike | None = None,
    seed: int = 0,
    begin: Stakes = BOLD,
) -> float:
    """Compute the one-sided upper confidence bound, the mirror image of `betting_lower_bound`."""
    mirrored = -as_vector(x, name="x")
    flipped = (-bounds[1], -bounds[0])
    return -betting_lower_bound(
        mirrored, bounds=flipped, alpha=alpha, clusters=clusters, seed=seed, begin=begin
    )


def betting_interval(
    x: ArrayLike,
    *,
    bounds: tuple[float, float],
    confidence: float = 0.95,
    clusters: ArrayLike | None = None,
    seed: int = 0,
) -> Interval:
    """Compute a two-sided interval of both one-sided bounds, each at half the error."""
    alpha = (1 - check_fraction(confidence, name="confidence")) / 2
    return Interval(
        betting_lower_bound(x, bounds=bounds, alpha=alpha, clusters=clusters, seed=seed),
        betting_upper_bound(x, bounds=bounds, alpha=alpha, clusters=clusters, seed=seed),
    )


def betting_e_values(
    x: ArrayLike, mean: float, *, bounds: tuple[float, float], alpha: float = 0.05
) -> Vector:
    """Compute the e-value after each item against the hypothesis that the mean is at most `mean`.

    The wealth is the product of 1 + lambda_i (x_i - mean) on the unit scale; the stakes lambda_i
    depend only on earlier items (the predictable plug-in of Waudby-Smith & Ramdas 2024,
    https://arxiv.org/abs/2010.09686, equation 26). No independence is needed: it is enough that
    no item's mean, given the earlier ones, is above `mean`.

    Args:
        x: One value an item, in the order in which they came.
        mean: The greatest mean under the hypothesis, in the units of `x`.
        bounds: Least and greatest value an item can take: those of the scale, not of the sample.
        alpha: The level for which the stakes are tuned; the e-values are valid at any level.

    Raises:
        ValueError: If `x` is empty, not finite or outside `bounds`, `mean` is outside them, or
            alpha is not in (0, 1).
    """
    unit, target = _on_unit_scale(x, bounds), -math.log(check_fraction(alpha, name="alpha"))
    low, high = bounds
    if not low <= mean <= high:
        raise ValueError(f"mean must lie within {bounds}, but it is {mean}.")
    return np.exp(_log_wealth(unit, _e_stakes(unit, target), (mean - low) / (high - low)))


def confidence_sequence(
    x: ArrayLike, *, bounds: tuple[float, float], alpha: float = 0.05
) -> Interval:
    """Bound the mean so that each bound is ever wrong, at any time, with chance at most `alpha`.

    The interval holds the means that `betting_e_values` and its mirror image never rejected so far.
    Where `low` is above `high` no mean is left, so the mean was not the same at all times: at some
    time it was at least `low`, and at some time at most `high`.

    Raises:
        ValueError: As `betting_e_values`.
    """
    target = -math.log(check_fraction(alpha, name="alpha"))
    unit, (low, high) = _on_unit_scale(x, bounds), bounds
    below, above = _bound(unit, target), 1 - _bound(1 - unit, target)
    return Interval(low + (high - low) * below, low + (high - low) * above)


def sign_e_values(x: ArrayLike, *, prior: float = 1.0) -> Vector:
    """Compute the e-value after each item against "an increase is no likelier than a decrease".

    With U values above 0 and D below, it is the Beta(a, a) mixture of likelihood ratios against
    one half, 2^(U+D) B(a+U, a+D) / B(a, a), restricted to chances above one half. Ties, 0, do not
    count. The hypothesis is about wins and losses, not about a mean: whether the candidate wins
    more often than it loses, not by how much.

    Args:
        x: One value an item: win scores less one half, or differences.
        prior: The a of the mixture; 1 spreads it evenly.

    Raises:
        ValueError: If `x` is empty or not finite, or `prior` is not positive.
    """
    from scipy.special import betainc, betaln

    if prior <= 0:
        raise ValueError(f"prior must be above 0, but it is {prior}.")
    x = as_vector(x, name="x")
    ups, downs = (x > 0).cumsum(), (x < 0).cumsum()
    mixed = betaln(prior + ups, prior + downs) - betaln(prior, prior) + (ups + downs) * math.log(2)
    upper_half = betainc(prior + downs, prior + ups, 0.5)
    e_values: Vector = 2 * np.exp(mixed) * upper_half
    return e_values


def _check_bounds(x: Vector, bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if not low < high:
        raise ValueError(f"bounds must rise from low to high, but they are {bounds}.")
    if x.min() < low or x.max() > high:
        raise ValueError(f"x runs from {x.min()} to {x.max()}, outside its bounds {bounds}.")
    return low, high


def _shuffled_wealth(
    x: ArrayLike,
    bounds: tuple[float, float],
    target: float,
    clusters: ArrayLike | None,
    seed: int,
    begin: Stakes,
) -> Callable[[float], float]:
    """Return the greatest log wealth against each mean on the unit scale, betting in a random order."""
    x = as_vector(x, name="x")
    low, high = _check_bounds(x, bounds)
    sizes = cluster_sizes(x, clusters)
    order = np.random.default_rng(seed).permutation(sizes.size)
    weights = (sizes / sizes.max())[order]
    means = ((cluster_sums(x, clusters) / sizes - low) / (high - low)).clip(0, 1)[order]
    stakes = _stakes(means, weights, target, begin)

    def log_wealth(mean: float) -> float:
        capped = np.minimum(stakes, begin.largest / mean) if mean > 0 else stakes
        return float(np.log1p(capped * weights * (means - mean)).cumsum().max())

    return log_wealth


def _stakes(means: Vector, weights: Vector, target: float, begin: Stakes) -> Vector:
    """Compute predictable plug-in stakes: each uses the mean and variance of earlier bets only."""
    running_mean = (0.5 + (weights * means).cumsum()) / (1 + weights.cumsum())
    squares = (weights * (means - running_mean)) ** 2
    counts = np.arange(1, means.size + 1)
    variance = (begin.variance * begin.weight + squares.cumsum()) / (begin.weight + counts)
    before = np.concatenate(([begin.variance], variance[:-1]))
    return np.sqrt(2 * target / (before * means.size))


def _on_unit_scale(x: ArrayLike, bounds: tuple[float, float]) -> Vector:
    x = as_vector(x, name="x")
    low, high = _check_bounds(x, bounds)
    unit: Vector = (x - low) / (high - low)
    return unit


def _e_stakes(unit: Vector, target: float) -> Vector:
    """Compute each stake from earlier items only, for any final number of items."""
    counts = np.arange(1, unit.size + 1)
    mean = (0.5 + unit.cumsum()) / (1 + counts)
    variance = (0.25 + ((unit - mean) ** 2).cumsum()) / (1 + counts)
    before = np.concatenate(([0.25], variance[:-1]))
    stakes: Vector = np.sqrt(2 * target / (before * counts * np.log1p(counts)))
    return stakes


def _log_wealth(unit: Vector, stakes: Vector, mean: float) -> Vector:
    capped = np.minimum(stakes, LARGEST_STAKE / mean) if mean > 0 else stakes
    wealth: Vector = np.log1p(capped * (unit - mean)).cumsum()
    return wealth


def _bound(unit: Vector, target: float) -> float:
    """Find the least mean that was never rejected."""
    stakes = _e_stakes(unit, target)

    def rejected(mean: float) -> bool:
        return bool(_log_wealth(unit, stakes, mean).max() >= target)

    return bisect_flip(rejected, low=0.0, high=1.0) if rejected(0.0) else 0.0
