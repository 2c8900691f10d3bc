"""The mean of a sample, its standard error and its skewness, by item or by cluster."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.bounded_means import betting_interval
from harness.stats.distributions import t_interval
from harness.stats.vectors import (
    Interval,
    Vector,
    as_vector,
    check_fraction,
    cluster_sizes,
    cluster_sums,
    effective_clusters,
)

ROUNDING = 1e-12  # residuals below this share of the data's size are rounding, not variation


class MeanMoments(NamedTuple):
    """A mean with the moments that a t statistic needs.

    Attributes:
        estimate: The mean over items, in the units of the data.
        se: Its standard error: 0 when nothing varies, NaN when there is only one cluster.
        skewness: Third standardised moment of the cluster sums around the mean; 0 if se is 0.
        n: Number of items.
        n_clusters: Number of clusters; equal to n when every item is its own cluster.
        effective: Number of equal clusters with the same information.
        skewness_by_size: The same moment as expected for clusters of these sizes whose items are
            all equal: a few large clusters seldom show their full skewness.
    """

    estimate: float
    se: float
    skewness: float
    n: int
    n_clusters: int
    effective: float
    skewness_by_size: float

    @property
    def df(self) -> float:
        """Return the degrees of freedom: effective clusters less one."""
        return self.effective - 1

    @property
    def degenerate(self) -> bool:
        """Return whether the data show no variation from which a standard error could be estimated."""
        return not self.se > 0

    @property
    def mirrored(self) -> "MeanMoments":
        """Return the moments of the data with the opposite sign."""
        return self._replace(
            estimate=-self.estimate,
            skewness=-self.skewness,
            skewness_by_size=-self.skewness_by_size,
        )


def mean_moments(d: ArrayLike, *, clusters: ArrayLike | None = None) -> MeanMoments:
    """Compute the mean of `d` with its CR1 cluster-robust standard error.

    With residual sums S_c = sum over the items i of cluster c of (d_i - mean) and C clusters,
    se = sqrt(C / (C - 1) * sum S_c^2) / n. Singleton clusters give the usual s / sqrt(n)
    (Miller 2024, https://arxiv.org/abs/2411.00640, sections 2 and 4).

    Raises:
        ValueError: If `d` is empty or not finite, or `clusters` is not one label an item.
    """
    d = as_vector(d, name="d")
    estimate = float(d.mean())
    sums = cluster_sums(d - estimate, clusters)
    if np.abs(sums).max() <= ROUNDING * np.abs(d).sum():
        sums = np.zeros_like(sums)
    n, n_clusters = d.size, sums.size
    if n_clusters == 1:
        return MeanMoments(estimate, float("nan"), 0.0, n, n_clusters, 1.0, 0.0)
    se = float(np.sqrt(n_clusters / (n_clusters - 1) * (sums**2).sum())) / n
    skewness = by_size = _skewness(sums)
    effective = float(n)
    if clusters is not None:
        sizes = cluster_sizes(d, clusters)
        effective = effective_clusters(sizes)
        by_size = _skewness_by_size(sums / sizes, sizes)
    return MeanMoments(estimate, se, skewness, n, n_clusters, effective, by_size)


def design_effect(d: ArrayLike, *, clusters: ArrayLike) -> float:
    """Compute the factor by which clustering multiplies the variance of the mean; at least 1.

    Divide a sample size by it to get the effective one, as in
    `wilson_interval(k / deff, n / deff)`. It is 1 when nothing varies and NaN for one cluster.

    Raises:
        ValueError: If `d` is empty or not finite, or `clusters` is not one label an item.
    """
    clustered, items = mean_moments(d, clusters=clusters), mean_moments(d)
    if items.se == 0:
        return 1.0
    return float(np.maximum(1.0, (clustered.se / items.se) ** 2))


def _skewness_by_size(means: Vector, sizes: Vector) -> float:
    """Compute the third standardised moment of sums n_c m_c, the m_c as skewed as all means."""
    shape = float((sizes**3).mean() / (sizes**2).mean() ** 1.5)
    return _skewness(means - means.mean()) * shape


def _skewness(residuals: Vector) -> float:
    squares = residuals * residuals  # numpy's ** 3 is ten times as slow
    spread = float(squares.mean())
    return float((squares * residuals).mean() / spread**1.5) if spread > 0 else 0.0


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
        n_clusters: Number of clusters; equal to n when every item is its own cluster.
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
    """Compute the mean paired difference with a t interval on effective clusters - 1 df.

    Data that do not vary, ties on every item included, give no t interval, but the betting interval
    within `bounds`, which the gate uses for them too, or the whole line without bounds. It never has
    width zero: equal differences on some items do not show that all are equal.

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
    # The t interval, or for data that do not vary the betting interval.
    if not moments.degenerate:
        interval = t_interval(moments.estimate, moments.se, moments.df, confidence)
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


def _standardised(d: Vector) -> float:
    items = mean_moments(d)
    if items.degenerate:
        return float("nan")
    return items.estimate / (items.se * math.sqrt(items.n))


class Slope(NamedTuple):
    """A slope of least squares, with a cluster-robust t interval."""

    estimate: float
    se: float
    interval: Interval


def slope(
    x: ArrayLike, y: ArrayLike, *, clusters: ArrayLike | None = None, confidence: float = 0.95
) -> Slope | None:
    """Compute the least-squares slope of y on x.

    It is None where x does not vary, for two clusters, and where all points are on one line, which
    does not show that further points would be.

    With residuals e and S_c = sum over cluster c of (x - mean) e, the standard error (CR1) is
    sqrt(C / (C - 1) * sum S_c^2) / sum (x - mean)^2, on C - 2 degrees of freedom. Noise in x biases
    the slope towards 0, so that it is a lower bound of the slope on error-free scores.

    Raises:
        ValueError: lengths that differ, or values that are missing.
    """
    check_fraction(confidence, name="confidence")
    first, second = as_vector(x, name="x"), as_vector(y, name="y")
    if first.size != second.size:
        raise ValueError(f"x has {first.size} values, but y has {second.size}")
    # Least squares, with CR1 errors.
    centred = first - first.mean()
    spread = float(centred @ centred)
    if spread <= ROUNDING * float(first @ first):
        return None
    estimate = float(centred @ second) / spread
    residuals = second - second.mean() - estimate * centred
    sums = cluster_sums(centred * residuals, clusters)
    if sums.size < 3:
        return None
    if np.abs(residuals).max() <= ROUNDING * max(1.0, float(np.abs(second).max())):
        return None
    se = math.sqrt(sums.size / (sums.size - 1) * float((sums**2).sum())) / spread
    return Slope(estimate, se, t_interval(estimate, se, sums.size - 2, confidence))
