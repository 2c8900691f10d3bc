"""Evidence that may be looked at after every item: e-processes.

An e-process is the wealth of somebody who bets against the null hypothesis, item by item. If the
hypothesis is true the wealth seldom ever grows 1/alpha-fold (Ville's inequality), however often
one looks and whenever one stops. So 1 / wealth is a p-value at any time, and the hypotheses that
are not yet rejected are a confidence sequence. Items must come in the order in which they were
bet on; nothing here shuffles.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.betting import LARGEST_STAKE
from harness.stats.bisection import bisect_flip
from harness.stats.shapes import Interval, Vector, as_vector, check_fraction


def betting_e_values(
    x: ArrayLike, mean: float, *, bounds: tuple[float, float], alpha: float = 0.05
) -> Vector:
    """The e-value after each item against the hypothesis that the mean is at most `mean`.

    The wealth is the product of 1 + lambda_i (x_i - mean) on the unit scale; the stakes lambda_i
    know only earlier items (the predictable plug-in of Waudby-Smith & Ramdas 2024,
    https://arxiv.org/abs/2010.09686, equation 26). No independence is needed: it is enough that
    no item's mean, given the earlier ones, is above `mean`.

    Args:
        x: One value an item, in the order in which they came.
        mean: The greatest mean under the hypothesis, in the units of `x`.
        bounds: Least and greatest value an item can take: those of the scale, not of the sample.
        alpha: The level at which the stakes are meant to reject soonest; any may be used.

    Raises:
        ValueError: If `x` is empty, not finite or outside `bounds`, `mean` is outside them, or
            alpha is not in (0, 1).
    """
    unit, target = _on_unit_scale(x, bounds), -math.log(check_fraction(alpha, name="alpha"))
    low, high = bounds
    if not low <= mean <= high:
        raise ValueError(f"mean must lie within {bounds}, but it is {mean}.")
    return np.exp(_log_wealth(unit, _stakes(unit, target), (mean - low) / (high - low)))


def confidence_sequence(
    x: ArrayLike, *, bounds: tuple[float, float], alpha: float = 0.05
) -> Interval:
    """Bounds for the mean, each wrong at any time whatever with chance `alpha` at most.

    They are the means that `betting_e_values` (and its mirror image) has never rejected so far.

    Raises:
        ValueError: As `betting_e_values`.
    """
    target = -math.log(check_fraction(alpha, name="alpha"))
    unit, (low, high) = _on_unit_scale(x, bounds), bounds
    below, above = _bound(unit, target), 1 - _bound(1 - unit, target)
    return Interval(low + (high - low) * below, low + (high - low) * max(below, above))


def sign_e_values(x: ArrayLike, *, prior: float = 1.0) -> Vector:
    """The e-value after each item against the hypothesis that ups are no likelier than downs.

    With U values above 0 and D below, it is the Beta(a, a) mixture of likelihood ratios against
    one half, 2^(U+D) B(a+U, a+D) / B(a, a), restricted to chances above one half. Ties, 0, do not
    count. It asks another question than a mean: whether the candidate wins more often than it
    loses, not by how much.

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


def _on_unit_scale(x: ArrayLike, bounds: tuple[float, float]) -> Vector:
    low, high = bounds
    x = as_vector(x, name="x")
    if not low < high:
        raise ValueError(f"bounds must rise from low to high, but they are {bounds}.")
    if x.min() < low or x.max() > high:
        raise ValueError(f"x runs from {x.min()} to {x.max()}, outside its bounds {bounds}.")
    unit: Vector = (x - low) / (high - low)
    return unit


def _stakes(unit: Vector, target: float) -> Vector:
    """Each stake from the mean and variance of earlier items only, and not from their number."""
    seen = np.arange(1, unit.size + 1)
    mean = (0.5 + unit.cumsum()) / (1 + seen)
    variance = (0.25 + ((unit - mean) ** 2).cumsum()) / (1 + seen)
    before = np.concatenate(([0.25], variance[:-1]))
    stakes: Vector = np.sqrt(2 * target / (before * seen * np.log1p(seen)))
    return stakes


def _log_wealth(unit: Vector, stakes: Vector, mean: float) -> Vector:
    capped = np.minimum(stakes, LARGEST_STAKE / mean) if mean > 0 else stakes
    wealth: Vector = np.log1p(capped * (unit - mean)).cumsum()
    return wealth


def _bound(unit: Vector, target: float) -> float:
    """The least mean that was never rejected."""
    stakes = _stakes(unit, target)

    def rejected(mean: float) -> bool:
        return bool(_log_wealth(unit, stakes, mean).max() >= target)

    return bisect_flip(rejected, low=0.0, high=1.0) if rejected(0.0) else 0.0
