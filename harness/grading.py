"""Grades that teach: each answer's one number from a judge's rubric, for rewards and best-of-n."""

from collections.abc import Sequence

from harness.judging import collect_outcomes, repeat_requests
from harness.progress import Progress, Stage
from harness.store import Store
from harness.suite import RubricMetric
from harness.types import GradeRequest, Outcome, Sample
from judges.protocol import Judge


def grade_answers(
    answers: Sequence[tuple[Sample, str]],
    metric: RubricMetric,
    judge: Judge,
    store: Store,
    progress: Progress,
    stage: str,
) -> list[float | None]:
    """Each answer's grade: 0 is the low end of the scale and 1 the high one, None is unscored.

    It is the mean over the criteria, and over the rounds that could be read. What was asked
    before is not asked again.
    """
    once = [
        GradeRequest(sample=sample, metric_name="grade", metric=metric, model="own", answer=answer)
        for sample, answer in answers
    ]
    requests = list(repeat_requests(once, range(metric.repeats)))
    judged = collect_outcomes(requests, judge, store, progress, Stage(stage, len(requests)))
    grades = [_grade(outcome, metric) for _, outcome in judged]
    rounds = [grades[i : i + metric.repeats] for i in range(0, len(grades), metric.repeats)]
    return [_mean([grade for grade in told if grade is not None]) for told in rounds]


def _grade(outcome: Outcome, metric: RubricMetric) -> float | None:
    """The mean over the criteria; None where any of them has no value."""
    values = outcome.values or {}
    names = [criterion.name for criterion in metric.criteria]
    if not all(name in values for name in names):
        return None
    low, high = metric.scale
    return sum((values[name] - low) / (high - low) for name in names) / len(names)


def _mean(grades: Sequence[float]) -> float | None:
    return sum(grades) / len(grades) if grades else None
