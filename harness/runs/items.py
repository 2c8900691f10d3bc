"""The items of a run, read from its tables: what the run has decided about each of them.

Nothing is decided anew here. A score, a flag, a critical answer, a pair whose orders disagree and a person's
label are what gate, hygiene, sensitivity and calibration take them for, by the same functions.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.analysis.slices import slice_value
from harness.artifacts.answers import AnsweredItem, read_answered_ids, read_answers
from harness.artifacts.integrity import TABLES
from harness.artifacts.run_folder import read_run_scores
from harness.config import Metric, headline_column, metric_of
from harness.config.checklist import MET
from harness.core.errors import HarnessError
from harness.gate.critical import is_critical
from harness.human.claim_labels import people_differences
from harness.human.labels import HumanLabels, load_study_labels
from harness.human.votes import NobodyVotedError, find_studies
from harness.runs.item_judgements import WINNER, JudgementsById, Spreads, read_judged_items
from harness.scoring.columns import GradeColumn, ScoreColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.types import Plan, RunResult, Task
from harness.types.judgements import NOT_JUDGED
from harness.types.samples import speaker
from reports.items import (
    CriticalAnswer,
    Item,
    ItemAnswer,
    ItemComparison,
    ItemFlag,
    ItemScore,
    SliceValue,
    select_shown,
)

_NO_ANSWER = "no answer given"
_NOT_BEYOND_THOUGHTS = "thoughts without an answer"

ById = dict[str, list[ItemComparison]]


class RunItems(NamedTuple):
    """The items of a run that its pages show, of `n_items` in all."""

    items: list[Item]
    n_items: int


def has_items(folder: Path) -> bool:
    """Return whether a run's folder has the tables from which its items are read."""
    return all((folder / name).is_file() for name in TABLES)


def read_items(result: RunResult, folder: Path) -> RunItems:
    """Read the items of the run in `folder` that its pages show: all, or 20,000 with the largest differences.

    Raises:
        HarnessError: a table is missing or damaged.
    """
    ids = read_answered_ids(folder)
    return RunItems(read_shown(result, folder, ids), len(ids))


def read_shown(result: RunResult, folder: Path, ids: Sequence[tuple[str, str]]) -> list[Item]:
    """Read the items of the run in `folder` that its pages show, of all `ids` (task, sample).

    The texts of the others are not kept.

    Raises:
        HarnessError: a table is missing or damaged.
    """
    # 1. Choose the items by their differences.
    plan, columns = result.plan, read_run_scores(result, folder)
    scored = {task.name: _scores_of(task, plan, columns) for task in plan.tasks}
    shown: defaultdict[str, set[str]] = defaultdict(set)
    for task_name, sample_id in select_shown(ids, lambda key: scored[key[0]].difference(key[1])):
        shown[task_name].add(sample_id)
    # 2. Read their judgements, and what people say of them.
    pooled = {name for name, judge in plan.judges.items() if judge.people}
    judged = read_judged_items(folder, shown=set().union(*shown.values()), pooled=pooled)
    people = _read_people(folder)
    # 3. Join them with their answers.
    models = [model.name for model in plan.models]
    items = []
    for name, scores in scored.items():
        own = shown[name]
        rows = [(c.metric, _format_scores(c, models, own)) for c in scores.columns]
        comparisons = _comparisons(scores, plan, own, judged.spreads, people)
        critical = _critical_answers(scores, result, own)
        for item in read_answers(folder, name, shown=own).values():
            items.append(
                _join_item(
                    item, scores, rows, judged.judgements, models, comparisons, critical
                )
            )  # fmt: skip
    return items


class _TaskScores(NamedTuple):
    """The scores of a task's items, their pairs, and their differences on the headline column."""

    task: Task
    columns: list[ScoreColumn]
    pairs: list[tuple[ScoreColumn, PairedScores]]
    metric: str
    differences: Mapping[str, float]

    def difference(self, sample_id: str) -> float | None:
        """Return the candidate's score minus the baseline's; None if one is missing."""
        return _or_none(self.differences.get(sample_id, math.nan))


