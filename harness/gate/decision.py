"""The gate: pre-stated claims, each weighed by itself, and one verdict over all of them.

A claim passes when the data reject "it does not hold", fails when they reject "it holds", and is
inconclusive otherwise. What the data say of a claim is `harness/evidence.py`; here is what follows
from it under the gate's rule. A regression alarm can stop a candidate, and lets none through.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from harness.config import Claim, Gate
from harness.gate.claim_tests import SMALL_SAMPLE, ClaimTest, evaluate_claim, find_bounds
from harness.gate.critical import apply_critical_rules, evaluate_critical_rule
from harness.scoring.paired import PairedScores
from harness.stats.multiplicity import holm
from harness.types import ClaimResult, CriticalResult, GateDecision, Interval, Verdict

_NOT_TESTED = "a claim before it does not hold, so this one is not tested"


_UNCONFIRMED = (
    f"the test alone would pass, but below {SMALL_SAMPLE} items (or clusters of equal size) it is "
    "not calibrated, and the bound that holds at every sample size does not clear the boundary"
)


_BY_HOLM = (
    "its p-value holds after Holm's correction, though the bound that holds for all claims at "
    "once does not clear the boundary"
)


def decide_gate(gate: Gate, pairs: Mapping[str, PairedScores]) -> GateDecision:
    """The verdict over all claims; `pairs` are candidate against baseline, by column.

    `all` is an intersection-union test and `ordered` a fixed sequence: each claim at alpha. `any`
    corrects p-values with Holm's method, and bounds with Bonferroni's.
    """
    found = [
        evaluate_claim(claim, pairs[claim.metric], gate.level_of(claim)) for claim in gate.claims
    ]
    results = _skip_untested(gate, claim_results(gate, pairs, found))
    rules = tuple(
        evaluate_critical_rule(rule, pairs[rule.metric], gate.alpha) for rule in gate.critical
    )
    return decide_claims(gate, results, rules, pairs)


def decide_claims(
    gate: Gate,
    results: tuple[ClaimResult, ...],
    rules: tuple[CriticalResult, ...],
    pairs: Mapping[str, PairedScores],
) -> GateDecision:
    """The verdict that follows from those on single claims and rules, unless too much is unscored."""
    verdict = _overall(results, gate)
    unscored = _worst_unscored(gate, pairs)
    if unscored > gate.max_unscored:
        verdict = "inconclusive"
    pair = pairs[gate.claims[0].metric]
    sentence = f"{pair.candidate} against {pair.baseline}: {_sentence(results, gate, unscored)}"
    decision = GateDecision(verdict=verdict, sentence=sentence, claims=results)
    return apply_critical_rules(decision, rules)


# --- claims ----------------------------------------------------------------------------------


def claim_results(
    gate: Gate, pairs: Mapping[str, PairedScores], found: Sequence[ClaimTest]
) -> tuple[ClaimResult, ...]:
    """The verdict on each of the gate's claims, by the evidence for it."""
    adjusted = iter(_adjust(gate, found))
    results = []
    for claim, evidence in zip(gate.claims, found, strict=True):
        p_adjusted = None if claim.kind.alarm or gate.require != "any" else next(adjusted)
        verdict = _verdict(claim, evidence, p_adjusted, gate.alpha)
        results.append(
            ClaimResult(
                claim=str(claim),
                metric=claim.metric,
                alarm=claim.kind.alarm,
                verdict=verdict,
                why=_why(claim, evidence, verdict, gate),
                estimate=evidence.estimate,
                boundary=evidence.boundary,
                ceiling=evidence.ceiling,
                bound=_bound(evidence, verdict),
                bound_high=None if evidence.ceiling is None else evidence.high,
                simultaneous=_simultaneous(claim, evidence, pairs, gate),
                p_value=evidence.p_value,
                p_adjusted=p_adjusted,
                n=evidence.n,
                n_needed=evidence.n_needed if verdict == "inconclusive" else None,
            )
        )
    return tuple(results)


def _adjust(gate: Gate, found: Sequence[ClaimTest]) -> list[float]:
    """Holm's p-values of the family. One that a small sample cannot confirm rejects nothing."""
    if gate.require != "any":
        return []
    p_values = [
        evidence.p_value if evidence.confirmed else 1.0
        for claim, evidence in zip(gate.claims, found, strict=True)
        if not claim.kind.alarm
    ]
    adjusted: list[float] = holm(np.array(p_values)).tolist()
    return adjusted


def _verdict(claim: Claim, found: ClaimTest, p_adjusted: float | None, alpha: float) -> Verdict:
    p_value = found.p_value if p_adjusted is None else p_adjusted
    if found.cleared if claim.kind.alarm else p_value <= alpha and found.confirmed:
        return "pass"
    return "fail" if found.refuted else "inconclusive"


