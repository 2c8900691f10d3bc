"""The gate: pre-stated claims, each tested one-sided, and one verdict over all of them.

A claim passes when the data reject "it does not hold", fails when they reject "it holds", and is
inconclusive otherwise. Missing scores count at their worst for a pass and at their best for a
fail, so that no gap can decide either way.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.compare import PairedScores
from harness.score import Clusters
from harness.stats import (
    Vector,
    betting_lower_bound,
    betting_upper_bound,
    clopper_pearson_interval,
    count_pairs,
    design_effect,
    exact_threshold_test,
    fill_missing,
    holm,
    mean_above_test,
    one_sided_lower_bound,
    one_sided_upper_bound,
    sample_size,
    tango_interval,
    tango_test,
)
from harness.suite import Claim, Gate
from harness.types import ClaimResult, GateDecision, Verdict

SMALL_SAMPLE = 100  # below it no asymptotic bound is calibrated on ceiling-heavy scores
POWER = 0.8
MOST_ITEMS = 1_000_000  # beyond this "n needed" is not advice

_WHY: dict[Verdict, str] = {
    "pass": "the lower bound lies above the boundary",
    "fail": "the upper bound lies below the boundary",
    "inconclusive": "the boundary lies between the two bounds",
}
_UNCONFIRMED = (
    f"the test alone would pass, but below {SMALL_SAMPLE} items it is not calibrated, and the "
    "bound that holds at every sample size does not clear the boundary"
)


class Evidence(NamedTuple):
    """What the data say about one claim, before the verdict.

    `low` and `high` are one-sided confidence bounds, adverse and favourable to the candidate;
    `p_value` is that of the claim at the adverse filling. `confirmed` is False where the sample
    is too small for the p-value alone and the finite-sample bound does not agree with it.
    """

    estimate: float
    boundary: float
    low: float
    high: float
    p_value: float
    confirmed: bool
    n: int
    n_needed: int | None


class _Question(NamedTuple):
    """A mean against a boundary: `adverse` and `favourable` differ where scores are missing."""

    adverse: Vector
    favourable: Vector
    clusters: Clusters
    bounds: tuple[float, float]
    boundary: float
    shift: float  # added when shown, so that a win rate reads as one


def decide_gate(gate: Gate, pairs: Mapping[str, PairedScores]) -> GateDecision:
    """The verdict over all claims; `pairs` are candidate against baseline, by column.

    `all` is an intersection-union test: each claim at alpha. `any` corrects with Holm's method,
    and its bounds with Bonferroni's.
    """
    level = gate.alpha if gate.require == "all" else gate.alpha / len(gate.claims)
    evidence = [weigh_claim(claim, pairs[claim.metric], level) for claim in gate.claims]
    p_values = np.array([found.p_value for found in evidence])
    adjusted = p_values if gate.require == "all" else holm(p_values)
    results = tuple(
        _claim_result(
            claim, found, p_adjusted=float(p) if gate.require == "any" else None, gate=gate
        )
        for claim, found, p in zip(gate.claims, evidence, adjusted, strict=True)
    )
    unscored = _worst_unscored(gate, pairs)
    verdict = _overall([result.verdict for result in results], gate)
    if unscored > gate.max_unscored:
        verdict = "inconclusive"
    pair = pairs[gate.claims[0].metric]
    sentence = (
        f"{pair.candidate} against {pair.baseline}: {_sentence(verdict, results, gate, unscored)}"
    )
    return GateDecision(verdict=verdict, sentence=sentence, claims=results)


def weigh_claim(claim: Claim, pair: PairedScores, alpha: float) -> Evidence:
    """Estimate, bounds and p-value of one claim."""
    if pair.kind == "share" and pair.clusters is None:
        return _weigh_share(claim, pair, alpha)
    return _weigh_mean(_question(claim, pair), alpha)


# --- means -----------------------------------------------------------------------------------


def _question(claim: Claim, pair: PairedScores) -> _Question:
    filled = fill_missing(pair.d, low=pair.least, high=pair.greatest)
    adverse, favourable, bounds = filled.adverse, filled.favourable, pair.bounds
    if claim.claim == "at_least":
        assert claim.value is not None
        boundary = claim.value - pair.null
        if pair.kind != "preference":
            low, high = bounds = pair.score_bounds
            scores = fill_missing(pair.candidate_scores, low=low, high=high)
            adverse, favourable = scores.adverse, scores.favourable
    else:
        margin = claim.margin or 0.0
        boundary = margin if claim.claim == "superior" else -margin
    return _Question(adverse, favourable, pair.clusters, bounds, boundary, shift=pair.null)


def _weigh_mean(question: _Question, alpha: float) -> Evidence:
    adverse, boundary, clusters = question.adverse, question.boundary, question.clusters
    test = mean_above_test(adverse, boundary, clusters=clusters)
    low, high = _mean_bounds(question, alpha)
    p_value = test.p_gate
    if test.degenerate and low > boundary:
        p_value = alpha  # the betting bound tells no more than that alpha rejects
    confirmed = _units(question) >= SMALL_SAMPLE or low > boundary
    needed = _items_needed(question, alpha)
    return Evidence(
        estimate=float(adverse.mean()) + question.shift,
        boundary=boundary + question.shift,
        low=low + question.shift,
        high=high + question.shift,
        p_value=p_value,
        confirmed=confirmed,
        n=adverse.size,
        n_needed=max(needed, SMALL_SAMPLE) if needed and not confirmed else needed,
    )


def _mean_bounds(question: _Question, alpha: float) -> tuple[float, float]:
    """Skew-guarded bounds, widened to the betting bounds where those are not calibrated."""
    clusters, bounds = question.clusters, question.bounds
    low = one_sided_lower_bound(question.adverse, alpha=alpha, clusters=clusters)
    high = one_sided_upper_bound(question.favourable, alpha=alpha, clusters=clusters)
    small = _units(question) < SMALL_SAMPLE
    if small or low == -math.inf:
        sure = betting_lower_bound(question.adverse, bounds=bounds, alpha=alpha, clusters=clusters)
        low = sure if low == -math.inf else min(low, sure)
    if small or high == math.inf:
        sure = betting_upper_bound(
            question.favourable, bounds=bounds, alpha=alpha, clusters=clusters
        )
        high = sure if high == math.inf else max(high, sure)
    return max(low, bounds[0]), min(high, bounds[1])


def _units(question: _Question) -> int:
    """Independent units: clusters, or items where every item stands alone."""
    clusters = question.clusters
    return question.adverse.size if clusters is None else np.unique(clusters).size


def _items_needed(question: _Question, alpha: float) -> int | None:
    """Items that would show the estimate's side of the boundary with 80 % power."""
    d = question.adverse
    sd = float(d.std(ddof=1)) if d.size > 1 else 0.0
    effect = float(d.mean()) - question.boundary
    if sd == 0 or abs(effect) < sd / 500:
        return None
    needed = sample_size(sd, effect, alpha=alpha, power=POWER, alternative="one-sided")
    if question.clusters is not None:
        needed = int(np.ceil(needed * design_effect(d, clusters=question.clusters)))
    return needed if needed <= MOST_ITEMS else None


