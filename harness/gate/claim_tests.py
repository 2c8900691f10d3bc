"""Claim tests: estimate, one-sided bounds and p-value of one claim, before the verdict.

Missing scores count at their worst for a claim and at their best against it, so that no gap can
decide either way. Means are tested with Student's t guarded against skew, shares exactly or by
Tango's score test; below 100 items a mean, and a difference of shares, also needs a bound that holds
at every sample size. Clusters of unequal size count as the number of equal clusters with the same
information.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from harness.config import Claim
from harness.scoring.columns import Clusters
from harness.scoring.paired import PairedScores, fill_votes, independent_units
from harness.stats.annotator_means import TwoWayMean, Votes, two_way_mean
from harness.stats.bounded_means import betting_lower_bound, betting_upper_bound
from harness.stats.means import design_effect
from harness.stats.missing import fill_missing
from harness.stats.one_sided import (
    mean_above_test,
    mean_below_test,
    one_sided_lower_bound,
    one_sided_upper_bound,
)
from harness.stats.paired_proportions import PairedCounts, count_pairs, tango_interval, tango_test
from harness.stats.power import sample_size
from harness.stats.proportions import clopper_pearson_interval, exact_threshold_test
from harness.stats.vectors import Vector

SMALL_SAMPLE = 100  # items or equal clusters; below it no asymptotic bound is calibrated
POWER = 0.8
MOST_ITEMS = 1_000_000  # beyond this "n needed" is not advice


class Bounds(NamedTuple):
    """One-sided confidence bounds, at the adverse and at the favourable filling of gaps."""

    low: float
    high: float


class ClaimTest(NamedTuple):
    """The test of one claim, before the verdict.

    Attributes:
        estimate: With missing scores at their adverse values, on the scale of the metric.
        boundary: The value that `low` must exceed.
        upper_boundary: The value that `high` must be below, for a two-sided claim; otherwise None.
        low: One-sided lower bound at the test's level.
        high: One-sided upper bound.
        p_value: Of the claim; for a regression alarm, of harm.
        bound_passed: Whether the bounds are on the claim's side of the boundaries.
        rejected: Whether the claim is shown to be false (or the alarm is raised).
        valid_at_small_n: False where the sample is too small for the p-value alone, and the bound
            that holds at every sample size does not agree with it.
        n: Items.
        n_needed: Items that would settle it with 80 % power; None where that is not advice.
    """

    estimate: float
    boundary: float
    upper_boundary: float | None
    low: float
    high: float
    p_value: float
    bound_passed: bool
    rejected: bool
    valid_at_small_n: bool
    n: int
    n_needed: int | None


def evaluate_claim(claim: Claim, pair: PairedScores, alpha: float) -> ClaimTest:
    """Test one claim: its estimate, one-sided bounds at `alpha`, and p-value."""
    # Bounds against the boundaries, all less the null value.
    estimator = _make_estimator(claim, pair)
    boundary, upper = claim.boundaries(pair.null)
    low, high = estimator.bounds(alpha)
    bound_passed = low > boundary and (upper is None or high < upper)
    if upper is None:
        rejected = high < boundary
    else:
        # False on either side: two chances to be wrong, each at half the error.
        at_half = estimator.bounds(alpha / 2)
        rejected = at_half.high < boundary or at_half.low > upper
    # Small samples: the p-value alone does not decide.
    valid = estimator.calibrated or bound_passed
    needed = _items_needed(estimator, boundary, upper, alpha)
    return ClaimTest(
        estimate=_estimate(estimator, upper) + pair.null,
        boundary=boundary + pair.null,
        upper_boundary=None if upper is None else upper + pair.null,
        low=low + pair.null,
        high=high + pair.null,
        p_value=_p_value(claim, estimator, boundary, upper, Bounds(low, high), alpha),
        bound_passed=bound_passed,
        rejected=rejected,
        valid_at_small_n=valid,
        n=pair.d.size,
        n_needed=max(needed, _least_calibrated(pair)) if needed and not valid else needed,
    )


def is_about_own_mean(claim: Claim, pair: PairedScores) -> bool:
    """Return whether a claim is tested on the candidate's scores alone, without the baseline's.

    A win rate is itself a comparison.
    """
    return claim.kind.own_mean and pair.kind != "preference"


def find_bounds(claim: Claim, pair: PairedScores, alpha: float) -> Bounds:
    """Return the one-sided bounds, each at `alpha`, of the mean that a claim is about."""
    low, high = _make_estimator(claim, pair).bounds(alpha)
    return Bounds(low + pair.null, high + pair.null)


def _least_calibrated(pair: PairedScores) -> int:
    """Return the fewest items, in clusters like these, at which a p-value is calibrated."""
    n = pair.d.size
    return math.ceil(n * SMALL_SAMPLE / independent_units(n, pair.clusters))


# --- claims ----------------------------------------------------------------------------------


def _p_value(
    claim: Claim,
    estimator: "_Estimator",
    boundary: float,
    upper: float | None,
    bounds: Bounds,
    alpha: float,
) -> float:
    """Return the p-value of the claim, or of harm for an alarm.

    A two-sided claim has the larger of its two tests'.
    """
    above, below = bounds.low > boundary, bounds.high < (boundary if upper is None else upper)
    if claim.kind.alarm:
        return _at_most(estimator.p_below(boundary), alpha, where=below)
    p_value = _at_most(estimator.p_above(boundary), alpha, where=above)
    if upper is None:
        return p_value
    return max(p_value, _at_most(estimator.p_below(upper), alpha, where=below))


def _at_most(p_value: float, alpha: float, *, where: bool) -> float:
    """Return at most alpha where the bound passes: without variance the test has no p-value."""
    return min(p_value, alpha) if where else p_value


def _estimate(estimator: "_Estimator", upper: float | None) -> float:
    worst, best = float(estimator.adverse.mean()), float(estimator.favourable.mean())
    return best if upper is not None and abs(best) > abs(worst) else worst


def _items_needed(
    estimator: "_Estimator", boundary: float, upper: float | None, alpha: float
) -> int | None:
    """Return the items that would show the estimate's side of the boundary with 80 % power."""
    if isinstance(estimator, _AnnotatorMean):
        return None  # more items alone give no information on other annotators
    d = estimator.adverse
    sd = float(d.std(ddof=1)) if d.size > 1 else 0.0
    estimate, power = _estimate(estimator, upper), POWER
    effect = estimate - boundary
    if upper is not None:
        # Near the middle both tests must reject: each may miss half of what the claim may.
        effect, power = upper - abs(estimate), (1 + POWER) / 2
    if sd == 0 or abs(effect) < sd / 500:
        return None
    needed = float(sample_size(sd, effect, alpha=alpha, power=power, alternative="one-sided"))
    if estimator.clusters is not None:
        needed *= design_effect(d, clusters=estimator.clusters)  # NaN of a single cluster
    return math.ceil(needed) if needed <= MOST_ITEMS else None


