"""The same comparison on parts of the items."""

from harness.types.estimates import Interval
from harness.types.record import Record


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
