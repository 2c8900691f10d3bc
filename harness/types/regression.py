"""Runs held to each other."""

from harness.types.base import Record
from harness.types.results import Comparison, GateDecision


class ItemChange(Record):
    """One item whose score moved."""

    sample_id: str
    before: float
    after: float


class Flips(Record):
    """The items that moved most on one column, each way, and how many moved at all."""

    metric: str
    n_better: int
    n_worse: int
    better: tuple[ItemChange, ...]
    worse: tuple[ItemChange, ...]


class RunComparison(Record):
    """The new run's candidate against the old one's.

    `skipped` says why a column is not there, `notes` what to know of those that are.
    """

    old: str
    new: str
    comparisons: tuple[Comparison, ...]
    flips: tuple[Flips, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Check(Record):
    """A run held to a baseline: the verdict by column, and the items that moved."""

    model: str
    baseline: str
    decision: GateDecision
    flips: tuple[Flips, ...]