# --- estimators ------------------------------------------------------------------------------


class _Estimator(Protocol):
    """A mean with its gaps filled both ways: adverse to the candidate, and favourable."""

    @property
    def adverse(self) -> Vector: ...
    @property
    def favourable(self) -> Vector: ...
    @property
    def clusters(self) -> Clusters: ...
    @property
    def calibrated(self) -> bool:
        """Return whether the p-value alone is calibrated at this sample size."""

    def bounds(self, alpha: float) -> Bounds:
        """Return one-sided bounds, each at alpha."""

    def p_above(self, boundary: float) -> float:
        """Return the p-value of "the mean is above", with gaps adverse to that."""

    def p_below(self, boundary: float) -> float:
        """Return the p-value of "the mean is below", with gaps adverse to that."""


def _make_estimator(claim: Claim, pair: PairedScores) -> _Estimator:
    """Return the estimator of the mean that a claim is about."""
    own = is_about_own_mean(claim, pair)
    if own:
        low, high = limits = pair.score_bounds
        filled = fill_missing(pair.candidate_scores, low=low, high=high)
    else:
        limits = pair.bounds
        filled = fill_missing(pair.d, low=pair.least, high=pair.greatest)
    votes = pair.own_votes if own else pair.votes
    if votes is not None and votes.shape[1] > 1:
        items = _Mean(filled.adverse, filled.favourable, pair.clusters, limits)
        return _AnnotatorMean(
            items, fill_votes(votes, filled.adverse), fill_votes(votes, filled.favourable)
        )
    if pair.kind != "share" or pair.clusters is not None:
        return _Mean(filled.adverse, filled.favourable, pair.clusters, limits)
    if own:
        return _Share(filled.adverse, filled.favourable)
    return _ShareDifference(filled.adverse, filled.favourable, *_fill_counts(pair))


@dataclass(frozen=True)
class _Mean:
    """The mean of points, of win scores, or of shares where items come in clusters."""

    adverse: Vector
    favourable: Vector
    clusters: Clusters
    limits: tuple[float, float]

    @property
    def calibrated(self) -> bool:
        return independent_units(self.adverse.size, self.clusters) >= SMALL_SAMPLE

    def bounds(self, alpha: float) -> Bounds:
        """Return skew-guarded bounds, widened to betting bounds where those are not calibrated."""
        clusters, limits = self.clusters, self.limits
        low = one_sided_lower_bound(self.adverse, alpha=alpha, clusters=clusters)
        high = one_sided_upper_bound(self.favourable, alpha=alpha, clusters=clusters)
        if not self.calibrated or low == -math.inf:
            betting = betting_lower_bound(
                self.adverse, bounds=limits, alpha=alpha, clusters=clusters
            )
            low = betting if low == -math.inf else min(low, betting)
        if not self.calibrated or high == math.inf:
            betting = betting_upper_bound(
                self.favourable, bounds=limits, alpha=alpha, clusters=clusters
            )
            high = betting if high == math.inf else max(high, betting)
        return Bounds(max(low, limits[0]), min(high, limits[1]))

    def p_above(self, boundary: float) -> float:
        return mean_above_test(self.adverse, boundary, clusters=self.clusters).p_gate

    def p_below(self, boundary: float) -> float:
        return mean_below_test(self.favourable, boundary, clusters=self.clusters).p_gate


