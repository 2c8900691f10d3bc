"""A judge who leans is wrong on average; what is corrected by labels is not."""

import numpy as np
import pytest

from harness.selftest.human import (
    HELPFUL,
    ITEMS,
    TRUE_WINS,
    count_labelled,
    draw_judged_shares,
    draw_judged_wins,
)
from harness.stats.judge_correction import corrected_mean, corrected_share

RUNS, N = 600, 100


def off_by(estimates: list[float], truth: float) -> float:
    """The mean error in standard errors of the simulation."""
    errors = np.array(estimates) - truth
    return abs(float(errors.mean())) / (float(errors.std(ddof=1)) / len(estimates) ** 0.5)


def test_a_corrected_win_rate_is_right_on_average_and_the_judges_own_is_not():
    rng = np.random.default_rng(1)
    drawn = [draw_judged_wins(rng) for _ in range(RUNS)]
    corrected = [corrected_mean(y[:N], j[:N], j[N:]).estimate for y, j in drawn]
    assert off_by(corrected, TRUE_WINS) < 3
    assert off_by([float(j.mean()) for _, j in drawn], TRUE_WINS) > 50


def test_a_corrected_share_is_right_on_average_and_the_judges_own_is_not():
    rng = np.random.default_rng(2)
    drawn = [draw_judged_shares(rng) for _ in range(RUNS)]
    corrected = [
        corrected_share(
            count_labelled(y[:N], j[:N]),
            judge_yes_elsewhere=int(j[N:].sum()),
            n_elsewhere=ITEMS - N,
            draws=100,
        ).estimate
        for y, j in drawn
    ]
    assert off_by(corrected, HELPFUL) < 3
    assert off_by([float(j.mean()) for _, j in drawn], HELPFUL) > 50
    assert np.mean(corrected) == pytest.approx(HELPFUL, abs=0.005)
