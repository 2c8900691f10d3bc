import math

import numpy as np
import pytest
from scipy import stats

from harness.stats.one_sided import mean_above_test, one_sided_lower_bound

LEFT_SKEWED = [1.0] * 30 + [0.0] * 15 + [2.0] * 5 + [-7.0, -8.0]


def test_noninferiority_of_darwins_maize(golden):
    case = golden("signflip_exact")["noninferiority"]
    result = mean_above_test(case["d"], -case["margin"])
    assert result.t == pytest.approx(case["t"], abs=1e-12)
    assert result.p_t == pytest.approx(case["p"], abs=1e-12)


def test_twice_the_smaller_p_is_the_t_test_of_darwins_maize(golden):
    case = golden("signflip_exact")["cases"][0]
    assert 2 * mean_above_test(case["d"], 0).p_t == pytest.approx(case["t_p"], abs=1e-12)


def test_hall_statistic_is_the_published_cubic():
    d = np.array(LEFT_SKEWED)
    result = mean_above_test(d, 0)
    a = stats.skew(d) / math.sqrt(d.size)
    hall = result.t + a * result.t**2 / 3 + a**2 * result.t**3 / 27 + a / 6
    assert result.p_hall == pytest.approx(stats.t.sf(hall, d.size - 1))


def test_left_skew_makes_a_pass_harder():
    result = mean_above_test(LEFT_SKEWED, -0.5)
    assert result.p_gate == result.p_hall > result.p_t


def test_without_skew_the_guard_costs_nothing():
    result = mean_above_test([-1, 0, 1, 2, 3], 0)
    assert result.p_gate == pytest.approx(result.p_t)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_bound_inverts_the_test(alpha, sign):
    d = sign * np.array(LEFT_SKEWED)
    low = one_sided_lower_bound(d, alpha=alpha)
    assert mean_above_test(d, low).p_gate == pytest.approx(alpha)
    assert low < d.mean()


def test_bound_without_skew_is_the_t_bound():
    assert one_sided_lower_bound([1, 2, 3, 4]) == pytest.approx(
        2.5 - 2.353363435 * math.sqrt(5 / 12)
    )


def test_clusters_are_the_unit():
    d, sums = [1, 1, 2, 2, 4, 4, -3, -3], [2, 4, 8, -6]
    clustered = mean_above_test(d, -1, clusters=[1, 1, 2, 2, 3, 3, 4, 4])
    assert clustered == pytest.approx(mean_above_test(sums, -2))


@pytest.mark.parametrize("d", [[0, 0, 0], [2.0] * 9, [5]])
def test_data_without_variation_reject_nothing(d):
    result = mean_above_test(d, -1)
    assert result.degenerate
    assert (result.p_gate, result.p_t, result.p_hall) == (1, 1, 1)
    assert one_sided_lower_bound(d) == -math.inf


def test_no_items_are_refused():
    with pytest.raises(ValueError, match="d is empty"):
        mean_above_test([], 0)
