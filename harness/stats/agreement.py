"""Agreement of raters (judges, people, repeats) on the same items.

Kappa corrects for chance by each rater's own marginal shares, so it falls when one rating is common
even if the raters agree well (Feinstein & Cicchetti 1990, J Clin Epidemiol 43:543); AC1 does not.
Report both, and the plain share of agreement.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.bootstrap import Matrix, resample
from harness.stats.distributions import TAIL, normal_quantile, t_quantile
from harness.stats.means import ROUNDING, mean_difference, mean_moments
from harness.stats.proportions import wilson_interval
from harness.stats.vectors import Interval, Vector

Weights = Literal["none", "linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval", "ratio"]


class Agreement(NamedTuple):
    """A coefficient of agreement; 1 is perfect.

    Attributes:
        estimate: The coefficient; NaN where it is 0 / 0, or no item has two ratings.
        se: Its standard error; 0 when nothing varies, NaN when there is no estimate.
        ci_low: Lower end of the confidence interval; NaN when nothing varies, since perfect
            agreement on a few items is no proof of perfect agreement.
        ci_high: Upper end, likewise.
        n_items: Items with at least two ratings.
    """

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    n_items: int


def percent_agreement(ratings: ArrayLike) -> Agreement:
    """Average over items the share of rater pairs that give exactly the same rating.

    The interval is Wilson's if each item either agrees or not (two raters), else Student's t
    over items, kept within [0, 1]. It exists even where nothing varies.

    Args:
        ratings: Raters x items, labels coded as numbers; NaN where a rating is missing.

    Raises:
        ValueError: If `ratings` is not a matrix of at least two raters and one item, or holds
            an infinity.
    """
    matrix = _as_ratings(ratings)
    counts = _with_pairs(_count_ratings(matrix, np.unique(matrix[~np.isnan(matrix)])))
    if len(counts) == 0:
        return _undefined(0)
    # The mean share over items, with Wilson's or the t interval.
    raters = counts.sum(axis=1)
    shares = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    moments = mean_moments(shares)
    if np.isin(shares, (0, 1)).all():
        interval = wilson_interval(float(shares.sum()), shares.size)
    else:
        result = mean_difference(shares, bounds=(0, 1))
        interval = Interval(max(0.0, result.ci_low), min(1.0, result.ci_high))
    return Agreement(moments.estimate, moments.se, *interval, n_items=moments.n)


def cohen_kappa(
    a: ArrayLike,
    b: ArrayLike,
    *,
    categories: Sequence[str | float],
    weights: Weights = "none",
) -> Agreement:
    """Compute Cohen's kappa of two raters, plain or weighted by distance along the scale.

    The large-sample standard error is that of Fleiss, Cohen & Everitt 1969, Psychological
    Bulletin 72:323, as in statsmodels. It is too small where nearly all ratings are the same.

    Args:
        a: One rater's label for each item.
        b: The other's, in the same order.
        categories: Every label of the scale, in order; linear and quadratic weights follow
            the distances of numbers, and treat other labels as equally spaced.
        weights: "quadratic" for scores, "none" for labels without order.

    Raises:
        ValueError: If `a` and `b` differ in length or are empty, hold a label that is not in
            `categories` (a missing one included: leave such items out and count them),
            or there are fewer than two categories.
    """
    z = normal_quantile(TAIL)
    agreement = _agreement_weights(_check_categories(categories), weights)
    first = _positions(a, categories, name="a")
    second = _positions(b, categories, name="b")
    if first.size != second.size:
        raise ValueError(f"a has {first.size} items, but b has {second.size}.")
    # Observed agreement, and that expected from the raters' marginal shares.
    q, n = len(categories), first.size
    marginals_a = np.bincount(first, minlength=q) / n
    marginals_b = np.bincount(second, minlength=q) / n
    observed = agreement[first, second]
    by_chance = float(marginals_a @ agreement @ marginals_b)
    if 1 - by_chance <= ROUNDING:
        return _undefined(n)
    kappa = (float(observed.mean()) - by_chance) / (1 - by_chance)
    # Standard error from the influence of each item.
    chances = (agreement @ marginals_b)[first] + (marginals_a @ agreement)[second]
    influence = (observed - chances * (1 - kappa)) / (1 - by_chance)
    se = _unless_rounding(float(influence.std()) / math.sqrt(n))
    return Agreement(kappa, se, *_within_one(kappa, z * se), n_items=n)


def gwet_ac1(
    ratings: ArrayLike,
    *,
    categories: Sequence[float],
    outside: Sequence[float] = (),
) -> Agreement:
    """Compute Gwet's AC1 of two or more raters, for labels without order.

    Gwet 2008, BJMSP 61:29, with the standard error and the t interval over items of his
    irrCAC, which conditions on the raters. Items with one rating contribute to the share of each
    category; items without any do not count.

    Args:
        ratings: Raters x items, labels coded as numbers; NaN where a rating is missing.
        categories: Every value of the scale, used or not.
        outside: Further values of a rating, which agree with no value of the scale and do not count
            for its size.

    Raises:
        ValueError: If `ratings` is not a matrix of at least two raters and one item, or holds
            a value in neither `categories` nor `outside`, or there are fewer than two
            categories.
    """
    return _gwet(ratings, categories, outside, weights="none")


def gwet_ac2(
    ratings: ArrayLike,
    *,
    categories: Sequence[float],
    weights: Literal["linear", "quadratic"] = "quadratic",
) -> Agreement:
    """Compute Gwet's AC2, which is AC1 with credit for near misses, for scores; see `gwet_ac1`.

    `categories` are in order, and their distances are the weights. The coefficient depends on their
    number, so give the whole scale and not only the scores that occur.
    """
    return _gwet(ratings, categories, (), weights=weights)


def krippendorff_alpha(
    ratings: ArrayLike,
    *,
    level: Level,
    resamples: int = 2000,
    seed: int = 0,
) -> Agreement:
    """Compute Krippendorff's alpha of raters, with a percentile bootstrap over items.

    Krippendorff 2011, "Computing Krippendorff's alpha-reliability". The interval does not
    depend on the order of items or raters.

    Args:
        ratings: Raters x items, labels coded as numbers; NaN where a rating is missing.
        level: "ordinal" for scores, "nominal" for labels without order.
        resamples: Number of resamples.
        seed: Of the resamples.

    Raises:
        ValueError: If `ratings` is not a matrix of at least two raters and one item, holds an
            infinity (or, for "ratio", a negative number), or resamples is below 1.
    """
    matrix = _as_ratings(ratings)
    values = np.unique(matrix[~np.isnan(matrix)])
    if level == "ratio" and (values < 0).any():
        raise ValueError(f"Ratio ratings cannot be negative, but the least is {values.min()}.")
    counts = _with_pairs(_count_ratings(matrix, values))
    if len(counts) == 0:
        return _undefined(0)
    # Items with the same ratings are resampled as copies of one pattern.
    patterns, copies = np.unique(counts, axis=0, return_counts=True)

    def alphas(draws: Matrix) -> Vector:
        return _alphas(patterns, draws, values, level)

    estimate = float(alphas(copies[None, :].astype(np.float64))[0])
    if math.isnan(estimate):
        return _undefined(len(counts))
    spread = resample(
        alphas,
        copies,
        confidence=0.95,
        resamples=resamples,
        seed=seed,
        width=max(patterns.shape),
    )
    return Agreement(estimate, *spread, n_items=len(counts))


def _gwet(
    ratings: ArrayLike,
    categories: Sequence[float],
    outside: Sequence[float],
    *,
    weights: Weights,
) -> Agreement:
    of_scale = _agreement_weights(_check_categories(categories), weights)
    q = len(categories)
    agreement = np.eye(q + len(outside))
    agreement[:q, :q] = of_scale
    # Observed agreement of the items with two ratings or more.
    matrix = _as_ratings(ratings)
    counts = _count_ratings(matrix, np.array([*categories, *outside], dtype=np.float64))
    counts = counts[counts.sum(axis=1) > 0]
    raters, n = counts.sum(axis=1), len(counts)
    paired = raters >= 2
    n_paired = int(paired.sum())
    if n_paired == 0:
        return _undefined(0)
    pairs = np.where(paired, raters * (raters - 1), 1.0)
    observed = paired * (counts * (counts @ agreement - 1)).sum(axis=1) / pairs
    # Agreement by chance, from the share of each category.
    shares = counts / raters[:, None]
    common = shares.mean(axis=0)
    factor = float(of_scale.sum()) / (q * (q - 1))
    by_chance = factor * float(common @ (1 - common))
    estimate = (float(observed.sum()) / n_paired - by_chance) / (1 - by_chance)
    if n == 1:
        return Agreement(estimate, math.nan, math.nan, math.nan, n_items=n_paired)
    # Standard error from the influence of each item.
    direct = n / n_paired * (observed - by_chance * paired)
    indirect = 2 * (1 - estimate) * (factor * shares @ (1 - common) - by_chance)
    influence = (direct - indirect) / (1 - by_chance)
    se = _unless_rounding(float(influence.std(ddof=1)) / math.sqrt(n))
    t = t_quantile(TAIL, n - 1)
    return Agreement(estimate, se, *_within_one(estimate, t * se), n_items=n_paired)


def _alphas(patterns: Matrix, draws: Matrix, values: Vector, level: Level) -> Vector:
    """Compute alpha for each row of `draws`, which counts how often each rating pattern was drawn.

    A pattern is an item's number of ratings by value. NaN where only one value was drawn.
    """
    raters = patterns.sum(axis=1)
    totals = draws @ patterns
    n_ratings = totals.sum(axis=1)
    if level == "nominal" or level == "ratio":
        distances = _distances(values, level)
        apart = (patterns @ distances * patterns).sum(axis=1)
        observed = draws @ (apart / (raters - 1))
        expected = (totals @ distances * totals).sum(axis=1)
    else:
        # Over all ordered pairs of m numbers, sum (x - y)^2 = 2 (m sum x^2 - (sum x)^2). The
        # ordinal distance, the ratings between two values with ends halved, is one of midranks.
        midranks = totals.cumsum(axis=1) - totals / 2
        places = midranks if level == "ordinal" else (values - values.mean())[None, :]
        squares, sums = places**2 @ patterns.T, places @ patterns.T
        apart = 2 * (raters * squares - sums**2)
        observed = (draws * apart / (raters - 1)).sum(axis=1)
        squares, sums = (totals * places**2).sum(axis=1), (totals * places).sum(axis=1)
        expected = 2 * (n_ratings * squares - sums**2)
    varied = (totals > 0).sum(axis=1) >= 2
    alphas: Vector = 1 - (n_ratings - 1) * observed / np.where(varied, expected, np.nan)
    return alphas


def _distances(values: Vector, level: Literal["nominal", "ratio"]) -> Matrix:
    if level == "nominal":
        return 1 - np.eye(values.size)
    sums = values[:, None] + values
    ratios: Matrix = ((values[:, None] - values) / np.where(sums > 0, sums, 1)) ** 2
    return ratios


def _agreement_weights(scale: Vector, weights: Weights) -> Matrix:
    apart: Matrix = np.abs(scale[:, None] - scale) / abs(scale[-1] - scale[0])
    match weights:
        case "none":
            return np.eye(scale.size)
        case "linear":
            return 1 - apart
        case "quadratic":
            return 1 - apart**2


def _as_ratings(ratings: ArrayLike) -> Matrix:
    matrix = np.asarray(ratings, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] < 2 or matrix.shape[1] < 1:
        raise ValueError(
            "ratings must be a matrix of at least two raters (rows) and one item (columns), but "
            f"its shape is {matrix.shape}."
        )
    if np.isinf(matrix).any():
        raise ValueError("ratings holds infinite values. A missing rating is NaN.")
    return matrix


def _count_ratings(matrix: Matrix, scale: Vector) -> Matrix:
    """Count, as items x values of the scale, the raters who gave the item that value."""
    counts = np.zeros((matrix.shape[1], scale.size))
    for column, value in enumerate(scale):
        counts[:, column] = (matrix == value).sum(axis=0)
    if counts.sum() < (~np.isnan(matrix)).sum():
        stray = matrix[~np.isnan(matrix) & ~np.isin(matrix, scale)][0]
        raise ValueError(f"ratings holds {stray:g}, which is not in categories.")
    return counts


def _with_pairs(counts: Matrix) -> Matrix:
    paired: Matrix = counts[counts.sum(axis=1) >= 2]
    return paired


def _positions(
    labels: ArrayLike, categories: Sequence[str | float], *, name: str
) -> NDArray[np.intp]:
    observed = np.asarray(labels)
    if observed.ndim != 1 or observed.size == 0:
        raise ValueError(
            f"{name} must be a vector of at least one item, but its shape is {observed.shape}."
        )
    indices = {category: index for index, category in enumerate(categories)}
    try:
        return np.array([indices[label] for label in observed.tolist()])
    except KeyError as error:
        raise ValueError(f"{name} holds {error}, which is not in categories.") from None


def _check_categories(categories: Sequence[str | float]) -> Vector:
    """Return the positions of the categories: numbers as they are, of labels 0, 1, 2 and so on."""
    if len(categories) < 2 or len(set(categories)) < len(categories):
        raise ValueError(f"categories must be two or more different ones: {list(categories)}.")
    if any(isinstance(category, str) for category in categories):
        return np.arange(len(categories), dtype=np.float64)
    return np.array(categories, dtype=np.float64)


def _unless_rounding(se: float) -> float:
    return se if se > ROUNDING else 0.0


def _within_one(estimate: float, half: float) -> Interval:
    if half == 0:
        return Interval(math.nan, math.nan)
    return Interval(max(-1.0, estimate - half), min(1.0, estimate + half))


def _undefined(n_items: int) -> Agreement:
    return Agreement(math.nan, math.nan, math.nan, math.nan, n_items=n_items)
