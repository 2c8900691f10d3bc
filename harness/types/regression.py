"""Comparisons of a run with another run or with a baseline, and monitoring of a score stream."""

from pydantic import Field

from harness.types.base import Interval, Record
from harness.types.results import Comparison, GateDecision


class ItemChange(Record):
    """One item whose score changed."""

    sample_id: str
    before: float
    after: float


class Flips(Record):
    """The items with the largest changes on one column, in both directions, and how many changed."""

    metric: str
    n_better: int
    n_worse: int
    better: tuple[ItemChange, ...]
    worse: tuple[ItemChange, ...]


class RunComparison(Record):
    """The new run's candidate compared with the old one's.

    `skipped` has the columns that are left out, with the reason, `notes` remarks on the others.
    """

    old: str
    new: str
    comparisons: tuple[Comparison, ...]
    flips: tuple[Flips, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Check(Record):
    """A run compared with a baseline: the verdict by column, the items that changed, and remarks."""

    model: str
    baseline: str
    decision: GateDecision
    flips: tuple[Flips, ...]
    notes: tuple[str, ...] = Field(default=(), exclude_if=lambda notes: not notes)


class MonitorResult(Record):
    """The evidence so far against the promise that the mean score is at least `promised`.

    `e_value` is the current evidence against it, `largest` the maximum so far, reached after item
    `largest_at`; once it reaches 1 / alpha, the alarm stays raised. Items without a score count as
    evidence for the promise. Each limit of `mean` is wrong with probability at most alpha at any
    time, with missing scores at their worst and at their best; a lower limit above the upper one means
    that the mean has changed in between. `sign_e_value` is the largest evidence
    that scores are more often below than above the promised value, which is another question; it
    never raises the alarm.
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