def _scores_of(task: Task, plan: Plan, columns: Sequence[ScoreColumn]) -> _TaskScores:
    own = [column for column in columns if metric_of(column.metric) in task.metrics]
    pairs = [(column, pair) for column in own for pair in pair_scores(column, plan.baseline)]
    gated = {pair.metric: pair for _, pair in pairs if _is_gated(pair, plan)}
    headline = headline_column(list(gated))
    if headline is None:
        return _TaskScores(task, own, pairs, "", {})
    pair = gated[headline]
    differences = dict(zip(pair.sample_ids, pair.d.tolist(), strict=True))
    return _TaskScores(task, own, pairs, headline, differences)


def _is_gated(pair: PairedScores, plan: Plan) -> bool:
    return (pair.baseline, pair.candidate) == plan.gated


def _join_item(
    item: AnsweredItem,
    scored: _TaskScores,
    score_rows: Sequence[tuple[str, Mapping[str, tuple[str, ...]]]],
    judgements: Mapping[str, JudgementsById],
    models: Sequence[str],
    comparisons: ById,
    critical: Mapping[str, list[CriticalAnswer]],
) -> Item:
    scores = [(name, of_items.get(item.sample_id)) for name, of_items in score_rows]
    flags = item.flags
    return Item(
        task=scored.task.name,
        sample_id=item.sample_id,
        input=item.input,
        reference=item.reference,
        answers=tuple(_answers(item, models)),
        scores=tuple(ItemScore(name, cells) for name, cells in scores if cells),
        judgements=tuple(
            judgement
            for name in scored.task.metrics
            for judgement in judgements[name].get(item.sample_id, ())
        ),
        metric=scored.metric,
        difference=scored.difference(item.sample_id),
        history=tuple((speaker(turn), turn.content) for turn in item.history),
        references=item.references,
        slices=tuple(
            SliceValue(column, slice_value(item.values, column))
            for column in scored.task.slices
            if column in item.values  # tables of older versions hold none
        ),
        flags=None
        if flags is None
        else tuple(ItemFlag(m, flag) for m in models for flag in flags.get(m, ())),
        critical=tuple(critical.get(item.sample_id, ())),
        comparisons=tuple(comparisons.get(item.sample_id, ())),
        criteria=item.criteria,
    )


def _answers(item: AnsweredItem, models: Sequence[str]) -> Iterator[ItemAnswer]:
    for model in models:
        text, thoughts = item.answers.get(model), item.thoughts.get(model, "")
        note = _NO_ANSWER if text is None else ""
        if thoughts and not text:
            note = _NOT_BEYOND_THOUGHTS
        elif text is None and item.reasons.get(model):
            note = f"{_NO_ANSWER}: {item.reasons[model]}"
        passages, prompt = item.passages.get(model), item.prompts.get(model)
        yield ItemAnswer(model, text, note, thoughts, passages, prompt)


# --- scores ----------------------------------------------------------------------------------


def _comparisons(
    scored: _TaskScores,
    plan: Plan,
    shown: Container[str],
    spreads: Spreads,
    people: Sequence[HumanLabels],
) -> ById:
    """Return every comparison with the baseline by item, those of the gate's pair of models first."""
    found: ById = defaultdict(list)
    for column, pair in sorted(scored.pairs, key=lambda both: not _is_gated(both[1], plan)):
        metric = scored.task.metrics[metric_of(pair.metric)]
        keys = _is_rated(metric, pair.metric)
        labelled = _people_values(metric, pair, people) if _is_gated(pair, plan) else {}
        reasons = _pair_reasons(column, pair)
        dependent = _order_dependent(column)
        old, new, d = (v.tolist() for v in (pair.baseline_scores, pair.candidate_scores, pair.d))
        for i, sample_id in enumerate(pair.sample_ids):
            if sample_id not in shown:
                continue
            apart = spreads.get((metric_of(pair.metric), sample_id), {})
            found[sample_id].append(
                ItemComparison(
                    metric=pair.metric,
                    kind=pair.kind,
                    baseline=pair.baseline,
                    candidate=pair.candidate,
                    gated=_is_gated(pair, plan),
                    baseline_score=_or_none(old[i]),
                    candidate_score=_or_none(new[i]),
                    difference=_or_none(d[i]),
                    reason=reasons[i] if math.isnan(d[i]) else None,
                    order_dependent=dependent[i],
                    judge_spread=max((apart[key] for key in apart if keys(key)), default=None),
                    people=labelled.get(sample_id),
                )
            )
    return found


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _pair_reasons(column: ScoreColumn, pair: PairedScores) -> list[str | None]:
    """Return why each difference may be missing, in the words of the model that lacks a score."""
    if not isinstance(column, GradeColumn):
        return [reason or NOT_JUDGED for reason in column.reasons]
    models = dict.fromkeys((pair.baseline, pair.candidate))
    cells = zip(*(column.reasons[model] for model in models), strict=True)
    return [
        "; ".join(f"{model}: {why}" for model, why in zip(models, both, strict=True) if why)
        or NOT_JUDGED
        for both in cells
    ]


