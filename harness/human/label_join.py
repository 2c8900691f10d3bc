"""A run's judged columns beside people's labels of the same answers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.analysis.judge_reliability import Ratings, Scale, scales_of
from harness.config import Metric, ScoreKind, metric_of
from harness.human.labels import HumanLabels
from harness.human.question_match import question_mismatch
from harness.human.summary import LabelTable, score_table, win_table
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from harness.stats.vectors import Vector
from harness.types import Plan


class LabelledColumn(NamedTuple):
    """A column of the run beside people's labels of the same answers.

    `judged` and `labels` are by subject: an item of a preference, an answer of a grade; `own` is
    the judge's score of every subject there is, by model ('' for a preference).
    """

    scale: Scale
    kind: ScoreKind
    judge: str
    subjects: tuple[tuple[str, str], ...]  # sample id, model
    judged: Vector
    labels: Ratings  # subjects x annotators
    by_order: Mapping[str, Vector]
    own: Mapping[str, dict[str, float]]


def join_labels(
    plan: Plan, columns: Sequence[ScoreColumn], people: HumanLabels
) -> Iterator[LabelledColumn]:
    """Every column of a judge that people labelled too; none of what people themselves judged."""
    metrics: dict[str, Metric] = {
        name: metric for task in plan.tasks for name, metric in task.metrics.items()
    }
    scales = {
        scale.column: scale
        for name, metric in metrics.items()
        for scale in scales_of(name, metric)
        if not metric.computed and not plan.judges[name].people
    }
    for column in columns:
        metric = metric_of(column.metric)
        scale = scales.get(column.metric)
        if scale is None or question_mismatch(metrics[metric], scale.key, people):
            continue  # computed, said by people, or not what these were asked
        judge = plan.judges[metric].name
        if isinstance(column, PreferenceColumn):
            if (column.baseline, column.candidate) == (plan.baseline, plan.candidate):
                held = _held_preferences(column, scale, judge, people)
            else:
                continue
        else:
            held = _held_grades(column, scale, judge, people)
        if held.subjects:
            yield held


def _held_preferences(
    column: PreferenceColumn, scale: Scale, judge: str, people: HumanLabels
) -> LabelledColumn:
    table, chosen = win_table(people), _population(people)
    orders = np.array([column.by_order[order] for order in column.orders])
    wins = dict(zip(column.sample_ids, orders.mean(axis=0).tolist(), strict=True))
    labelled = _labelled(table, wins)
    place = {sample_id: i for i, sample_id in enumerate(column.sample_ids)}
    rows = np.array([place[i] for i in labelled], dtype=np.intp)
    return LabelledColumn(
        scale=scale,
        kind="preference",
        judge=judge,
        subjects=tuple((i, "") for i in labelled),
        judged=np.array([wins[i] for i in labelled], dtype=np.float64),
        labels=_rows_of(table, labelled),
        by_order={order: column.by_order[order][rows] for order in column.orders},
        own={"": {i: win for i, win in wins.items() if chosen is None or i in chosen}},
    )


def _held_grades(
    column: GradeColumn, scale: Scale, judge: str, people: HumanLabels
) -> LabelledColumn:
    chosen = _population(people)
    subjects: list[tuple[str, str]] = []
    judged: list[float] = []
    labels = [np.empty((0, len(people.annotators)))]
    own = {}
    for model, scores in column.scores.items():
        by_item = dict(zip(column.sample_ids, scores.tolist(), strict=True))
        table = score_table(people, model, scale.key)
        labelled = _labelled(table, by_item)
        subjects += [(i, model) for i in labelled]
        judged += [by_item[i] for i in labelled]
        labels.append(_rows_of(table, labelled))
        own[model] = {i: s for i, s in by_item.items() if chosen is None or i in chosen}
    return LabelledColumn(
        scale,
        column.kind,
        judge,
        tuple(subjects),
        np.array(judged),
        np.concatenate(labels),
        {},
        own,
    )


def _population(people: HumanLabels) -> set[str] | None:
    return None if people.frame_ids is None else set(people.frame_ids)


def _labelled(table: LabelTable, known: Mapping[str, float]) -> list[str]:
    pairs = zip(table.sample_ids, table.labelled.tolist(), strict=True)
    return [i for i, labelled in pairs if labelled and i in known]


def _rows_of(table: LabelTable, ids: Sequence[str]) -> Ratings:
    place = {sample_id: i for i, sample_id in enumerate(table.sample_ids)}
    return table.values[np.array([place[i] for i in ids], dtype=np.intp)]
