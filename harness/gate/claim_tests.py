"""Claim tests: estimate, one-sided bounds and p-value of one claim, before the verdict.

Missing scores count at their worst for a claim and at their best against it, so that no gap can
decide either way.
"""

import math
from typing import NamedTuple

from harness.config import Claim
from harness.gate.estimators import Bounds, Estimator, Mean, MeanOfVotes, make_estimator
from harness.gate.rules import RuleName
from harness.scoring.paired import PairedScores
from harness.stats.gate_power import fewest_for_gate
from harness.stats.means import design_effect, mean_moments
from harness.stats.one_sided import above_test
from harness.types import Unseen

POWER = 0.8
MOST_ITEMS = 1_000_000  # beyond this "n needed" is not advice


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
    estimator = make_estimator(claim, pair, rule)
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
    estimator = make_estimator(claim, pair, "unseen_worst")
    return mean_moments(estimator.adverse, clusters=estimator.clusters).se


def find_bounds(claim: Claim, pair: PairedScores, alpha: float, rule: RuleName) -> Bounds:
    """Return the one-sided bounds, each at `alpha`, of the mean that a claim is about."""
    low, high = make_estimator(claim, pair, rule).bounds(alpha, *claim.boundaries(pair.null))
    return Bounds(low + pair.null, high + pair.null)


def items_needed(
    claim: Claim, pair: PairedScores, alpha: float, rule: RuleName = "unseen_worst"
) -> ItemsNeeded:
    """Return the items that would settle a claim, if scores spread as these do."""
    estimator = make_estimator(claim, pair, rule)
    if isinstance(estimator, MeanOfVotes):
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


def _p_value(
    claim: Claim,
    estimator: Estimator,
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


def _p_of_seen(estimator: Estimator, boundary: float, upper: float | None, p_value: float) -> float:
    """Return the p-value of the scores seen alone; `p_value` itself of an exact test of shares."""
    if isinstance(estimator, MeanOfVotes):
        p_of_items = _p_of_seen(estimator.items, boundary, upper, p_value)
        return max(p_of_items, estimator.two_way_at_worst.p_above(boundary))
    if not isinstance(estimator, Mean):
        return p_value
    above = above_test(estimator.moments_at_worst, boundary).p_gate
    if upper is None:
        return above
    return max(above, above_test(estimator.moments_at_best.mirrored, -upper).p_gate)


def _at_most(p_value: float, alpha: float, *, where: bool) -> float:
    """Return at most alpha where the bound passes: both say the same, but for rounding."""
    return min(p_value, alpha) if where else p_value


def _estimate(estimator: Estimator, upper: float | None) -> float:
    worst, best = float(estimator.adverse.mean()), float(estimator.favourable.mean())
    return best if upper is not None and abs(best) > abs(worst) else worst
