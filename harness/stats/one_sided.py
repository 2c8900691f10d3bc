"""One-sided tests of a mean against a boundary, guarded against skewness, as used by the gate.

A candidate with rare catastrophic failures gives left-skewed differences, on which the plain t
test passes too often. So each test also takes Hall's skew-corrected statistic (Hall 1992, "On the
removal of skewness by transformation", JRSS B 54:221) and keeps the larger p-value.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import t_quantile, t_tail
from harness.stats.means import MeanMoments, mean_moments
from harness.stats.vectors import Vector, check_fraction


class BoundaryTest(NamedTuple):
    """A one-sided test of a mean against a boundary.

    Attributes:
        p_gate: The larger of p_t and p_hall, on which the gate decides.
        p_t: From Student's t.
        p_hall: From Hall's skew-corrected t.
        t: (mean - boundary) / se, signed so that large values support the alternative.
        df: Degrees of freedom: effective clusters less one.
        degenerate: True if the data do not vary. Nothing is then rejected (every p is 1);
            `harness.stats.unseen_worst` can still decide.
    """

    p_gate: float
    p_t: float
    p_hall: float
    t: float
    df: float
    degenerate: bool


def mean_above_test(
    d: ArrayLike, boundary: float, *, clusters: ArrayLike | None = None
) -> BoundaryTest:
    """Test H0: mean <= boundary against mean > boundary.

    With a = skewness / sqrt(C) for C clusters (items, if there are none), Hall's statistic is
    t + a t^2 / 3 + a^2 t^3 / 27 + a / 6, referred, as t is, to Student's t with C - 1 degrees of
    freedom. For clusters of unequal size the degrees of freedom use their effective number, and the
    skewness is the lower one of that of their sums and that expected from their sizes. Neither knows
    of disasters that the items do not show; `harness.stats.unseen_worst` does.

    Args:
        d: One difference (or score) an item.
        boundary: 0 for superiority, minus the margin for non-inferiority, or a threshold.
        clusters: One label an item, for items that share a source.

    Raises:
        ValueError: If `d` is empty or not finite, or `clusters` is not one label an item.
    """
    return above_test(mean_moments(d, clusters=clusters), boundary)


def above_test(moments: MeanMoments, boundary: float) -> BoundaryTest:
    """Test as `mean_above_test` does, from the moments of the differences."""
    if moments.degenerate:
        return BoundaryTest(1.0, 1.0, 1.0, float("nan"), moments.df, degenerate=True)
    # Student's and Hall's statistics; the larger p-value decides.
    t = (moments.estimate - boundary) / moments.se
    hall = float(hall_statistic(t, hall_asymmetry(moments)))
    p_t, p_hall = (t_tail(value, moments.df) for value in (t, hall))
    return BoundaryTest(max(p_t, p_hall), p_t, p_hall, t, moments.df, degenerate=False)


def one_sided_lower_bound(
    d: ArrayLike, *, alpha: float = 0.05, clusters: ArrayLike | None = None
) -> float:
    """Return the largest boundary that `mean_above_test` rejects at `alpha`, in the units of `d`.

    It is minus infinity if the data do not vary.

    Raises:
        ValueError: As `mean_above_test`, or if alpha is not in (0, 1).
    """
    check_fraction(alpha, name="alpha")
    moments = mean_moments(d, clusters=clusters)
    if moments.degenerate:
        return -math.inf
    quantile = t_quantile(alpha, moments.df)
    skewed = float(t_at_hall(quantile, hall_asymmetry(moments)))
    return moments.estimate - max(quantile, skewed) * moments.se


def hall_asymmetry(moments: MeanMoments) -> float:
    """Return Hall's a, from the more conservative one of two estimates of the skewness."""
    return min(moments.skewness, moments.skewness_by_size) / math.sqrt(moments.n_clusters)


def hall_statistic(t: float | Vector, a: float) -> Vector:
    """Compute Hall's statistic of Student's t, t + a t^2 / 3 + a^2 t^3 / 27 + a / 6."""
    t = np.asarray(t, dtype=np.float64)
    statistic: Vector = t * (1 + a * t / 3 * (1 + a * t / 9)) + a / 6
    return statistic


def t_at_hall(hall: float | Vector, a: float | Vector) -> Vector:
    """Return the t at which Hall's statistic takes the value `hall`.

    The statistic is ((1 + a t / 3)^3 - 1) / a + a / 6, so t = 3 (c - 1) / a for the cube root c
    below; dividing the difference of cubes out keeps it stable as a goes to 0.
    """
    excess = np.asarray(hall, dtype=np.float64) - a / 6
    c = np.cbrt(1 + a * excess)
    t: Vector = 3 * excess / (c**2 + c + 1)
    return t
