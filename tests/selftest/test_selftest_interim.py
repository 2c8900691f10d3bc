"""Gates that may stop early on wins shaped like the published study's: errors kept, calls saved."""

import math

import numpy as np
import pytest

from harness.selftest.interim import look_trials
from harness.selftest.simulation import ALPHA, Trial

SIMULATIONS = 150


def trial(world: str, kind: str) -> Trial:
    (found,) = [t for t in look_trials(1.0) if (t.world, t.kind) == (world, kind)]
    return found


def mean_of(found: Trial) -> float:
    rng = np.random.default_rng(1)
    return float(np.mean([found.draw(rng, 500) for _ in range(SIMULATIONS)]))


def test_equal_models_pass_no_more_often_than_stated() -> None:
    by_chance = 2.6 * math.sqrt(ALPHA * (1 - ALPHA) / SIMULATIONS)
    assert mean_of(trial("win rate 0.50", "error")) <= ALPHA + by_chance


def test_a_win_rate_of_0_69_is_found() -> None:
    assert mean_of(trial("win rate 0.69", "power")) > 0.97


@pytest.mark.parametrize(("world", "least"), [("win rate 0.50", 0.2), ("win rate 0.69", 0.6)])
def test_calls_are_saved(world: str, least: float) -> None:
    saved = mean_of(trial(world, "saved"))
    print(f"{world}: {saved:.0%} of the verdicts saved")
    assert least < saved < 0.8
