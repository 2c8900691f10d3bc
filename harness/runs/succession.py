"""A judge that succeeds another: both on the stored answers of one finished run.

    harness judge succeed default successor --on runs/medical_rubric/4be81c02d4c1

The old judge's verdicts are those of the run, which need no key and no server. The new judge is asked as
in a run, so that what the store has of it is not paid for again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.analysis.judge_reliability import Scale, scales_of
from harness.analysis.succession import (
    Contrast,
    compare_agreement,
    compare_contrasts,
    compare_verdicts,
    map_scores,
)
from harness.artifacts.answers import read_answers
from harness.artifacts.results_json import dump_plan
from harness.artifacts.run_folder import Run
from harness.config import ChecklistMetric, metric_of
from harness.config.request import Request, load_request
from harness.core.errors import HarnessError, did_you_mean
from harness.human.calibration import calibrate_run
from harness.human.labels import HumanLabels
from harness.planning.plan import make_plan
from harness.planning.plan_diff import diff_fields, measurement_fields
from harness.runs.compare_runs import stopped_early
from harness.runs.measure import ask_second_judges, score_task
from harness.runs.regression import MARGIN_SHARE, Baseline, bless_run, default_columns
from harness.runs.verdict_caveats import missing_verdict_caveats, second_judge_caveats
from harness.scoring.columns import GradeColumn, ScoreColumn
from harness.scoring.paired import gated_pairs
from harness.scoring.task_scores import TaskScores
from harness.training.context import RunContext
from harness.types import JudgeAgainstPeople, JudgeCard, Plan, Response, Task
from harness.types.samples import Responses
from harness.types.succession import JudgeSuccession
from judges.factory import load_judges
from judges.judging import judge_responses
from judges.panel import Panel, check_judges_available, make_panels
from judges.response_stream import ResponseStream


class Succession(NamedTuple):
    """What both judges show, and the run as the new judge sees it."""

    shown: JudgeSuccession
    by_new: Run


def request_successor(
    run: Run,
    new: str,
    *,
    suite: str | None = None,
    profile: str | None = None,
    allow_remote_phi: bool = False,
) -> Request:
    """Make the run's request with the new judge; suite and profile are the run's by name if not given.

    Raises:
        HarnessError: a file that cannot be found or read, or the new judge is people.
    """
    plan = run.result.plan
    request = load_request(
        suite or plan.suite,
        profile or plan.profile,
        [model.name for model in plan.models],
        limit=plan.limit,
        seed=plan.seed,
        judge=new,
        allow_remote_phi=allow_remote_phi,
    )
    if request.profile.find_judge(new).people is not None:
        raise HarnessError(f"'{new}' is people: {_CALIBRATE}")
    return request


_CALIBRATE = "`harness calibrate` compares a judge with them."


def succeed_judge(
    run: Run,
    old: str,
    request: Request,
    context: RunContext,
    *,
    margins: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    baseline: Baseline | None = None,
    people: HumanLabels | None = None,
) -> Succession:
    """Ask the new judge of the request about the run's answers, and compare it with the old one.

    `margins` are by column; otherwise they are those of the baseline that is to be carried over, of the
    gate's claims, or 5 % of a column's range.

    Raises:
        HarnessError: the run has no such judge, its suite or items have changed, or a margin or
            baseline does not fit it; raised before anything is asked.
    """
    # 1. Plan the run again with the new judge, and see that nothing else has changed.
    if not 0 < alpha < 0.5:
        raise HarnessError(f"alpha must be between 0 and 0.5, but it is {alpha:g}.")
    metrics = _judged_by(old, run)
    judges = load_judges(request.profile, request.profile_root, context.session)
    panels = make_panels(request, judges)
    cards = {name: panels[name].card for name in metrics}
    check_judges_available(request)
    plan = make_plan(request, panels)
    _require_other_judge_alone(run, plan, metrics)
    contrasts = _contrasts(run, metrics, margins or {}, baseline)
    # 2. Ask the new judge.
    with context.open():
        measured = [
            _judge_task(task, metrics, panels, run, context)
            for task in plan.tasks
            if task.metrics.keys() & set(metrics)
        ]
    # 3. Compare.
    by_new = _with_scores(run, measured, cards)
    shown = _compare(run, by_new, measured, contrasts, alpha)
    against = tuple(_against_people(people, metrics, run, by_new))
    return Succession(shown.model_copy(update={"people": against}), by_new)


def carry_baseline(baseline: Baseline, succession: Succession) -> Baseline | None:
    """Return the baseline with the new judge's scores of the blessed answers, and its own margins.

    None unless the judges are shown to be equivalent.
    """
    if succession.shown.verdict != "pass":
        return None
    margins = {name: column.margin for name, column in baseline.columns.items()}
    return bless_run(succession.by_new, margins=margins, alpha=baseline.alpha)


# --- the run and the new judge ---------------------------------------------------------------


def _judged_by(old: str, run: Run) -> list[str]:
    """Return the metrics that the old judge judged in the run, by its name in the profile or in reports.

    Raises:
        HarnessError: there is none, people judged, or the run ended early.
    """
    plan = run.result.plan
    if stopped_early(run):
        raise HarnessError(
            f"{run.folder}: judging stopped early, at what the old judge's scores showed. Run the suite "
            "without 'stop_early'; existing judgements are reused."
        )
    names = {
        name: {plan.judge or metric.judge or "", plan.judges[name].name}
        for name, metric in plan.metrics.items()
        if not metric.computed
    }
    metrics = [name for name, judges in names.items() if old in judges]
    if not metrics:
        known = sorted({judge for judges in names.values() for judge in judges if judge})
        raise HarnessError(f"{run.folder}: no judge '{old}'. {did_you_mean(old, known)}")
    if any(plan.judges[name].people for name in metrics):
        raise HarnessError(f"'{old}' is people: {_CALIBRATE}")
    return metrics


def _require_other_judge_alone(run: Run, plan: Plan, metrics: Sequence[str]) -> None:
    """Refuse a plan that measures something else than the run, or with the same judge.

    Raises:
        HarnessError: names what differs, or the judge that does not.
    """
    as_read = Plan.model_validate_json(dump_plan(plan))  # with its keys in the order of files
    fields = measurement_fields(run.result.plan), measurement_fields(as_read)
    differing = [name for name, *_ in diff_fields(*fields)]
    others = [name for name in differing if not name.startswith("judge of ")]
    if others:
        raise HarnessError(
            f"{run.folder}: the suite differs from what the run measured in {', '.join(others)}. Name "
            "the run's own suite and profile with --suite and --profile."
        )
    if not {f"judge of {name}" for name in metrics} <= set(differing):
        raise HarnessError(
            f"'{plan.judge}' is the judge that judged this run: there is nothing to compare."
        )


def _judge_task(
    task: Task, metrics: Sequence[str], panels: Mapping[str, Panel], run: Run, context: RunContext
) -> TaskScores:
    """Judge the run's answers to a task anew, on the metrics that the old judge judged."""
    task = task.model_copy(
        update={"metrics": {name: m for name, m in task.metrics.items() if name in metrics}}
    )
    responses = _read_responses(task, run)
    stream = ResponseStream(tuple(responses), len(task.samples))
    for answers in responses.values():
        for response in answers.values():
            stream.put(response)
    rounds = {
        name: [
            judge_round
            for judge in panels[name].judges
            for judge_round in judge_responses(
                task, name, stream, panels[name], judge, context.store, context.progress
            )
        ]
        for name in task.metrics
    }
    ask_second_judges(task, stream, rounds, panels, context.store, context.progress)
    return score_task(task, responses, {}, rounds, panels)


