"""Scores of an answer's statements or citations: the share that the passages support."""

import math

from harness.config import SupportMetric
from harness.stats.checklist import BoundedScore, score_checklist
from harness.types import Grade, Response
from harness.types.judgements import NOT_JUDGED, criterion_key


def score_support(
    metric: SupportMetric, response: Response, grade: Grade | None
) -> tuple[BoundedScore, str | None]:
    """Compute the share of an answer's parts that are supported, with its limits, and why there is none.

    A model without an answer has 0, and an answer without such parts no score.
    """
    if response.text is None:
        return BoundedScore(0.0, 0.0, 0.0), None
    values = (grade.values if grade else None) or {}
    met = [values.get(criterion_key(i)) for i in range(len(metric.judged_parts(response.text)))]
    found = score_checklist([1.0] * len(met), met)
    if found is None:
        return BoundedScore(math.nan, 0.0, 1.0), grade.reason if grade else NOT_JUDGED
    if not math.isnan(found.score):
        return found, None
    problem = f"no verdict on {met.count(None)} of {len(met)} parts"
    return found, NOT_JUDGED if grade is None else grade.reason or problem
