"""The mean of a sample, its standard error and its skewness, by item or by cluster."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.shapes import (
    Vector,
    as_vector,
    cluster_sizes,
    cluster_sums,
    effective_clusters,
)

ROUNDING = 1e-12
"""Residuals below this share of the data's size are rounding, not variation."""


class MeanMoments(NamedTuple):
    """A mean with what a t statistic on it needs.

    Attributes:
        estimate: The mean over items, in the units of the data.
        se: Its standard error: 0 when nothing varies, NaN when there is only one cluster.
        skewness: Third standardised moment of the cluster sums around the mean; 0 if se is 0.
        n: Number of items.
        n_clusters: Number of clusters; equal to n when every item stands alone.
        effective: How many clusters of one size would tell as much.
        skewness_by_size: The same moment as it would be expected of clusters of these sizes whose
            items are all alike: few large ones seldom show how skewed they can be.
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
        """Degrees of freedom: effective clusters less one."""
        return self.effective - 1

    @property
    def degenerate(self) -> bool:
        """Whether the data show no variation from which a standard error could be had."""
        return not self.se > 0


def mean_moments(d: ArrayLike, *, clusters: ArrayLike | None = None) -> MeanMoments:
    """Mean of `d` with its CR1 cluster-robust standard error.

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
    """How many times clustering multiplies the variance of the mean; never below 1.

    Divide a sample size by it to get the effective one, as in
    `wilson_interval(k / deff, n / deff)`. It is 1 when nothing varies and NaN for one cluster.

    Raises:
        ValueError: If `d` is empty or not finite, or `clusters` is not one label an item.
    """
    clustered, alone = mean_moments(d, clusters=clusters), mean_moments(d)
    if alone.se == 0:
        return 1.0
    return float(np.maximum(1.0, (clustered.se / alone.se) ** 2))


def _skewness_by_size(means: Vector, sizes: Vector) -> float:
    """Third standardised moment of sums n_c m_c, if every m_c were as skewed as all of them are."""
    shape = float((sizes**3).mean() / (sizes**2).mean() ** 1.5)
    return _skewness(means - means.mean()) * shape


def _skewness(residuals: Vector) -> float:
    squares = residuals * residuals  # numpy's ** 3 is ten times as slow
    spread = float(squares.mean())
    return float((squares * residuals).mean() / spread**1.5) if spread > 0 else 0.0
