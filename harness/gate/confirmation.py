"""Confirmation of a judge's verdict on a claim by people's labels on part of the items.

Agreement of a judge with people, however high, does not show that it is equally right about both
models: a judge that is lenient to one of them shifts the difference that a claim is about. So the
claim is tested again on the mean that people would have given, estimated from the judge's scores of
all items and people's labels of some (harness/stats/judge_correction.py). A verdict of the
judge counts only if the corrected one is the same. The items are the unit, and the annotators are
those who gave the labels: how others would have labelled is no part of the bounds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.config import Claim, CriticalRule, Gate
from harness.gate.critical import share_bounds
from harness.gate.decision import decide_claims, overall_verdict, skip_untested
from harness.gate.estimators import Bounds, is_about_own_mean
from harness.scoring.paired import Mask, PairedScores, independent_units, take_clusters
from harness.stats.judge_correction import corrected_lower_bound, corrected_mean
from harness.stats.missing import FilledDifferences, fill_missing
from harness.stats.unequal_draw import weighted_lower_bound, weighted_mean
from harness.stats.vectors import Vector
from harness.types import (
    Caveat,
    ClaimResult,
    Confirmation,
    CriticalResult,
    GateDecision,
    Interval,
    Verdict,
)

FEWEST_TO_DECIDE = 100  # labels; with fewer only a large difference can be confirmed


class ClaimLabels(NamedTuple):
    """People's values of what a claim is about, in the order of the items; NaN without a label.

    Attributes:
        least: The value of each item; the lowest one possible where people could not tell.
        greatest: The same with the highest one possible.
        given: The items on which people gave a value. Others may be known without them.
        chances: The chance of each item to be labelled, where it is not the same for all.
    """

    least: Vector
    greatest: Vector
    given: Mask
    chances: Vector | None = None

    @property
    def n(self) -> int:
        """Return the number of items on which people gave a value."""
        return int(self.given.sum())

    def take(self, chosen: Mask) -> "ClaimLabels":
        chances = None if self.chances is None else self.chances[chosen]
        return ClaimLabels(self.least[chosen], self.greatest[chosen], self.given[chosen], chances)

    @property
    def mean(self) -> float:
        """Return the mean of the given values, weighted where chances differ."""
        weights = None if self.chances is None else 1 / self.chances[self.given]
        return float(np.average(self.least[self.given], weights=weights))


def labels_of(values: Vector) -> ClaimLabels:
    """Return labels that are all given by people, or missing as if by chance."""
    return ClaimLabels(values, values, ~np.isnan(values))


def confirm_claim(
    claim: Claim,
    result: ClaimResult,
    pair: PairedScores,
    labels: ClaimLabels,
    *,
    judge: str,
    alpha: float,
) -> Confirmation:
    """Test a claim on the judge's scores corrected by labels.

    Args:
        claim: The claim.
        result: The judge's verdict on it.
        pair: The judge's scores of all items.
        labels: People's differences (or scores of the candidate, for a claim about its own mean).
            At least two are needed.
        judge: Name of the judge.
        alpha: Error rate of each bound.
    """
    # The quantity of the claim: candidate's score, or difference to the baseline.
    own = is_about_own_mean(claim, pair)
    scores = pair.candidate_scores if own else pair.d
    limits = Bounds(*(pair.score_bounds if own else pair.bounds))
    low, high = pair.own_ends if own else (pair.least, pair.greatest)
    filled = fill_missing(scores, low=low, high=high)
    boundary, ceiling = claim.boundaries(pair.null)
    lower, upper = _corrected_bounds(filled, labels, pair, limits, alpha)
    if ceiling is not None and not boundary < lower <= upper < ceiling:
        # False on either side: two chances to be wrong.
        lower, upper = _corrected_bounds(filled, labels, pair, limits, alpha / 2)
    return Confirmation(
        claim=str(claim),
        column=claim.metric,
        judge=judge,
        judged="inconclusive" if result.verdict == "not_tested" else result.verdict,
        corrected=_verdict(lower, upper, boundary, ceiling),
        by_judge=float(np.nanmean(scores)) + pair.null,
        by_labels=labels.mean + pair.null,
        estimate=_corrected_mean(filled.adverse, labels) + pair.null,
        low=max(lower, limits.low) + pair.null,
        high=min(upper, limits.high) + pair.null,
        n_labels=labels.n,
        n=scores.size,
        alarm=claim.kind.alarm,
        signed=pair.null == 0 and not own,
    )


def correct_difference(pair: PairedScores, labels: ClaimLabels, confidence: float) -> Interval:
    """Return the mean difference (or a lone model's mean score) that people would have given, with its interval.

    Its ends are the bounds by which corrected claims are decided, and cover also with few labels.
    """
    filled = fill_missing(pair.d, low=pair.least, high=pair.greatest)
    least, most = pair.bounds
    alpha = (1 - confidence) / 2
    lower, upper = _corrected_bounds(filled, labels, pair, Bounds(least, most), alpha)
    return Interval(
        estimate=_corrected_mean(filled.adverse, labels) + pair.null,
        low=max(lower, least) + pair.null,
        high=min(upper, most) + pair.null,
    )


def withdraw_unconfirmed(decision: GateDecision, gate: Gate) -> GateDecision:
    """Return the decision without the claims' verdicts that labels do not confirm.

    They become inconclusive, and so does a gate whose verdict depended on them, or that passes by a
    silent alarm that the labels raise. In an ordered family no claim after one of them is tested.
    """
    unconfirmed = {c.claim: c for c in decision.confirmations if not c.confirmed}
    claims = tuple(
        _withdraw(result, unconfirmed[result.claim]) if result.claim in unconfirmed else result
        for result in decision.claims
    )
    claims = skip_untested(gate, claims)
    verdict = decision.verdict
    if verdict == overall_verdict(decision.claims, gate) != overall_verdict(claims, gate):
        verdict = "inconclusive"
    if verdict == "pass" and any(c.alarm and c.corrected == "fail" for c in unconfirmed.values()):
        verdict = "inconclusive"
    return decision.model_copy(update={"claims": claims, "verdict": verdict})


def contradict_rule(
    rule: CriticalRule,
    result: CriticalResult,
    pair: PairedScores,
    labels: ClaimLabels,
    alpha: float,
) -> str | None:
    """Describe how people's labels break a rule on critical answers that passes by the judge.

    `labels` are of the candidate's own scores. It is None unless the exact lower bound, at `alpha`, of
    the share of critical ones exceeds what is allowed: too few labels do not show that it does not,
    and a draw with unequal chances is no sample of the answers.
    """
    n = labels.n
    if result.verdict != "pass" or not n or labels.chances is not None:
        return None
    critical = labels.least[labels.given] + pair.null <= rule.at_most
    k, units = int(critical.sum()), independent_units(n, take_clusters(pair.clusters, labels.given))
    lower = share_bounds(k, n, units, alpha)[0]
    if lower <= rule.allowed_share:
        return None
    return (
        f"{rule}: by the judge {result.n_critical:,} of {result.n:,} do, but people score {k:,} of "
        f"{n:,} labelled ones that low, at least {100 * lower:.3g} %"
    )


def withdraw_broken_rules(decision: GateDecision, broken: Sequence[str]) -> GateDecision:
    """Return the decision, inconclusive where it passes by rules that people's labels break."""
    if not broken or decision.verdict != "pass":
        return decision
    reasons = "; ".join(broken)
    sentence = (
        f"People's labels break a rule on critical answers. {reasons}. By the judge: "
        f"{decision.sentence}"
    )
    return decision.model_copy(update={"verdict": "inconclusive", "sentence": sentence})


def decide_on_corrected(
    decision: GateDecision, gate: Gate, pairs: Mapping[str, PairedScores], judged: Mapping[str, str]
) -> GateDecision:
    """Return the decision with the corrected verdict on every claim that a judge scores.

    Args:
        decision: That of the judge, with its confirmations.
        gate: The gate.
        pairs: The judge's scores by column.
        judged: Columns that a judge scores, with the reason where there are no labels of them. A
            claim on one of them without enough labels is inconclusive.
    """
    corrected = {c.claim: c for c in decision.confirmations}
    results = tuple(
        _correct(result, corrected.get(result.claim), judged[result.metric])
        if result.metric in judged
        else result
        for result in decision.claims
    )
    decided = decide_claims(gate, skip_untested(gate, results), decision.critical, pairs)
    kept = {"licences": decision.licences, "confirmations": decision.confirmations}
    return decided.model_copy(update=kept)


def _correct(result: ClaimResult, corrected: Confirmation | None, no_labels: str) -> ClaimResult:
    n_labels = corrected.n_labels if corrected else 0
    update: dict[str, object] = dict.fromkeys(
        (
            "p_value",
            "p_adjusted",
            "n_needed",
            "n_needed_least",
            "unseen",
            "low",
            "high",
            "confidence",
        )
    )
    if corrected is None or n_labels < FEWEST_TO_DECIDE:
        few = f"{n_labels} items have labels, and fewer than {FEWEST_TO_DECIDE} decide nothing"
        why = no_labels or few
        return result.model_copy(update={**update, "verdict": "inconclusive", "why": why})
    two_sided = result.ceiling is not None
    upper_decides = corrected.corrected == "fail" and not two_sided
    update |= {
        "verdict": corrected.corrected,
        "why": f"corrected by people's labels on {n_labels:,} of {corrected.n:,} items",
        "estimate": corrected.estimate,
        "bound": corrected.high if upper_decides else corrected.low,
        "bound_high": corrected.high if two_sided else None,
        "simultaneous": None,
    }
    return result.model_copy(update=update)


def _withdraw(result: ClaimResult, confirmation: Confirmation) -> ClaimResult:
    why = describe_unconfirmed(confirmation)
    return result.model_copy(update={"verdict": "inconclusive", "why": why})


def confirmation_caveats(confirmations: Iterable[Confirmation]) -> Iterator[Caveat]:
    """Yield a caveat for each verdict of a judge that people's labels do not confirm."""
    for confirmation in confirmations:
        if not confirmation.confirmed:
            text = f"{confirmation.claim}: {describe_unconfirmed(confirmation)}."
            yield Caveat(code="not_confirmed_by_people", text=text)


def describe_unconfirmed(confirmation: Confirmation) -> str:
    """Describe how the corrected verdict differs from the judge's, with the figures of both."""
    c = confirmation
    verdicts = {"pass": "holds", "fail": "is refuted", "inconclusive": "is undecided"}
    if c.alarm:
        verdicts = {"pass": "is cleared", "fail": "is raised", "inconclusive": "is silent"}
    subject, sign = "the alarm" if c.alarm else "the claim", "+" if c.signed else ""
    few = ""
    if c.n_labels < FEWEST_TO_DECIDE and c.corrected == "inconclusive":
        few = f"; fewer than {FEWEST_TO_DECIDE} labels confirm only a large difference"
    return (
        f"{c.judge} finds {c.by_judge:{sign}.3f} on {c.n:,} items and {subject} {verdicts[c.judged]}, "
        f"but corrected by people's labels on {c.n_labels:,} of them it is {c.estimate:{sign}.3f} "
        f"({c.low:{sign}.3f} to {c.high:{sign}.3f}) and {subject} {verdicts[c.corrected]}{few}"
    )


def _verdict(low: float, high: float, boundary: float, ceiling: float | None) -> Verdict:
    if low > boundary and (ceiling is None or high < ceiling):
        return "pass"
    return "fail" if high < boundary or (ceiling is not None and low > ceiling) else "inconclusive"


def _corrected_bounds(
    judge: FilledDifferences,
    labels: ClaimLabels,
    pair: PairedScores,
    limits: Bounds,
    alpha: float,
) -> Bounds:
    """Return both bounds, with gaps of judge and labels at their worst for either side."""
    chances = labels.chances
    low = _corrected_bound(judge.adverse, labels.least, chances, pair, limits.low, alpha)
    high = _corrected_bound(-judge.favourable, -labels.greatest, chances, pair, -limits.high, alpha)
    return Bounds(low, -high)


def _corrected_bound(
    scores: Vector,
    labels: Vector,
    chances: Vector | None,
    pair: PairedScores,
    least: float,
    alpha: float,
) -> float:
    if chances is not None:
        return weighted_lower_bound(
            labels, scores, chances, least=least, alpha=alpha, clusters=pair.clusters
        )
    labelled = ~np.isnan(labels)
    return corrected_lower_bound(
        labels[labelled],
        scores[labelled],
        scores[~labelled],
        least=least,
        alpha=alpha,
        clusters=take_clusters(pair.clusters, labelled),
        clusters_elsewhere=take_clusters(pair.clusters, ~labelled),
    )


def _corrected_mean(scores: Vector, labels: ClaimLabels) -> float:
    if labels.chances is not None:
        return weighted_mean(labels.least, scores, labels.chances)
    labelled = ~np.isnan(labels.least)
    return corrected_mean(labels.least[labelled], scores[labelled], scores[~labelled]).estimate