def _read_responses(task: Task, run: Run) -> dict[str, Responses]:
    """Return the run's answers by model and item, baseline first.

    Raises:
        HarnessError: the run has no answer of a model to an item.
    """
    items = read_answers(run.folder, task.name)
    responses: dict[str, Responses] = {}
    for model in run.result.plan.models:
        responses[model.name] = {}
        for sample in task.samples:
            item = items.get(sample.id)
            if item is None or model.name not in item.answers:
                raise HarnessError(f"{run.folder}: has no answer of {model.name} to '{sample.id}'.")
            text = item.answers[model.name]
            responses[model.name][sample.id] = Response(
                sample_id=sample.id,
                model=model.name,
                text=text,
                finish="failed" if text is None else "stop",
                reason=item.reasons.get(model.name),
                passages=item.passages.get(model.name),
            )
    return responses


def _with_scores(run: Run, measured: Sequence[TaskScores], cards: Mapping[str, JudgeCard]) -> Run:
    """Return the run with the new judge's columns and card in place of the old judge's."""
    columns = [column for part in measured for column in part.columns]
    kept = [column for column in run.columns if metric_of(column.metric) not in cards]
    plan = run.result.plan.model_copy(update={"judges": {**run.result.plan.judges, **cards}})
    return Run(run.result.model_copy(update={"plan": plan}), [*kept, *columns], run.folder)


# --- the comparison --------------------------------------------------------------------------


