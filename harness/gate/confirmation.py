"""Confirmation of a judge's verdict on a claim by people's labels on part of the items.

Agreement of a judge with people, however high, does not show that it is equally right about both
models: a judge that is lenient to one of them shifts the difference that a claim is about. So the
claim is tested again on the mean that people would have given, estimated from the judge's scores of
all items and people's labels of some (harness/stats/judge_correction.py). A verdict of the
judge counts only if the corrected one is the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import numpy as np

from harness.config import Claim, Gate
from harness.gate.claim_tests import is_about_own_mean
from harness.gate.decision import decide_claims, overall_verdict, skip_untested
from harness.scoring.paired import PairedScores, take_clusters
from harness.stats.judge_correction import corrected_lower_bound, corrected_mean
from harness.stats.missing import fill_missing
from harness.stats.vectors import Vector
from harness.types import Caveat, ClaimResult, Confirmation, GateDecision

FEWEST_TO_DECIDE = 100  # labels; with 30, a 95 % interval covers 89 %


def confirm_claim(
    claim: Claim,
    result: ClaimResult,
    pair: PairedScores,
    labels: Vector,
    *,
    judge: str,
    alpha: float,
) -> Confirmation | None:
    """Test a claim on the judge's scores corrected by labels; None if the claim was not tested.

    Args:
        claim: The claim.
        result: The judge's verdict on it.
        pair: The judge's scores of all items.
        labels: People's differences (or scores of the candidate, for a claim about its own mean) in
            the order of the items; NaN where there is no label. At least two are needed.
        judge: Name of the judge.
        alpha: Error rate of each bound.
    """
    if result.verdict == "not_tested":
        return None
    # The quantity of the claim: candidate's score, or difference to the baseline.
    own = is_about_own_mean(claim, pair)
    scores = pair.candidate_scores if own else pair.d
    least, greatest = pair.score_bounds if own else pair.bounds
    low = least if own else pair.least
    high = greatest if own else pair.greatest
    filled = fill_missing(scores, low=low, high=high)
    # Corrected bounds, with gaps of the judge at their worst for either side.
    lower = _corrected_bound(filled.adverse, labels, pair, least, alpha)
    upper = -_corrected_bound(-filled.favourable, -labels, pair, -greatest, alpha)
    boundary, ceiling = claim.boundaries(pair.null)
    labelled = ~np.isnan(labels)
    return Confirmation(
        claim=str(claim),
        column=claim.metric,
        judge=judge,
        judged=result.verdict,
        corrected=_verdict(lower, upper, boundary, ceiling),
        by_judge=float(np.nanmean(scores)) + pair.null,
        by_labels=float(labels[labelled].mean()) + pair.null,
        estimate=_corrected_mean(filled.adverse, labels) + pair.null,
        low=max(lower, least) + pair.null,
        high=min(upper, greatest) + pair.null,
        n_labels=int(labelled.sum()),
        n=scores.size,
    )


def withdraw_unconfirmed(decision: GateDecision, gate: Gate) -> GateDecision:
    """Return the decision without the claims' verdicts that labels do not confirm.

    They become inconclusive, and so does a gate whose verdict depended on them.
    """
    unconfirmed = {c.claim: c for c in decision.confirmations if not c.confirmed}
    claims = tuple(
        _withdraw(result, unconfirmed[result.claim]) if result.claim in unconfirmed else result
        for result in decision.claims
    )
    verdict = decision.verdict
    if verdict == overall_verdict(decision.claims, gate) != overall_verdict(claims, gate):
        verdict = "inconclusive"
    return decision.model_copy(update={"claims": claims, "verdict": verdict})


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
    update: dict[str, object] = {"p_value": None, "p_adjusted": None, "n_needed": None}
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
    return (
        f"{c.judge} finds {c.by_judge:+.3f} on {c.n:,} items and the claim {verdicts[c.judged]}, but "
        f"corrected by people's labels on {c.n_labels:,} of them it is {c.estimate:+.3f} "
        f"({c.low:+.3f} to {c.high:+.3f}) and the claim {verdicts[c.corrected]}"
    )


def _verdict(
    low: float, high: float, boundary: float, ceiling: float | None
) -> Literal["pass", "fail", "inconclusive"]:
    if low > boundary and (ceiling is None or high < ceiling):
        return "pass"
    return "fail" if high < boundary or (ceiling is not None and low > ceiling) else "inconclusive"


def _corrected_bound(
    scores: Vector, labels: Vector, pair: PairedScores, least: float, alpha: float
) -> float:
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


def _corrected_mean(scores: Vector, labels: Vector) -> float:
    labelled = ~np.isnan(labels)
    return corrected_mean(labels[labelled], scores[labelled], scores[~labelled]).estimate
