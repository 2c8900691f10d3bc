"""Claim tests: estimate, one-sided bounds and p-value of one claim, before the verdict.

Missing scores count at their worst for a claim and at their best against it, so that no gap can
decide either way. Means are tested with Student's t guarded against skew and against answers that the
items do not show (harness/stats/unseen_worst.py), or where the gate asks for it by betting; shares are
tested exactly. Clusters of unequal size count as the number of equal clusters with the same information.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from harness.config import Claim
from harness.gate.rules import RuleName
from harness.scoring.columns import Clusters
from harness.scoring.paired import PairedScores, fill_votes, votes_by_seed
from harness.stats import unseen_worst
from harness.stats.annotator_means import TwoWayMean, Votes, two_way_mean
from harness.stats.bounded_means import (
    JUDGED,
    betting_lower_bound,
    betting_p_above,
    betting_upper_bound,
)
from harness.stats.exact_tango import exact_tango_bound, exact_tango_test
from harness.stats.gate_power import fewest_for_gate
from harness.stats.means import MeanMoments, design_effect, mean_moments
from harness.stats.missing import fill_missing
from harness.stats.one_sided import above_test
from harness.stats.paired_proportions import PairedCounts, count_pairs
from harness.stats.proportions import clopper_pearson_interval, exact_threshold_test
from harness.stats.vectors import Vector
from harness.types import Unseen

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
        unseen: What answers that were not seen could do to a pass; None where the test is exact.
        p_of_seen: The p-value of the seen scores alone, without unseen answers at their worst.
        n: Items.
    """

    estimate: float
    boundary: float
    upper_boundary: float | None
    low: float
    high: float
    p_value: float
    bound_passed: bool
    rejected: bool
    unseen: Unseen | None
    p_of_seen: float
    n: int


class ItemsNeeded(NamedTuple):
    """The items that would settle a claim with 80 % power, for two truths; None where it is no advice.

    Attributes:
        at_estimate: If the truth were the estimate.
        at_least: If it were as far from the boundary as the bounds allow.
    """

    at_estimate: int | None = None
    at_least: int | None = None


def evaluate_claim(
    claim: Claim, pair: PairedScores, alpha: float, rule: RuleName = "unseen_worst"
) -> ClaimTest:
    """Test one claim: its estimate, one-sided bounds at `alpha`, and p-value."""
    # Bounds against the boundaries, all less the null value.
    estimator = _make_estimator(claim, pair, rule)
    boundary, upper = claim.boundaries(pair.null)
    low, high = estimator.bounds(alpha, boundary, upper)
    bound_passed = low > boundary and (upper is None or high < upper)
    if upper is None:
        rejected = high < boundary
    else:
        # False on either side: two chances to be wrong, each at half the error.
        at_half = estimator.bounds(alpha / 2, upper, boundary)
        rejected = at_half.high < boundary or at_half.low > upper
    p_value = _p_value(claim, estimator, boundary, upper, Bounds(low, high), alpha)
    return ClaimTest(
        estimate=_estimate(estimator, upper) + pair.null,
        boundary=boundary + pair.null,
        upper_boundary=None if upper is None else upper + pair.null,
        low=low + pair.null,
        high=high + pair.null,
        p_value=p_value,
        bound_passed=bound_passed,
        rejected=rejected,
        unseen=estimator.unseen(boundary, upper, alpha),
        p_of_seen=_p_of_seen(estimator, boundary, upper, p_value),
        n=pair.d.size,
    )


def standard_error(claim: Claim, pair: PairedScores) -> float:
    """Return the standard error of the mean that a claim is about, gaps at their worst; 0 without variation."""
    estimator = _make_estimator(claim, pair, "unseen_worst")
    return mean_moments(estimator.adverse, clusters=estimator.clusters).se


def is_about_own_mean(claim: Claim, pair: PairedScores) -> bool:
    """Return whether a claim is tested on the candidate's scores alone, without the baseline's.

    A win rate is itself a comparison.
    """
    return claim.kind.own_mean and pair.kind != "preference"


def find_bounds(claim: Claim, pair: PairedScores, alpha: float, rule: RuleName) -> Bounds:
    """Return the one-sided bounds, each at `alpha`, of the mean that a claim is about."""
    low, high = _make_estimator(claim, pair, rule).bounds(alpha, *claim.boundaries(pair.null))
    return Bounds(low + pair.null, high + pair.null)


