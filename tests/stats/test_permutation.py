import itertools

import numpy as np
import pytest

from harness.stats.permutation import signflip_test


@pytest.mark.parametrize("case", [0, 1])
def test_two_sided_p_equals_full_enumeration_in_r(golden, case):
    data = golden("signflip_exact")["cases"][case]
    result = signflip_test(data["d"])
    assert result.p_value == pytest.approx(data["two_sided"], abs=1e-12)
    assert (result.method, result.resamples) == ("exact", 0)


def test_one_sided_p_of_darwins_maize(golden):
    data = golden("signflip_exact")["cases"][0]
    greater = signflip_test(data["d"], alternative="greater")
    assert greater.p_value == pytest.approx(data["greater"], abs=1e-12)
    mirrored = signflip_test([-value for value in data["d"]], alternative="less")
    assert mirrored.p_value == greater.p_value


def test_three_equal_gains_are_one_chance_in_four():
    assert signflip_test([1, 1, 1]).p_value == 0.25


@pytest.mark.parametrize("denominator", [1, 2, 4, 6, 20, 64])
def test_fractions_with_a_common_denominator_are_exact(denominator):
    whole = np.array([3, -1, 4, 1, -5, 9, 2, 6])
    result = signflip_test(whole / denominator)
    assert result == signflip_test(whole)
    assert result.method == "exact"


def test_exact_p_equals_enumeration_with_ties_and_zeros():
    d = np.array([2, -1, 0, 0, 3, 1, -2, 2])
    sums = [np.dot(signs, np.abs(d)) for signs in itertools.product((-1, 1), repeat=d.size)]
    expected = np.mean(np.abs(sums) >= abs(d.sum()))
    assert signflip_test(d).p_value == pytest.approx(expected, abs=1e-15)


def test_whole_clusters_are_flipped():
    result = signflip_test([1, 2, -1, 5, 0, 3], clusters=["a", "a", "b", "b", "c", "c"])
    assert result.p_value == signflip_test([3, 4, 3]).p_value == 0.25


def test_irregular_differences_use_monte_carlo_and_agree_with_exact():
    whole = np.array([6, 8, 14, -16, 23, 24, -28, 29, 41, -48])
    nearly = whole + 1e-6 * np.sqrt(np.arange(10))
    drawn, exact = signflip_test(nearly), signflip_test(whole)
    assert (drawn.method, drawn.resamples) == ("monte-carlo", 9999)
    assert drawn.p_value == pytest.approx(exact.p_value, abs=3 * 0.5 / np.sqrt(9999))


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_one_sided_monte_carlo_agrees_with_exact(alternative):
    whole = np.array([6, 8, 14, -16, 23, 24, -28, 29, 41, -48])
    drawn = signflip_test(whole * np.pi, alternative=alternative)
    exact = signflip_test(whole, alternative=alternative)
    assert drawn.method == "monte-carlo"
    assert drawn.p_value == pytest.approx(exact.p_value, abs=3 * 0.5 / np.sqrt(9999))


def test_monte_carlo_p_is_never_zero_and_repeats():
    d = np.sqrt(np.arange(1, 201))
    assert signflip_test(d, resamples=99).p_value == 1 / 100
    assert signflip_test(d - 9, seed=5) == signflip_test(d - 9, seed=5)


def test_a_support_too_large_for_memory_is_sampled():
    assert signflip_test([1_500_000, 1_000_001]).method == "monte-carlo"


def test_tiny_differences_are_not_taken_for_ties():
    d = np.sqrt(np.arange(1, 21)) - 2
    assert signflip_test(1e-12 * d).p_value == signflip_test(d).p_value < 0.05


def test_all_zero_differences_give_p_one():
    for alternative in ("two-sided", "greater", "less"):
        assert signflip_test([0, 0, 0], alternative=alternative).p_value == 1


def test_a_single_item_shows_nothing():
    assert signflip_test([7]).p_value == 1


def test_no_items_are_refused():
    with pytest.raises(ValueError, match="d is empty"):
        signflip_test([])


def test_no_resamples_are_refused():
    with pytest.raises(ValueError, match="resamples must be at least 1"):
        signflip_test([1, 2], resamples=0)
