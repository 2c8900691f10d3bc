"""Agreement of repeats: the same judgement made several times on the same items."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.agreement import percent_agreement
from harness.stats.bootstrap import Matrix
from harness.stats.distributions import TAIL, f_quantile
from harness.stats.means import ROUNDING


class Icc(NamedTuple):
    """An intraclass correlation.

    Attributes:
        estimate: Share of a single score's variance that is between items; NaN when no item
            was scored twice or nothing varies at all. It may be negative.
        ci_low: Lower end of the confidence interval; NaN when repeats never differ.
        ci_high: Upper end, likewise.
        n_items: Items with at least one score.
    """

    estimate: float
    ci_low: float
    ci_high: float
    n_items: int


class FlipRate(NamedTuple):
    """The rate at which two repeats differ.

    Attributes:
        estimate: Chance that two repeats on the same item differ, in [0, 1].
        ci_low: Lower end of the confidence interval.
        ci_high: Upper end.
        any_flip: Share of items whose repeats are not all the same.
        n_items: Items with at least two repeats.
    """

    estimate: float
    ci_low: float
    ci_high: float
    any_flip: float
    n_items: int


class _OneWay(NamedTuple):
    between: float
    within: float
    df_between: int
    df_within: int
    repeats: float


def icc_oneway(values: ArrayLike) -> Icc:
    """Compute ICC(1,1), the reliability of a single score.

    (MSB - MSW) / (MSB + (k - 1) MSW) with the F interval of Shrout & Fleiss 1979, Psychological
    Bulletin 86:420. If items differ in their number of repeats, k is the usual average for
    unequal groups and the interval is approximate. It assumes normal scores: on 50 items with
    three repeats at the top of a scale, 95 % intervals covered 89 to 92 % in simulations.

    Args:
        values: Items x repeats; NaN where a repeat is missing.

    Raises:
        ValueError: If `values` is not a matrix of at least two repeats, has fewer than two items
            with a score, or holds an infinity.
    """
    matrix = _as_repeats(values)
    scored = matrix[~np.isnan(matrix).all(axis=1)]
    if len(scored) < 2:
        raise ValueError(
            f"At least two items with a score are needed, but there are {len(scored)}."
        )
    # The estimate from the analysis of variance, where it is defined.
    table = _one_way(scored)
    n_items, k = table.df_between + 1, table.repeats
    scale = table.between + (k - 1) * table.within
    if table.df_within == 0 or not scale > 0:
        return Icc(math.nan, math.nan, math.nan, n_items)
    estimate = (table.between - table.within) / scale
    if table.within == 0:
        return Icc(estimate, math.nan, math.nan, n_items)
    # The F interval of the variance ratio.
    ratio = table.between / table.within
    lower = ratio / f_quantile(TAIL, table.df_between, table.df_within)
    upper = ratio * f_quantile(TAIL, table.df_within, table.df_between)
    low, high = ((f - 1) / (f + k - 1) for f in (lower, upper))
    return Icc(estimate, low, high, n_items)


def flip_rate(values: ArrayLike) -> FlipRate:
    """Estimate the chance that two repeats of the same judgement differ, by `percent_agreement`.

    Args:
        values: Items x repeats, labels coded as numbers; NaN where a repeat is missing.

    Raises:
        ValueError: If `values` is not a matrix of at least two repeats and one item, or holds an
            infinity.
    """
    matrix = _as_repeats(values)
    same = percent_agreement(matrix.T)
    repeated = matrix[(~np.isnan(matrix)).sum(axis=1) >= 2]
    flips = [np.unique(row[~np.isnan(row)]).size > 1 for row in repeated]
    return FlipRate(
        estimate=1 - same.estimate,
        ci_low=1 - same.ci_high,
        ci_high=1 - same.ci_low,
        any_flip=float(np.mean(flips)) if flips else math.nan,
        n_items=same.n_items,
    )


def _one_way(matrix: Matrix) -> _OneWay:
    """Compute mean squares between and within the rows; no row may be empty."""
    sizes = (~np.isnan(matrix)).sum(axis=1)
    n, rows = int(sizes.sum()), len(matrix)
    means = np.nanmean(matrix, axis=1)
    grand = float(np.nanmean(matrix))
    between = float((sizes * (means - grand) ** 2).sum()) / (rows - 1)
    residuals = float(np.nansum((matrix - means[:, None]) ** 2))
    within = residuals / (n - rows) if n > rows else math.nan
    # Squares of rounding errors are no variation.
    floor = ROUNDING**2 * float(np.nansum(matrix**2))
    return _OneWay(
        between=between if between > floor else 0.0,
        within=0.0 if within <= floor else within,
        df_between=rows - 1,
        df_within=n - rows,
        repeats=(n - float((sizes**2).sum()) / n) / (rows - 1),
    )


def _as_repeats(values: ArrayLike) -> Matrix:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise ValueError(
            "values must be items (rows) x at least two repeats (columns), but its shape is "
            f"{matrix.shape}."
        )
    if np.isinf(matrix).any():
        raise ValueError("values holds infinite values. A missing repeat is NaN.")
    return matrix
