"""Grades of answers by a judge, as numbers to learn from: on a rubric, or on each row's own checklist."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from harness.config import ChecklistMetric, RubricMetric
from harness.core.progress import Progress, Stage
from harness.core.store import Store
from harness.scoring.checklist import score_item
from harness.types import GradeRequest, JudgeRequest, Outcome, Sample
from judges.checklist import join_criteria, requests_on_criteria
from judges.judging import collect_outcomes, shown_to_judge
from judges.protocol import Judge


def grade_answers(
    answers: Sequence[tuple[Sample, str]],
    metric: RubricMetric | ChecklistMetric,
    judge: Judge,
    store: Store,
    progress: Progress,
    stage: str,
) -> list[float | None]:
    """Return each answer's grade: of a rubric between 0, the low end of the scale, and 1; None is unscored.

    A grade is the mean over the criteria, or the score by the item's own ones, and over the readable
    rounds. Stored outcomes are reused.
    """
    by_answer_and_round = [
        [
            replace(request, round=number)
            for request in requests_on_criteria(
                GradeRequest(
                    sample=shown_to_judge(sample, metric),
                    metric_name="grade",
                    metric=metric,
                    model="own",
                    answer=answer,
                )
            )
        ]
        for sample, answer in answers
        for number in range(metric.repeats)
    ]
    requests = [request for own in by_answer_and_round for request in own]
    judged = iter(collect_outcomes(requests, judge, store, progress, Stage(stage, len(requests))))
    grades = [
        _grade(*join_criteria(list(islice(judged, len(own))))[0], metric)
        for own in by_answer_and_round
    ]
    rounds = [grades[i : i + metric.repeats] for i in range(0, len(grades), metric.repeats)]
    return [_mean([grade for grade in same if grade is not None]) for same in rounds]


def _grade(
    request: JudgeRequest, outcome: Outcome, metric: RubricMetric | ChecklistMetric
) -> float | None:
    """Return the grade by a verdict; None where any criterion has no value."""
    values = outcome.values or {}
    if isinstance(metric, ChecklistMetric):
        score = score_item(request.sample, metric, metric.kind, values)[0].score
        return None if math.isnan(score) else score
    names = [criterion.name for criterion in metric.criteria]
    if not all(name in values for name in names):
        return None
    low, high = metric.scale
    return sum((values[name] - low) / (high - low) for name in names) / len(names)


def _mean(grades: Sequence[float]) -> float | None:
    return sum(grades) / len(grades) if grades else None
