import pytest
from scipy import stats

from harness.stats.proportions import (
    clopper_pearson_interval,
    exact_threshold_test,
    minimum_n_for_threshold,
    wilson_interval,
)


@pytest.mark.parametrize("case", range(4))
def test_intervals_equal_newcombes_examples(golden, case):
    reference = golden("proportion_ci")
    data, tol = reference["cases"][case], reference["tol"]
    k, n = data["k"], data["n"]
    assert wilson_interval(k, n) == pytest.approx(tuple(data["wilson"]), abs=tol)
    exact = clopper_pearson_interval(k, n)
    assert exact == pytest.approx(tuple(data["clopper_pearson"]), abs=tol)


def test_exact_interval_of_the_r_example(golden):
    data = golden("proportion_ci")["binom_test"]
    interval = clopper_pearson_interval(data["k"], data["n"])
    assert interval == pytest.approx(tuple(data["ci"]), abs=2e-6)


def test_intervals_end_at_nought_and_one():
    for interval in (wilson_interval, clopper_pearson_interval):
        assert interval(0, 20).low == 0
        assert interval(20, 20).high == 1
        assert interval(0, 20).high == pytest.approx(1 - interval(20, 20).low)


def test_wilson_takes_effective_counts():
    whole, halved = wilson_interval(45, 50), wilson_interval(22.5, 25)
    assert halved.low < whole.low < 0.9 < whole.high < halved.high
    assert wilson_interval(22, 25).low < halved.low < wilson_interval(23, 25).low


def test_threshold_test_equals_binomtest():
    result = exact_threshold_test(168, 179, p0=0.9)
    above = stats.binomtest(168, 179, 0.9, alternative="greater")
    below = stats.binomtest(168, 179, 0.9, alternative="less")
    assert result.p_above == pytest.approx(above.pvalue)
    assert result.p_below == pytest.approx(below.pvalue)


def test_threshold_test_by_hand():
    result = exact_threshold_test(3, 3, p0=0.5)
    assert result.p_above == pytest.approx(1 / 8)
    assert result.p_below == pytest.approx(1)


@pytest.mark.parametrize(("p0", "n"), [(0.90, 29), (0.95, 59), (0.98, 149), (0.99, 299)])
def test_minimum_n_is_the_first_at_which_a_clean_sheet_passes(p0, n):
    assert minimum_n_for_threshold(p0) == n
    assert exact_threshold_test(n, n, p0=p0).p_above <= 0.05
    assert exact_threshold_test(n - 1, n - 1, p0=p0).p_above > 0.05


def test_minimum_n_is_not_pushed_up_by_rounding():
    assert minimum_n_for_threshold(0.1, 0.001) == 3


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(ValueError, match="0 <= k <= n"):
        wilson_interval(k, n)
