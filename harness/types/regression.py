"""Comparisons of a run with another run or with a baseline."""

from harness.types.base import Record
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
    """A run compared with a baseline: the verdict by column, and the items that changed."""

    model: str
    baseline: str
    decision: GateDecision
    flips: tuple[Flips, ...]
