"""The gate: pre-stated claims, each tested by itself, and one verdict over all of them.

A claim passes when the data reject "it does not hold", fails when they reject "it holds", and is
inconclusive otherwise. The test of one claim is harness/gate/claim_tests.py; the verdicts that
follow under the gate's rule are decided here. A regression alarm can fail a candidate, and supports
no pass.
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

_NOT_CALIBRATED = (
    f"the test alone would pass, but below {SMALL_SAMPLE} items (or clusters of equal size) it is "
    "not calibrated, and the bound that holds at every sample size does not clear the boundary"
)

_BY_HOLM = (
    "its p-value holds after Holm's correction, though the bound that holds for all claims at "
    "once does not clear the boundary"
)


def decide_gate(gate: Gate, pairs: Mapping[str, PairedScores]) -> GateDecision:
    """Decide over all claims and rules; `pairs` are candidate against baseline, by column.

    `all` is an intersection-union test and `ordered` a fixed sequence: each claim at alpha. `any`
    corrects p-values with Holm's method, and bounds with Bonferroni's.
    """
    tests = [
        evaluate_claim(claim, pairs[claim.metric], gate.level_of(claim)) for claim in gate.claims
    ]
    results = skip_untested(gate, claim_results(gate, pairs, tests))
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
    """Decide from the verdicts on single claims and rules; inconclusive if too much is unscored."""
    verdict = overall_verdict(results, gate)
    unscored = _largest_unscored_share(gate, pairs)
    if unscored > gate.max_unscored:
        verdict = "inconclusive"
    pair = pairs[gate.claims[0].metric]
    sentence = (
        f"{pair.candidate} against {pair.baseline}: {_describe_decision(results, gate, unscored)}"
    )
    decision = GateDecision(verdict=verdict, sentence=sentence, claims=results)
    return apply_critical_rules(decision, rules)


# --- claims ----------------------------------------------------------------------------------


def claim_results(
    gate: Gate, pairs: Mapping[str, PairedScores], tests: Sequence[ClaimTest]
) -> tuple[ClaimResult, ...]:
    """Return the result of each of the gate's claims, in their order, from its test."""
    adjusted = iter(_adjust_p_values(gate, tests))
    results = []
    for claim, test in zip(gate.claims, tests, strict=True):
        # Verdict by the p-value of the family, or of the claim.
        p_adjusted = None if claim.kind.alarm or gate.require != "any" else next(adjusted)
        verdict = _verdict(claim, test, p_adjusted, gate.alpha)
        # Everything that a report shows of it.
        results.append(
            ClaimResult(
                claim=str(claim),
                metric=claim.metric,
                alarm=claim.kind.alarm,
                verdict=verdict,
                why=_why(claim, test, verdict, gate),
                estimate=test.estimate,
                boundary=test.boundary,
                ceiling=test.upper_boundary,
                bound=_bound(test, verdict),
                bound_high=None if test.upper_boundary is None else test.high,
                simultaneous=_simultaneous(claim, test, pairs, gate),
                p_value=test.p_value,
                p_adjusted=p_adjusted,
                n=test.n,
                n_needed=test.n_needed if verdict == "inconclusive" else None,
            )
        )
    return tuple(results)


def _adjust_p_values(gate: Gate, tests: Sequence[ClaimTest]) -> list[float]:
    """Return Holm's p-values of the family; 1 for a test that is not valid at its small sample."""
    if gate.require != "any":
        return []
    p_values = [
        test.p_value if test.valid_at_small_n else 1.0
        for claim, test in zip(gate.claims, tests, strict=True)
        if not claim.kind.alarm
    ]
    adjusted: list[float] = holm(np.array(p_values)).tolist()
    return adjusted


def _verdict(claim: Claim, test: ClaimTest, p_adjusted: float | None, alpha: float) -> Verdict:
    p_value = test.p_value if p_adjusted is None else p_adjusted
    if test.bound_passed if claim.kind.alarm else p_value <= alpha and test.valid_at_small_n:
        return "pass"
    return "fail" if test.rejected else "inconclusive"


def _why(claim: Claim, test: ClaimTest, verdict: Verdict, gate: Gate) -> str:
    if not claim.kind.alarm:
        if verdict == "pass" and not test.bound_passed:
            return _BY_HOLM
        if verdict == "inconclusive" and not test.valid_at_small_n and test.p_value <= gate.level:
            return _NOT_CALIBRATED
    return claim.kind.reasons.of(verdict)


