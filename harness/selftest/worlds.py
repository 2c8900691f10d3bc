"""Worlds of `harness selftest` in which scores are as judges give them, or hide what is rare.

Differences on a scale from 1 to 10 unless said otherwise, all of mean 0 but where a gain is asked for.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from harness.stats.vectors import Vector

POINTS, WINS, FIVE = (-9.0, 9.0), (-0.5, 0.5), (-4.0, 4.0)
QUALITY, NOISE, MIDDLE = 1.2, 1.35, 7.0  # sd between items and of an answer, and the mean score
LARGEST_GAIN = 4.0


class World(NamedTuple):
    """Differences whose true mean is 0, and the range of their scale."""

    name: str
    draw: Callable[[np.random.Generator, int], Vector]
    bounds: tuple[float, float]


def judged_pair(rng: np.random.Generator, n: int, gain: float = 0.0) -> Vector:
    """Draw differences of two models' whole scores from 1 to 10, at 7 on the mean, sd about 1.9."""
    quality = MIDDLE + rng.normal(0, QUALITY, n)
    old = quality + rng.normal(0, NOISE, n)
    new = quality + rng.normal(0, NOISE, n) + latent_gain(gain)
    d: Vector = np.rint(new).clip(1, 10) - np.rint(old).clip(1, 10)
    return d


@cache
def latent_gain(gain: float) -> float:
    """Find the gain before rounding and clipping that gives this one after them."""
    if gain == 0:
        return 0.0
    from scipy.special import ndtr

    edges, spread = np.arange(1, 10) + 0.5, float(np.hypot(QUALITY, NOISE))

    def mean(
        shift: float,
    ) -> float:  # of scores from 1 to 10: 1 and the chances to exceed each edge
        return float(1 + ndtr((MIDDLE + shift - edges) / spread).sum())

    low, high = 0.0, LARGEST_GAIN
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if mean(middle) - mean(0.0) < gain else (low, middle)
    return high


def _values(
    values: tuple[float, ...], chances: tuple[float, ...], rng: np.random.Generator, n: int
) -> Vector:
    return np.asarray(rng.choice(np.array(values), p=np.array(chances), size=n), dtype=np.float64)


def _drops(rate: float, rng: np.random.Generator, n: int) -> Vector:
    """Draw judged differences of which a share drops by 8, less what that takes from the mean."""
    d = np.where(rng.random(n) < rate, -8.0, judged_pair(rng, n))
    return np.asarray(d + 8 * rate, dtype=np.float64)


def _composite(rng: np.random.Generator, n: int) -> Vector:
    """Draw means of four criteria that share the item and the answer."""
    item, old, new = rng.normal(0, 1, n), rng.normal(0, 1, n), rng.normal(0, 1, n)
    noise = rng.normal(0, 0.8, (2, 4, n))
    scores = np.rint(7.5 + item + np.stack([old, new])[:, None] + noise).clip(1, 10).mean(axis=1)
    return np.asarray(scores[1] - scores[0], dtype=np.float64)


def _spread(
    name: str,
    values: tuple[float, ...],
    chances: tuple[float, ...],
    bounds: tuple[float, float] = POINTS,
) -> World:
    return World(name, partial(_values, values, chances), bounds)


def null_worlds() -> tuple[World, ...]:
    """Return the worlds without a difference: ordinary scores, and those that fool a test of what is seen."""
    return (
        World("judged 1-10", judged_pair, POINTS),
        World("judged 1-10, 1 % drop 8", partial(_drops, 0.01), (-9.0, 9.5)),
        World("judged 1-10, 3 % drop 8", partial(_drops, 0.03), (-9.0, 9.5)),
        World("mean of four criteria", _composite, POINTS),
        _spread("95 % ties, 0.5 % drop 9", (-9.0, 0.0, 1.0), (0.005, 0.95, 0.045)),
        _spread("91 % ties, 1 % drop 8", (-8.0, 0.0, 1.0), (0.01, 0.91, 0.08)),
        _spread("73 % ties, 3 % drop 8", (-8.0, 0.0, 1.0), (0.03, 0.73, 0.24)),
        _spread("10 % refusals of -7, small gains", (-7.0, 0.0, 1.0), (0.1, 0.2, 0.7)),
        _spread("96 % ties, changes of 1", (-1.0, 0.0, 1.0), (0.02, 0.96, 0.02)),
        _spread("scale 1-5, 90 % ties, 2 % drop 4", (-4.0, 0.0, 1.0), (0.02, 0.9, 0.08), FIVE),
        _spread("wins of .25, losses of .5", (-0.5, 0.0, 0.25), (0.3, 0.1, 0.6), WINS),
        _spread("90 % tied pairs", (-0.5, 0.0, 0.5), (0.05, 0.9, 0.05), WINS),
    )