def items_needed(
    claim: Claim, pair: PairedScores, alpha: float, rule: RuleName = "unseen_worst"
) -> ItemsNeeded:
    """Return the items that would settle a claim, if scores spread as these do."""
    estimator = _make_estimator(claim, pair, rule)
    if isinstance(estimator, _TwoWayMean):
        return ItemsNeeded()  # more items alone tell nothing of other annotators or seeds
    boundary, upper = claim.boundaries(pair.null)
    bounds = estimator.bounds(alpha, boundary, upper)
    d = estimator.adverse
    sd = float(d.std(ddof=1)) if d.size > 1 else 0.0
    estimate, power = _estimate(estimator, upper), POWER
    effect = estimate - boundary
    farthest = bounds.high - boundary if effect > 0 else boundary - bounds.low
    if upper is not None:
        # Near the middle both tests must reject: each may miss half of what the claim may.
        effect, power = upper - abs(estimate), (1 + POWER) / 2
        farthest = upper if effect > 0 else farthest
    if sd == 0 or abs(effect) < sd / 500:
        return ItemsNeeded()
    deff = 1.0
    if estimator.clusters is not None:
        deff = design_effect(d, clusters=estimator.clusters)  # NaN of a single cluster
    reach = estimator.reach(boundary, upward=effect > 0)

    def items(distance: float) -> int | None:
        needed = deff * fewest_for_gate(
            sd, distance, reach=reach, alpha=alpha, power=power, betting=rule == "distribution_free"
        )
        return math.ceil(needed) if needed <= MOST_ITEMS else None

    return ItemsNeeded(items(abs(effect)), items(max(abs(effect), farthest)))


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
        return _at_most(estimator.p_below(boundary, alpha), alpha, where=below)
    p_value = _at_most(estimator.p_above(boundary, alpha), alpha, where=above)
    if upper is None:
        return p_value
    return max(p_value, _at_most(estimator.p_below(upper, alpha), alpha, where=below))


def _p_of_seen(
    estimator: "_Estimator", boundary: float, upper: float | None, p_value: float
) -> float:
    """Return the p-value of the scores seen alone; `p_value` itself of an exact test of shares."""
    if isinstance(estimator, _TwoWayMean):
        p_of_items = _p_of_seen(estimator.items, boundary, upper, p_value)
        return max(p_of_items, estimator.two_way_at_worst.p_above(boundary))
    if not isinstance(estimator, _Mean):
        return p_value
    above = above_test(estimator.moments_at_worst, boundary).p_gate
    if upper is None:
        return above
    return max(above, above_test(estimator.moments_at_best.mirrored, -upper).p_gate)


def _at_most(p_value: float, alpha: float, *, where: bool) -> float:
    """Return at most alpha where the bound passes: both say the same, but for rounding."""
    return min(p_value, alpha) if where else p_value


def _estimate(estimator: "_Estimator", upper: float | None) -> float:
    worst, best = float(estimator.adverse.mean()), float(estimator.favourable.mean())
    return best if upper is not None and abs(best) > abs(worst) else worst


# --- estimators ------------------------------------------------------------------------------


class _Estimator(Protocol):
    """A mean with its gaps filled both ways: adverse to the candidate, and favourable."""

    @property
    def adverse(self) -> Vector: ...
    @property
    def favourable(self) -> Vector: ...
    @property
    def clusters(self) -> Clusters: ...

    def bounds(self, alpha: float, boundary: float, upper: float | None) -> Bounds:
        """Return one-sided bounds, each at alpha.

        They are to be compared with `boundary` from below, and with `upper` (or `boundary`) from above.
        """

    def p_above(self, boundary: float, alpha: float) -> float:
        """Return the p-value of "the mean is above", with gaps adverse to that."""

    def p_below(self, boundary: float, alpha: float) -> float:
        """Return the p-value of "the mean is below", with gaps adverse to that."""

    def unseen(self, boundary: float, upper: float | None, alpha: float) -> Unseen | None:
        """Return what unseen answers could do to a pass; None where the test is exact."""

    def reach(self, boundary: float, *, upward: bool) -> float:
        """Return how far the scale goes from the boundary to the side that the mean must leave."""


