"""Trials of `harness selftest` for daily checks of one model on the same items, by an e-process."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from harness.selftest.simulation import ALPHA, Trial
from harness.stats.daily_evidence import evidence_of_drop, p_values_of_days

DAYS = 30
CHANGED = 10  # the day from which a worse model answers
DROP = 0.3  # points
RESAMPLES = 199
STAKE = 0.05  # of the negative control
MIN_STALE_ERROR = 0.15  # which it must reach


def daily_trials(limit: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`."""
    world = f"{DAYS} days, unchanged"
    yield Trial("daily e-process", world, "error", limit, partial(_alarms, 0.0), (40,))
    worse = f"{DROP:g} points less from day {CHANGED} on, {DAYS} days"
    yield Trial("daily e-process", worse, "power", None, partial(_alarms, DROP), (100,))
    yield Trial("daily differences to one baseline as if fresh", world, "control", MIN_STALE_ERROR, _stale_alarms, (40,))  # fmt: skip


def draw_days(rng: np.random.Generator, n: int, days: int, drop: float) -> NDArray[np.float64]:
    """Draw whole scores from 1 to 10 of n fixed items on the baseline's day and so many later ones."""
    levels = rng.normal(7.5, 1.5, n)
    scores = levels + rng.normal(0.0, 1.0, (days + 1, n))
    scores[CHANGED:] -= drop
    return np.clip(np.rint(scores), 1.0, 10.0)


def _alarms(drop: float, rng: np.random.Generator, n: int) -> bool:
    p_values = p_values_of_days(draw_days(rng, n, DAYS, drop), rng, RESAMPLES)
    return bool(evidence_of_drop(p_values).max() >= 1 / ALPHA)


def _stale_alarms(rng: np.random.Generator, n: int) -> bool:
    """Bet on each day's differences to the baseline, which is the same on all days."""
    scores = draw_days(rng, n, DAYS, 0.0)
    wealth = np.cumsum(np.log1p(STAKE * (scores[0] - scores[1:])).sum(axis=1))
    return bool(wealth.max() >= np.log(1 / ALPHA))