def _bound(test: ClaimTest, verdict: Verdict) -> float:
    """Return the bound that decided: the upper one for a fail, unless the claim is two-sided."""
    return test.high if verdict == "fail" and test.upper_boundary is None else test.low


def _simultaneous(
    claim: Claim, test: ClaimTest, pairs: Mapping[str, PairedScores], gate: Gate
) -> Interval | None:
    """Return Bonferroni's interval: those of the whole family hold at once with 1 - alpha."""
    if gate.require != "any" or claim.kind.alarm:
        return None
    low, high = find_bounds(claim, pairs[claim.metric], gate.level / 2)
    return Interval(estimate=test.estimate, low=low, high=high)


# --- families --------------------------------------------------------------------------------


def skip_untested(gate: Gate, results: tuple[ClaimResult, ...]) -> tuple[ClaimResult, ...]:
    """Mark the claims of an ordered family as not tested after the first that does not hold."""
    if gate.require != "ordered":
        return results
    tested, reached = [], True
    for result in results:
        if not result.alarm and not reached:
            no_numbers = {"bound": None, "bound_high": None, "p_value": None, "n_needed": None}
            skipped = {"verdict": "not_tested", "why": _NOT_TESTED}
            tested.append(result.model_copy(update=no_numbers | skipped))
            continue
        tested.append(result)
        reached = reached and (result.alarm or result.verdict == "pass")
    return tuple(tested)


def overall_verdict(results: Sequence[ClaimResult], gate: Gate) -> Verdict:
    """Return the verdict over all claims: a raised alarm fails, a silent one changes nothing."""
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


def _largest_unscored_share(gate: Gate, pairs: Mapping[str, PairedScores]) -> float:
    return max(pairs[c.metric].missing / pairs[c.metric].d.size for c in gate.claims)


# --- in words --------------------------------------------------------------------------------


def _describe_decision(results: Sequence[ClaimResult], gate: Gate, unscored: float) -> str:
    if unscored > gate.max_unscored:
        return (
            f"{unscored:.0%} of the items are unscored, more than the {gate.max_unscored:.0%} "
            "that this gate allows; no verdict is given on so little."
        )
    family = [result for result in results if not result.alarm]
    alarms = [result for result in results if result.alarm]
    clauses = [_describe_alarms(alarms, "fail", "raised, so harm is shown")]
    if family:
        ordered = gate.require == "ordered"
        clauses.append(
            _describe_order(family)
            if ordered
            else _describe_counts(overall_verdict(family, gate), family)
        )
    clauses += [
        _describe_alarms(
            alarms, "inconclusive", "silent: such harm is neither shown nor ruled out"
        ),
        _describe_alarms(alarms, "pass", "cleared"),
    ]
    first, *rest = [clause for clause in clauses if clause]
    return " ".join([first, *(clause[0].upper() + clause[1:] for clause in rest)])


def _describe_counts(verdict: Verdict, family: Sequence[ClaimResult]) -> str:
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


def _describe_order(family: Sequence[ClaimResult]) -> str:
    """Describe how many claims of an ordered family hold, and the first that does not."""
    passed = [result.claim for result in family if result.verdict == "pass"]
    if len(passed) == len(family):
        return _describe_counts("pass", family)
    stop, left = family[len(passed)], len(family) - len(passed) - 1
    why = "is refuted" if stop.verdict == "fail" else "cannot be decided on this many items"
    after = f", and {left} after it {'is' if left == 1 else 'are'} not tested" if left else ""
    if not passed:
        return f"the first claim {why}{after}: {stop.claim}."
    holds = "the first claim holds" if len(passed) == 1 else f"the first {len(passed)} claims hold"
    return f"{holds}: {'; '.join(passed)}. The next {why}{after}: {stop.claim}."


def _describe_alarms(alarms: Sequence[ClaimResult], verdict: Verdict, state: str) -> str:
    """Describe the alarms in one state; empty without any."""
    named = [alarm.claim for alarm in alarms if alarm.verdict == verdict]
    if not named:
        return ""
    subject = "the alarm is" if len(named) == 1 else f"{len(named)} alarms are"
    return f"{subject} {state}: {'; '.join(named)}."
