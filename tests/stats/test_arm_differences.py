"""Differences between arms, against formulas written out and against mixed-model software's numbers."""

import numpy as np
import pytest
from scipy import stats

from harness.stats.arm_differences import (
    describe_arm,
    detectable_difference,
    pair_level,
    pool_seed_variance,
)
from tests.builders.arms import compare_all

RNG = np.random.default_rng(5)
WIDE = (-9.0, 9.0)


def arms(n: int = 40, n_seeds: int = 3, m: int = 3) -> list[np.ndarray]:
    items = RNG.normal(0, 2, (1, n, 1))
    return [*(items + RNG.normal(0, 1, (m, n, n_seeds)) + RNG.normal(0, 0.3, (m, 1, n_seeds)))]


def test_of_one_training_each_it_is_the_paired_t_interval_at_sidaks_level() -> None:
    first, second, _ = single = arms(n_seeds=1)
    found = compare_all(single, alpha=0.05, bounds=WIDE)[0, 1]
    d = (second - first)[:, 0]
    level = 1 - 0.95 ** (1 / 3)
    low, high = stats.t.interval(1 - level, d.size - 1, d.mean(), stats.sem(d))
    assert found.interval == pytest.approx((low, high))


def test_where_items_do_not_vary_two_arms_have_welchs_interval() -> None:
    by_seed = RNG.normal(5, [[0.2], [1.0]], (2, 4))
    found = compare_all([np.tile(row, (50, 1)) for row in by_seed], alpha=0.05, bounds=WIDE)[0, 1]
    welch = stats.ttest_ind(by_seed[1], by_seed[0], equal_var=False)
    assert found.df == pytest.approx(welch.df)
    assert found.interval == pytest.approx(tuple(welch.confidence_interval(0.95)))


def test_an_arm_that_is_stable_by_chance_has_the_variance_of_all() -> None:
    steady, *others = (np.tile(RNG.normal(5, sd, 3), (30, 1)) for sd in (1e-6, 1e-6, 1, 1))
    steadier, found = others[0], compare_all([steady, *others], alpha=0.05, bounds=WIDE)[0, 1]
    pooled = np.mean([m[0].var(ddof=1) for m in (steady, steadier, *others[1:])])
    assert found.se == pytest.approx(np.sqrt(2 * pooled / 3))
    assert found.df == pytest.approx(8)


def test_the_cells_that_both_variances_count_are_those_of_two_way_anova() -> None:
    matrix = arms()[0]
    n, s = matrix.shape
    rest = matrix - matrix.mean(1, keepdims=True) - matrix.mean(0) + matrix.mean()
    mean_square = (rest**2).sum() / ((n - 1) * (s - 1))
    assert describe_arm(matrix).cell_variance == pytest.approx(mean_square / (n * s))
    assert describe_arm(matrix).seed_variance == pytest.approx(matrix.mean(0).var(ddof=1))


def test_items_of_one_cluster_count_as_one() -> None:
    one, two, _ = arms()
    doubled = [np.repeat(m, 2, axis=0) for m in (one, two)]
    clusters = np.repeat(np.arange(len(one)), 2)
    alone = compare_all([one, two], alpha=0.05, bounds=WIDE)[0, 1]
    together = compare_all(doubled, alpha=0.05, bounds=WIDE, clusters=clusters)[0, 1]
    assert together.interval == pytest.approx(alone.interval)


def test_a_model_that_was_not_trained_adds_no_variance_between_trainings() -> None:
    trained, fixed = np.tile([1.0, 2.0, 3.0], (20, 1)), np.zeros((20, 1))
    found = compare_all([fixed, trained], alpha=0.05, bounds=WIDE)[0, 1]
    assert found.interval == pytest.approx(stats.t.interval(0.95, 2, 2, 1 / np.sqrt(3)))


def test_differences_that_do_not_vary_never_have_an_interval_of_width_0() -> None:
    same = np.full((50, 3), 7.0)
    interval = compare_all([same, same + 1], alpha=0.05, bounds=WIDE)[0, 1].interval
    assert interval.low < 1 < interval.high


def test_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="complete"):
        describe_arm([[1.0, np.nan]])


def test_levels_of_all_pairs_together_are_alpha() -> None:
    assert 1 - (1 - pair_level(0.05, 6)) ** 6 == pytest.approx(0.05)


def test_arms_trained_once_leave_nothing_to_pool() -> None:
    assert pool_seed_variance([describe_arm([[1.0], [2.0]])]) == (0.0, 0.0)


@pytest.mark.parametrize(("n_items", "n_seeds", "n_arms"), [(50, 3, 4), (200, 5, 3)])
def test_the_smallest_difference_that_is_found_is_found_so_often_by_the_rule(
    n_items: int, n_seeds: int, n_arms: int
) -> None:
    rng, level = np.random.default_rng(5), pair_level(0.05, n_arms * (n_arms - 1) // 2)
    found, n = 0, 400
    gain = detectable_difference(
        level=level, n_items=n_items, n_seeds=n_seeds, n_arms=n_arms, sd=2.0, seed_sd=0.2
    )
    for _ in range(n):
        arms = [
            rng.normal(0, 1, (n_items, 1))
            + rng.normal(0, 1, (n_items, n_seeds))
            + rng.normal(0, 0.2, n_seeds)
            for _ in range(n_arms)
        ]
        pairs = compare_all([arms[0] + gain, *arms[1:]], alpha=0.05, bounds=(-30, 30))
        found += pairs[0, 1].interval.high < 0
    assert found / n == pytest.approx(0.8, abs=0.06)