def _make_estimator(claim: Claim, pair: PairedScores, rule: RuleName) -> _Estimator:
    """Return the estimator of the mean that a claim is about."""
    own = is_about_own_mean(claim, pair)
    if own:
        limits, (least, greatest) = pair.score_bounds, pair.own_ends
        filled = fill_missing(pair.candidate_scores, low=least, high=greatest)
    else:
        limits = pair.bounds
        filled = fill_missing(pair.d, low=pair.least, high=pair.greatest)
    if pair.kind == "share" and pair.clusters is None and pair.votes is None:
        if own:
            return _Share(filled.adverse, filled.favourable)
        return _ShareDifference(filled.adverse, filled.favourable, *_fill_counts(pair))
    make = _BettingMean if rule == "distribution_free" else _Mean
    items = make(filled.adverse, filled.favourable, pair.clusters, limits)
    seeds = pair.own_seeds if own else pair.seeds
    if seeds is not None:
        return _TwoWayMean(
            items, votes_by_seed(filled.adverse, seeds), votes_by_seed(filled.favourable, seeds)
        )
    votes = pair.own_votes if own else pair.votes
    if votes is None or votes.shape[1] == 1:
        return items
    return _TwoWayMean(
        items, fill_votes(votes, filled.adverse), fill_votes(votes, filled.favourable)
    )


@dataclass(frozen=True)
class _Mean:
    """The mean of points, of win scores, or of shares where items come in clusters."""

    adverse: Vector
    favourable: Vector
    clusters: Clusters
    limits: tuple[float, float]

    @cached_property
    def moments_at_worst(self) -> MeanMoments:
        """The moments with gaps adverse to the candidate, for every bound and p-value."""
        return unseen_worst.moments_within(self.adverse, self.limits, self.clusters)

    @cached_property
    def moments_at_best(self) -> MeanMoments:
        if self.favourable is self.adverse:
            return self.moments_at_worst
        return unseen_worst.moments_within(self.favourable, self.limits, self.clusters)

    def bounds(self, alpha: float, boundary: float, upper: float | None) -> Bounds:
        (worst, best), at_best = self.limits, self.moments_at_best.mirrored
        return Bounds(
            unseen_worst.bound_below(self.moments_at_worst, worst=worst, alpha=alpha),
            -unseen_worst.bound_below(at_best, worst=-best, alpha=alpha),
        )

    def p_above(self, boundary: float, alpha: float) -> float:
        worst = self.limits[0]
        return unseen_worst.above_p(self.moments_at_worst, boundary, worst=worst)

    def p_below(self, boundary: float, alpha: float) -> float:
        best = self.limits[1]
        return unseen_worst.above_p(self.moments_at_best.mirrored, -boundary, worst=-best)

    def unseen(self, boundary: float, upper: float | None, alpha: float) -> Unseen | None:
        worst, best = self.limits
        turns_at = unseen_worst.turning_share(float(self.adverse.mean()), boundary, worst)
        if upper is not None:
            highest = -float(self.favourable.mean())
            turns_at = min(turns_at, unseen_worst.turning_share(highest, -upper, -best))
        n = self.adverse.size if self.clusters is None else np.unique(self.clusters).size
        return Unseen(
            turns_at=turns_at,
            not_excluded=unseen_worst.share_not_excluded(n, alpha),
            n=n,
            unit="items" if self.clusters is None else "clusters",
        )

    def reach(self, boundary: float, *, upward: bool) -> float:
        return boundary - self.limits[0] if upward else self.limits[1] - boundary


class _BettingMean(_Mean):
    """The same by betting bounds, which hold for every distribution of the scores."""

    def bounds(self, alpha: float, boundary: float, upper: float | None) -> Bounds:
        limits, clusters = self.limits, self.clusters
        return Bounds(
            betting_lower_bound(
                self.adverse, bounds=limits, alpha=alpha, clusters=clusters, begin=JUDGED
            ),
            betting_upper_bound(
                self.favourable, bounds=limits, alpha=alpha, clusters=clusters, begin=JUDGED
            ),
        )

    def p_above(self, boundary: float, alpha: float) -> float:
        return betting_p_above(
            self.adverse,
            boundary,
            bounds=self.limits,
            alpha=alpha,
            clusters=self.clusters,
            begin=JUDGED,
        )

    def p_below(self, boundary: float, alpha: float) -> float:
        low, high = self.limits
        return betting_p_above(
            -self.favourable,
            -boundary,
            bounds=(-high, -low),
            alpha=alpha,
            clusters=self.clusters,
            begin=JUDGED,
        )

    def unseen(self, boundary: float, upper: float | None, alpha: float) -> Unseen | None:
        return None


