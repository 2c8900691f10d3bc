import numpy as np
import pytest

from harness.stats.bootstrap import Matrix, resample
from harness.stats.vectors import Vector


def test_the_percentile_interval_is_that_of_r(golden):
    known = golden("bootstrap_darwin")
    d = np.array(known["d"], dtype=np.float64)

    def mean(counts: Matrix) -> Vector:
        return counts @ d / counts.sum(axis=1)

    found = resample(
        mean, np.ones(d.size, dtype=np.int64), confidence=0.95, resamples=20_000, seed=1,
        width=d.size,
    )  # fmt: skip
    low, high = known["ci"]["perc"]
    assert found.ci_low == pytest.approx(low, abs=known["tol_abs"])
    assert found.ci_high == pytest.approx(high, abs=known["tol_abs"])
