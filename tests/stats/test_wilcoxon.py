import numpy as np
import pytest
from scipy import stats

from harness.stats.wilcoxon import wilcoxon_test


def depression(golden) -> np.ndarray:
    case = golden("wilcoxon")["cases"][0]
    return np.array(case["x"]) - np.array(case["y"])


def ceiling_ties(golden) -> tuple[np.ndarray, dict]:
    case = golden("wilcoxon")["cases"][2]
    return np.array(case["b"]) - np.array(case["a"]), case


def test_exact_p_of_the_depression_data(golden):
    case = golden("wilcoxon")["cases"][0]
    d = depression(golden)
    assert wilcoxon_test(d) == (case["V"], pytest.approx(case["p_two"]), "exact")
    assert wilcoxon_test(d, alternative="greater").p_value == pytest.approx(case["p_greater"])


def test_exact_p_of_darwins_maize(golden):
    case = golden("wilcoxon")["cases"][1]
    assert wilcoxon_test(case["d"]) == (case["V"], pytest.approx(case["p_two"]), "exact")


def test_pratt_with_ties_equals_coin(golden):
    d, case = ceiling_ties(golden)
    assert wilcoxon_test(d).p_value == pytest.approx(case["pratt_exact"], abs=1e-12)
    asymptotic = wilcoxon_test(d, method="asymptotic").p_value
    assert asymptotic == pytest.approx(case["pratt_asym"], abs=1e-6)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_asymptotic_p_equals_scipys_pratt(golden, alternative):
    d, _ = ceiling_ties(golden)
    expected = stats.wilcoxon(
        d, zero_method="pratt", method="asymptotic", correction=False, alternative=alternative
    )
    result = wilcoxon_test(d, method="asymptotic", alternative=alternative)
    assert result.p_value == pytest.approx(expected.pvalue)


def test_large_samples_use_the_normal_limit():
    d = np.arange(-90.0, 120.0)
    result, exact = wilcoxon_test(d), wilcoxon_test(d, method="exact")
    assert (result.method, exact.method) == ("asymptotic", "exact")
    assert result.p_value == pytest.approx(exact.p_value, rel=0.1)


def test_all_zero_differences_give_p_one():
    assert wilcoxon_test([0, 0, 0]).p_value == 1
    assert wilcoxon_test([0, 0, 0], method="asymptotic").p_value == 1


def test_no_items_are_refused():
    with pytest.raises(ValueError, match="d is empty"):
        wilcoxon_test([])
