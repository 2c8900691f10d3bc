"""What a verdict would be if something were counted another way. None of it ever decides."""

from typing import Literal

from harness.types.base import ClaimVerdict, Interval, Record, Verdict
from harness.types.samples import HygieneFlag

SensitivityVariant = Literal[
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

    counting: SensitivityVariant
    without: HygieneFlag | Literal["any_flag"] | None = None
    n: int
    estimate: Interval | None
    verdict: ClaimVerdict | None = None
    problem: str | None = None


class TippingPoint(Record):
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
    tipping: TippingPoint | None


class SliceComparison(Record):
    """Candidate against baseline on the items that share a `value` in the column `slice`.

    `p_value` is two-sided, and None where the slice has too few items for a test; `p_adjusted` is
    corrected (Benjamini-Hochberg) over all `n_tests` slice tests of the run. `worst` marks the
    tested slice with the lowest estimate of its metric.
    """

    metric: str
    baseline: str
    candidate: str
    slice: str
    value: str
    n: int
    n_missing: int
    null: float
    difference: Interval | None
    p_value: float | None = None
    p_adjusted: float | None = None
    n_tests: int = 0
    worst: bool = False


class BradleyTerryScore(Record):
    """One model's Bradley-Terry log-strength, the baseline's being 0, and what it means.

    `against_baseline` is the win rate against the baseline that the strengths stand for. Both are
    None where the strengths are not identified.
    """

    model: str
    log_strength: Interval | None
    against_baseline: Interval | None


class PairWinRate(Record):
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


class RankingTable(Record):
    """Bradley-Terry on one pairwise metric; the direct win rates come first.

    `unidentified` says why there are no strengths; `every_pair` is False where models were only
    compared with the baseline, so that the strengths say no more than the direct win rates do.
    """

    metric: str
    n_items: int
    every_pair: bool
    strengths: tuple[BradleyTerryScore, ...]
    pairs: tuple[PairWinRate, ...]
    cycles: tuple[Cycle, ...]
    unidentified: str | None


class CriticalItem(Record):
    """An item on which the candidate's answer is critical, with both scores; None is missing."""

    sample_id: str
    score: float
    baseline_score: float | None


class CriticalResult(Record):
    """Whether the share of critical answers is shown to be allowed.

    `n_critical` are the candidate's scored answers at or below the limit; those without a score,
    `n_missing`, count as critical for a pass and as harmless for a fail. `upper` and `lower` are
    one-sided bounds of the share at the gate's alpha (Clopper-Pearson; of `n_units` independent
    units: items, or clusters). `difference` is the candidate's share less the baseline's over the
    `n_paired` items that both have a score of, with its 95 % interval and two-sided p-value.
    `items` are the critical ones, the worst first.
    """

    rule: str
    metric: str
    verdict: Verdict
    why: str
    n: int
    n_units: int
    n_critical: int
    n_missing: int
    n_baseline: int
    at_most: float
    allowed_share: float
    lower: float
    upper: float
    n_paired: int
    difference: Interval | None
    p_value: float | None
    items: tuple[CriticalItem, ...]
