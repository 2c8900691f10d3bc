"""The judge requirement of a gate: judges must be shown to agree with people before they decide.

    gate:
      judge_licence: {metric: kappa, at_least: 0.6}

The suite states the measure and its least value, the profile the human labels (`calibrated_by`).
The lower end of the 95 % interval must reach that value: agreement has to be shown, as any claim
has. Where it is not shown, the gate is inconclusive for any scores. Agreement on all answers
together is not enough: a verdict on a claim also has to be confirmed by the judge's difference
corrected by the labels (harness/gate/confirmation.py).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.analysis.judge_reliability import scales_of
from harness.config import Gate, JudgeRequirement, metric_of
from harness.config.request import Request, judge_name
from harness.gate.confirmation import (
    confirmation_caveats,
    decide_on_corrected,
    withdraw_broken_rules,
    withdraw_unconfirmed,
)
from harness.human.calibration import labels_are_representative
from harness.human.claim_labels import confirm_claims, find_broken_rules, unlabelled_columns
from harness.human.judge_agreement import judge_agreement
from harness.human.label_join import join_labels
from harness.human.labels import HumanLabels, fit_people, load_human_labels
from harness.human.question_match import question_mismatch
from harness.human.slice_labels import correct_slices
from harness.scoring.columns import ScoreColumn
from harness.scoring.paired import PairedScores, gated_pairs
from harness.scoring.task_scores import TaskScores
from harness.types import (
    REQUIREMENT_MEASURES,
    Caveat,
    GateDecision,
    Interval,
    JudgeAgainstPeople,
    Plan,
    RequirementResult,
    RunResult,
)
from harness.types.samples import Responses

# Agreement with one set of labels by column, or the reason why there is none.
_Evidence = Mapping[str, JudgeAgainstPeople | str]

_UNEQUAL_CHANCES = (
    "the labelled items were drawn with unequal chances; they correct a mean, and agreement on them is "
    "not that on all items"
)

_NOT_BOTH = (
    "people have labelled too little of what the claim is about: it takes labels of both models (of a "
    "composite, on every criterion) on the same items"
)


def left_out_caveats(request: Request, plan: Plan) -> Iterator[Caveat]:
    """Yield a caveat on each set of labels of which this run uses a part, by judges or as judges.

    Raises:
        HarnessError: the labels that the profile names cannot be read.
    """
    ids = {sample.id for task in plan.tasks for sample in task.samples}
    names = dict.fromkeys(judge_name(metric, request) for metric in request.suite.metrics)
    judges = [request.profile.find_judge(name) for name in names if name is not None]
    specs = [spec for judge in judges for spec in (judge.people, judge.calibrated_by) if spec]
    for spec in specs:
        if spec.labels:
            people = load_human_labels(spec, request)
            left_out = fit_people(people, request.models, ids).left_out.description
            if left_out:
                yield Caveat(code="labels_left_out", text=f"{people.source}: {left_out}.")


def check_against_people(
    result: RunResult, request: Request, measured: Sequence[TaskScores]
) -> RunResult:
    """Compare the gate's verdicts with people's labels, where the profile names labels of its judges.

    With a judge requirement, a judge that does not meet it decides nothing, and neither does a
    verdict on a claim that the labels do not confirm. Without one, such verdicts are caveats. With
    `decide_on: corrected` the corrected verdicts are the gate's own.

    Raises:
        HarnessError: the labels that the profile names cannot be read.
    """
    plan, decision = result.plan, result.decision
    gate = plan.gate
    if gate is None or decision is None:
        return result
    people = _find_people(plan, gate, request, measured)
    # Test the claims again, corrected by the labels.
    columns = [column for task_scores in measured for column in task_scores.columns]
    labels = {name: found for name, found in people.items() if not isinstance(found, str)}
    pairs = gated_pairs(columns, plan)
    confirmations = tuple(confirm_claims(plan, decision, pairs, labels, result.stopping))
    decision = decision.model_copy(update={"confirmations": confirmations})
    caveats: tuple[Caveat, ...] = ()
    if gate.decide_on == "corrected":
        judged = {
            claim.metric: found if isinstance(found, str) else ""
            for claim in gate.claims
            if (found := people.get(metric_of(claim.metric))) is not None
        }
        decision = decide_on_corrected(decision, gate, pairs, judged)
    if gate.judge_licence is not None:
        checks = tuple(_check_columns(plan, gate, gate.judge_licence, people, columns))
        checks = tuple(_require_labels_of_claims(checks, plan, pairs, labels))
        decision = decision.model_copy(update={"licences": checks})
        decision, caveats = _apply_requirement(decision, gate)
    elif gate.decide_on == "judge":
        caveats = tuple(confirmation_caveats(confirmations))
    # Rules on critical answers can only take a pass away, and so can people's labels of them.
    broken = tuple(find_broken_rules(plan, decision, pairs, labels))
    if gate.judge_licence is not None or gate.decide_on == "corrected":
        decision = withdraw_broken_rules(decision, broken)
    caveats += tuple(Caveat(code="rule_broken_by_people", text=f"{text}.") for text in broken)
    update = {
        "decision": decision,
        "caveats": (*caveats, *result.caveats),
        "slices": tuple(correct_slices(result.slices, plan, pairs, labels)),
    }
    return result.model_copy(update=update)


def _require_labels_of_claims(
    checks: Iterable[RequirementResult],
    plan: Plan,
    pairs: Mapping[str, PairedScores],
    labels: Mapping[str, HumanLabels],
) -> Iterator[RequirementResult]:
    """Yield the checks, not met where people did not label what a claim on the column is about."""
    unlabelled = set(unlabelled_columns(plan, pairs, labels))
    for check in checks:
        missing = check.held and check.column in unlabelled
        yield check.model_copy(update={"held": False, "why": _NOT_BOTH}) if missing else check


def _apply_requirement(
    decision: GateDecision, gate: Gate
) -> tuple[GateDecision, tuple[Caveat, ...]]:
    """Return the decision as far as judges may decide, and a caveat for each reason against it."""
    # A judge that is not shown to agree with people decides nothing.
    unmet = [check for check in decision.licences if not check.held]
    if unmet:
        reason = _describe_unmet(unmet)
        inconclusive = {
            "verdict": "inconclusive",
            "sentence": f"{reason} Without this requirement: {decision.sentence}",
        }
        caveat = Caveat(code="judge_not_licensed", text=reason)
        return decision.model_copy(update=inconclusive), (caveat,)
    # One that is, decides the claims that the labels confirm.
    caveats = tuple(confirmation_caveats(decision.confirmations))
    if not caveats or gate.decide_on == "corrected":
        return decision, ()
    confirmed = withdraw_unconfirmed(decision, gate)
    reasons = " ".join(caveat.text for caveat in caveats)
    sentence = (
        f"People's labels do not confirm the judge. {reasons} By the judge: {decision.sentence}"
    )
    return confirmed.model_copy(update={"sentence": sentence}), caveats


def _describe_unmet(unmet: Iterable[RequirementResult]) -> str:
    reasons = dict.fromkeys(f"{check.column}: {check.why}" for check in unmet)
    return (
        f"The judge is not shown to agree with people as the gate requires. {'; '.join(reasons)}."
    )


def _check_columns(
    plan: Plan,
    gate: Gate,
    requirement: JudgeRequirement,
    people: Mapping[str, HumanLabels | str],
    columns: Sequence[ScoreColumn],
) -> Iterator[RequirementResult]:
    """Check each claimed column that a judge decides; columns judged by people need no check."""
    models = plan.baseline, plan.candidate
    evidence: dict[str, _Evidence] = {}
    for column in dict.fromkeys(claim.metric for claim in gate.claims):
        name = metric_of(column)
        labels = people.get(name)
        if labels is None:
            continue
        judge = plan.judges[name].name
        if isinstance(labels, str):
            yield _no_evidence(column, judge, requirement, labels)
            continue
        if labels.chances is not None:
            yield _no_evidence(column, judge, requirement, f"{labels.source}: {_UNEQUAL_CHANCES}")
            continue
        if labels.fingerprint not in evidence:
            agreements = (
                judge_agreement(c, {}, models) for c in join_labels(plan, columns, labels)
            )
            evidence[labels.fingerprint] = {
                **_question_mismatches(plan, labels),
                **{agreement.column: agreement for agreement in agreements},
            }
        # A composite is checked on its criteria, which are what the judge decides.
        parts = [
            evidence[labels.fingerprint].get(part) for part in plan.metrics[name].parts_of(column)
        ]
        yield _check_weakest(column, judge, requirement, parts)


# --- evidence --------------------------------------------------------------------------------


def _find_people(
    plan: Plan, gate: Gate, request: Request, measured: Sequence[TaskScores]
) -> dict[str, HumanLabels | str]:
    """Find people's labels of each metric by which a judge decides, or why there are none."""
    by_judge: dict[str, HumanLabels | str] = {}
    people: dict[str, HumanLabels | str] = {}
    stated = [*(c.metric for c in gate.claims), *(rule.metric for rule in gate.critical)]
    for metric in dict.fromkeys(map(metric_of, stated)):
        name = judge_name(metric, request)
        if name is None or plan.judges[metric].people:
            continue
        if name not in by_judge:
            by_judge[name] = _labels_for_judge(name, plan, request, measured)
        people[metric] = by_judge[name]
    return people


