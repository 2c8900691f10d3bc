"""The slope of one rater's scores on another's: below 1 the first compresses the scale."""

import math
from typing import NamedTuple

from numpy.typing import ArrayLike

from harness.stats.distributions import t_quantile
from harness.stats.moments import ROUNDING
from harness.stats.shapes import Interval, as_vector, check_fraction, cluster_sums


class Slope(NamedTuple):
    """A slope of least squares, with a cluster-robust t interval."""

    estimate: float
    se: float
    interval: Interval


def slope(
    x: ArrayLike, y: ArrayLike, *, clusters: ArrayLike | None = None, confidence: float = 0.95
) -> Slope | None:
    """How much y rises with x by least squares; None where x does not vary, or for two clusters.

    With residuals e and S_c = sum over cluster c of (x - mean) e, the standard error (CR1) is
    sqrt(C / (C - 1) * sum S_c^2) / sum (x - mean)^2, on C - 2 degrees of freedom. Noise in x pulls
    the slope towards 0, so that it is a lower bound of the one on error-free scores.

    Raises:
        ValueError: lengths that differ, or values that are missing.
    """
    check_fraction(confidence, name="confidence")
    first, second = as_vector(x, name="x"), as_vector(y, name="y")
    if first.size != second.size:
        raise ValueError(f"x has {first.size} values, but y has {second.size}")
    centred = first - first.mean()
    spread = float(centred @ centred)
    if spread <= ROUNDING * float(first @ first):
        return None
    estimate = float(centred @ second) / spread
    residuals = second - second.mean() - estimate * centred
    sums = cluster_sums(centred * residuals, clusters)
    if sums.size < 3:
        return None
    se = math.sqrt(sums.size / (sums.size - 1) * float((sums**2).sum())) / spread
    half = t_quantile((1 - confidence) / 2, sums.size - 2) * se
    return Slope(estimate, se, Interval(estimate - half, estimate + half))
