"""The scenarios of `harness selftest`, scores whose truth is known, and the trials on them."""

from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

import numpy as np

from harness.scoring.paired import PairedScores
from harness.stats.vectors import Vector

ALPHA = 0.05
SIZES = (30, 100, 500)

# Differences as judges give them on a scale from 1 to 10: 38 % ties, most changes small.
# The skewed ones have a few disasters among many small gains; both have mean 0 after centring.
VALUES = np.arange(-8.0, 6.0)

SKEWED = np.array(
    [0.022, 0.02, 0.016, 0.012, 0.01, 0.02, 0.03, 0.08, 0.38, 0.25, 0.12, 0.03, 0.008, 0.002]
)

SHIFT = 0.5  # the true gain behind the figures for power, in points
Kind = Literal["error", "coverage", "power", "control", "saved", "lost"]
Scenario = Callable[[np.random.Generator, int], Vector]


class Trial(NamedTuple):
    """A method in a scenario; `draw` samples n items and returns the outcome: 0, 1 or a share.

    `measure` returns all outcomes at once in place of `draw`, given n and the number of simulations.
    """

    method: str
    world: str
    kind: Kind
    limit: float | None
    draw: Callable[[np.random.Generator, int], float]
    sizes: tuple[int, ...] = SIZES
    measure: Callable[[np.random.Generator, int, int], Vector] | None = None


# --- scenarios -------------------------------------------------------------------------------


def skewed(rng: np.random.Generator, n: int) -> Vector:
    """Draw differences of mean 0 with rare disasters."""
    return rng.choice(VALUES, p=SKEWED, size=n) - float(VALUES @ SKEWED)


def symmetric(rng: np.random.Generator, n: int) -> Vector:
    """Draw the same sizes of differences, with either sign equally often."""
    d = np.abs(rng.choice(VALUES, p=SKEWED, size=n)) * rng.choice([-1.0, 1.0], size=n)
    return np.asarray(d, dtype=np.float64)


def even_wins(rng: np.random.Generator, n: int) -> Vector:
    """Draw win scores less one half, over two orders, of equal models; 0 is a tie."""
    return rng.choice([-0.5, -0.25, 0.0, 0.25, 0.5], p=[0.3, 0.1, 0.2, 0.1, 0.3], size=n)


def clear_wins(rng: np.random.Generator, n: int) -> Vector:
    """Draw the same for a candidate that wins 0.69: the win rate published for Medical Llama-3."""
    return rng.choice([-0.5, -0.25, 0.0, 0.25, 0.5], p=[0.15, 0.06, 0.16, 0.14, 0.49], size=n)


# --- scores ----------------------------------------------------------------------------------


def pair_of(d: Vector, bounds: tuple[float, float] = (-9.0, 9.0)) -> PairedScores:
    """Make paired scores of complete differences, as the gate takes them."""
    zeros = np.zeros_like(d)
    return PairedScores(
        metric="m",
        kind="points",
        baseline="baseline",
        candidate="candidate",
        sample_ids=item_ids(d.size),
        clusters=None,
        d=d,
        least=d,
        greatest=d,
        bounds=bounds,
        baseline_scores=zeros,
        candidate_scores=d,
        score_bounds=bounds,
        null=0.0,
    )


@cache
def item_ids(n: int) -> tuple[str, ...]:
    return tuple(map(str, range(n)))
