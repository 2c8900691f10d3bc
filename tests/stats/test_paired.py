import math

import numpy as np
import pytest

from harness.stats.bounded_means import betting_lower_bound, betting_upper_bound
from harness.stats.means import design_effect, mean_difference, mean_moments


def test_hand_worked_mean_difference():
    result = mean_difference([1, 2, 3, 4])
    assert result.estimate == 2.5
    assert result.se == pytest.approx(math.sqrt(5 / 12))
    assert (result.n, result.n_clusters, result.df) == (4, 4, 3)
    assert result.ci_high - 2.5 == pytest.approx(3.182446305 * result.se)
    assert result.d_z == pytest.approx(2.5 / math.sqrt(5 / 3))
    assert result.dominance == 1
    assert not result.degenerate


def test_t_interval_of_darwins_maize(golden):
    case = golden("signflip_exact")["cases"][0]
    result = mean_difference(case["d"])
    assert result.estimate / result.se == pytest.approx(case["t"], abs=1e-12)
    assert [result.ci_low, result.ci_high] == pytest.approx(case["t_ci95"], abs=1e-10)


def test_t_interval_of_the_sleep_data(golden):
    case = golden("signflip_exact")["cases"][1]
    result = mean_difference(np.array(case["d"]) / 10)
    assert [result.ci_low, result.ci_high] == pytest.approx(case["t_ci95_unscaled"], abs=1e-12)


def test_cluster_robust_se_equals_clubsandwich(golden):
    case = golden("cluster_se")
    result = mean_difference(case["y"], clusters=case["cluster"])
    assert result.estimate == pytest.approx(case["mean"])
    assert result.se == pytest.approx(case["CR1"], abs=case["tol"])
    assert result.df == case["satterthwaite_df"]


def test_singleton_clusters_change_nothing():
    d = [3.0, -1.0, 0.0, 2.0, 5.0]
    clustered = mean_difference(d, clusters=["e", "d", "c", "b", "a"])
    assert clustered == pytest.approx(mean_difference(d))


def test_dominance_counts_ties_as_neither():
    assert mean_difference([5, -1, -1, 0]).dominance == -0.25


@pytest.mark.parametrize("n", [1, 3, 100])
def test_ties_on_all_items_are_no_narrower_than_the_bounds_of_the_gate(n):
    bounds = (-0.5, 0.5)
    result = mean_difference([0.0] * n, bounds=bounds)
    assert result.degenerate
    assert math.isnan(result.d_z)
    assert result.ci_low <= betting_lower_bound([0.0] * n, bounds=bounds) < 0 == result.estimate
    assert 0 < betting_upper_bound([0.0] * n, bounds=bounds) <= result.ci_high


def test_zero_differences_without_bounds_give_the_whole_line():
    result = mean_difference([0.0] * 7)
    assert (result.ci_low, result.ci_high) == (-math.inf, math.inf)


def test_constant_differences_without_bounds_give_the_whole_line():
    result = mean_difference([0.1] * 7)
    assert result.degenerate
    assert result.se == 0
    assert (result.ci_low, result.ci_high) == (-math.inf, math.inf)


def test_constant_differences_with_bounds_give_an_interval_of_some_width():
    result = mean_difference([1.0] * 50, bounds=(-9, 9))
    assert -9 < result.ci_low < 1 < result.ci_high < 9


def test_equal_cluster_means_are_degenerate():
    result = mean_difference([1, 3, 2, 2], clusters=[1, 1, 2, 2], bounds=(-9, 9))
    assert result.degenerate
    assert -9 <= result.ci_low < 2 < result.ci_high <= 9


def test_one_item_has_no_standard_error():
    result = mean_difference([2.0])
    assert math.isnan(result.se)
    assert result.degenerate
    assert (result.df, result.ci_low, result.ci_high) == (0, -math.inf, math.inf)


def test_one_cluster_has_no_standard_error():
    assert mean_difference([1, 2, 3], clusters=["a"] * 3).degenerate


def test_skewness_is_the_third_standardised_moment():
    # Deviations -2, -1, 3: third moment 18/3, variance 14/3.
    assert mean_moments([0, 1, 5]).skewness == pytest.approx(6 / (14 / 3) ** 1.5)


def test_design_effect_of_copied_items_is_the_number_of_copies():
    d = np.arange(1000.0) % 7
    effect = design_effect(np.tile(d, 3), clusters=np.tile(np.arange(1000), 3))
    assert effect == pytest.approx(3, rel=0.005)


def test_design_effect_never_rewards_clustering():
    assert design_effect([1, -1, 2, -2], clusters=[1, 1, 2, 2]) == 1
    assert design_effect([3, 3, 3, 3], clusters=[1, 1, 2, 2]) == 1


@pytest.mark.parametrize(
    ("d", "message"),
    [
        ([], "d is empty"),
        ([1.0, math.nan], "1 missing or infinite values"),
        ([[1.0, 2.0]], "one-dimensional"),
    ],
)
def test_unusable_differences_are_refused(d, message):
    with pytest.raises(ValueError, match=message):
        mean_difference(d)


def test_labels_must_match_items():
    with pytest.raises(ValueError, match="one label for each of the 3 items"):
        mean_difference([1, 2, 3], clusters=["a", "b"])


def test_confidence_must_be_a_fraction():
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1"):
        mean_difference([1, 2, 3], confidence=95)
