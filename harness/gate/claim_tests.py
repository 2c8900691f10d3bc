"""Evidence: what the data say about one claim, before anybody decides.

Missing scores count at their worst for a claim and at their best against it, so that no gap can
decide either way. Means are tested with Student's t guarded against skew, shares exactly or by
Tango's score test; below 100 items a mean, and a difference of shares, also needs a bound that holds
at every sample size. Clusters of unequal size count as the equal ones that would tell as much.
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
    """What the data say about one claim, before the verdict.

    Attributes:
        estimate: With missing scores at their adverse values, on the scale of the metric.
        boundary: What `low` must clear.
        ceiling: What `high` must stay below, for an equivalence; None for other claims.
        low: One-sided lower bound at the level asked for.
        high: One-sided upper bound.
        p_value: Of the claim; for a regression alarm, of harm.
        cleared: Whether the bounds lie on the claim's side.
        refuted: Whether the data show that the claim is false (or raise the alarm).
        confirmed: False where the sample is too small for the p-value alone, and the bound that
            holds at every sample size does not agree with it.
        n: Items.
        n_needed: Items that would settle it with 80 % power; None where that is not advice.
    """

    estimate: float
    boundary: float
    ceiling: float | None
    low: float
    high: float
    p_value: float
    cleared: bool
    refuted: bool
    confirmed: bool
    n: int
    n_needed: int | None


def evaluate_claim(claim: Claim, pair: PairedScores, alpha: float) -> ClaimTest:
    """Estimate, one-sided bounds at `alpha`, and p-value of one claim."""
    measured = _measure(claim, pair)
    boundary, ceiling = claim.boundaries(pair.null)
    low, high = measured.bounds(alpha)
    cleared = low > boundary and (ceiling is None or high < ceiling)
    if ceiling is None:
        refuted = high < boundary
    else:
        # False on either side: two chances to be wrong, each at half the error.
        sure = measured.bounds(alpha / 2)
        refuted = sure.high < boundary or sure.low > ceiling
    confirmed = measured.calibrated or cleared
    needed = _items_needed(measured, boundary, ceiling, alpha)
    return ClaimTest(
        estimate=_estimate(measured, ceiling) + pair.null,
        boundary=boundary + pair.null,
        ceiling=None if ceiling is None else ceiling + pair.null,
        low=low + pair.null,
        high=high + pair.null,
        p_value=_p_value(claim, measured, boundary, ceiling, Bounds(low, high), alpha),
        cleared=cleared,
        refuted=refuted,
        confirmed=confirmed,
        n=pair.d.size,
        n_needed=max(needed, _least_calibrated(pair)) if needed and not confirmed else needed,
    )


def is_about_own_mean(claim: Claim, pair: PairedScores) -> bool:
    """Return whether a claim is tested on the candidate's scores alone, without the baseline's.

    A win rate is itself a comparison.
    """
    return claim.kind.own_mean and pair.kind != "preference"


def find_bounds(claim: Claim, pair: PairedScores, alpha: float) -> Bounds:
    """The one-sided bounds of what a claim is about, each at `alpha`."""
    low, high = _measure(claim, pair).bounds(alpha)
    return Bounds(low + pair.null, high + pair.null)


def _least_calibrated(pair: PairedScores) -> int:
    """The fewest items, in clusters like these, on which a p-value can be trusted by itself."""
    n = pair.d.size
    return math.ceil(n * SMALL_SAMPLE / independent_units(n, pair.clusters))


# --- claims ----------------------------------------------------------------------------------


def _p_value(
    claim: Claim,
    measured: "_Measured",
    boundary: float,
    ceiling: float | None,
    bounds: Bounds,
    alpha: float,
) -> float:
    """Of the claim, or of harm for an alarm; an equivalence has the larger of its two tests'."""
    above, below = bounds.low > boundary, bounds.high < (boundary if ceiling is None else ceiling)
    if claim.kind.alarm:
        return _at_most(measured.p_below(boundary), alpha, where=below)
    p_value = _at_most(measured.p_above(boundary), alpha, where=above)
    if ceiling is None:
        return p_value
    return max(p_value, _at_most(measured.p_below(ceiling), alpha, where=below))


def _at_most(p_value: float, alpha: float, *, where: bool) -> float:
    """Data that do not vary have no p-value but that their bound at alpha clears the boundary."""
    return min(p_value, alpha) if where else p_value


def _estimate(measured: "_Measured", ceiling: float | None) -> float:
    worst, best = float(measured.adverse.mean()), float(measured.favourable.mean())
    return best if ceiling is not None and abs(best) > abs(worst) else worst