def _why(claim: Claim, found: ClaimTest, verdict: Verdict, gate: Gate) -> str:
    if not claim.kind.alarm:
        if verdict == "pass" and not found.cleared:
            return _BY_HOLM
        if verdict == "inconclusive" and not found.confirmed and found.p_value <= gate.level:
            return _UNCONFIRMED
    return claim.kind.reasons.of(verdict)


def _bound(found: ClaimTest, verdict: Verdict) -> float:
    """The bound that the verdict is read from; of an equivalence, the lower one."""
    return found.high if verdict == "fail" and found.ceiling is None else found.low


def _simultaneous(
    claim: Claim, found: ClaimTest, pairs: Mapping[str, PairedScores], gate: Gate
) -> Interval | None:
    """Bonferroni's interval: those of the whole family hold at once with 1 - alpha."""
    if gate.require != "any" or claim.kind.alarm:
        return None
    low, high = find_bounds(claim, pairs[claim.metric], gate.level / 2)
    return Interval(estimate=found.estimate, low=low, high=high)


# --- families --------------------------------------------------------------------------------


def _skip_untested(gate: Gate, results: tuple[ClaimResult, ...]) -> tuple[ClaimResult, ...]:
    """Of an ordered family, what comes after a claim that does not hold says nothing."""
    if gate.require != "ordered":
        return results
    kept, reached = [], True
    for result in results:
        if not result.alarm and not reached:
            untold = {"bound": None, "bound_high": None, "p_value": None, "n_needed": None}
            skipped = {"verdict": "not_tested", "why": _NOT_TESTED}
            kept.append(result.model_copy(update=untold | skipped))
            continue
        kept.append(result)
        reached = reached and (result.alarm or result.verdict == "pass")
    return tuple(kept)


def _overall(results: Sequence[ClaimResult], gate: Gate) -> Verdict:
    """An alarm that is raised fails; a silent one stands in nobody's way, and supports nobody."""
    if any(result.alarm and result.verdict == "fail" for result in results):
        return "fail"
    verdicts = [r.verdict for r in results if not r.alarm] or [r.verdict for r in results]
    if gate.require == "ordered":
        first = verdicts[0]
        return "inconclusive" if first == "not_tested" else first
    decisive: Verdict = "fail" if gate.require == "all" else "pass"
    other: Verdict = "pass" if gate.require == "all" else "fail"
    if decisive in verdicts:
        return decisive
    return other if all(verdict == other for verdict in verdicts) else "inconclusive"


def _worst_unscored(gate: Gate, pairs: Mapping[str, PairedScores]) -> float:
    return max(pairs[c.metric].missing / pairs[c.metric].d.size for c in gate.claims)


# --- in words --------------------------------------------------------------------------------


def _sentence(results: Sequence[ClaimResult], gate: Gate, unscored: float) -> str:
    if unscored > gate.max_unscored:
        return (
            f"{unscored:.0%} of the items are unscored, more than the {gate.max_unscored:.0%} "
            "that this gate allows; no verdict is given on so little."
        )
    family = [result for result in results if not result.alarm]
    alarms = [result for result in results if result.alarm]
    told = [_alarms(alarms, "fail", "raised, so harm is shown")]
    if family:
        verdict = _overall(family, gate)
        told.append(_in_order(family) if gate.require == "ordered" else _counted(verdict, family))
    told.append(_alarms(alarms, "inconclusive", "silent: such harm is neither shown nor ruled out"))
    told.append(_alarms(alarms, "pass", "cleared"))
    first, *rest = [clause for clause in told if clause]
    return " ".join([first, *(clause[0].upper() + clause[1:] for clause in rest)])


def _counted(verdict: Verdict, family: Sequence[ClaimResult]) -> str:
    total, decided = len(family), [r.claim for r in family if r.verdict == verdict]
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


def _in_order(family: Sequence[ClaimResult]) -> str:
    """How far down the ordered family the claims hold, and what stopped them."""
    held = [result.claim for result in family if result.verdict == "pass"]
    if len(held) == len(family):
        return _counted("pass", family)
    stop, left = family[len(held)], len(family) - len(held) - 1
    why = "is refuted" if stop.verdict == "fail" else "cannot be decided on this many items"
    after = f", and {left} after it {'is' if left == 1 else 'are'} not tested" if left else ""
    if not held:
        return f"the first claim {why}{after}: {stop.claim}."
    holds = "the first claim holds" if len(held) == 1 else f"the first {len(held)} claims hold"
    return f"{holds}: {'; '.join(held)}. The next {why}{after}: {stop.claim}."


def _alarms(alarms: Sequence[ClaimResult], verdict: Verdict, state: str) -> str:
    """The alarms in one state, or nothing."""
    named = [alarm.claim for alarm in alarms if alarm.verdict == verdict]
    if not named:
        return ""
    subject = "the alarm is" if len(named) == 1 else f"{len(named)} alarms are"
    return f"{subject} {state}: {'; '.join(named)}."
