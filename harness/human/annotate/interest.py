"""How much a label of each item would tell: where judge and people may differ, and how much it moves.

A label tells most where the judge contradicts itself or gave no verdict, and where the two models
differ most: there the judge's error is largest, and so is its weight in the mean.
"""

from collections.abc import Mapping

import numpy as np

from harness.artifacts.run_folder import Run
from harness.config import metric_of
from harness.core.errors import HarnessError
from harness.scoring.columns import PreferenceColumn
from harness.scoring.paired import PairedScores, gated_pairs
from harness.stats.vectors import Vector
from harness.types import Task


def find_interest(run: Run, task: Task, metric: str | None) -> Mapping[str, float]:
    """Return the interest of each item of a task, from 0 to 1, by the scores that judges gave.

    `metric` is the pairwise metric whose question is asked; without it all judged metrics count.

    Raises:
        HarnessError: no judge scored the two models on this task.
    """
    plan = run.result.plan
    names = [metric] if metric else [name for name, m in task.metrics.items() if not m.computed]
    columns = [c for c in run.columns if metric_of(c.metric) in names]
    by_order = {c.metric: c for c in columns if isinstance(c, PreferenceColumn)}
    interest: dict[str, float] = {}
    for name, pair in gated_pairs(columns, plan).items():
        of_items = _interest_of(pair, by_order.get(name))
        for sample_id, value in zip(pair.sample_ids, of_items.tolist(), strict=True):
            interest[sample_id] = max(value, interest.get(sample_id, 0.0))
    if not interest:
        raise HarnessError(
            f"--informative: no judge of this run has scored both models on {task.name}, so nothing "
            "shows on which items a label would tell most. Leave it out to draw at random."
        )
    return interest


def _interest_of(pair: PairedScores, column: PreferenceColumn | None) -> Vector:
    """Return the largest of an item's difference, its change with the order, and a missing verdict."""
    difference = np.abs(pair.d) / max(abs(bound) for bound in pair.bounds)
    if column is not None:
        orders = np.array([column.by_order[order] for order in column.orders])
        difference = np.maximum(difference, orders.max(axis=0) - orders.min(axis=0))
    return np.where(np.isnan(difference), 1.0, difference)
