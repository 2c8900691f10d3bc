"""What a verdict would be if something were counted another way. None of it ever decides."""

from typing import Literal

from harness.types.answers import HygieneFlag
from harness.types.estimates import ClaimVerdict, Interval
from harness.types.record import Record

Counting = Literal[
    "as_decided",
    "complete_cases",
    "missing_at_worst",
    "missing_at_best",
    "without_flagged",
    "inconsistent_as_ties",
    "consistent_only",
    "equal_length",
]


class SensitivityRow(Record):
    """One way of counting.

    `without` says which flag `without_flagged` leaves out. `estimate` is what the claim is about: a
    difference, a win rate or the candidate's own mean, with its two-sided 95 % interval.
    Where scores are missing, the interval of `as_decided` runs from the worst to the best of them.
    `verdict` is that of the claim, None without one; `problem` says why there is no estimate.
    """

    counting: Counting
    without: HygieneFlag | Literal["any_flag"] | None = None
    n: int
    estimate: Interval | None
    verdict: ClaimVerdict | None = None
    problem: str | None = None


class Tipping(Record):
    """What the missing judgements would have to be for another verdict.

    `at_worst` is the verdict with all of them at their worst for the candidate. Each flip is the
    smallest value, put in for all of them, from which the verdict is the one beside it; there is
    none where no value flips it. `scale` is what the values are: a `difference`, a `score`, a
    `win_rate`, or the `share_at_best` of yes-or-no judgements that are taken at their best.
    """

    n_missing: int
    scale: Literal["difference", "score", "win_rate", "share_at_best"]
    at_worst: ClaimVerdict
    flips: tuple[tuple[float, ClaimVerdict], ...]


class SensitivityTable(Record):
    """One claim, or one comparison that no claim is about, counted in several ways."""

    metric: str
    baseline: str
    candidate: str
    claim: str | None
    rows: tuple[SensitivityRow, ...]
    tipping: Tipping | None
