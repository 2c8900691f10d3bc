"""Trials of `harness selftest` for recipes that are trained with several seeds.

Each training moves a model's mean by a standard deviation of 0.2 points, so that one checkpoint of each of two
equal recipes differ by more than their items say. Differences of one item under two seeds correlate one half.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from harness.analysis.comparisons import find_interval
from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.selftest.clusters import draw_clustered
from harness.selftest.simulation import ALPHA, SHIFT, Trial, pair_of, symmetric

SEED_SD = 0.2  # of a model's mean between trainings, in points
SEVERAL = (3, 5)
SIZES = (100, 500)
LARGE = (500,)
MIN_ONE_CHECKPOINT_ERROR = 0.25  # which the negative control must reach
WORLD = f"seeds differ by {SEED_SD:g} points"
NOT_LESS = Gate(alpha=ALPHA, claims=(Claim(metric="m", claim="non_inferior", margin=SHIFT),))
SUPERIOR = Gate(alpha=ALPHA, claims=(Claim(metric="m", claim="superior"),))


def seed_trials(limit: float, covered: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`, intervals must cover `covered`."""
    for n_seeds in SEVERAL:
        several = f"{n_seeds} seeds"
        superior = partial(_passes, SUPERIOR, n_seeds)
        yield Trial(
            f"gate: superior, {several}", WORLD, "error", limit, partial(superior, 0.0), SIZES
        )
        not_less = partial(_passes, NOT_LESS, n_seeds, -SHIFT)
        yield Trial(f"gate: non-inferior, {several}", WORLD, "error", limit, not_less, LARGE)
        better = partial(superior, SHIFT)
        yield Trial(
            f"gate: superior, {several}",
            f"{WORLD}, better by {SHIFT:g}",
            "power",
            None,
            better,
            LARGE,
        )
        covers = partial(_interval_covers, n_seeds)
        yield Trial(f"95 % interval, {several}", WORLD, "coverage", covered, covers, LARGE)
    one = partial(_passes, SUPERIOR, 1, 0.0)
    yield Trial("gate: superior, one checkpoint of each", WORLD, "control", MIN_ONE_CHECKPOINT_ERROR, one, LARGE)  # fmt: skip


def _passes(gate: Gate, n_seeds: int, shift: float, rng: np.random.Generator, n: int) -> bool:
    pair = draw_seeds(rng, n, n_seeds, shift)
    return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"


def _interval_covers(n_seeds: int, rng: np.random.Generator, n: int) -> bool:
    pair = draw_seeds(rng, n, n_seeds, 0.0)
    interval = find_interval(pair, np.ones(pair.d.size, dtype=np.bool))
    return interval.low <= 0.0 <= interval.high


def draw_seeds(rng: np.random.Generator, n: int, n_seeds: int, shift: float) -> PairedScores:
    """Draw the paired scores of n items under that many seeds of two recipes, `shift` points apart."""
    items, seeds = np.repeat(np.arange(n), n_seeds), np.tile(np.arange(n_seeds), n)
    of_models = rng.normal(0.0, SEED_SD, (2, n_seeds))
    d = draw_clustered(rng, symmetric, items) + (of_models[1] - of_models[0])[seeds] + shift
    pair = pair_of(np.clip(d, -9.0, 9.0))
    if n_seeds == 1:
        return pair
    return replace(pair, clusters=items, seeds=seeds, own_seeds=seeds)
