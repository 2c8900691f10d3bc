"""The mean paired difference between two models, with its confidence interval."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.betting import betting_interval
from harness.stats.distributions import t_quantile
from harness.stats.moments import MeanMoments, mean_moments
from harness.stats.shapes import Interval, Vector, as_vector, check_fraction


class MeanDifference(NamedTuple):
    """A mean difference, candidate less baseline.

    Attributes:
        estimate: Mean of d, in points.
        se: Its standard error (cluster-robust CR1 if clusters were given): 0 when nothing
            varies, NaN when there is only one cluster.
        df: Degrees of freedom of the t interval: effective clusters less one, the number of clusters
            if they are of one size.
        ci_low: Lower end of the confidence interval, in points.
        ci_high: Upper end.
        n: Number of items.
        n_clusters: Number of clusters; equal to n when every item stands alone.
        d_z: Standardised effect, mean over standard deviation of d; NaN when nothing varies.
        dominance: P(d > 0) - P(d < 0), the paired Cliff's delta, in [-1, 1].
        degenerate: True if d shows no variation, so that the interval is not a t interval.
    """

    estimate: float
    se: float
    df: float
    ci_low: float
    ci_high: float
    n: int
    n_clusters: int
    d_z: float
    dominance: float
    degenerate: bool


def mean_difference(
    d: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> MeanDifference:
    """Mean of the paired differences with a t interval on effective clusters - 1 degrees of freedom.

    Data that do not vary give no t interval. If every difference is 0 the interval is [0, 0];
    otherwise it is the betting interval within `bounds`, or the whole line without them. It is
    never of width zero around a value other than 0.

    Args:
        d: One difference an item, candidate less baseline.
        clusters: One label an item, for items that share a source; standard errors are CR1.
        confidence: Coverage of the interval.
        bounds: Least and greatest difference the scale allows; used for degenerate data only.

    Raises:
        ValueError: If `d` is empty or not finite (or, where they are used, outside `bounds`),
            `clusters` is not one label an item, or confidence is not in (0, 1).
    """
    d = as_vector(d, name="d")
    check_fraction(confidence, name="confidence")
    moments = mean_moments(d, clusters=clusters)
    if not moments.degenerate:
        interval = _t_interval(moments, confidence)
    elif not d.any():
        interval = Interval(0.0, 0.0)
    elif bounds is not None:
        interval = betting_interval(d, bounds=bounds, confidence=confidence, clusters=clusters)
    else:
        interval = Interval(-math.inf, math.inf)
    return MeanDifference(
        estimate=moments.estimate,
        se=moments.se,
        df=moments.df,
        ci_low=interval.low,
        ci_high=interval.high,
        n=moments.n,
        n_clusters=moments.n_clusters,
        d_z=_standardised(d),
        dominance=float(np.sign(d).mean()),
        degenerate=moments.degenerate,
    )


def _t_interval(moments: MeanMoments, confidence: float) -> Interval:
    half = t_quantile((1 - confidence) / 2, moments.df) * moments.se
    return Interval(moments.estimate - half, moments.estimate + half)


def _standardised(d: Vector) -> float:
    alone = mean_moments(d)
    if alone.degenerate:
        return float("nan")
    return alone.estimate / (alone.se * math.sqrt(alone.n))