def _labels_for_judge(
    name: str, plan: Plan, request: Request, measured: Sequence[TaskScores]
) -> HumanLabels | str:
    """Load the labels that a judge is compared with, as far as they are on this run's answers."""
    spec = request.profile.find_judge(name).calibrated_by
    if spec is None:
        return f"no people's labels are named for '{name}' ('calibrated_by' in the profile)"
    people = load_human_labels(spec, request)
    if people.models not in (None, (plan.baseline, plan.candidate)):
        return f"{people.source}: people compared other models than these"
    if spec.study is None:
        ids = {i for scores in measured for column in scores.columns for i in column.sample_ids}
        people = fit_people(people, request.models, ids)
    for task_scores in measured:
        people = _labels_on_responses(people, task_scores.responses)
    if not people.labels:
        return f"{people.source}: people judged other answers than these, or none"
    columns = [column for task_scores in measured for column in task_scores.columns]
    if people.chances is None and not labels_are_representative(people, columns):
        return f"{people.source}: the labelled items are not stated to be a random sample"
    return people


def _question_mismatches(plan: Plan, people: HumanLabels) -> dict[str, str]:
    """Describe the columns for which people were asked another question."""
    mismatches = {
        scale.column: question_mismatch(metric, metric.label_keys(name)[scale.column], people)
        for name, metric in plan.metrics.items()
        for scale in scales_of(name, metric)
    }
    return {column: f"{people.source}: {why}" for column, why in mismatches.items() if why}


