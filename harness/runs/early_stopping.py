"""Judging in looks, no further than the verdict needs: a group-sequential gate.

At each look every claim is weighed by the gate's own tests on the items so far, at that look's
share of alpha (O'Brien & Fleming's, `harness/looks.py`). A claim that crosses is decided there, and
later items do not undo it: its own test would have stopped. "All claims must hold" stays an
intersection-union test. The gate passes wrongly only if a claim that is false crosses at some look,
and that claim's test does so with chance alpha at most, whatever becomes of the others.

Judging ends as soon as the verdict is certain: every claim has passed, one has failed, or neither
has a chance of a tenth left. The last is no part of the test (the boundaries do not count on it),
so it can only make passes rarer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.config import Claim, CriticalRule, Gate, metric_of
from harness.core.progress import LookProgress, Progress
from harness.gate.claim_tests import evaluate_claim
from harness.gate.critical import evaluate_critical_rule
from harness.gate.decision import claim_results, decide_claims
from harness.gate.interim import LEAST_CHANCE, items_of_look, items_until_look
from harness.runs.conclude import count_spend
from harness.runs.measure import merge_task_scores
from harness.scoring.paired import PairedScores, gated_pairs, take_items
from harness.scoring.task_scores import RunScores, TaskScores
from harness.stats.distributions import normal_quantile
from harness.stats.group_sequential import conditional_power
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
from judges.judging import verdicts_per_item
from judges.panel import Panel

Pairs = Mapping[str, PairedScores]
Measure = Callable[[Task, Progress], TaskScores]


class Weighed(NamedTuple):
    """A claim at a look: its result, and where it stands between the boundaries."""

    result: ClaimResult
    standing: ClaimAtLook

    @property
    def decided(self) -> bool:
        """Return whether the claim has crossed its boundary, at this look or before."""
        return self.result.verdict != "inconclusive"


class AtLook(NamedTuple):
    """The gate at one look; `reason` is why judging may end there, None where it must go on."""

    claims: tuple[Weighed, ...]
    rules: tuple[CriticalResult, ...]
    decision: GateDecision
    reason: StopReason | None


def run_looks(
    plan: Plan,
    panels: Mapping[str, Panel],
    measure: Measure,
    progress: Progress,
    check_complete: Callable[[], None],
) -> RunScores:
    """Measure look by look until the verdict is certain.

    `measure` answers and judges the items of a task; `check_complete` raises where a look cannot
    be decided yet, because replies are to come by batch.
    """
    assert plan.gate is not None
    parts: list[list[TaskScores]] = [[] for _ in plan.tasks]
    found: AtLook | None = None
    for number in range(1, plan.gate.looks + 1):
        shown = LookProgress(progress, number, plan.gate.looks)
        for task, looks, done in zip(plan.tasks, plan.looks, parts, strict=True):
            done.append(measure(items_of_look(task, looks, number), shown))
        check_complete()
        measured = [
            merge_task_scores(items_until_look(task, looks, number), done, panels)
            for task, looks, done in zip(plan.tasks, plan.looks, parts, strict=True)
        ]
        pairs = gated_pairs([column for part in measured for column in part.columns], plan)
        found = weigh_look(plan.gate, looks_by_metric(plan), number, pairs, found)
        if found.reason is not None:
            found = _with_items_needed(plan, found, pairs)
            return _stop(plan, panels, measured, found, number)
    raise AssertionError("the last look decides")


def looks_by_metric(plan: Plan) -> dict[str, TaskLooks]:
    """Return the looks at each metric of the suite."""
    return {
        metric: looks
        for task, looks in zip(plan.tasks, plan.looks, strict=True)
        for metric in task.metrics
    }


def weigh_look(
    gate: Gate, looks: Mapping[str, TaskLooks], number: int, pairs: Pairs, before: AtLook | None
) -> AtLook:
    """Evaluate the gate at look `number`, counted from 1, given the look before.

    `looks` are by metric, `pairs` by column and hold all items up to this look.
    """
    claims = tuple(
        earlier
        if earlier is not None and earlier.decided
        else _weigh(claim, gate, looks[_metric(claim)], number, pairs)
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
    decision = decide_claims(gate, tuple(each.result for each in claims), rules, pairs)
    reason = _reason(gate, claims, rules, decision, number)
    return AtLook(claims, rules, decision, reason)


def simulate_looks(gate: Gate, looks: TaskLooks, *pairs: PairedScores) -> tuple[AtLook, int]:
    """Simulate on complete scores where looks would have ended, and after how many items.

    `pairs` hold the scores in the order of the looks, one for each column that is claimed about.
    """
    found: AtLook | None = None
    by_metric = dict.fromkeys((metric_of(pair.metric) for pair in pairs), looks)
    for number, n in enumerate(looks.sizes, start=1):
        seen = {pair.metric: take_items(pair, np.arange(pair.d.size) < n) for pair in pairs}
        found = weigh_look(gate, by_metric, number, seen, found)
        if found.reason is not None:
            return found, n
    raise AssertionError("the last look decides")


# --- one claim -------------------------------------------------------------------------------


def _metric(stated: Claim | CriticalRule) -> str:
    return metric_of(stated.metric)


def _weigh(claim: Claim, gate: Gate, looks: TaskLooks, number: int, pairs: Pairs) -> Weighed:
    """Evaluate one claim at this look's share of alpha."""
    pair, alpha = pairs[claim.metric], looks.alphas[number - 1]
    alone = Gate(alpha=alpha, max_unscored=gate.max_unscored, claims=(claim,))
    evidence = evaluate_claim(claim, pair, alpha)
    results = claim_results(alone, pairs, [evidence])
    verdict = decide_claims(alone, results, (), pairs).verdict
    chances: tuple[float | None, float | None] = None, None
    if verdict == "inconclusive" and number < len(looks.sizes):
        fraction = looks.sizes[number - 1] / looks.sizes[-1]
        chances = _chances(claim, evidence.p_value, fraction, looks.z[-1])
    standing = ClaimAtLook(
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
    return Weighed(results[0].model_copy(update={"verdict": verdict}), standing)


def _chances(
    claim: Claim, p_value: float, fraction: float, critical: float
) -> tuple[float | None, float | None]:
    """Compute the conditional power of a pass and of a fail, from the z of the p-value.

    None without a p-value.
    """
    if not 0 < p_value < 1:
        return None, None
    z = normal_quantile(p_value)
    toward, away = (conditional_power(side, fraction, critical) for side in (z, -z))
    return (away, toward) if claim.kind.alarm else (toward, away)


# --- when to stop ----------------------------------------------------------------------------


def _reason(
    gate: Gate,
    claims: Sequence[Weighed],
    rules: Sequence[CriticalResult],
    decision: GateDecision,
    number: int,
) -> StopReason | None:
    if number == gate.looks:
        return "complete"
    if decision.verdict == "fail":
        return "fail"
    undecided = [each.standing for each in claims if not each.decided]
    chances_of_fail = [_or_certain(each.chance_of_fail) for each in undecided]
    if sum(chances_of_fail) >= LEAST_CHANCE:
        return None
    if decision.verdict == "pass":  # what is undecided are alarms, and hardly to be raised
        return "pass"
    open_rules = any(rule.verdict == "inconclusive" for rule in rules)
    guards = any(not each.standing.alarm for each in claims)
    needed = [each for each in undecided if not (each.alarm and guards)]
    chances_of_pass = [_or_certain(each.chance_of_pass) for each in needed]
    if number > 1 and not open_rules and min(chances_of_pass, default=1.0) < LEAST_CHANCE:
        return "futile"
    return None


def _or_certain(chance: float | None) -> float:
    """Return the chance, or 1 where nothing can be forecast."""
    return 1.0 if chance is None else chance


# --- how it ended ----------------------------------------------------------------------------


def _stop(
    plan: Plan, panels: Mapping[str, Panel], measured: list[TaskScores], found: AtLook, number: int
) -> RunScores:
    assert plan.gate is not None
    assert found.reason is not None
    both = list(zip(plan.tasks, measured, strict=True))
    stops = tuple(
        TaskStop(
            task=task.name,
            n_items=part.task.n_items // task.answers,
            n_most=task.n_items // task.answers,
        )
        for task, part in both
    )
    left = [task.n_items - part.task.n_items for task, part in both]  # asked several times, each
    asked = [model for model in plan.models if model.kind != "recorded"]
    stopping = Stopping(
        look=number,
        looks=plan.gate.looks,
        alpha=plan.gate.alpha,
        reason=found.reason,
        tasks=stops,
        claims=tuple(each.standing for each in found.claims),
        verdicts_skipped=sum(
            n * _verdicts_per_item(part, panels) for n, part in zip(left, measured, strict=True)
        ),
        answers_skipped=len(asked) * sum(left),
        savings=tuple(_savings(plan, measured, left)),
    )
    told = f"{found.decision.sentence} {_how_it_ended(stopping)}"
    return RunScores(measured, found.decision.model_copy(update={"sentence": told}), stopping)


def _with_items_needed(plan: Plan, found: AtLook, pairs: Pairs) -> AtLook:
    """Add to undecided claims how many items would do at the alpha that the last look leaves."""
    assert plan.gate is not None
    looks, claims = looks_by_metric(plan), list[Weighed]()
    for claim, each in zip(plan.gate.claims, found.claims, strict=True):
        if not each.decided:
            alpha = looks[_metric(claim)].alphas[-1]
            needed = evaluate_claim(claim, pairs[claim.metric], alpha).n_needed
            each = each._replace(result=each.result.model_copy(update={"n_needed": needed}))
        claims.append(each)
    results = tuple(each.result for each in claims)
    decision = found.decision.model_copy(update={"claims": results})
    return found._replace(claims=tuple(claims), decision=decision)


def _verdicts_per_item(part: TaskScores, panels: Mapping[str, Panel]) -> int:
    return sum(
        len(panels[name].judges) * verdicts_per_item(metric, len(part.responses))
        for name, metric in part.task.metrics.items()
        if not metric.computed
    )


def _savings(plan: Plan, measured: Sequence[TaskScores], left: Sequence[int]) -> Iterator[Saving]:
    """Estimate the savings by currency; each skipped call would have cost as much as those made."""
    saved: dict[str, float] = {}
    for part, n in zip(measured, left, strict=True):
        for line in count_spend(plan, [part]):
            if line.cost is not None and line.currency is not None:
                each = line.cost / part.task.n_items
                saved[line.currency] = saved.get(line.currency, 0.0) + each * n
    for currency, cost in saved.items():
        if cost > 0:
            yield Saving(currency=currency, cost=cost)


def _how_it_ended(stopping: Stopping) -> str:
    if not stopping.early:
        return f"Judged to the end, in {stopping.looks} looks."
    counted = " + ".join(f"{stop.n_items:,} of {stop.n_most:,}" for stop in stopping.tasks)
    ended = f"Judging ended at look {stopping.look} of {stopping.looks}, after {counted} items"
    if stopping.reason == "futile":
        return f"{ended}: at the trend so far, neither a pass nor a fail had a chance of 10 %."
    return f"{ended}."