def _order_dependent(column: ScoreColumn) -> list[bool]:
    if isinstance(column, GradeColumn):
        return [False] * len(column.sample_ids)
    found: list[bool] = column.order_dependent.tolist()
    return found


def _is_rated(metric: Metric, column: str) -> Callable[[str], bool]:
    """Return whether a key of verdicts is one of a column's; a composite has all, a computed column none."""
    if metric.computed:
        return lambda given: False
    keys = {WINNER} if metric.compares_pairs else set(metric.parts_of(column).values())
    # A checklist's columns share the verdicts on all criteria.
    return lambda given: MET in keys or given in keys


def _critical_answers(
    scored: _TaskScores, result: RunResult, shown: Container[str]
) -> dict[str, list[CriticalAnswer]]:
    """Return the answers that the rules on critical answers count, by item; the gate's models alone."""
    found: defaultdict[str, list[CriticalAnswer]] = defaultdict(list)
    gated = {pair.metric: pair for _, pair in scored.pairs if _is_gated(pair, result.plan)}
    for rule in result.decision.critical if result.decision else ():
        pair = gated.get(rule.metric)
        if pair is None:
            continue
        models = {pair.candidate: pair.candidate_scores}
        models |= {} if pair.alone else {pair.baseline: pair.baseline_scores}
        for model, scores in models.items():
            for i in np.flatnonzero(is_critical(scores, rule.at_most)).tolist():
                if pair.sample_ids[i] in shown:
                    found[pair.sample_ids[i]].append(CriticalAnswer(rule.rule, model))
    return found


def _format_scores(
    column: ScoreColumn, models: Sequence[str], shown: Container[str]
) -> dict[str, tuple[str, ...]]:
    """Format the shown items' scores in the order of the models; a win score is the candidate's."""
    places = {name: i for i, name in enumerate(column.sample_ids) if name in shown}
    if isinstance(column, GradeColumn):
        return {
            name: tuple(_cell(column.scores[m][i], column.reasons[m][i]) for m in models)
            for name, i in places.items()
        }
    wins = np.array([column.by_order[order] for order in column.orders]).mean(axis=0)
    against = f" against {column.baseline}"
    return {
        name: tuple(
            _cell(wins[i], column.reasons[i]) + against if model == column.candidate else ""
            for model in models
        )
        for name, i in places.items()
    }


def _cell(score: float, reason: str | None) -> str:
    return f"unscored: {reason or NOT_JUDGED}" if math.isnan(score) else f"{score:g}"


# --- people ----------------------------------------------------------------------------------


def _read_people(folder: Path) -> list[HumanLabels]:
    """Read the labels of the studies in a run's folder; the report says which cannot be read."""
    try:
        studies = find_studies(folder)
    except NobodyVotedError:
        return []
    labels = []
    for study in studies:
        try:
            labels.append(load_study_labels(study))
        except HarnessError:
            continue
    return labels


def _people_values(
    metric: Metric, pair: PairedScores, people: Iterable[HumanLabels]
) -> dict[str, float]:
    """Return people's differences by item; of several studies the first that has one of an item counts."""
    if metric.computed:
        return {}
    values: dict[str, float] = {}
    for labels in people:
        if set(labels.models or ()) <= {pair.baseline, pair.candidate}:
            values = people_differences(metric, pair, labels) | values
    return values
