"""Watching scores as they come in, such as those of samples from production, without end.

{"id": "2026-11-03-0412", "win": 0.5}

Whoever looks at a p-value after every item finds something in the end. An e-process may be looked
at as often as one likes: while the promise "the mean is at least so much" is kept, the alarm is
ever raised with chance alpha at most.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.config import Source
from harness.core.errors import HarnessError
from harness.data.tables import Table, load_rows, text_of
from harness.stats.bounded_means import betting_e_values, confidence_sequence, sign_e_values
from harness.stats.vectors import Vector
from harness.types import Interval, Record


class MonitorResult(Record):
    """What the scores so far say of the promise that their mean is at least `promised`.

    `e_value` is the evidence against it now, `largest` the most there ever was, after item
    `largest_at`; the alarm is raised for good once it has reached 1 / alpha. Items without a score
    count as kept promises there. Each limit of `mean` is wrong, at whatever time one looks, with
    chance alpha at most, gaps at their worst and at their best. `sign_e_value` is the largest
    evidence that scores are more often below than above what was promised, which is another
    question; it never raises the alarm.
    """

    n: int
    n_missing: int
    promised: float
    alpha: float
    e_value: float
    largest: float
    largest_at: int
    mean: Interval
    sign_e_value: float
    alarm: bool


def watch_scores(
    scores: Vector, promised: float, *, bounds: tuple[float, float], alpha: float
) -> MonitorResult:
    """Test the scores in the order in which they came; NaN where one is missing.

    Raises:
        ValueError: there are none, or one lies outside `bounds`, or `promised` does.
    """
    low, high = bounds
    missing = np.isnan(scores)
    worst, best = np.where(missing, low, scores), np.where(missing, high, scores)
    against = betting_e_values(-best, -promised, bounds=(-high, -low), alpha=alpha)
    at = int(against.argmax())
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
        HarnessError: no such file or column, or a cell that is no number within `bounds`.
    """
    table = load_rows(Source(path=str(path)), Path())
    table.column(column, "score")
    return np.array([_score(table, i, column, bounds) for i in range(len(table.rows))])


def describe_watch(found: MonitorResult) -> Iterator[str]:
    """Describe the evidence in lines."""
    gaps = f", {found.n_missing:,} of them without a score" if found.n_missing else ""
    yield f"{found.n:,} items{gaps}: mean {found.mean.estimate:.4g}, promised {found.promised:g} or more"
    yield (
        f"The mean lies above {found.mean.low:.4g} and below {found.mean.high:.4g}; each limit is "
        f"wrong with chance {found.alpha:g} at most, whenever one looks."
    )
    yield (
        f"Evidence against the promise: e = {found.e_value:.3g} now, {found.largest:.3g} at its largest (after "
        f"item {found.largest_at:,}); an alarm takes {1 / found.alpha:.3g}."
    )
    yield f"That scores are more often below it than above: e at most {found.sign_e_value:.3g}."
    yield "ALARM: the promise is broken." if found.alarm else "No alarm."


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
            f"{table.origin}:{table.lines[i]}: '{text}' is no score from {bounds[0]:g} to "
            f"{bounds[1]:g}; leave the cell empty where there is none."
        )
    return score
