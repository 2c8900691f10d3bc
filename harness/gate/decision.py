"""The gate: pre-stated claims, each tested by itself, and one verdict over all of them.

A claim passes when the data reject "it does not hold", fails when they reject "it holds", and is
inconclusive otherwise. The test of one claim is harness/gate/claim_tests.py; the verdicts that
follow under the gate's rule are decided here. A regression alarm can fail a candidate, and supports
no pass.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from harness.config import Claim, Gate
from harness.gate.claim_tests import (
    ClaimTest,
    ItemsNeeded,
    evaluate_claim,
    find_bounds,
    items_needed,
)
from harness.gate.critical import apply_critical_rules, evaluate_critical_rule
from harness.gate.rules import rule_of
from harness.scoring.paired import PairedScores
from harness.stats.multiplicity import holm
from harness.types import ClaimResult, CriticalResult, GateDecision, Interval, Unseen, Verdict

_NOT_TESTED = "a claim before it does not hold, so this one is not tested"

_UNSEEN = (
    "the scores seen would pass by themselves, but {n:,} {unit} cannot exclude answers at their worst "
    "in up to {not_excluded:.2g} % of the population, and with {turns_at:.2g} % the claim would not hold"
)

_ADVICE = ("n_needed", "n_needed_least", "unseen", "low", "high", "confidence")

_BY_HOLM = (
    "its p-value holds after Holm's correction, though the bound that holds for all claims at "
    "once does not clear the boundary"
)


def decide_gate(
    gate: Gate, pairs: Mapping[str, PairedScores], *, advise: bool = True
) -> GateDecision:
    """Decide over all claims and rules; `pairs` are candidate against baseline, by column.

    Without `advise` undecided claims do not say how many items would settle them.

    `all` is an intersection-union test and `ordered` a fixed sequence: each claim at alpha. `any`
    corrects p-values with Holm's method, and bounds with Bonferroni's.
    """
    tests = [
        evaluate_claim(claim, pairs[claim.metric], gate.level_of(claim), rule_of(gate))
        for claim in gate.claims
    ]
    results = skip_untested(gate, claim_results(gate, pairs, tests, advise=advise))
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
    unscored = find_unscored(gate, pairs)
    if unscored is not None:
        verdict = "inconclusive"
    pair = pairs[gate.claims[0].metric]
    sentence = (
        f"{pair.candidate} against {pair.baseline}: {_describe_decision(results, gate, unscored)}"
    )
    decision = GateDecision(verdict=verdict, sentence=sentence, claims=results, rule=rule_of(gate))
    return apply_critical_rules(decision, rules)


# --- claims ----------------------------------------------------------------------------------


def claim_results(
    gate: Gate,
    pairs: Mapping[str, PairedScores],
    tests: Sequence[ClaimTest],
    *,
    advise: bool = True,
) -> tuple[ClaimResult, ...]:
    """Return the result of each of the gate's claims, in their order, from its test."""
    adjusted = iter(_adjust_p_values(gate, tests))
    results = []
    for claim, test in zip(gate.claims, tests, strict=True):
        # Verdict by the p-value of the family, or of the claim.
        p_adjusted = None if claim.kind.alarm or gate.require != "any" else next(adjusted)
        verdict = _verdict(claim, test, p_adjusted, gate.alpha)
        needed = ItemsNeeded()
        if advise and verdict == "inconclusive":
            level, rule = gate.level_of(claim), rule_of(gate)
            needed = items_needed(claim, pairs[claim.metric], level, rule)
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
                n_needed=needed.at_estimate,
                n_needed_least=needed.at_least,
                unseen=test.unseen if verdict == "pass" else None,
                low=test.low,
                high=test.high,
                confidence=round(1 - 2 * gate.level_of(claim), 9),
            )
        )
    return tuple(results)


def _adjust_p_values(gate: Gate, tests: Sequence[ClaimTest]) -> list[float]:
    """Return Holm's p-values of the family; none where claims are not a family of which one is enough."""
    if gate.require != "any":
        return []
    p_values = [
        test.p_value for claim, test in zip(gate.claims, tests, strict=True) if not claim.kind.alarm
    ]
    adjusted: list[float] = holm(np.array(p_values)).tolist()
    return adjusted


def _verdict(claim: Claim, test: ClaimTest, p_adjusted: float | None, alpha: float) -> Verdict:
    p_value = test.p_value if p_adjusted is None else p_adjusted
    if test.bound_passed if claim.kind.alarm else p_value <= alpha:
        return "pass"
    return "fail" if test.rejected else "inconclusive"


def _why(claim: Claim, test: ClaimTest, verdict: Verdict, gate: Gate) -> str:
    if not claim.kind.alarm:
        if verdict == "pass" and not test.bound_passed:
            return _BY_HOLM
        if verdict == "inconclusive" and test.unseen and test.p_of_seen <= gate.level:
            return _describe_unseen(test.unseen)
    return claim.kind.reasons.of(verdict)


def _describe_unseen(unseen: Unseen) -> str:
    return _UNSEEN.format(
        n=unseen.n,
        unit=unseen.unit,
        not_excluded=100 * unseen.not_excluded,
        turns_at=100 * unseen.turns_at,
    )


def _bound(test: ClaimTest, verdict: Verdict) -> float:
    """Return the bound that decided: the upper one for a fail, unless the claim is two-sided."""
    return test.high if verdict == "fail" and test.upper_boundary is None else test.low


def _simultaneous(
    claim: Claim, test: ClaimTest, pairs: Mapping[str, PairedScores], gate: Gate
) -> Interval | None:
    """Return Bonferroni's interval: those of the whole family hold at once with 1 - alpha."""
    if gate.require != "any" or claim.kind.alarm:
        return None
    low, high = find_bounds(claim, pairs[claim.metric], gate.level / 2, rule_of(gate))
    return Interval(estimate=test.estimate, low=low, high=high)


# --- families --------------------------------------------------------------------------------


def skip_untested(gate: Gate, results: tuple[ClaimResult, ...]) -> tuple[ClaimResult, ...]:
    """Mark the claims of an ordered family as not tested after the first that does not hold."""
    if gate.require != "ordered":
        return results
    tested, reached = [], True
    for result in results:
        if not result.alarm and not reached:
            no_numbers = dict.fromkeys(("bound", "bound_high", "p_value", *_ADVICE))
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


def find_unscored(gate: Gate, pairs: Mapping[str, PairedScores]) -> float | None:
    """Return the largest share of a claim's items without a score, if the gate allows less; or None."""
    claimed = [pairs[claim.metric] for claim in gate.claims]
    shares = [p.missing / p.d.size for p in claimed if gate.lacks_scores(p.missing, p.d.size)]
    return max(shares, default=None)


# --- in words --------------------------------------------------------------------------------


def _describe_decision(results: Sequence[ClaimResult], gate: Gate, unscored: float | None) -> str:
    if unscored is not None:
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
