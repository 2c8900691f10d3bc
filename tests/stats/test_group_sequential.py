import math

import numpy as np
import pytest

from harness.stats.group_sequential import (
    conditional_power,
    futile_below,
    median_unbiased_z,
    nominal_levels,
    obrien_fleming,
    survival,
)

EVEN = (0.2, 0.4, 0.6, 0.8, 1.0)


def test_the_boundaries_are_the_published_ones(golden):
    published = golden("group_sequential")
    found = obrien_fleming(EVEN, alpha=published["alpha"], sides="two-sided")
    assert found == pytest.approx(published["OBF5"], abs=published["tol"])


def test_pocock_s_published_boundary_errs_as_often_as_it_says(golden):
    published = golden("group_sequential")
    bands = [[(-z, z)] for z in published["POC5"]]
    assert 1 - survival(EVEN, bands)[-1] == pytest.approx(published["alpha"], abs=1e-5)


def test_a_single_look_is_the_usual_test() -> None:
    assert obrien_fleming((1.0,), alpha=0.05) == pytest.approx([1.6448536], abs=1e-6)


def test_simulated_looks_cross_a_one_sided_boundary_as_often_as_stated() -> None:
    fractions = (0.13, 0.5, 0.56, 1.0)
    critical = np.array(obrien_fleming(fractions, alpha=0.05))
    steps = np.diff([0.0, *fractions])
    rng = np.random.default_rng(1)
    z = rng.normal(0, np.sqrt(steps), (400_000, 4)).cumsum(axis=1) / np.sqrt(fractions)
    assert (z >= critical).any(axis=1).mean() == pytest.approx(0.05, abs=4 * 0.00035)


def test_looks_that_almost_coincide_do_not_spoil_the_integral() -> None:
    apart = obrien_fleming((0.5, 1.0), alpha=0.05)
    close = obrien_fleming((0.5, 0.505, 1.0), alpha=0.05)
    assert close[-1] == pytest.approx(apart[-1], abs=1e-2)


def test_nominal_levels_rise_to_just_below_alpha() -> None:
    levels = nominal_levels(obrien_fleming(EVEN, alpha=0.05))
    assert list(levels) == sorted(levels)
    assert levels[0] < 1e-4
    assert 0.035 < levels[-1] < 0.05


def test_survival_of_two_bands_is_that_of_both() -> None:
    fractions = (0.4, 1.0)
    whole = survival(fractions, [[(-2.0, 2.0)], [(-9.0, 9.0)]], drift=1.0)
    left = survival(fractions, [[(-2.0, 0.3)], [(-9.0, 9.0)]], drift=1.0)
    right = survival(fractions, [[(0.3, 2.0)], [(-9.0, 9.0)]], drift=1.0)
    both = survival(fractions, [[(-2.0, 0.3), (0.3, 2.0)], [(-9.0, 9.0)]], drift=1.0)
    assert both == pytest.approx(whole, abs=1e-9)
    assert left[-1] + right[-1] == pytest.approx(whole[-1], abs=1e-9)


def test_conditional_power_is_the_chance_under_the_trend() -> None:
    z, t, critical = 1.2, 0.4, 1.75
    rng = np.random.default_rng(2)
    later = z * math.sqrt(t) + rng.normal(z / math.sqrt(t) * (1 - t), math.sqrt(1 - t), 400_000)
    assert conditional_power(z, t, critical) == pytest.approx((later > critical).mean(), abs=0.004)


def test_futility_is_where_conditional_power_falls_below_what_is_asked() -> None:
    z = futile_below(0.6, 1.75, power=0.1)
    assert conditional_power(z, 0.6, 1.75) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "fractions", [(), (0.5,), (0.5, 0.5, 1.0), (0.7, 0.2, 1.0), (0.5, 1.2), (0.5, 0.5001, 1.0)]
)
def test_fractions_must_rise_to_one(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="rise to 1"):
        obrien_fleming(fractions)


def test_at_the_first_look_the_middle_estimate_is_the_estimate() -> None:
    assert median_unbiased_z(4.5, EVEN[:1], (3.9,)) == pytest.approx(4.5, abs=1e-3)


def test_later_it_is_nearer_to_nothing_and_mirrored() -> None:
    critical = obrien_fleming(EVEN)
    later = median_unbiased_z(2.9, EVEN[:3], critical[:3])
    assert 2.6 < later < 2.9
    assert median_unbiased_z(-2.9, EVEN[:3], critical[:3]) == pytest.approx(-later)


def test_it_is_above_the_truth_half_of_the_time_where_the_estimate_is_more_often() -> None:
    """Where judging stopped, by stage: a true z of 3 at the last look, 150 trials."""
    critical, drift, rng = obrien_fleming(EVEN), 3.0, np.random.default_rng(3)
    plain, middle = [], []
    for _ in range(150):
        z = rng.normal(drift * 0.2, math.sqrt(0.2), 5).cumsum() / np.sqrt(EVEN)
        k = next((i for i in range(5) if abs(z[i]) >= critical[i]), 4)
        if k == 4:
            continue
        truth = drift * math.sqrt(EVEN[k])
        plain.append((z[k] - truth) / math.sqrt(EVEN[k]))
        middle.append(
            (median_unbiased_z(z[k], EVEN[: k + 1], critical[: k + 1]) - truth) / math.sqrt(EVEN[k])
        )
    assert np.mean(middle) < np.mean(plain)
    assert np.mean(plain) > 0.2
