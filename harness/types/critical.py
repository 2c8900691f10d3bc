"""Answers so bad that no average may hide them."""

from harness.types.estimates import Interval, Verdict
from harness.types.record import Record


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