def _items_needed(
    measured: "_Measured", boundary: float, ceiling: float | None, alpha: float
) -> int | None:
    """Items that would show the estimate's side of the boundary with 80 % power."""
    if isinstance(measured, _ByPeople):
        return None  # more items alone do not tell how other annotators would judge
    d = measured.adverse
    sd = float(d.std(ddof=1)) if d.size > 1 else 0.0
    estimate, power = _estimate(measured, ceiling), POWER
    effect = estimate - boundary
    if ceiling is not None:
        # Near the middle both tests must reject: each then needs half of what may be missed.
        effect, power = ceiling - abs(estimate), (1 + POWER) / 2
    if sd == 0 or abs(effect) < sd / 500:
        return None
    needed = float(sample_size(sd, effect, alpha=alpha, power=power, alternative="one-sided"))
    if measured.clusters is not None:
        needed *= design_effect(d, clusters=measured.clusters)  # NaN of a single cluster
    return math.ceil(needed) if needed <= MOST_ITEMS else None


# --- what is measured ------------------------------------------------------------------------


class _Measured(Protocol):
    """A mean with its gaps filled both ways: adverse to the candidate, and favourable."""

    @property
    def adverse(self) -> Vector: ...
    @property
    def favourable(self) -> Vector: ...
    @property
    def clusters(self) -> Clusters: ...
    @property
    def calibrated(self) -> bool:
        """Whether a p-value can be trusted by itself at this sample size."""

    def bounds(self, alpha: float) -> Bounds:
        """One-sided bounds, each at alpha."""

    def p_above(self, boundary: float) -> float:
        """P-value of "the mean lies above", with gaps adverse to that."""

    def p_below(self, boundary: float) -> float:
        """P-value of "the mean lies below", with gaps adverse to that."""


def _measure(claim: Claim, pair: PairedScores) -> _Measured:
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
        return _ByPeople(
            items, fill_votes(votes, filled.adverse), fill_votes(votes, filled.favourable)
        )
    if pair.kind != "share" or pair.clusters is not None:
        return _Mean(filled.adverse, filled.favourable, pair.clusters, limits)
    if own:
        return _Share(filled.adverse, filled.favourable)
    return _ShareDifference(filled.adverse, filled.favourable, *_filled_counts(pair))


@dataclass(frozen=True)
class _Mean:
    """Of points, win scores, or shares of clustered items."""

    adverse: Vector
    favourable: Vector
    clusters: Clusters
    limits: tuple[float, float]

    @property
    def calibrated(self) -> bool:
        return independent_units(self.adverse.size, self.clusters) >= SMALL_SAMPLE

    def bounds(self, alpha: float) -> Bounds:
        """Skew-guarded bounds, widened to the betting bounds where those are not calibrated."""
        clusters, limits = self.clusters, self.limits
        low = one_sided_lower_bound(self.adverse, alpha=alpha, clusters=clusters)
        high = one_sided_upper_bound(self.favourable, alpha=alpha, clusters=clusters)
        if not self.calibrated or low == -math.inf:
            sure = betting_lower_bound(self.adverse, bounds=limits, alpha=alpha, clusters=clusters)
            low = sure if low == -math.inf else min(low, sure)
        if not self.calibrated or high == math.inf:
            sure = betting_upper_bound(
                self.favourable, bounds=limits, alpha=alpha, clusters=clusters
            )
            high = sure if high == math.inf else max(high, sure)
        return Bounds(max(low, limits[0]), min(high, limits[1]))

    def p_above(self, boundary: float) -> float:
        return mean_above_test(self.adverse, boundary, clusters=self.clusters).p_gate

    def p_below(self, boundary: float) -> float:
        return mean_below_test(self.favourable, boundary, clusters=self.clusters).p_gate


@dataclass(frozen=True)
class _ByPeople:
    """Of what several people said: no surer than the items alone, nor than items and annotators."""

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
    """One model's share of successes, by the exact binomial."""

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
    """Of two models' shares on the same items, by Tango's score test."""

    adverse: Vector
    favourable: Vector
    at_worst: PairedCounts
    at_best: PairedCounts
    clusters: Clusters = None

    @property
    def calibrated(self) -> bool:
        """Of 9 items that all differ, Tango's test rejects a true null 9 % of the time."""
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


def _filled_counts(pair: PairedScores) -> tuple[PairedCounts, PairedCounts]:
    """Paired counts with gaps at their worst for the candidate, then at their best."""
    old, new = pair.baseline_scores, pair.candidate_scores
    worst = count_pairs(np.where(np.isnan(old), 1.0, old), np.where(np.isnan(new), 0.0, new))
    best = count_pairs(np.where(np.isnan(old), 0.0, old), np.where(np.isnan(new), 1.0, new))
    return worst, best
