"""The mean of votes by several annotators on several items, both seen as samples.

          Ada  Ben  Cleo
    q1      1    1   0.5
    q2      0    1
    q3           0    0

Votes on one item are correlated, and so are those of one annotator. An interval over the items
alone is valid for these annotators; one over both is valid for other annotators too.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.distributions import t_quantile, t_tail
from harness.stats.means import ROUNDING
from harness.stats.vectors import Interval, Vector, check_fraction

Votes = NDArray[np.float64]  # items x annotators, NaN where an annotator gave no vote


class TwoWayMean(NamedTuple):
    """A mean over items of the mean vote on each.

    Attributes:
        estimate: The mean over items, each with equal weight for any number of votes.
        se: Its standard error, with items and annotators as sources of uncertainty; of the items
            alone where there is one annotator. 0 when nothing varies, NaN for a single item.
        se_items: With the items alone: for these annotators, and no others.
        df: Degrees of freedom: the smaller number of items (or clusters) and annotators, less one;
            of the items alone where there is one annotator.
        n_items: Items with a vote.
        n_annotators: Annotators with a vote.
        n_votes: Votes.
        n_units: Independent items: clusters, or items where each is its own cluster.
    """

    estimate: float
    se: float
    se_items: float
    df: int
    n_items: int
    n_annotators: int
    n_votes: int
    n_units: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return Student's t interval for annotators and items like these."""
        return self._around(self.se, self.df, confidence)

    def interval_of_items(self, confidence: float = 0.95) -> Interval:
        """Return Student's t interval for items like these, judged by these annotators."""
        return self._around(self.se_items, self.n_units - 1, confidence)

    def p_above(self, boundary: float) -> float:
        """Return the one-sided p-value of "the mean is above"; 1 or 0 where nothing varies."""
        if not self.se > 0:
            return float(not self.estimate > boundary)
        return t_tail((self.estimate - boundary) / self.se, self.df)

    def p_below(self, boundary: float) -> float:
        """Return the one-sided p-value of "the mean is below"."""
        if not self.se > 0:
            return float(not self.estimate < boundary)
        return t_tail((boundary - self.estimate) / self.se, self.df)

    def _around(self, se: float, df: int, confidence: float) -> Interval:
        check_fraction(confidence, name="confidence")
        half = t_quantile((1 - confidence) / 2, df) * se if df > 0 else math.inf
        return Interval(self.estimate - half, self.estimate + half)


def two_way_mean(votes: ArrayLike, *, clusters: ArrayLike | None = None) -> TwoWayMean:
    """Compute the mean vote with a standard error robust to both kinds of correlation.

        V = V_items + V_annotators - V_votes, never below the larger of the first two

    (Cameron, Gelbach & Miller 2011, JBES 29:238, equation 2.11). With u = w (vote - mean), where
    the votes on an item share its weight 1/n, V_items is G/(G - 1) times the sum over the items
    (or `clusters` of items) of the squared sums of u, and the others likewise over annotators and
    over single votes. The lower limit keeps the difference from understating either source.

    Args:
        votes: Items x annotators, NaN where there is no vote; items without any are left out.
        clusters: One label an item, for items that share a source.

    Raises:
        ValueError: If there is no vote at all, an infinity, or not one label for each item.
    """
    matrix = np.asarray(votes, dtype=np.float64)
    if matrix.ndim != 2 or np.isinf(matrix).any():
        raise ValueError("votes must be a matrix of items x annotators, of finite values")
    units = np.arange(len(matrix)) if clusters is None else np.asarray(clusters)
    if units.shape != (len(matrix),):
        raise ValueError(f"clusters needs one label for each of the {len(matrix)} items")
    cast = ~np.isnan(matrix)
    voted = cast.any(axis=1)
    if not voted.any():
        raise ValueError("nobody voted on anything")
    matrix, cast, units = matrix[voted], cast[voted], units[voted]
    n, by_item = len(matrix), cast.sum(axis=1)
    # The mean, every item with the same weight.
    weights = cast / (n * by_item[:, None])
    filled = np.where(cast, matrix, 0.0)
    estimate = float((filled.sum(axis=1) / by_item).mean())
    u = weights * (filled - estimate) * cast
    if np.abs(u).max() <= ROUNDING * np.abs(weights * filled).sum():
        u = np.zeros_like(u)
    # Variances over items, annotators and single votes.
    labels = np.unique(units, return_inverse=True)[1]
    items = _variance(np.bincount(labels, weights=u.sum(axis=1)).astype(np.float64))
    columns = cast.any(axis=0)
    annotators = _variance(u[:, columns].sum(axis=0))
    several = int(columns.sum()) > 1
    n_units = int(labels.max()) + 1
    variance = items
    if several:
        variance = max(items, annotators, items + annotators - _variance(u[cast]))
    return TwoWayMean(
        estimate=estimate,
        se=math.sqrt(variance),
        se_items=math.sqrt(items),
        df=(min(n_units, int(columns.sum())) if several else n_units) - 1,
        n_items=n,
        n_annotators=int(columns.sum()),
        n_votes=int(cast.sum()),
        n_units=n_units,
    )


def mean_votes(votes: Votes) -> Vector:
    """Average the votes on each item; NaN where there is none."""
    cast = ~np.isnan(votes)
    n = cast.sum(axis=1)
    total = np.where(cast, votes, 0.0).sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _variance(sums: NDArray[np.float64]) -> float:
    """Return G / (G - 1) times the sum of squares of G sums; NaN for a single sum."""
    groups = sums.size
    return float(groups / (groups - 1) * (sums**2).sum()) if groups > 1 else math.nan
