"""Scores of an item's criteria: by all of them, by those with a tag, and by the worst that is met."""

import math
from collections.abc import Mapping

from harness.config import ChecklistMetric, metric_of
from harness.config.checklist import WORST
from harness.stats.checklist import BoundedScore, score_checklist, worst_met
from harness.types import Sample, Task
from harness.types.judgements import criterion_key


def task_of_column(task: Task, column: str) -> Task:
    """Return the task with the items that have a place in a column.

    They are all but for a checklist's tag, which leaves out those without positive points under it.
    """
    metric = task.metrics[metric_of(column)]
    if not isinstance(metric, ChecklistMetric) or metric.covers_all(column):
        return task
    samples = tuple(s for s in task.samples if any(p > 0 for _, p in _points(s, metric, column)))
    return task.model_copy(update={"samples": samples, "n_items": len(samples)})


def score_item(
    sample: Sample, metric: ChecklistMetric, column: str, values: Mapping[str, float]
) -> tuple[BoundedScore, str | None]:
    """Compute an item's score in a column from a grade's values, and why it has none.

    An item without positive points has none, and may be anywhere in the range of all items.
    """
    counted = _points(sample, metric, column)
    met = [values.get(criterion_key(place)) for place, _ in counted]
    score = worst_met if column.endswith(f".{WORST}") else score_checklist
    found = score([points for _, points in counted], met)
    if found is None:
        low, high = metric.bounds_of(column)
        return BoundedScore(math.nan, low, high), "no criterion with positive points"
    return found, f"no verdict on {met.count(None)} of {len(met)} criteria"


def _points(sample: Sample, metric: ChecklistMetric, column: str) -> list[tuple[int, float]]:
    """Return the places and points of the item's criteria that count in a column."""
    tag = metric.parts[column.partition(".")[2]]
    criteria = enumerate(sample.criteria[metric.list_name])
    return [(i, c.points) for i, c in criteria if tag is None or tag in c.tags]
