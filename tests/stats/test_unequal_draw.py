"""Draws with known unequal chances, and means from their labels."""

import numpy as np
import pytest

from harness.stats.one_sided import one_sided_lower_bound
from harness.stats.unequal_draw import (
    draw_items,
    inclusion_chances,
    weighted_lower_bound,
    weighted_mean,
)

INTEREST = np.array([0.0, 0.1, 0.5, 1.0, 1.0, 0.0, 0.3, 0.2])


def test_chances_sum_to_the_number_drawn_and_leave_nobody_out():
    chances = inclusion_chances(INTEREST, 4)
    assert chances.sum() == pytest.approx(4)
    assert (chances >= 4 / 8 / 2 - 1e-12).all()
    assert (chances <= 1).all()
    assert (np.diff(chances[np.argsort(INTEREST)]) >= -1e-12).all()


def test_an_item_is_certain_at_most():
    chances = inclusion_chances(np.array([100.0, 0.0, 0.0, 0.0]), 3)
    assert chances[0] == 1.0
    assert chances.sum() == pytest.approx(3)


def test_without_interest_all_chances_are_equal():
    assert inclusion_chances(np.zeros(8), 2) == pytest.approx(np.full(8, 0.25))


def test_each_item_is_drawn_with_its_chance():
    chances = inclusion_chances(INTEREST, 4)
    draws = [draw_items(chances, seed) for seed in range(4_000)]
    assert {len(set(drawn)) for drawn in draws} == {4}
    rates = np.bincount(np.concatenate(draws), minlength=8) / len(draws)
    assert rates == pytest.approx(chances, abs=0.03)


@pytest.mark.parametrize(("n", "interest"), [(0, [1.0]), (3, [1.0, 1.0]), (1, [-1.0, 1.0])])
def test_a_draw_that_cannot_be_is_refused(n: int, interest: list[float]):
    with pytest.raises(ValueError, match=r"cannot be drawn|0 or more"):
        inclusion_chances(np.array(interest), n)


def test_weights_undo_the_draw():
    rng = np.random.default_rng(1)
    judge = rng.choice([0.0, 1.0], p=[0.8, 0.2], size=400)
    people = np.where(rng.random(400) < 0.2, 1 - judge, judge)
    chances = inclusion_chances(judge, 80)
    estimates, plain = [], []
    for seed in range(1_500):
        drawn = draw_items(chances, seed)
        labels = np.full(400, np.nan)
        labels[drawn] = people[drawn]
        estimates.append(weighted_mean(labels, judge, chances))
        plain.append(people[drawn].mean())
    off = np.mean(estimates) - people.mean()
    assert abs(off) < 4 * np.std(estimates) / np.sqrt(1_500)
    assert np.mean(plain) - people.mean() > 0.1


def test_labels_of_all_items_give_the_bound_of_the_labels():
    people = np.random.default_rng(2).normal(1.0, 1.0, 500)
    found = weighted_lower_bound(people, np.zeros(500), np.ones(500), least=-9, alpha=0.05)
    assert found == pytest.approx(one_sided_lower_bound(people), abs=1e-3)


def test_the_share_that_may_hide_is_that_of_the_smallest_chance():
    ones = np.ones(200)
    labels = np.where(np.arange(200) < 60, 1.0, np.nan)
    chances = np.where(np.arange(200) < 60, 0.6, 0.2)
    found = weighted_lower_bound(labels, ones, chances, least=0.0, alpha=0.05)
    assert found == pytest.approx(0.05 ** (1 / 40))


@pytest.mark.parametrize(
    ("labels", "chance", "problem"), [([1.0, 1.0], 0.5, "too few"), ([1.0] * 4, 1.5, "chance")]
)
def test_labels_that_weigh_nothing_are_refused(labels: list[float], chance: float, problem: str):
    y = np.array([*labels, np.nan])
    with pytest.raises(ValueError, match=problem):
        weighted_mean(y, np.zeros(y.size), np.full(y.size, chance))