@dataclass(frozen=True)
class _TwoWayMean:
    """The mean of human votes, or of the scores of several training seeds.

    Its bounds are the wider of the items-only and the two-way bounds (items x annotators or seeds).
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

    def bounds(self, alpha: float, boundary: float, upper: float | None) -> Bounds:
        low, high = self.items.bounds(alpha, boundary, upper)
        confidence, (least, greatest) = 1 - 2 * alpha, self.items.limits
        low = min(low, self.two_way_at_worst.interval(confidence).low)
        high = max(high, self.two_way_at_best.interval(confidence).high)
        return Bounds(max(low, least), min(high, greatest))

    def p_above(self, boundary: float, alpha: float) -> float:
        of_items = self.items.p_above(boundary, alpha)
        return max(of_items, self.two_way_at_worst.p_above(boundary))

    def p_below(self, boundary: float, alpha: float) -> float:
        of_items = self.items.p_below(boundary, alpha)
        return max(of_items, self.two_way_at_best.p_below(boundary))

    def unseen(self, boundary: float, upper: float | None, alpha: float) -> Unseen | None:
        return self.items.unseen(boundary, upper, alpha)

    def reach(self, boundary: float, *, upward: bool) -> float:
        return self.items.reach(boundary, upward=upward)

    @cached_property
    def two_way_at_worst(self) -> TwoWayMean:
        """The two-way mean of votes, or of scores by seed, with gaps adverse to the candidate."""
        return two_way_mean(self.at_worst, clusters=self.clusters)

    @cached_property
    def two_way_at_best(self) -> TwoWayMean:
        if self.favourable is self.adverse:
            return self.two_way_at_worst
        return two_way_mean(self.at_best, clusters=self.clusters)


@dataclass(frozen=True)
class _Share:
    """One model's share of successes, by the exact binomial test."""

    adverse: Vector
    favourable: Vector
    clusters: Clusters = None

    def bounds(self, alpha: float, boundary: float, upper: float | None) -> Bounds:
        worst, best, n = int(self.adverse.sum()), int(self.favourable.sum()), self.adverse.size
        confidence = 1 - 2 * alpha
        return Bounds(
            clopper_pearson_interval(worst, n, confidence=confidence).low,
            clopper_pearson_interval(best, n, confidence=confidence).high,
        )

    def p_above(self, boundary: float, alpha: float) -> float:
        successes = int(self.adverse.sum())
        return exact_threshold_test(successes, self.adverse.size, p0=boundary).p_above

    def p_below(self, boundary: float, alpha: float) -> float:
        successes = int(self.favourable.sum())
        return exact_threshold_test(successes, self.favourable.size, p0=boundary).p_below

    def unseen(self, boundary: float, upper: float | None, alpha: float) -> Unseen | None:
        return None

    def reach(self, boundary: float, *, upward: bool) -> float:
        return 0.0


@dataclass(frozen=True)
class _ShareDifference:
    """The difference of two models' shares on the same items, by Tango's test made exact."""

    adverse: Vector
    favourable: Vector
    at_worst: PairedCounts
    at_best: PairedCounts
    clusters: Clusters = None

    def bounds(self, alpha: float, boundary: float, upper: float | None) -> Bounds:
        from_above = boundary if upper is None else upper
        mirrored = exact_tango_bound(_mirror(self.at_best), -from_above, alpha=alpha)
        return Bounds(exact_tango_bound(self.at_worst, boundary, alpha=alpha), -mirrored)

    def p_above(self, boundary: float, alpha: float) -> float:
        return exact_tango_test(self.at_worst, boundary)

    def p_below(self, boundary: float, alpha: float) -> float:
        return exact_tango_test(_mirror(self.at_best), -boundary)

    def unseen(self, boundary: float, upper: float | None, alpha: float) -> Unseen | None:
        return None

    def reach(self, boundary: float, *, upward: bool) -> float:
        return 0.0


def _mirror(counts: PairedCounts) -> PairedCounts:
    """Return the counts with the models swapped."""
    both, candidate_only, baseline_only, neither = counts
    return PairedCounts(both, baseline_only, candidate_only, neither)


def _fill_counts(pair: PairedScores) -> tuple[PairedCounts, PairedCounts]:
    """Return paired counts with gaps at their worst for the candidate, and at their best."""
    old, new = pair.baseline_scores, pair.candidate_scores
    worst = count_pairs(np.where(np.isnan(old), 1.0, old), np.where(np.isnan(new), 0.0, new))
    best = count_pairs(np.where(np.isnan(old), 0.0, old), np.where(np.isnan(new), 1.0, new))
    return worst, best
