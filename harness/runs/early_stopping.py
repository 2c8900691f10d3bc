"""Early stopping: judge the items in looks (interim analyses) until the verdict is certain.

At each look every claim is tested by the gate's own tests on the items so far, at that look's share
of alpha (O'Brien & Fleming's, `harness/gate/interim.py`). A claim that crosses its boundary is
decided there, and later items do not change it: its own test would have stopped. "All claims must
hold" remains an intersection-union test. The gate passes wrongly only if a false claim crosses at
some look, and that claim's test does so with probability at most alpha, independently of the others.

Judging stops as soon as the verdict is certain: every claim has passed, one has failed, or both have
less than a 10 % chance. The last rule is not part of the test (the boundaries do not depend on it),
so it can only make passes rarer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.config import Claim, CriticalRule, Gate, metric_of
from harness.core.progress import LookProgress, Progress
from harness.gate.claim_tests import (
    ClaimTest,
    evaluate_claim,
    items_needed,
    standard_error,
)
from harness.gate.critical import evaluate_critical_rule
from harness.gate.decision import claim_results, decide_claims
from harness.gate.interim import LEAST_CHANCE, items_of_look, items_until_look
from harness.gate.rules import rule_of
from harness.runs.conclude import count_spend
from harness.runs.measure import merge_task_scores
from harness.scoring.paired import PairedScores, gated_pairs, take_items
from harness.scoring.task_scores import RunScores, TaskScores
from harness.stats.distributions import normal_quantile
from harness.stats.group_sequential import conditional_power, median_unbiased_z
from harness.types import (
    ClaimAtLook,
    ClaimResult,
    CriticalResult,
    GateDecision,
    Interval,
    Plan,
    Saving,
    Stopping,
    StopReason,
    Task,
    TaskLooks,
    TaskStop,
)
from judges.judging import count_verdicts
from judges.panel import Panel

Pairs = Mapping[str, PairedScores]
Measure = Callable[[Task, Progress], TaskScores]


class EvaluatedClaim(NamedTuple):
    """A claim evaluated at a look: its result, and its estimate relative to the boundaries."""

    result: ClaimResult
    at_look: ClaimAtLook

    @property
    def decided(self) -> bool:
        """Return whether the claim has crossed its boundary, at this look or before."""
        return self.result.verdict != "inconclusive"


class LookResult(NamedTuple):
    """The gate at one look; `reason` is why judging may stop there, None if it must continue."""

    claims: tuple[EvaluatedClaim, ...]
    rules: tuple[CriticalResult, ...]
    decision: GateDecision
    reason: StopReason | None


def run_looks(
    plan: Plan,
    panels: Mapping[str, Panel],
    measure: Measure,
    progress: Progress,
    check_complete: Callable[[], None],
    register: Callable[[Sequence[TaskScores]], Plan],
) -> RunScores:
    """Measure look by look until the verdict is certain.

    `measure` answers and judges the items of a task; `check_complete` raises if a look cannot be
    decided yet because batch replies are pending. `register` returns the plan at the alpha that the
    run has as a try on its items, which changes no size of a look.
    """
    assert plan.gate is not None
    parts: list[list[TaskScores]] = [[] for _ in plan.tasks]
    look: LookResult | None = None
    for number in range(1, plan.gate.looks + 1):
        # 1. Measure the items of this look.
        look_progress = LookProgress(progress, number, plan.gate.looks)
        for task, looks, task_parts in zip(plan.tasks, plan.looks, parts, strict=True):
            task_parts.append(measure(items_of_look(task, looks, number), look_progress))
        check_complete()
        if number == 1:
            plan = register([task_parts[0] for task_parts in parts])
        assert plan.gate is not None
        # 2. Evaluate the gate on all items so far.
        measured = [
            merge_task_scores(items_until_look(task, looks, number), task_parts, panels)
            for task, looks, task_parts in zip(plan.tasks, plan.looks, parts, strict=True)
        ]
        pairs = gated_pairs([column for part in measured for column in part.columns], plan)
        look = evaluate_look(plan.gate, looks_by_metric(plan), number, pairs, look)
        if look.reason is not None:
            look = _add_unbiased(plan, _add_items_needed(plan, look, pairs), pairs)
            return _record_stop(plan, panels, measured, look, number)
    raise AssertionError("the last look decides")


def looks_by_metric(plan: Plan) -> dict[str, TaskLooks]:
    """Return the looks at each metric of the suite."""
    return {
        metric: looks
        for task, looks in zip(plan.tasks, plan.looks, strict=True)
        for metric in task.metrics
    }


def evaluate_look(
    gate: Gate, looks: Mapping[str, TaskLooks], number: int, pairs: Pairs, before: LookResult | None
) -> LookResult:
    """Evaluate the gate at look `number`, counted from 1, given the look before.

    `looks` are by metric, `pairs` by column and hold all items up to this look.
    """
    # Claims and rules that an earlier look decided remain decided.
    claims = tuple(
        earlier
        if earlier is not None and earlier.decided
        else _evaluate(claim, gate, looks[_metric(claim)], number, pairs)
        for claim, earlier in zip(
            gate.claims, before.claims if before else [None] * len(gate.claims), strict=True
        )
    )
    rules = tuple(
        earlier
        if earlier is not None and earlier.verdict != "inconclusive"
        else evaluate_critical_rule(
            rule, pairs[rule.metric], looks[_metric(rule)].alphas[number - 1]
        )
        for rule, earlier in zip(
            gate.critical, before.rules if before else [None] * len(gate.critical), strict=True
        )
    )
    decision = decide_claims(gate, tuple(claim.result for claim in claims), rules, pairs)
    reason = _stop_reason(gate, claims, rules, decision, number)
    return LookResult(claims, rules, decision, reason)


def simulate_looks(gate: Gate, looks: TaskLooks, *pairs: PairedScores) -> tuple[LookResult, int]:
    """Simulate on complete scores at which look judging would have stopped, after how many items.

    `pairs` hold the scores in the order of the looks, one for each column with a claim.
    """
    look: LookResult | None = None
    by_metric = dict.fromkeys((metric_of(pair.metric) for pair in pairs), looks)
    for number, n in enumerate(looks.sizes, start=1):
        pairs_so_far = {pair.metric: take_items(pair, np.arange(pair.d.size) < n) for pair in pairs}
        look = evaluate_look(gate, by_metric, number, pairs_so_far, look)
        if look.reason is not None:
            return look, n
    raise AssertionError("the last look decides")


# --- one claim -------------------------------------------------------------------------------


def _metric(claim: Claim | CriticalRule) -> str:
    return metric_of(claim.metric)


def _evaluate(
    claim: Claim, gate: Gate, looks: TaskLooks, number: int, pairs: Pairs
) -> EvaluatedClaim:
    """Evaluate one claim at this look's share of alpha."""
    # 1. Decide a gate with this claim only.
    pair, alpha = pairs[claim.metric], looks.alphas[number - 1]
    single_gate = Gate(
        alpha=alpha, max_unscored=gate.max_unscored, claims=(claim,), guarantee=gate.guarantee
    )
    evidence = evaluate_claim(claim, pair, alpha, rule_of(gate))
    results = claim_results(single_gate, pairs, [evidence], advise=False)
    verdict = decide_claims(single_gate, results, (), pairs).verdict
    # 2. Forecast the outcome of an undecided claim.
    chances: tuple[float | None, float | None] = None, None
    if verdict == "inconclusive" and number < len(looks.sizes):
        fraction = looks.sizes[number - 1] / looks.sizes[-1]
        chances = _chances(claim, evidence, fraction, looks.z[-1])
    at_look = ClaimAtLook(
        claim=str(claim),
        metric=claim.metric,
        alarm=claim.kind.alarm,
        verdict=verdict,
        look=number,
        n=evidence.n,
        repeated=Interval(estimate=evidence.estimate, low=evidence.low, high=evidence.high),
        boundary=evidence.boundary,
        chance_of_pass=chances[0],
        chance_of_fail=chances[1],
    )
    return EvaluatedClaim(results[0].model_copy(update={"verdict": verdict}), at_look)


