import math

import numpy as np
import pytest

from harness.stats.bounded_means import (
    JUDGED,
    betting_interval,
    betting_lower_bound,
    betting_p_above,
    betting_upper_bound,
)

SCORES = np.tile([1.0, 1.0, 0.0, 0.0, 0.5, 1.0], 25)


def test_bound_lies_below_the_mean_and_within_bounds():
    bound = betting_lower_bound(SCORES, bounds=(0, 1))
    assert 0 < bound < SCORES.mean()


def test_more_items_tighten_the_bound():
    bounds = [betting_lower_bound(np.tile(SCORES, k), bounds=(0, 1)) for k in (1, 4, 16)]
    assert bounds == sorted(bounds)
    assert SCORES.mean() - bounds[-1] < 0.04


def test_wealth_by_hand_for_two_perfect_items():
    # Both stakes are capped at .75/m, so the wealth is (1 + .75 (1/m - 1))^2 = 1/alpha = 4.
    assert betting_lower_bound([1, 1], bounds=(0, 1), alpha=0.25) == pytest.approx(3 / 7)


def test_wealth_at_the_bound_is_one_over_alpha_item_by_item():
    bound = betting_lower_bound(SCORES, bounds=(0, 1), alpha=0.05, seed=3)
    wealth, best, n = 1.0, 1.0, SCORES.size
    total, squares, variance = 0.5, 0.25, 0.25
    for seen, x in enumerate(SCORES[np.random.default_rng(3).permutation(n)], start=1):
        stake = min(math.sqrt(2 * math.log(20) / (n * variance)), 0.75 / bound)
        wealth *= 1 + stake * (x - bound)
        best = max(best, wealth)
        total += x
        squares += (x - total / (seen + 1)) ** 2
        variance = squares / (seen + 1)
    assert best == pytest.approx(20)


def test_bound_moves_with_the_scale():
    bound = betting_lower_bound(SCORES, bounds=(0, 1))
    moved = betting_lower_bound(18 * SCORES - 9, bounds=(-9, 9))
    assert moved == pytest.approx(18 * bound - 9)


def test_upper_bound_is_the_mirror():
    upper = betting_upper_bound(SCORES, bounds=(0, 1))
    assert upper == pytest.approx(1 - betting_lower_bound(1 - SCORES, bounds=(0, 1)))


def test_interval_halves_the_error():
    low, high = betting_interval(SCORES, bounds=(0, 1), confidence=0.9)
    assert low == betting_lower_bound(SCORES, bounds=(0, 1), alpha=0.05)
    assert high == betting_upper_bound(SCORES, bounds=(0, 1), alpha=0.05)


def test_worst_scores_give_the_trivial_bound():
    assert betting_lower_bound([-9.0] * 20, bounds=(-9, 9)) == -9


def test_a_sorted_file_is_not_bet_on_in_its_order():
    sorted_scores = np.sort(SCORES)
    backwards = sorted_scores[::-1]
    bounds = [betting_lower_bound(x, bounds=(0, 1)) for x in (SCORES, sorted_scores, backwards)]
    assert np.ptp(bounds) < 0.05


def test_copied_items_in_clusters_do_not_tighten_the_bound():
    labels = np.tile(np.arange(SCORES.size), 3)
    copied = betting_lower_bound(np.tile(SCORES, 3), bounds=(0, 1), clusters=labels)
    assert copied == pytest.approx(betting_lower_bound(SCORES, bounds=(0, 1)))


def test_a_small_cluster_moves_the_bound_less_than_a_large_one():
    labels = np.repeat(np.arange(30), 5)
    d = np.ones(150)
    bad_large, bad_small = np.concatenate((d, [0] * 5)), np.concatenate((d, [0]))
    large = betting_lower_bound(bad_large, bounds=(0, 1), clusters=[*labels, *[30] * 5])
    small = betting_lower_bound(bad_small, bounds=(0, 1), clusters=[*labels, 30])
    assert large < small


def test_type_one_error_is_held_for_ten_skewed_items():
    rng = np.random.default_rng(11)
    samples = rng.choice([0.0, 1.0], p=[0.1, 0.9], size=(300, 10))
    misses = [betting_lower_bound(x, bounds=(0, 1), alpha=0.2) > 0.9 for x in samples]
    assert np.mean(misses) <= 0.2


def test_values_outside_the_bounds_are_refused():
    with pytest.raises(ValueError, match="outside its bounds"):
        betting_lower_bound([0.0, 1.2], bounds=(0, 1))


def test_bounds_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="must rise"):
        betting_lower_bound([0.5], bounds=(1, 0))


def test_its_p_value_is_alpha_at_the_bound() -> None:
    bound = betting_lower_bound(SCORES, bounds=(0, 1), alpha=0.05)
    assert betting_p_above(SCORES, bound, bounds=(0, 1), alpha=0.05) == pytest.approx(
        0.05, rel=1e-6
    )
    assert betting_p_above(SCORES, 1.0, bounds=(0, 1)) == 1


def test_stakes_that_expect_the_spread_of_judged_differences_win_sooner_and_err_no_more() -> None:
    rng = np.random.default_rng(4)
    gains = np.clip(rng.normal(0.5, 1.87, (300, 50)), -9, 9)
    usual, tuned = (
        np.mean([betting_lower_bound(d, bounds=(-9, 9), **options) > 0 for d in gains])  # type: ignore[arg-type]
        for options in ({}, {"begin": JUDGED})
    )
    assert usual + 0.08 < tuned < 0.3
    ties = rng.choice([-9.0, 0.0, 1.0], p=[0.005, 0.95, 0.045], size=(600, 100))
    assert np.mean([betting_lower_bound(d, bounds=(-9, 9), begin=JUDGED) > 0 for d in ties]) <= 0.05
