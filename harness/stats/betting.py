"""Confidence bounds for the mean of bounded values that hold at every sample size.

Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting",
https://arxiv.org/abs/2010.09686, section 4: bet on every item, in an order fixed before looking,
that the mean exceeds m. If it does not, the wealth seldom grows 1/alpha-fold (Ville's
inequality), so each m at which it does is rejected.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.bisection import bisect_flip
from harness.stats.shapes import (
    Interval,
    Vector,
    as_vector,
    check_fraction,
    cluster_sizes,
    cluster_sums,
)

LARGEST_STAKE = 0.75
"""Share of the wealth that a single bet may lose (the paper's c)."""


def betting_lower_bound(
    x: ArrayLike,
    *,
    bounds: tuple[float, float],
    alpha: float = 0.05,
    clusters: ArrayLike | None = None,
    seed: int = 0,
) -> float:
    """One-sided lower confidence bound for the mean of `x`, valid at every n.

    Args:
        x: One value an item.
        bounds: Least and greatest value an item can take, known before looking. They must
            bound the scale, not the sample: for differences of 1-10 scores they are (-9, 9).
        alpha: Chance that the bound lies above the true mean.
        clusters: One label an item; whole clusters are then bet on.
        seed: Shuffles the bets into an order that does not depend on the values, as the method
            requires; a sorted file would otherwise be bet on in its order.

    Returns:
        The bound in the units of `x`, never below `bounds[0]`.

    Raises:
        ValueError: If `x` is empty, not finite or outside `bounds`, or alpha is not in (0, 1).
    """
    x = as_vector(x, name="x")
    low, high = _check_bounds(x, bounds)
    target = -math.log(check_fraction(alpha, name="alpha"))
    sizes = cluster_sizes(x, clusters)
    order = np.random.default_rng(seed).permutation(sizes.size)
    weights = (sizes / sizes.max())[order]
    means = ((cluster_sums(x, clusters) / sizes - low) / (high - low)).clip(0, 1)[order]
    stakes = _stakes(means, weights, target)

    def rejected(mean: float) -> bool:
        capped = np.minimum(stakes, LARGEST_STAKE / mean) if mean > 0 else stakes
        log_wealth = np.log1p(capped * weights * (means - mean)).cumsum()
        return bool(log_wealth.max() >= target)

    # Each factor falls as the mean grows, so the rejected means are all those below the bound.
    bound = bisect_flip(rejected, low=0.0, high=1.0) if rejected(0.0) else 0.0
    return low + (high - low) * bound


def betting_upper_bound(
    x: ArrayLike,
    *,
    bounds: tuple[float, float],
    alpha: float = 0.05,
    clusters: ArrayLike | None = None,
    seed: int = 0,
) -> float:
    """One-sided upper confidence bound: the mirror image of `betting_lower_bound`."""
    mirrored = -as_vector(x, name="x")
    flipped = (-bounds[1], -bounds[0])
    return -betting_lower_bound(mirrored, bounds=flipped, alpha=alpha, clusters=clusters, seed=seed)


def betting_interval(
    x: ArrayLike,
    *,
    bounds: tuple[float, float],
    confidence: float = 0.95,
    clusters: ArrayLike | None = None,
    seed: int = 0,
) -> Interval:
    """Two-sided interval: both one-sided bounds, each at half the error."""
    alpha = (1 - check_fraction(confidence, name="confidence")) / 2
    return Interval(
        betting_lower_bound(x, bounds=bounds, alpha=alpha, clusters=clusters, seed=seed),
        betting_upper_bound(x, bounds=bounds, alpha=alpha, clusters=clusters, seed=seed),
    )


def _check_bounds(x: Vector, bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if not low < high:
        raise ValueError(f"bounds must rise from low to high, but they are {bounds}.")
    if x.min() < low or x.max() > high:
        raise ValueError(f"x runs from {x.min()} to {x.max()}, outside its bounds {bounds}.")
    return low, high


def _stakes(means: Vector, weights: Vector, target: float) -> Vector:
    """The predictable plug-in: each stake uses the mean and variance of earlier bets only."""
    running_mean = (0.5 + (weights * means).cumsum()) / (1 + weights.cumsum())
    squares = (weights * (means - running_mean)) ** 2
    seen = np.arange(1, means.size + 1)
    variance = (0.25 + squares.cumsum()) / (1 + seen)
    before = np.concatenate(([0.25], variance[:-1]))
    return np.sqrt(2 * target / (before * means.size))
