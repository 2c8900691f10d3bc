"""Do judgements go missing more often for one of the two models?

If so, the items that are left no longer compare like with like, and an interval over the
missing values (`manski_interval`) is the honest one.
"""

from typing import NamedTuple

from numpy.typing import ArrayLike

from harness.stats.paired_binary import PairedCounts, count_pairs, mcnemar_exact, tango_interval


class Missingness(NamedTuple):
    """How often each model's judgement is missing, on the same items.

    Attributes:
        baseline: Share of items on which the baseline's is missing.
        candidate: Share of items on which the candidate's is.
        difference: candidate less baseline.
        ci_low: Lower end of Tango's score interval for the difference.
        ci_high: Upper end.
        p_value: Of the exact McNemar test that both go missing equally often.
        counts: How many items are missing for which model.
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
    """Compares how often judgements are missing for two models on the same items.

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