def _chances(
    claim: Claim, evidence: ClaimTest, fraction: float, critical: float
) -> tuple[float | None, float | None]:
    """Compute the conditional power of a pass and of a fail from the trend of the scores seen.

    Its z is that of the p-value, without unseen answers where there may be any. Both are None without one.
    """
    seen = evidence.unseen is not None
    p_value = evidence.p_of_seen if seen else evidence.p_value
    if not 0 < p_value < 1:
        return None, None
    z = normal_quantile(p_value)
    toward, away = (conditional_power(side, fraction, critical) for side in (z, -z))
    return (away, toward) if claim.kind.alarm and not seen else (toward, away)


# --- when to stop ----------------------------------------------------------------------------


def _stop_reason(
    gate: Gate,
    claims: Sequence[EvaluatedClaim],
    rules: Sequence[CriticalResult],
    decision: GateDecision,
    number: int,
) -> StopReason | None:
    """Return why judging may stop at this look; None if it must continue."""
    if number == gate.looks:
        return "complete"
    if decision.verdict == "fail":
        return "fail"
    # Continue while a fail is likely enough.
    undecided = [claim.at_look for claim in claims if not claim.decided]
    chances_of_fail = [_chance_or_one(claim.chance_of_fail) for claim in undecided]
    if sum(chances_of_fail) >= LEAST_CHANCE:
        return None
    if decision.verdict == "pass":  # only alarms are undecided, and unlikely to be raised
        return "pass"
    # A pass needs every undecided claim, but not an alarm that only guards other claims.
    undecided_rules = any(rule.verdict == "inconclusive" for rule in rules)
    alarms_guard = any(not claim.at_look.alarm for claim in claims)
    needed = [claim for claim in undecided if not (claim.alarm and alarms_guard)]
    chances_of_pass = [_chance_or_one(claim.chance_of_pass) for claim in needed]
    if number > 1 and not undecided_rules and min(chances_of_pass, default=1.0) < LEAST_CHANCE:
        return "futile"
    return None


