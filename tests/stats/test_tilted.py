"""Tails of sums that are too many to go through: held to going through them."""

import math

import numpy as np
import pytest

from harness.stats import permutation as signflip
from harness.stats.permutation import signflip_test, subset_sum_chances, tail_chance, window_of


@pytest.mark.parametrize("n", [1, 2, 5, 40, 700])
@pytest.mark.parametrize("largest", [1, 4, 37])
def test_every_tail_equals_the_sum_of_its_chances(n: int, largest: int) -> None:
    sizes = np.random.default_rng(n).integers(1, largest + 1, n)
    chances = subset_sum_chances(sizes)
    total = int(sizes.sum())
    for least in {0, 1, total // 3, total // 2, total // 2 + 1, total * 4 // 5, total, total + 1}:
        assert tail_chance(sizes, least) == pytest.approx(float(chances[least:].sum()), rel=1e-9)


def test_a_tail_of_ten_to_the_minus_150_keeps_its_digits() -> None:
    assert tail_chance(np.ones(500, dtype=np.int64), 500) == pytest.approx(0.5**500, rel=1e-10)


def test_even_sizes_have_no_odd_sums() -> None:
    sizes = np.full(100, 2)
    assert tail_chance(sizes, 121) == pytest.approx(tail_chance(sizes, 122), rel=1e-10)


def test_the_exact_test_is_the_same_by_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    d = np.random.default_rng(3).integers(-8, 10, 400)
    through_every_sum = signflip_test(d).p_value
    monkeypatch.setattr(signflip, "MOST_STEPS", 0)
    assert signflip_test(d).p_value == pytest.approx(through_every_sum, rel=1e-9)


def test_a_million_items_are_tested_exactly_and_near_the_normal_limit() -> None:
    d = np.random.default_rng(4).integers(-9, 10, 1_000_000).astype(np.float64)
    found = signflip_test(d)
    z = abs(d.sum()) / math.sqrt(float((d**2).sum()))
    assert found.method == "exact"
    assert found.p_value == pytest.approx(math.erfc(z / math.sqrt(2)), abs=1e-3)


def test_the_window_is_short_where_the_sums_are_many() -> None:
    sizes = np.full(1_000_000, 5)
    assert window_of(sizes) < 100_000 < int(sizes.sum())
