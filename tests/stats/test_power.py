import pytest

from harness.stats.power import (
    minimum_detectable_effect,
    minimum_detectable_proportion,
    sample_size_proportion_threshold,
    t_test_power,
)
from harness.stats.proportions import exact_threshold_test


@pytest.mark.parametrize("case", [0, 1])
def test_paired_power_equals_r(golden, case):
    data = golden("power")["paired"][case]
    assert t_test_power(data["d"], data["n"]) == pytest.approx(data["power"], abs=1e-4)


def test_detectable_effect_and_power_undo_each_other():
    effect = minimum_detectable_effect(2.07, 300)
    assert effect == pytest.approx(0.336, abs=0.001)
    assert t_test_power(effect / 2.07, 300) == pytest.approx(0.8)


@pytest.mark.parametrize(("n", "effect"), [(100, 0.58), (300, 0.34), (500, 0.26), (805, 0.20)])
def test_detectable_effects_of_the_design(n, effect):
    assert minimum_detectable_effect(2.07, n) == pytest.approx(effect, abs=0.01)


@pytest.mark.parametrize(("margin", "n"), [(0.5, 106), (0.3, 295), (0.25, 424), (0.1, 2650)])
def test_noninferiority_sizes_are_the_designs_normal_ones_and_at_most_two_more(margin, n):
    least, more = (t_test_power(margin / 2.07, k, alternative="one-sided") for k in (n - 1, n + 2))
    assert least < 0.8 <= more


def test_power_is_finite_and_grows_far_into_the_tail():
    powers = [t_test_power(effect_size, 805) for effect_size in (0.01, 0.1, 0.394, 1, 4, 50)]
    assert powers == sorted(powers)
    assert powers[-1] == pytest.approx(1)


def test_one_side_has_more_power():
    assert t_test_power(0.3, 80, alternative="one-sided") > t_test_power(-0.3, 80)


@pytest.mark.parametrize(
    ("p0", "p1", "n", "needed"),
    [(0.90, 0.95, 179, 168), (0.95, 0.98, 234, 228), (0.95, 0.99, 124, 122)],
)
def test_threshold_sizes_of_the_design(p0, p1, n, needed):
    assert sample_size_proportion_threshold(p0, p1) == n
    assert exact_threshold_test(needed, n, p0=p0).p_above <= 0.05
    assert exact_threshold_test(needed - 1, n, p0=p0).p_above > 0.05


def test_power_at_no_effect_is_alpha():
    assert t_test_power(0, 40) == pytest.approx(0.05)
    assert t_test_power(0, 40, alternative="one-sided") == pytest.approx(0.05)


def test_impossible_plans_are_refused():
    with pytest.raises(ValueError, match="sd must be positive"):
        minimum_detectable_effect(0, 10)
    with pytest.raises(ValueError, match="alpha < power"):
        minimum_detectable_effect(1, 10, power=0.01)
    with pytest.raises(ValueError, match="n must be above 1"):
        t_test_power(0.5, 1)
    with pytest.raises(ValueError, match="p0 < p1"):
        sample_size_proportion_threshold(0.95, 0.9)


def test_differences_that_hardly_vary_are_found() -> None:
    assert t_test_power(1e16, 120) == pytest.approx(1.0)


@pytest.mark.parametrize(("p0", "p1", "n"), [(0.90, 0.95, 179), (0.95, 0.98, 234)])
def test_the_detectable_proportion_undoes_the_sample_size(p0, p1, n):
    assert p0 < minimum_detectable_proportion(p0, n) <= p1
    assert minimum_detectable_proportion(p0, n - 1) > p1


def test_where_no_proportion_passes_none_is_detectable():
    assert minimum_detectable_proportion(0.9, 28) is None
    assert minimum_detectable_proportion(0.9, 29) == pytest.approx(0.8 ** (1 / 29))
    with pytest.raises(ValueError, match="n must be at least 1"):
        minimum_detectable_proportion(0.9, 0)
