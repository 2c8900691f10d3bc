"""Trials of `harness selftest` for gates that may stop early, and for e-values at any time."""

from collections.abc import Iterator
from functools import cache, partial

import numpy as np

from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.gate.interim import schedule_looks
from harness.runs.early_stopping import simulate_looks
from harness.scoring.paired import PairedScores
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

LARGE, SIZES = (500,), (100, 200, 500)
_PRICE: tuple[Kind, ...] = (
    "power",
    "saved",
    "lost",
)  # what looks save, and the power that they cost


def look_trials(limit: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`."""
    for name, scenario in (("symmetric", symmetric), ("skewed", skewed)):
        yield early_stopping_trial(name, scenario, 0.0, "error", limit, (100, 500))
        gain_name = f"{name}, true +{SHIFT:g}"
        for kind in _PRICE:
            yield early_stopping_trial(gain_name, scenario, SHIFT, kind, None, SIZES)
    for name, scenario in (("win rate 0.50", even_wins), ("win rate 0.69", clear_wins)):
        if scenario is even_wins:
            yield early_stopping_trial(name, scenario, 0.0, "error", limit, LARGE)
        else:
            yield early_stopping_trial(name, scenario, 0.0, "power", None, LARGE)
        yield early_stopping_trial(name, scenario, 0.0, "saved", None, LARGE)
    for method, alarms in (("betting", _betting_alarms), ("sign", _sign_alarms)):
        name = f"{method} e-values, seen after every item"
        yield Trial(name, "equal models", "error", limit, alarms, LARGE)


def early_stopping_trial(
    scenario_name: str,
    scenario: Scenario,
    shift: float,
    kind: Kind,
    limit: float | None,
    sizes: tuple[int, ...],
) -> Trial:
    """Make a trial of a gate that may stop early.

    It draws whether the gate passes; for `saved` the share of items that it saves, for `lost` whether a
    gate on all items passes where it does not.
    """
    gate = Gate(alpha=ALPHA, claims=(Claim(metric="m", claim="superior"),), stop_early=True)
    whole = Gate(alpha=ALPHA, claims=gate.claims)

    def at_once(pair: PairedScores) -> float:
        return float(decide_gate(whole, {"m": pair}, advise=False).verdict == "pass")

    looks = cache(partial(schedule_looks, "items", gate=gate))
    bounds = (-0.5, 0.5) if scenario in (even_wins, clear_wins) else (-9.0, 9.0)

    def draw(rng: np.random.Generator, n: int) -> float:
        planned_looks = looks((1,) * n)
        assert planned_looks is not None
        pair = pair_of(scenario(rng, n) + shift, bounds)
        outcome, n_used = simulate_looks(gate, planned_looks, pair)
        if kind == "saved":
            return 1 - n_used / n
        passed = float(outcome.decision.verdict == "pass")
        return at_once(pair) - passed if kind == "lost" else passed

    return Trial("stop_early: superior", scenario_name, kind, limit, draw, sizes)


def _betting_alarms(rng: np.random.Generator, n: int) -> bool:
    e_values = betting_e_values(even_wins(rng, n), 0.0, bounds=(-0.5, 0.5), alpha=ALPHA)
    return bool(e_values.max() >= 1 / ALPHA)


def _sign_alarms(rng: np.random.Generator, n: int) -> bool:
    return bool(sign_e_values(even_wins(rng, n)).max() >= 1 / ALPHA)