def _contrasts(
    run: Run, metrics: Sequence[str], margins: Mapping[str, float], baseline: Baseline | None
) -> list[Contrast]:
    """Return what must be equivalent, with its margin.

    These are the columns that claims are about (without any, the summary columns), those of the baseline,
    and those that have a margin.

    Raises:
        HarnessError: a margin or a baseline that does not fit the run.
    """
    plan = run.result.plan
    spans = {
        name: column.usual_range if isinstance(column, GradeColumn) else 1.0
        for name, column in _by_name(run).items()
        if metric_of(name) in metrics
    }
    for name, margin in margins.items():
        if name not in spans:
            raise HarnessError(
                f"--margin {name}: no column of this judge. {did_you_mean(name, spans)}"
            )
        if not 0 < margin < spans[name]:
            raise HarnessError(
                f"--margin {name}={margin:g}: must be between 0 and the range of its scores, "
                f"{spans[name]:g}."
            )
    blessed = _blessed_margins(baseline, run) if baseline else {}
    claims = [claim for claim in plan.gate.claims if claim.metric in spans] if plan.gate else []
    named = (*default_columns(plan, spans), *blessed, *margins)
    contrasts = []
    for name in dict.fromkeys(column for column in named if column in spans):
        about = [claim for claim in claims if claim.metric == name]
        claimed = min((c.margin for c in about if c.margin), default=MARGIN_SHARE * spans[name])
        margin = margins.get(name, blessed.get(name, claimed))
        kinds = sorted({claim.kind.own_mean or plan.alone for claim in about} or {plan.alone})
        contrasts += [Contrast(name, own, margin) for own in kinds]
    return contrasts


def _blessed_margins(baseline: Baseline, run: Run) -> dict[str, float]:
    if baseline.run_id != run.result.run_id:
        raise HarnessError(
            f"the baseline is of run {baseline.run_id}, and --on names {run.result.run_id}. Name the "
            "blessed run, whose answers the new judge must score."
        )
    return {name: column.margin for name, column in baseline.columns.items()}


def _compare(
    run: Run,
    by_new: Run,
    measured: Sequence[TaskScores],
    contrasts: Sequence[Contrast],
    alpha: float,
) -> JudgeSuccession:
    """Compare the run's scores by both judges."""
    plan, new_plan = run.result.plan, by_new.result.plan
    metric = next(iter(measured[0].task.metrics))
    old, new = plan.judges[metric].name, new_plan.judges[metric].name
    judges = (old, new) if old != new else (f"{old} (old)", f"{new} (new)")
    old_pairs, new_pairs = (gated_pairs(scored.columns, plan) for scored in (run, by_new))
    shifts, decision = compare_contrasts(contrasts, old_pairs, new_pairs, judges, alpha)
    both = _columns_by_both(run, by_new, measured)
    return JudgeSuccession(
        run_id=run.result.run_id,
        suite=plan.suite,
        old=judges[0],
        new=judges[1],
        alpha=alpha,
        verdict=decision.verdict,
        sentence=decision.sentence,
        shifts=shifts,
        claims=tuple(compare_verdicts(plan.gate, old_pairs, new_pairs)) if plan.gate else (),
        agreements=tuple(
            agreement
            for c in both
            if c.scale is not None
            for agreement in compare_agreement(c.scale, c.old, c.new, judges, c.answered)
        ),
        maps=tuple(map_scores(c.old, c.new, c.answered) for c in both),
        notes=tuple(
            caveat.text
            for caveat in (*missing_verdict_caveats(measured), *second_judge_caveats(measured))
        ),
    )


class _Judged(NamedTuple):
    """A column by both judges; `answered` says for each model which items have an answer."""

    scale: Scale | None
    old: ScoreColumn
    new: ScoreColumn
    answered: Mapping[str, Sequence[bool]]


def _columns_by_both(run: Run, by_new: Run, measured: Sequence[TaskScores]) -> list[_Judged]:
    """Join the columns of both judges.

    A composite has no scale of its own, nor has a checklist, whose verdicts are on criteria.

    Raises:
        HarnessError: the run's scores are not those of its items.
    """
    old, new = (_by_name(scored) for scored in (run, by_new))
    joined = []
    for part in measured:
        metrics = part.task.metrics
        scales = {
            scale.column: scale
            for name, metric in metrics.items()
            if not isinstance(metric, ChecklistMetric)
            for scale in scales_of(name, metric)
        }
        for name in (name for name in new if metric_of(name) in metrics):
            ids = new[name].sample_ids
            if old[name].sample_ids != ids:
                raise HarnessError(f"{run.folder}: the scores of {name} are not of its items.")
            answered = {
                model: [answers[i].text is not None for i in ids]
                for model, answers in part.responses.items()
            }
            joined.append(_Judged(scales.get(name), old[name], new[name], answered))
    return joined


def _by_name(run: Run) -> dict[str, ScoreColumn]:
    """Return the run's columns by name; of win rates the one that the gate decides on."""
    return {
        column.metric: column
        for column in run.columns
        if isinstance(column, GradeColumn)
        or (column.baseline, column.candidate) == run.result.plan.gated
    }


def _against_people(
    people: HumanLabels | None, metrics: Sequence[str], *runs: Run
) -> Iterator[JudgeAgainstPeople]:
    """Yield the agreement of each judge with people, on the columns that both judged."""
    for run in runs if people is not None else ():
        assert people is not None
        judges = calibrate_run(run, people).judges
        yield from (judge for judge in judges if metric_of(judge.column) in metrics)
