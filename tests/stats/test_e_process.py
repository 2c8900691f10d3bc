import math

import numpy as np
import pytest

from harness.stats.bounded_means import betting_e_values, confidence_sequence, sign_e_values

WINS = np.array([0.0, 0.5, 1.0])


def even_wins(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice(WINS, p=[0.35, 0.3, 0.35], size=n)


def test_the_first_bets_by_hand() -> None:
    x, alpha = np.array([1.0, 0.5]), 0.05
    target = math.log(20)
    first = math.sqrt(2 * target / (0.25 * math.log(2)))
    variance = (0.25 + (1.0 - 0.75) ** 2) / 2
    second = math.sqrt(2 * target / (variance * 2 * math.log(3)))
    stakes = [min(stake, 0.75 / 0.4) for stake in (first, second)]
    wealth = np.cumprod([1 + stakes[0] * (1.0 - 0.4), 1 + stakes[1] * (0.5 - 0.4)])
    assert betting_e_values(x, 0.4, bounds=(0, 1), alpha=alpha) == pytest.approx(wealth)


def test_stakes_know_nothing_of_later_items() -> None:
    x = even_wins(np.random.default_rng(1), 60)
    whole = betting_e_values(x, 0.5, bounds=(0, 1))
    assert betting_e_values(x[:25], 0.5, bounds=(0, 1)) == pytest.approx(whole[:25])


def test_looking_after_every_item_errs_no_more_often_than_stated() -> None:
    rng, alpha = np.random.default_rng(2), 0.05
    runs = [even_wins(rng, 400) for _ in range(1000)]
    betted = np.mean([betting_e_values(x, 0.5, bounds=(0, 1)).max() >= 1 / alpha for x in runs])
    signed = np.mean([sign_e_values(x - 0.5).max() >= 1 / alpha for x in runs])
    by_chance = 2.6 * math.sqrt(alpha * (1 - alpha) / 1000)
    assert betted <= alpha + by_chance
    assert signed <= alpha + by_chance


def test_a_better_candidate_is_found_soon() -> None:
    x = np.random.default_rng(3).choice(WINS, p=[0.2, 0.2, 0.6], size=300)
    assert betting_e_values(x, 0.5, bounds=(0, 1))[-1] > 20
    assert sign_e_values(x - 0.5)[-1] > 20


def test_the_sign_mixture_is_the_integral_it_stands_for() -> None:
    x = np.array([1.0, 1.0, -1.0, 0.0, 1.0])
    p = np.linspace(0.5, 1, 200_001)
    ratios = 2 * (p**3) * (1 - p) * 2**4
    integral = ((ratios[1:] + ratios[:-1]) / 2).sum() * (p[1] - p[0])
    assert sign_e_values(x)[-1] == pytest.approx(integral, rel=1e-6)


def test_ties_say_nothing_about_signs() -> None:
    assert sign_e_values([1, 0, 0, -1, 0])[-1] == pytest.approx(sign_e_values([1, -1])[-1])


def test_the_confidence_sequence_holds_the_means_that_were_never_rejected() -> None:
    x = np.random.default_rng(4).choice(WINS, p=[0.2, 0.2, 0.6], size=300)
    found = confidence_sequence(x, bounds=(0, 1))
    assert betting_e_values(x, found.low - 0.001, bounds=(0, 1)).max() >= 20
    assert betting_e_values(x, found.low + 0.001, bounds=(0, 1)).max() < 20
    mirrored = betting_e_values(1 - x, 1 - found.high - 0.001, bounds=(0, 1))
    assert mirrored.max() >= 20
    assert found.low < x.mean() < found.high


def test_bounds_are_in_the_units_of_the_values() -> None:
    x = np.random.default_rng(5).integers(1, 11, 200).astype(float)
    unit = confidence_sequence((x - 1) / 9, bounds=(0, 1))
    scaled = confidence_sequence(x, bounds=(1, 10))
    assert scaled.low == pytest.approx(1 + 9 * unit.low)
    assert scaled.high == pytest.approx(1 + 9 * unit.high)


def test_values_beyond_their_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="outside its bounds"):
        betting_e_values([0.5, 1.5], 0.5, bounds=(0, 1))
