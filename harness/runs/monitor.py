"""Monitoring of a stream of scores, such as those of samples from production, without end.

{"id": "2026-11-03-0412", "win": 0.5}

A p-value that is checked after every item falls below any threshold sooner or later. An e-process
may be checked at any time: while the mean is at least the promised value, the probability that the
alarm is ever raised is at most alpha.
"""

import math
from pathlib import Path

import numpy as np

from harness.config import Source
from harness.core.errors import HarnessError
from harness.data.tables import Table, load_rows, text_of
from harness.stats.bounded_means import betting_e_values, confidence_sequence, sign_e_values
from harness.stats.vectors import Vector
from harness.types import Interval
from harness.types.regression import MonitorResult


def watch_scores(
    scores: Vector, promised: float, *, bounds: tuple[float, float], alpha: float
) -> MonitorResult:
    """Test the scores in the order in which they came; NaN where one is missing.

    Raises:
        ValueError: there are no scores, or a score or `promised` is outside `bounds`.
    """
    # Evidence against the promise, with missing scores at their best.
    low, high = bounds
    missing = np.isnan(scores)
    worst, best = np.where(missing, low, scores), np.where(missing, high, scores)
    against = betting_e_values(-best, -promised, bounds=(-high, -low), alpha=alpha)
    at = int(against.argmax())
    # Limits of the mean, with missing scores at their worst and at their best.
    return MonitorResult(
        n=scores.size,
        n_missing=int(missing.sum()),
        promised=promised,
        alpha=alpha,
        e_value=float(against[-1]),
        largest=float(against[at]),
        largest_at=at + 1,
        mean=Interval(
            estimate=float(scores[~missing].mean()) if not missing.all() else low,
            low=confidence_sequence(worst, bounds=bounds, alpha=alpha).low,
            high=confidence_sequence(best, bounds=bounds, alpha=alpha).high,
        ),
        sign_e_value=float(sign_e_values(promised - best).max()),
        alarm=bool(against[at] >= 1 / alpha),
    )


def read_stream(path: Path, column: str, *, bounds: tuple[float, float]) -> Vector:
    """Read the scores in one column of a file, in its order; NaN where a cell is empty.

    Raises:
        HarnessError: no such file or column, or a cell that is not a number within `bounds`.
    """
    table = load_rows(Source(path=str(path)), None).with_columns([column])
    table.column(column, "score")
    return np.array([_score(table, i, column, bounds) for i in range(len(table.rows))])


def _score(table: Table, i: int, column: str, bounds: tuple[float, float]) -> float:
    text = text_of(table.rows[i].get(column)).strip()
    if not text:
        return math.nan
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not bounds[0] <= score <= bounds[1]:
        raise HarnessError(
            f"{table.origin}:{table.lines[i]}: '{text}' is not a score from {bounds[0]:g} to "
            f"{bounds[1]:g}; leave the cell empty if the item has no score."
        )
    return score