def _chance_or_one(chance: float | None) -> float:
    """Return the chance, or 1 where nothing can be forecast."""
    return 1.0 if chance is None else chance


# --- the result ------------------------------------------------------------------------------


def _record_stop(
    plan: Plan,
    panels: Mapping[str, Panel],
    measured: list[TaskScores],
    look: LookResult,
    number: int,
) -> RunScores:
    """Return the scores so far with the decision, and with what stopping here saved."""
    assert plan.gate is not None
    assert look.reason is not None
    # 1. Count judged and skipped items; an item asked several times counts each time as skipped.
    task_scores = list(zip(plan.tasks, measured, strict=True))
    stops = tuple(
        TaskStop(
            task=task.name,
            n_items=part.task.n_items // task.answers,
            n_most=task.n_items // task.answers,
        )
        for task, part in task_scores
    )
    n_skipped = [task.n_items - part.task.n_items for task, part in task_scores]
    answering_models = [model for model in plan.models if model.kind != "recorded"]
    # 2. Record why and where judging stopped.
    stopping = Stopping(
        look=number,
        looks=plan.gate.looks,
        alpha=plan.gate.alpha,
        reason=look.reason,
        tasks=stops,
        claims=tuple(claim.at_look for claim in look.claims),
        verdicts_skipped=sum(
            _count_verdicts(task, len(part.responses), panels)
            - _count_verdicts(part.task, len(part.responses), panels)
            for task, part in task_scores
        ),
        answers_skipped=len(answering_models) * sum(n_skipped),
        savings=tuple(_savings(plan, measured, n_skipped)),
    )
    sentence = f"{look.decision.sentence} {_describe_stop(stopping)}"
    return RunScores(measured, look.decision.model_copy(update={"sentence": sentence}), stopping)