def _labels_on_responses(people: HumanLabels, responses: Mapping[str, Responses]) -> HumanLabels:
    """Keep the labels that were given on exactly these responses."""
    if people.answers is None:
        return people
    labelled_texts = people.answers

    def same_texts(sample_id: str) -> bool:
        texts = labelled_texts.get(sample_id, {})
        return any(model in responses for model in texts) and all(
            sample_id not in responses[model] or responses[model][sample_id].text == text
            for model, text in texts.items()
            if model in responses
        )

    return people._replace(
        labels=tuple(label for label in people.labels if same_texts(label.sample_id)),
        metric_ids=tuple(i for i in people.metric_ids if same_texts(i)),
    )


# --- result ----------------------------------------------------------------------------------


def _check_weakest(
    column: str,
    judge: str,
    requirement: JudgeRequirement,
    parts: Sequence[JudgeAgainstPeople | str | None],
) -> RequirementResult:
    """Check the part with the lowest lower bound: a composite is as good as its weakest criterion."""
    # Every part needs a measured agreement.
    name = REQUIREMENT_MEASURES[requirement.metric]
    measures: list[tuple[Interval, JudgeAgainstPeople]] = []
    for part in parts:
        if isinstance(part, str):
            return _no_evidence(column, judge, requirement, part)
        if part is None:
            return _no_evidence(column, judge, requirement, "people have labelled too little of it")
        measure = _measure(part, requirement)
        if measure is None:
            why = (
                f"{name} cannot be estimated on {part.n} labels: '{judge}' or people always give "
                "the same verdict"
            )
            return _no_evidence(column, judge, requirement, why)
        measures.append((measure, part))
    # The lowest lower bound decides.
    weakest, agreement = min(measures, key=lambda measured: measured[0].low)
    n = agreement.n
    met = weakest.low >= requirement.at_least
    return RequirementResult(
        column=column,
        judge=judge,
        measure=requirement.metric,
        estimate=weakest.estimate,
        low=weakest.low,
        n=n,
        at_least=requirement.at_least,
        held=met,
        why=f"{name} of '{judge}' with people is {weakest.estimate:.2f} on {n} labels, at least "
        f"{weakest.low:.2f} with 95 % confidence; {requirement.at_least:g} "
        f"{'was' if met else 'is'} required",
        models=agreement.models,
        biases=agreement.all_biases,
    )


def _measure(agreement: JudgeAgainstPeople, requirement: JudgeRequirement) -> Interval | None:
    """Return the required measure; on pairs judged in both orders the strict one."""
    measures = agreement.strict or agreement
    match requirement.metric:
        case "kappa":
            return measures.kappa
        case "ac1":
            return measures.ac1
        case "percent":
            return measures.percent


def _no_evidence(
    column: str, judge: str, requirement: JudgeRequirement, why: str
) -> RequirementResult:
    return RequirementResult(
        column=column,
        judge=judge,
        measure=requirement.metric,
        estimate=None,
        low=None,
        n=0,
        at_least=requirement.at_least,
        held=False,
        why=why,
    )
