import numpy as np
import pytest
from scipy import stats

from harness.stats.means import slope


def test_the_slope_is_that_of_least_squares():
    rng = np.random.default_rng(1)
    x = rng.integers(1, 11, 80).astype(float)
    y = 2 + 0.5 * x + rng.normal(0, 1, 80)
    found = slope(x, y)
    assert found is not None
    assert found.estimate == pytest.approx(stats.linregress(x, y).slope)


def test_the_interval_covers_a_known_slope():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(400):
        x = rng.normal(0, 1, 60)
        found = slope(x, 0.5 * x + rng.normal(0, 1 + np.abs(x)))
        assert found is not None
        hits += found.interval.low <= 0.5 <= found.interval.high
    assert hits / 400 > 0.91


def test_scores_that_do_not_vary_have_no_slope():
    assert slope([5.0, 5.0, 5.0], [1.0, 2.0, 3.0]) is None


def test_points_on_one_line_have_no_interval() -> None:
    assert slope([1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0]) is None
