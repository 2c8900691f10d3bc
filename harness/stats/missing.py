"""Missing judgements, bounded by their worst and best values instead of dropped.

A judge that fails on the bad answers makes the rest look good. So every missing difference is set
to the worst, then to the best, value that is possible (Manski 1989, Journal of Human Resources
24:343); a gate passes only if it passes at the worst.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.paired_proportions import (
    PairedCounts,
    count_pairs,
    mcnemar_exact,
    tango_interval,
)
from harness.stats.vectors import Vector


class FilledDifferences(NamedTuple):
    """The differences with every gap filled, in the order given.

    Attributes:
        adverse: Gaps at the least possible value.
        favourable: Gaps at the greatest possible value; the same vector where there is no gap.
        n_missing: Number of gaps.
    """

    adverse: Vector
    favourable: Vector
    n_missing: int


def fill_missing(d: ArrayLike, *, low: ArrayLike, high: ArrayLike) -> FilledDifferences:
    """Fill the NaNs of `d` with their worst and their best possible values.

    Args:
        d: One difference an item, candidate less baseline; NaN where a judgement is missing.
        low: Least possible difference: one number, or one an item (tighter where only one
            model's score is missing). Ignored where d is known.
        high: Greatest possible difference, likewise.

    Raises:
        ValueError: If `d` is empty or not one-dimensional, `low` or `high` is neither one number
            nor one an item, or `low` exceeds `high` (or is NaN) where d is missing.
    """
    d = np.asarray(d, dtype=np.float64)
    if d.ndim != 1 or d.size == 0:
        raise ValueError(f"d must be a vector of at least one item, but its shape is {d.shape}.")
    gaps = np.isnan(d)
    least, greatest = _each_item(low, d, name="low"), _each_item(high, d, name="high")
    if not (least[gaps] <= greatest[gaps]).all():
        raise ValueError("low must not exceed high for any missing item.")
    adverse, n_missing = np.where(gaps, least, d), int(gaps.sum())
    favourable = np.where(gaps, greatest, d) if n_missing else adverse
    return FilledDifferences(adverse, favourable, n_missing)


def _each_item(values: ArrayLike, d: Vector, *, name: str) -> Vector:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape not in {(), d.shape}:
        raise ValueError(f"{name} must be one number, or one for each of the {d.size} items.")
    return np.broadcast_to(vector, d.shape)


class Missingness(NamedTuple):
    """The shares of missing judgements of two models on the same items.

    Attributes:
        baseline: Share of items on which the baseline's is missing.
        candidate: Share of items on which the candidate's is.
        difference: candidate less baseline.
        ci_low: Lower end of Tango's score interval for the difference.
        ci_high: Upper end.
        p_value: Of the exact McNemar test that both go missing equally often.
        counts: Items by the models whose judgement is missing.
    """

    baseline: float
    candidate: float
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    counts: PairedCounts


def differential_missingness(
    baseline_missing: ArrayLike, candidate_missing: ArrayLike, *, confidence: float = 0.95
) -> Missingness:
    """Compare the shares of missing judgements of two models on the same items.

    Args:
        baseline_missing: For each item, whether the baseline's judgement is missing.
        candidate_missing: Whether the candidate's is, in the same order.
        confidence: Coverage of the interval.

    Raises:
        ValueError: If the two differ in length, are empty, or hold anything but 0 and 1 (or
            False and True), or confidence is not in (0, 1).
    """
    counts = count_pairs(baseline_missing, candidate_missing)
    low, high = tango_interval(counts, confidence=confidence)
    return Missingness(
        baseline=(counts.both + counts.baseline_only) / counts.n,
        candidate=(counts.both + counts.candidate_only) / counts.n,
        difference=counts.risk_difference,
        ci_low=low,
        ci_high=high,
        p_value=mcnemar_exact(counts.candidate_only, counts.baseline_only),
        counts=counts,
    )
