"""Cells of `harness selftest` for gates that may stop early, and for evidence seen at any time."""

from collections.abc import Iterator
from functools import cache, partial

import numpy as np

from harness.config import Claim, Gate
from harness.gate.interim import schedule_looks
from harness.runs.early_stopping import simulate_looks
from harness.selftest.simulation import (
    ALPHA,
    SHIFT,
    Kind,
    Scenario,
    Trial,
    clear_wins,
    even_wins,
    pair_of,
    skewed,
    symmetric,
)
from harness.stats.bounded_means import betting_e_values, sign_e_values

LARGE = (500,)


def look_trials(limit: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`."""
    for name, world in (("symmetric", symmetric), ("skewed", skewed)):
        yield _looks(name, world, 0.0, "error", limit, (100, 500))
        gained = f"{name}, true +{SHIFT:g}"
        yield _looks(gained, world, SHIFT, "power", None, LARGE)
        yield _looks(gained, world, SHIFT, "saved", None, LARGE)
    for name, world in (("win rate 0.50", even_wins), ("win rate 0.69", clear_wins)):
        if world is even_wins:
            yield _looks(name, world, 0.0, "error", limit, LARGE)
        else:
            yield _looks(name, world, 0.0, "power", None, LARGE)
        yield _looks(name, world, 0.0, "saved", None, LARGE)
    for method, alarms in (("betting", _betting_alarms), ("sign", _sign_alarms)):
        name = f"{method} e-values, seen after every item"
        yield Trial(name, "equal models", "error", limit, alarms, LARGE)


def _looks(
    world_name: str,
    world: Scenario,
    shift: float,
    kind: Kind,
    limit: float | None,
    sizes: tuple[int, ...],
) -> Trial:
    """Make a trial of a gate that may stop early.

    It draws whether the gate passes, or the share of items that it spares.
    """
    gate = Gate(alpha=ALPHA, claims=(Claim(metric="m", claim="superior"),), stop_early=True)
    looks = cache(partial(schedule_looks, "items", gate=gate))
    bounds = (-0.5, 0.5) if world in (even_wins, clear_wins) else (-9.0, 9.0)

    def happens(rng: np.random.Generator, n: int) -> float:
        planned = looks((1,) * n)
        assert planned is not None
        found, seen = simulate_looks(gate, planned, pair_of(world(rng, n) + shift, bounds))
        return 1 - seen / n if kind == "saved" else float(found.decision.verdict == "pass")

    return Trial("stop_early: superior", world_name, kind, limit, happens, sizes)


def _betting_alarms(rng: np.random.Generator, n: int) -> bool:
    e_values = betting_e_values(even_wins(rng, n), 0.0, bounds=(-0.5, 0.5), alpha=ALPHA)
    return bool(e_values.max() >= 1 / ALPHA)


def _sign_alarms(rng: np.random.Generator, n: int) -> bool:
    return bool(sign_e_values(even_wins(rng, n)).max() >= 1 / ALPHA)