# --- shares ----------------------------------------------------------------------------------


def _weigh_share(claim: Claim, pair: PairedScores, alpha: float) -> Evidence:
    """Exact binomial for a threshold, Tango's score test for a difference of paired shares."""
    question = _question(claim, pair)
    confidence = 1 - 2 * alpha
    n = question.adverse.size
    if claim.claim == "at_least":
        worst, best = int(question.adverse.sum()), int(question.favourable.sum())
        low = clopper_pearson_interval(worst, n, confidence=confidence).low
        high = clopper_pearson_interval(best, n, confidence=confidence).high
        p_value = exact_threshold_test(worst, n, p0=question.boundary).p_above
    else:
        (old_high, new_low), (old_low, new_high) = _filled_shares(pair)
        at_worst, at_best = count_pairs(old_high, new_low), count_pairs(old_low, new_high)
        low = tango_interval(at_worst, confidence=confidence).low
        high = tango_interval(at_best, confidence=confidence).high
        p_value = tango_test(at_worst, question.boundary)
    return Evidence(
        estimate=float(question.adverse.mean()),
        boundary=question.boundary,
        low=low,
        high=high,
        p_value=p_value,
        confirmed=True,
        n=n,
        n_needed=_items_needed(question, alpha),
    )


def _filled_shares(pair: PairedScores) -> tuple[tuple[Vector, Vector], tuple[Vector, Vector]]:
    """(baseline, candidate) with gaps at their worst for the candidate, then at their best."""
    old, new = pair.baseline_scores, pair.candidate_scores
    worst = np.where(np.isnan(old), 1.0, old), np.where(np.isnan(new), 0.0, new)
    best = np.where(np.isnan(old), 0.0, old), np.where(np.isnan(new), 1.0, new)
    return worst, best


# --- verdicts --------------------------------------------------------------------------------


def _claim_result(
    claim: Claim, found: Evidence, *, p_adjusted: float | None, gate: Gate
) -> ClaimResult:
    p_value = found.p_value if p_adjusted is None else p_adjusted
    if p_value <= gate.alpha and found.confirmed:
        verdict: Verdict = "pass"
    elif found.high < found.boundary:
        verdict = "fail"
    else:
        verdict = "inconclusive"
    return ClaimResult(
        claim=str(claim),
        metric=claim.metric,
        verdict=verdict,
        why=_UNCONFIRMED if p_value <= gate.alpha and not found.confirmed else _WHY[verdict],
        estimate=found.estimate,
        boundary=found.boundary,
        bound=found.high if verdict == "fail" else found.low,
        p_value=found.p_value,
        p_adjusted=p_adjusted,
        n=found.n,
        n_needed=found.n_needed if verdict == "inconclusive" else None,
    )


def _overall(verdicts: list[Verdict], gate: Gate) -> Verdict:
    decisive: Verdict = "fail" if gate.require == "all" else "pass"
    other: Verdict = "pass" if gate.require == "all" else "fail"
    if decisive in verdicts:
        return decisive
    return other if all(verdict == other for verdict in verdicts) else "inconclusive"


def _worst_unscored(gate: Gate, pairs: Mapping[str, PairedScores]) -> float:
    return max(pairs[c.metric].missing / pairs[c.metric].d.size for c in gate.claims)


def _sentence(
    verdict: Verdict, results: tuple[ClaimResult, ...], gate: Gate, unscored: float
) -> str:
    if unscored > gate.max_unscored:
        return (
            f"{unscored:.0%} of the items are unscored, more than the {gate.max_unscored:.0%} "
            "that this gate allows; no verdict is given on so little."
        )
    total, decided = len(results), [r.claim for r in results if r.verdict == verdict]
    counted = f"{len(decided)} of {total} claims" if total > 1 else "the claim"
    listed = "; ".join(decided)
    verb = "is" if len(decided) == 1 else "are"
    match verdict:
        case "pass" if len(decided) == total:
            return f"all {total} claims hold." if total > 1 else f"the claim holds: {listed}."
        case "pass":
            return f"{counted} {'holds' if len(decided) == 1 else 'hold'}: {listed}."
        case "fail":
            return f"{counted} {verb} refuted: {listed}."
        case "inconclusive":
            return f"{counted} cannot be decided on this many items: {listed}."
