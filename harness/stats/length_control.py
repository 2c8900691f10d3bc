"""Length control: a comparison adjusted to answers of equal length.

Length may be the way in which the candidate is better, so this is a sensitivity analysis next to
the raw figure, and never decides alone.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.bootstrap import Matrix, resample
from harness.stats.distributions import t_interval
from harness.stats.means import ROUNDING
from harness.stats.vectors import Vector, as_vector, check_fraction, cluster_sizes, expit

# Share of items that must be longer, and shorter, for equal length not to be extrapolation.
SMALLEST_SIDE = 0.1

# Standard deviation of the normal prior on the slope, in log-odds. A resample in which length
# separates wins from losses has no finite slope without it. A slope of 10 means that the longest
# answers win 22,000 to 1, so the prior hardly affects any other sample.
SLOPE_SCALE = 10.0

# Largest change of any log-odds in a Newton step; longer steps can fail to converge.
LARGEST_STEP = 1.0
STEPS = 200

# The step size at which to stop; convergence is quadratic, so the error is its square.
TOLERANCE = 1e-6

Unidentified = Literal[
    "lengths do not differ",
    "one model is almost always longer",
    "outcomes do not vary",
    "length separates wins from losses",
    "fewer than three clusters",
]


class LengthControlled(NamedTuple):
    """A comparison adjusted to equal length, and the raw one.

    Attributes:
        raw: The unadjusted figure: win rate, or mean difference in points.
        estimate: The same at equal length; NaN if not identified.
        se: Its standard error; NaN if not identified.
        ci_low: Lower end of the confidence interval; NaN if not identified.
        ci_high: Upper end, likewise.
        slope: Change (log-odds of winning, or points) per unit of tanh(length difference / sd);
            above 0 if longer answers do better. NaN if not identified.
        share_shorter: Share of items on which the candidate's answer is the shorter.
        share_longer: Share of items on which it is the longer.
        n: Number of items.
        n_clusters: Number of clusters; equal to n when every item is its own cluster.
        unidentified: The reason for having no adjusted figure; None if there is one.
    """

    raw: float
    estimate: float
    se: float
    ci_low: float
    ci_high: float
    slope: float
    share_shorter: float
    share_longer: float
    n: int
    n_clusters: int
    unidentified: Unidentified | None


def length_controlled_win_rate(
    preferences: ArrayLike,
    length_differences: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> LengthControlled:
    """Estimate the candidate's win rate at equal length.

    It is expit(b0) of P = expit(b0 + b1 tanh(dlen / sd)).

    The model is that of AlpacaEval (Dubois et al. 2024, https://arxiv.org/abs/2404.04475)
    without its instruction difficulty. The percentile interval refits it to every resample of
    items, or of clusters; AlpacaEval's own standard error ignores that b0 is estimated. sd is fixed
    at the sample's, since it only sets the unit of the slope.

    Args:
        preferences: The candidate's win score on each item, 0 to 1: the mean over orders and
            repeats of 1 for a win, 0.5 for a tie, 0 for a loss.
        length_differences: Length of the candidate's answer less the baseline's, in any unit.
        clusters: One label an item, for items that share a source.
        confidence: Coverage of the interval.
        resamples: Number of resamples.
        seed: Of the resamples.

    Raises:
        ValueError: If the two differ in length, are empty or not finite, a preference is outside
            [0, 1], `clusters` is not one label an item, resamples is below 1, or confidence is
            not in (0, 1).
    """
    wins = as_vector(preferences, name="preferences")
    if wins.min() < 0 or wins.max() > 1:
        raise ValueError(
            f"preferences must lie in [0, 1], but they run from {wins.min()} to {wins.max()}."
        )
    lengths = _as_lengths(length_differences, wins)
    check_fraction(confidence, name="confidence")
    index = _label_index(wins, clusters)
    unidentified = _unidentified_reason(wins, lengths, index) or _separation_reason(wins, lengths)
    if unidentified:
        return _raw_only(wins, lengths, index, unidentified)
    x = _squash(lengths)
    if clusters is None:
        # Sorted, so that the draws do not depend on the order of the items.
        order = np.lexsort((wins, x, x * (wins - 0.5), np.abs(wins - 0.5), np.abs(x)))
        wins, x = wins[order], x[order]
    # Fit once, then resample whole clusters from that start.
    start = np.array([0.0, 0.0])
    fit = _fit_logistic(np.ones((1, wins.size)), wins, x, start=start)[0]

    def win_rates(draws: Matrix) -> Vector:
        return _win_rates(draws[:, index], wins, x, start=fit)

    spread = resample(
        win_rates,
        np.ones(index.max() + 1, dtype=np.int64),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
        width=wins.size,
    )
    return _raw_only(wins, lengths, index, None)._replace(
        estimate=float(expit(fit)[0]), slope=float(fit[1]), **spread._asdict()
    )


def length_adjusted_difference(
    d: ArrayLike,
    length_differences: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> LengthControlled:
    """Estimate the mean score difference at equal length: b0 of d = b0 + b1 tanh(dlen / sd) + e.

    Least squares, with the cluster-robust CR1 standard error that statsmodels gives (HC1 without
    clusters): C / (C - 1) * (n - 1) / (n - 2) times the sandwich. The t interval has one degree
    of freedom less than there are clusters, and n - 2 without them.

    Args:
        d: One score difference an item, candidate less baseline, in points.
        length_differences: Length of the candidate's answer less the baseline's, in any unit.
        clusters: One label an item, for items that share a source.
        confidence: Coverage of the interval.

    Raises:
        ValueError: If the two differ in length, are empty or not finite, `clusters` is not one
            label an item, or confidence is not in (0, 1).
    """
    d = as_vector(d, name="d")
    lengths = _as_lengths(length_differences, d)
    check_fraction(confidence, name="confidence")
    index = _label_index(d, clusters)
    unidentified = _unidentified_reason(d, lengths, index)
    if unidentified:
        return _raw_only(d, lengths, index, unidentified)
    x = _squash(lengths)
    design = np.column_stack([np.ones_like(x), x])
    # Least squares, with CR1 errors of the intercept.
    bread = np.linalg.inv(design.T @ design)
    intercept, slope = bread @ design.T @ d
    residuals = d - intercept - slope * x
    scores = np.column_stack(
        [np.bincount(index, weights=residuals * column) for column in design.T]
    )
    n, n_clusters = d.size, len(scores)
    correction = n_clusters / (n_clusters - 1) * (n - 1) / (n - 2)
    variance = correction * float((bread[0] @ scores.T @ scores) @ bread[0])
    se = float(np.sqrt(variance))
    if se <= ROUNDING * np.abs(d).max():
        return _raw_only(d, lengths, index, "outcomes do not vary")
    low, high = t_interval(float(intercept), se, min(n_clusters - 1, n - 2), confidence)
    return _raw_only(d, lengths, index, None)._replace(
        estimate=float(intercept), se=se, ci_low=low, ci_high=high, slope=float(slope)
    )


def _unidentified_reason(
    outcomes: Vector, lengths: Vector, index: NDArray[np.intp]
) -> Unidentified | None:
    if not lengths.any():
        return "lengths do not differ"
    if min((lengths < 0).mean(), (lengths > 0).mean()) < SMALLEST_SIDE:
        return "one model is almost always longer"
    if np.ptp(outcomes) == 0:
        return "outcomes do not vary"
    if index.max() < 2:
        return "fewer than three clusters"
    return None


def _separation_reason(wins: Vector, lengths: Vector) -> Unidentified | None:
    """Name the reason for an infinite slope: wins and losses share at most one length."""
    won, lost = lengths[wins > 0], lengths[wins < 1]
    if won.min() >= lost.max() or lost.min() >= won.max():
        return "length separates wins from losses"
    return None


def _win_rates(weights: Matrix, wins: Vector, x: Vector, *, start: Vector) -> Vector:
    """Compute the win rate at equal length for each row of weights; 0 or 1 if outcomes do not vary."""
    rates: Vector = np.round(weights @ wins / weights.sum(axis=1))
    mixed = (weights @ (wins > 0) > 0) & (weights @ (wins < 1) > 0)
    rates[mixed] = expit(_fit_logistic(weights[mixed], wins, x, start=start)[:, 0])
    return rates


def _fit_logistic(weights: Matrix, wins: Vector, x: Vector, *, start: Vector) -> Matrix:
    """Fit intercept and slope for each row of weights, by Newton's method on all rows at once.

    The intercept has no prior, so the mean fitted win rate is the raw one.
    """
    fitted = np.tile(start, (len(weights), 1))
    reach, ridge = float(np.abs(x).max()), SLOPE_SCALE**-2
    active = np.arange(len(weights))
    w = weights
    for _ in range(STEPS):
        b = fitted[active]
        p = expit(b[:, :1] + b[:, 1:] * x)
        pull, curve = w * (wins - p), w * p * (1 - p)
        g0, g1 = pull.sum(axis=1), pull @ x - ridge * b[:, 1]
        h00, h01, h11 = curve.sum(axis=1), curve @ x, curve @ x**2 + ridge
        step = np.column_stack([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0])
        step /= (h00 * h11 - h01**2)[:, None]
        step_sizes = np.abs(step) @ [1, reach]
        fitted[active] += step * (LARGEST_STEP / np.maximum(step_sizes, LARGEST_STEP))[:, None]
        moving = step_sizes > TOLERANCE
        if not moving.any():
            return fitted
        if not moving.all():
            active, w = active[moving], w[moving]
    fitted[active] = np.nan
    return fitted


def _squash(lengths: Vector) -> Vector:
    squashed: Vector = np.tanh(lengths / lengths.std(ddof=1))
    return squashed


def _raw_only(
    outcomes: Vector, lengths: Vector, index: NDArray[np.intp], unidentified: Unidentified | None
) -> LengthControlled:
    nan = float("nan")
    return LengthControlled(
        raw=float(outcomes.mean()),
        estimate=nan,
        se=nan,
        ci_low=nan,
        ci_high=nan,
        slope=nan,
        share_shorter=float((lengths < 0).mean()),
        share_longer=float((lengths > 0).mean()),
        n=outcomes.size,
        n_clusters=int(index.max()) + 1,
        unidentified=unidentified,
    )


def _as_lengths(length_differences: ArrayLike, outcomes: Vector) -> Vector:
    lengths = as_vector(length_differences, name="length_differences")
    if lengths.size != outcomes.size:
        raise ValueError(
            f"There are {outcomes.size} outcomes, but {lengths.size} length_differences."
        )
    return lengths


def _label_index(outcomes: Vector, clusters: ArrayLike | None) -> NDArray[np.intp]:
    if clusters is None:
        return np.arange(outcomes.size)
    cluster_sizes(outcomes, clusters)  # there is one label for each item
    return np.unique(np.asarray(clusters), return_inverse=True)[1]