def _add_items_needed(plan: Plan, look: LookResult, pairs: Pairs) -> LookResult:
    """Add to undecided claims the number of items needed at the alpha of the last look."""
    assert plan.gate is not None
    looks, claims = looks_by_metric(plan), list[EvaluatedClaim]()
    for claim, evaluated in zip(plan.gate.claims, look.claims, strict=True):
        if evaluated.decided:
            claims.append(evaluated)
            continue
        alpha = looks[_metric(claim)].alphas[-1]
        found = items_needed(claim, pairs[claim.metric], alpha, rule_of(plan.gate))
        needed = {"n_needed": found.at_estimate, "n_needed_least": found.at_least}
        result = evaluated.result.model_copy(update=needed)
        claims.append(evaluated._replace(result=result))
    results = tuple(claim.result for claim in claims)
    decision = look.decision.model_copy(update={"claims": results})
    return look._replace(claims=tuple(claims), decision=decision)


def _add_unbiased(plan: Plan, look: LookResult, pairs: Pairs) -> LookResult:
    """Add to claims that an early look decided, or left, the median-unbiased estimate."""
    assert plan.gate is not None
    looks, claims = looks_by_metric(plan), list[EvaluatedClaim]()
    for claim, evaluated in zip(plan.gate.claims, look.claims, strict=True):
        of_metric, number = looks[_metric(claim)], evaluated.at_look.look
        n, total = of_metric.sizes[number - 1], of_metric.sizes[-1]
        pair = take_items(pairs[claim.metric], np.arange(pairs[claim.metric].d.size) < n)
        se = standard_error(claim, pair)
        if n < total and se > 0 and not claim.kind.two_sided:
            boundary = evaluated.at_look.boundary
            z = (evaluated.at_look.repeated.estimate - boundary) / se
            fractions = [size / total for size in of_metric.sizes[:number]]
            middle = median_unbiased_z(z, fractions, of_metric.z[:number])
            at_look = evaluated.at_look.model_copy(update={"unbiased": boundary + middle * se})
            evaluated = evaluated._replace(at_look=at_look)
        claims.append(evaluated)
    return look._replace(claims=tuple(claims))


def _count_verdicts(task: Task, n_models: int, panels: Mapping[str, Panel]) -> int:
    return sum(
        len(panels[name].judges) * count_verdicts(task, name, n_models)
        for name, metric in task.metrics.items()
        if not metric.computed
    )


def _savings(
    plan: Plan, measured: Sequence[TaskScores], n_skipped: Sequence[int]
) -> Iterator[Saving]:
    """Estimate the savings by currency; each skipped call would have cost as much as those made."""
    costs: dict[str, float] = {}
    for part, n in zip(measured, n_skipped, strict=True):
        for line in count_spend(plan, [part]):
            if line.cost is not None and line.currency is not None:
                cost_per_item = line.cost / part.task.n_items
                costs[line.currency] = costs.get(line.currency, 0.0) + cost_per_item * n
    for currency, cost in costs.items():
        if cost > 0:
            yield Saving(currency=currency, cost=cost)


def _describe_stop(stopping: Stopping) -> str:
    if not stopping.early:
        return f"All items were judged, in {stopping.looks} looks."
    n_judged = " + ".join(f"{stop.n_items:,} of {stop.n_most:,}" for stop in stopping.tasks)
    where = f"Judging stopped at look {stopping.look} of {stopping.looks}, after {n_judged} items"
    if stopping.reason == "futile":
        return (
            f"{where}: at the current trend, the chance of a pass and the chance of a fail were both "
            "below 10 %."
        )
    return f"{where}."
