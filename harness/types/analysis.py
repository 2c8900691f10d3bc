"""Sensitivity analyses, slices, rankings and critical answers. Only critical rules can decide."""

from typing import Literal

from pydantic import Field

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
    """One variant of a sensitivity analysis.

    `without` is the flag that `without_flagged` leaves out. `estimate` is the quantity of the claim:
    a difference, a win rate or the candidate's own mean, with its two-sided 95 % interval. With
    missing scores, the interval of `as_decided` runs from the worst to the best possible one.
    `verdict` is that of the claim, None without one; `problem` is why there is no estimate.
    """

    counting: SensitivityVariant
    without: HygieneFlag | Literal["any_flag"] | None = None
    n: int
    estimate: Interval | None
    verdict: ClaimVerdict | None = None
    problem: str | None = None


class TippingPoint(Record):
    """The values of the missing judgements at which the verdict would change.

    `at_worst` is the verdict with all of them at their worst for the candidate. Each flip is the
    smallest value, imputed for all of them, from which the paired verdict holds; none if no value
    changes the verdict. `scale` is the unit of the values: a `difference`, a `score`, a `win_rate`,
    or the `share_at_best` of yes-or-no judgements that are taken at their best.
    """

    n_missing: int
    scale: Literal["difference", "score", "win_rate", "share_at_best"]
    at_worst: ClaimVerdict
    flips: tuple[tuple[float, ClaimVerdict], ...]


class SensitivityTable(Record):
    """All variants for one claim, or for one comparison without a claim."""

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
    tested slice with the lowest estimate of its metric. `n_labels` of its items have people's labels, None
    where there are none of the column; with enough of them `corrected` is the judge's estimate corrected by them.
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
    n_labels: int | None = Field(default=None, exclude_if=lambda n: n is None)
    corrected: Interval | None = Field(default=None, exclude_if=lambda interval: interval is None)


class BradleyTerryScore(Record):
    """One model's Bradley-Terry log-strength, relative to the baseline's 0.

    `against_baseline` is the win rate against the baseline that the strengths imply. Both are None
    if the strengths are not identified.
    """

    model: str
    log_strength: Interval | None
    against_baseline: Interval | None


class PairWinRate(Record):
    """One pair's direct win rate (the later model's), and the one expected from the strengths."""

    baseline: str
    candidate: str
    n: int
    win_rate: Interval
    expected: float | None


class Cycle(Record):
    """Three models in a cycle, each beating the next; `shown` if every interval excludes 0.5."""

    models: tuple[str, str, str]
    shown: bool


class RankingTable(Record):
    """Bradley-Terry strengths on one pairwise metric, with the direct win rates.

    `unidentified` is why there are no strengths; `every_pair` is False if models were only compared
    with the baseline, so that the strengths add nothing to the direct win rates.
    """

    metric: str
    n_items: int
    every_pair: bool
    strengths: tuple[BradleyTerryScore, ...]
    pairs: tuple[PairWinRate, ...]
    cycles: tuple[Cycle, ...]
    unidentified: str | None


class CriticalItem(Record):
    """An item with a critical answer of the candidate, and both scores; None is missing."""

    sample_id: str
    score: float
    baseline_score: float | None


class CriticalResult(Record):
    """The verdict on a critical rule: whether the share of critical answers is within its limit.

    `n_critical` are the candidate's scored answers at or below the limit; those without a score,
    `n_missing`, count as critical for a pass and as harmless for a fail. `upper` and `lower` are
    one-sided bounds of the share at the gate's alpha (Clopper-Pearson; of `n_units` independent
    units: items, or clusters). `difference` is the candidate's share less the baseline's over the
    `n_paired` items that both have a score of, with its 95 % interval and two-sided p-value;
    a model alone has no such pairs. `items` are the critical ones, the worst first.
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
