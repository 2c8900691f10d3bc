"""One-sided tests of a mean that allow for the worst answers among those not seen.

A rare disaster that the items happen not to show biases the mean upwards and hides its own variance,
so that no test on the seen scores alone is calibrated. Let a share e of the population score the
worst that the scale allows. None of these is among n items with chance (1 - e)^n, and the rest then has
the mean (boundary - e worst) / (1 - e) where the whole has the boundary's. So the p-value is

    p = max over e in [0, 1) of (1 - e)^n min(1, 1.1 p_gate((boundary - e worst) / (1 - e)))

with p_gate of `harness.stats.one_sided`, the larger of Student's and Hall's. The factor makes up for samples
that show one or two disasters where more are to be expected. For scores that do not vary p is the rule of
three (Hanley & Lippman-Hand 1983, JAMA 249:1743) in exact form; as n grows it tends to 1.1 p_gate. With
clusters n is their number: whole clusters are drawn.

It is approximate: docs/validity.md has its error rates, and decision 6 the worst of them.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.means import MeanMoments, mean_moments
from harness.stats.one_sided import hall_asymmetry, hall_statistic, t_at_hall
from harness.stats.vectors import Vector, as_vector, check_fraction

# The maximum is taken over these -log((1 - e)^n). Its error, with steps so small, is below 0.1 % of p.
STEP, FARTHEST = 0.1, 30.0
# Of p_gate: with it the largest error over the nulls of three values is 0.068 at a nominal 0.05, and 0.076
# without (`python -m tests.gate_rules`).
SAFETY = 1.1


def above_p(moments: MeanMoments, boundary: float, *, worst: float) -> float:
    """Compute the p-value of H0: mean <= boundary, with unseen answers at `worst`.

    Args:
        moments: Those of one difference (or score) an item, none below `worst` (`moments_within`).
        boundary: 0 for superiority, minus the margin for non-inferiority, or a threshold.
        worst: The least value that the scale allows, not the least one seen.
    """
    if math.isnan(moments.se):  # a single cluster
        return 1.0
    if moments.degenerate:
        share = turning_share(moments.estimate, boundary, worst)
        return float((1 - share) ** moments.effective)
    from scipy.special import stdtr

    steps = _steps()
    shares = -np.expm1(-steps / moments.n_clusters)
    t = (moments.estimate - (boundary - shares * worst) / (1 - shares)) / moments.se
    lower = np.minimum(t, hall_statistic(t, hall_asymmetry(moments)))
    return float((np.exp(-steps) * np.minimum(SAFETY * stdtr(moments.df, -lower), 1.0)).max())


def bound_below(moments: MeanMoments, *, worst: float, alpha: float) -> float:
    """Return the largest boundary that `above_p` rejects at `alpha`, in the units of the differences.

    For each e it is (1 - e) times the one-sided bound of the seen mean at level alpha / (1.1 (1 - e)^n),
    plus e times the worst; the least of them counts. It is `worst` for a single cluster.

    Raises:
        ValueError: If alpha is not in (0, 1).
    """
    check_fraction(alpha, name="alpha")
    if math.isnan(moments.se):
        return worst
    if moments.degenerate:
        share = share_not_excluded(moments.effective, alpha)
        return (1 - share) * moments.estimate + share * worst
    bounds = lower_bounds(
        np.array([moments.estimate]),
        np.array([moments.se]),
        np.array([hall_asymmetry(moments)]),
        df=moments.df,
        units=moments.n_clusters,
        worst=worst,
        alpha=alpha,
    )
    return float(bounds[0])


def lower_bounds(
    estimates: Vector,
    ses: Vector,
    asymmetries: Vector,
    *,
    df: float,
    units: int,
    worst: float,
    alpha: float,
) -> Vector:
    """Compute the bound of many samples that vary, each of `units` items or clusters.

    Args:
        estimates: Means, one a sample.
        ses: Their standard errors, above 0.
        asymmetries: Hall's a of each.
        df: Degrees of freedom of the standard errors.
        units: Items or clusters.
        worst: The least value that the scale allows.
        alpha: Level of the bound.
    """
    steps, quantiles = _steps_and_quantiles(df, alpha)
    shares = -np.expm1(-steps / units)
    t = np.maximum(quantiles, t_at_hall(quantiles, asymmetries[:, None]))
    by_share = (1 - shares) * (estimates[:, None] - t * ses[:, None]) + shares * worst
    bounds: Vector = np.maximum(by_share.min(axis=1), worst)
    return bounds


def turning_share(mean: float, boundary: float, worst: float) -> float:
    """Return the share of worst answers, beside the others with this mean, that makes the boundary.

    It is 0 for a mean at the boundary or below, and 1 where even the worst is above it.
    """
    if mean <= boundary:
        return 0.0
    return min((mean - boundary) / (mean - worst), 1.0) if mean > worst else 1.0


def share_not_excluded(n: float, alpha: float) -> float:
    """Return the largest share of the population that n items miss altogether with chance alpha."""
    return 1 - math.pow(check_fraction(alpha, name="alpha"), 1 / n)


def moments_within(
    d: ArrayLike, limits: tuple[float, float], clusters: ArrayLike | None
) -> MeanMoments:
    """Compute the moments of differences on a scale with these limits, for `above_p` and `bound_below`.

    Raises:
        ValueError: If `d` is empty, not finite or beyond the limits, or `clusters` is not one label an item.
    """
    values, (worst, best) = as_vector(d, name="d"), limits
    if values.min() < worst:
        raise ValueError(
            f"d goes down to {values.min()}, below the worst that is possible, {worst}."
        )
    if values.max() > best:
        raise ValueError(f"d goes up to {values.max()}, above the best that is possible, {best}.")
    return mean_moments(values, clusters=clusters)


@lru_cache(maxsize=256)
def _steps_and_quantiles(df: float, alpha: float) -> tuple[Vector, Vector]:
    """Return the steps at which a bound at `alpha` is possible, and Student's quantiles there.

    They depend on the data through `df` alone, and are most of the time that a bound takes.
    """
    from scipy.special import stdtrit

    steps = _steps()
    steps = steps[steps < -math.log(alpha) - 1e-9]
    return steps, -stdtrit(df, alpha / SAFETY * np.exp(steps))


@lru_cache(maxsize=1)
def _steps() -> Vector:
    return np.arange(0.0, FARTHEST, STEP)
