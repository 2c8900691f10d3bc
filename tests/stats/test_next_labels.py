"""Labels of two draws: right on average, and as precise as was forecast of the first draw's."""

import numpy as np
import pytest

from harness.stats.unequal_draw import (
    chances_of_either,
    chances_of_more,
    draw_items,
    expected_error,
    weighted_mean,
)
from harness.stats.vectors import Vector

N, FIRST, MORE = 400, 60, 60


def draw_world(rng: np.random.Generator) -> tuple[Vector, Vector]:
    """People's and a judge's win scores less one half of equal models; the judge gives a tenth away."""
    people = rng.choice([-0.5, 0.0, 0.5], p=[0.35, 0.3, 0.35], size=N)
    return people, np.where(rng.random(N) < 0.1, 0.5, people)


def test_the_forecast_is_the_spread_that_is_found_and_the_mean_is_right() -> None:
    rng = np.random.default_rng(1)
    means, forecasts, n_new = [], [], []
    for _ in range(600):
        people, judge = draw_world(rng)
        labelled = np.isin(np.arange(N), rng.choice(N, FIRST, replace=False))
        now = np.full(N, FIRST / N)
        more = chances_of_more(np.abs(judge), MORE, labelled)
        drawn = np.isin(np.arange(N), draw_items(more, int(rng.integers(2**31))))
        later = chances_of_either(now, more)
        forecasts.append(expected_error(np.where(labelled, people, np.nan), judge, now, later))
        both = np.where(labelled | drawn, people, np.nan)
        means.append(weighted_mean(both, judge, later))
        n_new.append((drawn & ~labelled).sum())
    assert np.mean(means) == pytest.approx(0.0, abs=3 * np.std(means) / 600**0.5)
    assert np.mean(forecasts) == pytest.approx(np.std(means), rel=0.1)
    assert np.mean(n_new) == pytest.approx(MORE, abs=1)


def test_all_that_is_left_can_be_drawn_and_no_more() -> None:
    labelled = np.arange(10) < 4
    assert chances_of_more(np.zeros(10), 6, labelled).tolist() == [1.0] * 10
    with pytest.raises(ValueError, match="7 of 6"):
        chances_of_more(np.zeros(10), 7, labelled)
