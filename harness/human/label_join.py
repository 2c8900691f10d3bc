"""A run's judged columns joined with human labels of the same answers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.analysis.judge_reliability import Ratings, Scale, scales_of
from harness.config import Metric, ScoreKind, SupportMetric, metric_of
from harness.human.labels import HumanLabels
from harness.human.question_match import question_mismatch
from harness.human.summary import LabelTable, score_table, win_table
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from harness.stats.vectors import Vector
from harness.types import Plan


class LabelledColumn(NamedTuple):
    """One column of the run with human labels of the same answers.

    Attributes:
        subjects: sample id and model; the model is '' for a preference, which is on an item.
        judged: the judge's score of each subject.
        labels: subjects x annotators, NaN where there is no label.
        annotators: their names.
        by_order: the judge's score of each subject by order of the answers, for preferences.
        all_scores: the judge's score of every item in the frame, labelled or not, by model.
    """

    scale: Scale
    kind: ScoreKind
    judge: str
    subjects: tuple[tuple[str, str], ...]
    judged: Vector
    labels: Ratings
    annotators: tuple[str, ...]
    by_order: Mapping[str, Vector]
    all_scores: Mapping[str, dict[str, float]]


def join_labels(
    plan: Plan, columns: Sequence[ScoreColumn], people: HumanLabels
) -> Iterator[LabelledColumn]:
    """Join each judged column with the labels of it.

    Left out are computed columns, columns judged by people, and columns that ask another question
    than the labels answer.
    """
    # Find the scale of every column that a judge decides.
    metrics = plan.metrics
    scales = {
        scale.column: _label_scale(scale, name, metric)
        for name, metric in metrics.items()
        for scale in scales_of(name, metric)
        if not metric.computed and not plan.judges[name].people
    }
    # Join the columns whose question people were asked too.
    for column in columns:
        metric = metric_of(column.metric)
        scale = scales.get(column.metric)
        if scale is None or question_mismatch(metrics[metric], scale.key, people):
            continue
        judge = plan.judges[metric].name
        if not isinstance(column, PreferenceColumn):
            joined = _join_grades(column, scale, judge, people)
        elif (column.baseline, column.candidate) == (plan.baseline, plan.candidate):
            joined = _join_preferences(column, scale, judge, people)
        else:
            continue
        if joined.subjects:
            yield joined


def _label_scale(scale: Scale, name: str, metric: Metric) -> Scale:
    """Return the scale on which people score answers: of statements, the share that is supported."""
    key = metric.label_keys(name)[scale.column]
    shares = isinstance(metric, SupportMetric)
    return scale._replace(key=key, ordinal=scale.ordinal or shares, shares=shares)


def _join_preferences(
    column: PreferenceColumn, scale: Scale, judge: str, people: HumanLabels
) -> LabelledColumn:
    table = win_table(people)
    orders = np.array([column.by_order[order] for order in column.orders])
    wins = dict(zip(column.sample_ids, orders.mean(axis=0).tolist(), strict=True))
    labelled_ids = _labelled_ids(table, wins)
    row_of = {sample_id: i for i, sample_id in enumerate(column.sample_ids)}
    rows = np.array([row_of[i] for i in labelled_ids], dtype=np.intp)
    return LabelledColumn(
        scale=scale,
        kind="preference",
        judge=judge,
        subjects=tuple((i, "") for i in labelled_ids),
        judged=np.array([wins[i] for i in labelled_ids], dtype=np.float64),
        labels=_rows_of(table, labelled_ids),
        annotators=people.annotators,
        by_order={order: column.by_order[order][rows] for order in column.orders},
        all_scores={"": _in_frame(wins, people)},
    )


def _join_grades(
    column: GradeColumn, scale: Scale, judge: str, people: HumanLabels
) -> LabelledColumn:
    subjects: list[tuple[str, str]] = []
    judged: list[float] = []
    labels = [np.empty((0, len(people.annotators)))]
    all_scores = {}
    for model, scores in column.scores.items():
        by_item = dict(zip(column.sample_ids, scores.tolist(), strict=True))
        table = score_table(people, model, scale.key)
        labelled_ids = _labelled_ids(table, by_item)
        subjects += [(i, model) for i in labelled_ids]
        judged += [by_item[i] for i in labelled_ids]
        labels.append(_rows_of(table, labelled_ids))
        all_scores[model] = _in_frame(by_item, people)
    return LabelledColumn(
        scale=scale,
        kind=column.kind,
        judge=judge,
        subjects=tuple(subjects),
        judged=np.array(judged),
        labels=np.concatenate(labels),
        annotators=people.annotators,
        by_order={},
        all_scores=all_scores,
    )


def _in_frame(scores: Mapping[str, float], people: HumanLabels) -> dict[str, float]:
    """Return the scores of the items from which the labelled ones were sampled."""
    if people.frame_ids is None:
        return dict(scores)
    frame_ids = set(people.frame_ids)
    return {i: score for i, score in scores.items() if i in frame_ids}


def _labelled_ids(table: LabelTable, scores: Mapping[str, float]) -> list[str]:
    pairs = zip(table.sample_ids, table.labelled.tolist(), strict=True)
    return [i for i, labelled in pairs if labelled and i in scores]


def _rows_of(table: LabelTable, ids: Sequence[str]) -> Ratings:
    row_of = {sample_id: i for i, sample_id in enumerate(table.sample_ids)}
    return table.values[np.array([row_of[i] for i in ids], dtype=np.intp)]
