"""Evidence against an unchanged model, day by day."""

import numpy as np
import pytest

from harness.stats.daily_evidence import evidence_of_drop, p_values_of_days


def draw_days(rng: np.random.Generator, days: int, n: int) -> "np.ndarray":
    """Whole scores of fixed items, each with a level of its own, on the baseline's day and later ones."""
    levels = rng.normal(7.0, 1.5, n)
    return np.clip(np.rint(levels + rng.normal(0.0, 1.0, (days + 1, n))), 1, 10)


def test_p_values_of_an_unchanged_model_are_uniform_and_tell_nothing_of_one_another() -> None:
    rng = np.random.default_rng(1)
    found = np.array([p_values_of_days(draw_days(rng, 4, 12), rng, 99) for _ in range(3000)])
    for day in range(4):
        shares = [(found[:, day] <= u).mean() for u in (0.01, 0.05, 0.5, 0.9)]
        assert shares == pytest.approx([0.01, 0.05, 0.5, 0.9], abs=0.025)
    assert np.corrcoef(found.T) == pytest.approx(np.eye(4), abs=0.06)


def test_a_uniform_p_value_leaves_the_expected_wealth_as_it_was() -> None:
    roots = (
        np.arange(1000) + 0.5
    ) / 1000  # p = root^5, whose density is small where the bets are large
    for before in ([], [0.001], [0.9, 0.02]):
        wealth = evidence_of_drop(np.array(before))[-1] if before else 1.0
        after = [evidence_of_drop(np.array([*before, root**5]))[-1] for root in roots]
        assert np.mean(np.array(after) * 5 * roots**4) == pytest.approx(wealth, rel=0.001)


def test_lower_scores_give_small_p_values_and_much_evidence() -> None:
    rng = np.random.default_rng(3)
    scores = draw_days(rng, 10, 100)
    scores[6:] -= 0.5
    p_values = p_values_of_days(scores, rng)
    assert p_values[:5].min() > 0.02
    assert p_values[5:].max() < 0.05
    assert evidence_of_drop(p_values)[-1] > 20


def test_higher_scores_are_no_evidence() -> None:
    rng = np.random.default_rng(5)
    scores = draw_days(rng, 10, 100)
    scores[6:] += 0.5
    assert evidence_of_drop(p_values_of_days(scores, rng)).max() < 3


def test_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        p_values_of_days(np.array([[1.0, np.nan], [1.0, 2.0]]), np.random.default_rng(1))
