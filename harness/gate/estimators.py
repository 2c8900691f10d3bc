"""Estimators of the mean that a claim is about: its bounds and p-values, with gaps filled both ways.

Means are tested with Student's t guarded against skew and against answers that the items do not show
(harness/stats/unseen_worst.py), or where the gate asks for it by betting; shares are tested exactly. Clusters
of unequal size count as the number of equal clusters with the same information.
"""

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
from harness.stats.means import MeanMoments
from harness.stats.missing import fill_missing
from harness.stats.paired_proportions import PairedCounts, count_pairs
from harness.stats.proportions import clopper_pearson_interval, exact_threshold_test
from harness.stats.vectors import Vector
from harness.types import Unseen


class Bounds(NamedTuple):
    """One-sided confidence bounds, at the adverse and at the favourable filling of gaps."""

    low: float
    high: float


class Estimator(Protocol):
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


def is_about_own_mean(claim: Claim, pair: PairedScores) -> bool:
    """Return whether a claim is tested on the candidate's scores alone, without the baseline's.

    A win rate is itself a comparison.
    """
    return claim.kind.own_mean and pair.kind != "preference"


def make_estimator(claim: Claim, pair: PairedScores, rule: RuleName) -> Estimator:
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
    make = _BettingMean if rule == "distribution_free" else Mean
    items = make(filled.adverse, filled.favourable, pair.clusters, limits)
    seeds = pair.own_seeds if own else pair.seeds
    if seeds is not None:
        return MeanOfVotes(
            items, votes_by_seed(filled.adverse, seeds), votes_by_seed(filled.favourable, seeds)
        )
    votes = pair.own_votes if own else pair.votes
    if votes is None or votes.shape[1] == 1:
        return items
    return MeanOfVotes(
        items, fill_votes(votes, filled.adverse), fill_votes(votes, filled.favourable)
    )


@dataclass(frozen=True)
class Mean:
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


class _BettingMean(Mean):
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
class MeanOfVotes:
    """The mean of human votes, or of the scores of several training seeds.

    Its bounds are the wider of the items-only and the two-way bounds (items x annotators or seeds).
    """

    items: Mean
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
