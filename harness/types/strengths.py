"""Three or more models ranked by the pairs that a judge saw."""

from harness.types.estimates import Interval
from harness.types.record import Record


class Strength(Record):
    """One model's Bradley-Terry log-strength, the baseline's being 0, and what it means.

    `against_baseline` is the win rate against the baseline that the strengths stand for. Both are
    None where the strengths are not identified.
    """

    model: str
    log_strength: Interval | None
    against_baseline: Interval | None


class DirectPair(Record):
    """One pair's direct win rate (the later model's), beside what the strengths would make of it."""

    baseline: str
    candidate: str
    n: int
    win_rate: Interval
    expected: float | None


class Cycle(Record):
    """Three models of which each beats the next; `shown` if every interval excludes 0.5."""

    models: tuple[str, str, str]
    shown: bool


class StrengthTable(Record):
    """Bradley-Terry on one pairwise metric; the direct win rates come first.

    `unidentified` says why there are no strengths; `every_pair` is False where models were only
    compared with the baseline, so that the strengths say no more than the direct win rates do.
    """

    metric: str
    n_items: int
    every_pair: bool
    strengths: tuple[Strength, ...]
    pairs: tuple[DirectPair, ...]
    cycles: tuple[Cycle, ...]
    unidentified: str | None
