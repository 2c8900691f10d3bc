"""A judge's licence: it decides at a gate only where it is shown to say what people say.

    gate:
      judge_licence: {metric: kappa, at_least: 0.6}

The suite states how far a judge must agree with people, the profile whose labels it is held to
(`calibrated_by`). What counts is the lower end of the 95 % interval: that a judge agrees must be
shown, as any claim must. Without it the gate is inconclusive, whatever the scores say.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.analysis.judge_reliability import scales_of
from harness.config import Gate, JudgeRequirement, metric_of
from harness.config.request import Request, judge_name
from harness.human.calibration import labels_are_representative
from harness.human.judge_agreement import judge_agreement
from harness.human.label_join import join_labels
from harness.human.labels import HumanLabels, load_human_labels
from harness.human.question_match import question_mismatch
from harness.scoring.task_scores import TaskScores
from harness.types import (
    LICENCE_MEASURES,
    Caveat,
    GateDecision,
    Interval,
    JudgeAgainstPeople,
    Plan,
    RequirementResult,
    RunResult,
)
from harness.types.samples import Responses


def check_judge_requirement(
    result: RunResult, request: Request, measured: Sequence[TaskScores]
) -> RunResult:
    """The result as it stands after the licence that the gate asks for, if it asks for one.

    Raises:
        HarnessError: the labels that the profile names cannot be read.
    """
    gate, decision = result.plan.gate, result.decision
    if gate is None or gate.judge_licence is None or decision is None:
        return result
    found = tuple(_check(result.plan, gate, gate.judge_licence, request, measured))
    if not found:
        return result
    missing = [each for each in found if not each.held]
    caveats = [Caveat(code="judge_not_licensed", text=_told(missing))] if missing else []
    return result.model_copy(
        update={
            "decision": apply_requirement_results(decision, found),
            "caveats": (*caveats, *result.caveats),
        }
    )


def apply_requirement_results(
    decision: GateDecision, found: tuple[RequirementResult, ...]
) -> GateDecision:
    """The decision, taken back where a judge that it rests on has no licence."""
    missing = [each for each in found if not each.held]
    if not missing:
        return decision.model_copy(update={"licences": found})
    return decision.model_copy(
        update={
            "verdict": "inconclusive",
            "sentence": f"{_told(missing)} Without that: {decision.sentence}",
            "licences": found,
        }
    )


def _told(missing: Iterable[RequirementResult]) -> str:
    whys = dict.fromkeys(f"{each.column}: {each.why}" for each in missing)
    return f"The judge is not licensed to decide. {'; '.join(whys)}."


# --- evidence --------------------------------------------------------------------------------


def _check(
    plan: Plan,
    gate: Gate,
    licence: JudgeRequirement,
    request: Request,
    measured: Sequence[TaskScores],
) -> Iterator[RequirementResult]:
    """One result for each claimed column that a judge decides; people need no licence."""
    held: dict[str, Mapping[str, JudgeAgainstPeople | str] | str] = {}
    for column in dict.fromkeys(claim.metric for claim in gate.claims):
        metric = metric_of(column)
        name = judge_name(metric, request)
        if name is None or plan.judges[metric].people:
            continue
        if name not in held:
            held[name] = _evidence(name, plan, request, measured)
        evidence, judge = held[name], plan.judges[metric].name
        if isinstance(evidence, str):
            yield _without(column, judge, licence, evidence)
            continue
        parts = request.suite.metrics[metric].parts_of(column)
        yield _weakest(column, judge, licence, [evidence.get(part) for part in parts])


def _evidence(
    name: str, plan: Plan, request: Request, measured: Sequence[TaskScores]
) -> Mapping[str, JudgeAgainstPeople | str] | str:
    """What people say of one judge by column, or why that is not known: of one, or of all."""
    spec = request.profile.find_judge(name).calibrated_by
    if spec is None:
        return f"no people's labels are named for '{name}' ('calibrated_by' in the profile)"
    people = load_human_labels(spec, request.profile_root)
    if people.models not in (None, (plan.baseline, plan.candidate)):
        return f"{people.source}: people compared other models than these"
    for part in measured:
        people = _on_these_answers(people, part.responses)
    if not people.labels:
        return f"{people.source}: people judged other answers than these, or none"
    columns = [column for part in measured for column in part.columns]
    if not labels_are_representative(people, columns):
        return f"{people.source}: the labelled items are not stated to be a random sample"
    models = plan.baseline, plan.candidate
    found = (judge_agreement(held, {}, models) for held in join_labels(plan, columns, people))
    return {**_other_questions(plan, people), **{held.column: held for held in found}}


def _other_questions(plan: Plan, people: HumanLabels) -> dict[str, str]:
    """The columns for which people were asked something else, with what."""
    found = {
        scale.column: question_mismatch(metric, scale.key, people)
        for task in plan.tasks
        for name, metric in task.metrics.items()
        for scale in scales_of(name, metric)
    }
    return {column: f"{people.source}: {why}" for column, why in found.items() if why}


def _on_these_answers(people: HumanLabels, responses: Mapping[str, Responses]) -> HumanLabels:
    """The labels that were given on the very answers of this run."""
    if people.answers is None:
        return people
    seen = people.answers

    def same(sample_id: str) -> bool:
        texts = seen.get(sample_id, {})
        return all(
            sample_id not in responses[model] or responses[model][sample_id].text == text
            for model, text in texts.items()
            if model in responses
        ) and any(model in responses for model in texts)

    kept = tuple(label for label in people.labels if same(label.sample_id))
    return people._replace(labels=kept)


def _weakest(
    column: str,
    judge: str,
    licence: JudgeRequirement,
    parts: Sequence[JudgeAgainstPeople | str | None],
) -> RequirementResult:
    """A composite is as good as its weakest criterion."""
    found: list[tuple[Interval, int]] = []
    for part in parts:
        if isinstance(part, str):
            return _without(column, judge, licence, part)
        if part is None:
            return _without(column, judge, licence, "people have labelled too little of it")
        measure = _measure(part, licence)
        if measure is None:
            why = f"{LICENCE_MEASURES[licence.metric]} cannot be estimated on {part.n} labels"
            return _without(
                column, judge, licence, f"{why}: '{judge}' or people always say the same"
            )
        found.append((measure, part.n))
    weakest, n = min(found, key=lambda each: each[0].low)
    enough = weakest.low >= licence.at_least
    return RequirementResult(
        column=column,
        judge=judge,
        measure=licence.metric,
        estimate=weakest.estimate,
        low=weakest.low,
        n=n,
        at_least=licence.at_least,
        held=enough,
        why=f"{LICENCE_MEASURES[licence.metric]} of '{judge}' with people is {weakest.estimate:.2f} on {n} "
        f"labels, at least {weakest.low:.2f} with 95 % confidence; {licence.at_least:g} "
        f"{'was' if enough else 'is'} asked for",
    )


def _measure(held: JudgeAgainstPeople, licence: JudgeRequirement) -> Interval | None:
    match licence.metric:
        case "kappa":
            return held.kappa
        case "ac1":
            return held.ac1
        case "percent":
            return held.percent


def _without(column: str, judge: str, licence: JudgeRequirement, why: str) -> RequirementResult:
    return RequirementResult(
        column=column,
        judge=judge,
        measure=licence.metric,
        estimate=None,
        low=None,
        n=0,
        at_least=licence.at_least,
        held=False,
        why=why,
    )