@dataclass(frozen=True)
class _AnnotatorMean:
    """The mean of human votes.

    Its bounds are the wider of the items-only and the two-way (items x annotators) bounds.
    """

    items: _Mean
    at_worst: Votes
    at_best: Votes

    @property
    def adverse(self) -> Vector:
        return self.items.adverse

    @property
    def favourable(self) -> Vector:
        return self.items.favourable

    @property
    def clusters(self) -> Clusters:
        return self.items.clusters

    @property
    def calibrated(self) -> bool:
        return self.items.calibrated

    def bounds(self, alpha: float) -> Bounds:
        low, high = self.items.bounds(alpha)
        confidence, (least, greatest) = 1 - 2 * alpha, self.items.limits
        low = min(low, self._mean(self.at_worst).interval(confidence).low)
        high = max(high, self._mean(self.at_best).interval(confidence).high)
        return Bounds(max(low, least), min(high, greatest))

    def p_above(self, boundary: float) -> float:
        return max(self.items.p_above(boundary), self._mean(self.at_worst).p_above(boundary))

    def p_below(self, boundary: float) -> float:
        return max(self.items.p_below(boundary), self._mean(self.at_best).p_below(boundary))

    def _mean(self, votes: Votes) -> TwoWayMean:
        return two_way_mean(votes, clusters=self.clusters)


@dataclass(frozen=True)
class _Share:
    """One model's share of successes, by the exact binomial test."""

    adverse: Vector
    favourable: Vector
    clusters: Clusters = None
    calibrated: bool = True

    def bounds(self, alpha: float) -> Bounds:
        worst, best, n = int(self.adverse.sum()), int(self.favourable.sum()), self.adverse.size
        confidence = 1 - 2 * alpha
        return Bounds(
            clopper_pearson_interval(worst, n, confidence=confidence).low,
            clopper_pearson_interval(best, n, confidence=confidence).high,
        )

    def p_above(self, boundary: float) -> float:
        successes = int(self.adverse.sum())
        return exact_threshold_test(successes, self.adverse.size, p0=boundary).p_above

    def p_below(self, boundary: float) -> float:
        successes = int(self.favourable.sum())
        return exact_threshold_test(successes, self.favourable.size, p0=boundary).p_below


@dataclass(frozen=True)
class _ShareDifference:
    """The difference of two models' shares on the same items, by Tango's score test."""

    adverse: Vector
    favourable: Vector
    at_worst: PairedCounts
    at_best: PairedCounts
    clusters: Clusters = None

    @property
    def calibrated(self) -> bool:
        """Return whether there are enough items for Tango's test alone."""
        # On 9 items that all differ it rejects a true null 9 % of the time.
        return self.adverse.size >= SMALL_SAMPLE

    def bounds(self, alpha: float) -> Bounds:
        confidence, limits = 1 - 2 * alpha, (-1.0, 1.0)
        low = tango_interval(self.at_worst, confidence=confidence).low
        high = tango_interval(self.at_best, confidence=confidence).high
        if not self.calibrated:
            low = min(low, betting_lower_bound(self.adverse, bounds=limits, alpha=alpha))
            high = max(high, betting_upper_bound(self.favourable, bounds=limits, alpha=alpha))
        return Bounds(low, high)

    def p_above(self, boundary: float) -> float:
        return tango_test(self.at_worst, boundary)

    def p_below(self, boundary: float) -> float:
        both, candidate_only, baseline_only, neither = self.at_best
        mirrored = PairedCounts(both, baseline_only, candidate_only, neither)
        return tango_test(mirrored, -boundary)


def _fill_counts(pair: PairedScores) -> tuple[PairedCounts, PairedCounts]:
    """Return paired counts with gaps at their worst for the candidate, and at their best."""
    old, new = pair.baseline_scores, pair.candidate_scores
    worst = count_pairs(np.where(np.isnan(old), 1.0, old), np.where(np.isnan(new), 0.0, new))
    best = count_pairs(np.where(np.isnan(old), 0.0, old), np.where(np.isnan(new), 1.0, new))
    return worst, best
