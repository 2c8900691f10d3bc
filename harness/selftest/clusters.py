"""Cells of `harness selftest` for items in clusters of unequal size, stopped early or not.

Items of one cluster correlate one half. Sizes are as those of questions about source documents:
most documents have a few, some have many (geometric, four on the mean); or one has half of all.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparisons import find_interval
from harness.config import Claim, CriticalRule, Gate
from harness.gate.critical import evaluate_critical_rule
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
    pair_of,
    skewed,
    symmetric,
)
from harness.stats.distributions import t_tail
from harness.stats.means import mean_moments
from harness.stats.permutation import signflip_test
from harness.stats.vectors import Vector
from harness.types import TaskLooks

ALIKE = np.sqrt(0.5)  # chance that an item's difference is its cluster's: correlation 0.5
MEAN_SIZE = 4
ALLOWED = 0.05  # of the answers may be critical, and are
UNGUARDED = 0.075  # the least that a plain t test on skewed clusters must be caught erring
UNCLUSTERED = 0.1  # the least that a test of items as if independent must
FAMILY = ("first", "second")
SUPERIOR = Claim(metric="m", claim="superior")
NON_INFERIOR = Claim(metric="m", claim="non_inferior", margin=0.5)
RULE = CriticalRule(metric="m", at_most=-8.5, allowed_share=ALLOWED)
FEW, LARGE, MANY = (400,), (1000,), (400, 1000, 2000)
Labels = NDArray[np.int64]
Draw = Callable[[np.random.Generator, int], Labels]


def cluster_trials(limit: float, covered: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`, intervals must cover `covered`."""
    worlds: tuple[tuple[str, Scenario], ...] = (("symmetric", symmetric), ("skewed", skewed))
    for name, world in worlds:
        named = f"{name}, unequal clusters"
        yield _gate(SUPERIOR, named, world, unequal, 0.0, "error", limit, MANY)
        yield _gate(NON_INFERIOR, named, world, unequal, -0.5, "error", limit, LARGE)
        yield _gate(SUPERIOR, named, world, unequal, SHIFT, "power", None, LARGE)
        half = f"{name}, one cluster of half"
        yield _gate(SUPERIOR, half, world, one_of_half, 0.0, "error", limit, LARGE)
        covers = partial(_covers, world)
        yield Trial("95 % interval of a difference", named, "coverage", covered, covers, LARGE)
        yield _looks(named, world, 0.0, "error", limit)
    yield _looks("skewed, unequal clusters", skewed, SHIFT, "power", None)
    yield _looks("skewed, unequal clusters", skewed, SHIFT, "saved", None)
    named = "symmetric, unequal clusters"
    yield Trial("sign-flip test, whole clusters", named, "error", limit, _flips, MANY)
    yield Trial("sign-flip test, items alone", named, "control", UNCLUSTERED, _flips_items, LARGE)
    skew = "skewed, unequal clusters"
    yield Trial("t test without the guard", skew, "control", UNGUARDED, _plain_t, FEW)
    told = f"share is {ALLOWED:g}, unequal clusters"
    yield Trial("critical rule holds", told, "error", limit, _rule_holds, LARGE)
    yield Trial("stop_early: both of 2 claims", "1 of 2 better", "error", limit, _both_pass, (500,))


# --- worlds ----------------------------------------------------------------------------------


def unequal(rng: np.random.Generator, n: int) -> Labels:
    """Draw each item's cluster; sizes are geometric."""
    sizes = rng.geometric(1 / MEAN_SIZE, n)
    return np.repeat(np.arange(n), sizes)[:n]


def one_of_half(rng: np.random.Generator, n: int) -> Labels:
    """Put half of the items in one cluster, and every other item in its own."""
    return np.maximum(np.arange(n) - n // 2, 0)


def in_clusters(rng: np.random.Generator, world: Scenario, labels: Labels) -> Vector:
    """Draw differences of that scenario, correlated by one half within a cluster."""
    own, shared = world(rng, labels.size), world(rng, int(labels.max()) + 1)[labels]
    return np.where(rng.random(labels.size) < ALIKE, shared, own)


def _pair(rng: np.random.Generator, world: Scenario, labels: Labels, shift: float) -> PairedScores:
    return replace(pair_of(in_clusters(rng, world, labels) + shift), clusters=labels)


# --- methods ---------------------------------------------------------------------------------


def _gate(
    claim: Claim,
    name: str,
    world: Scenario,
    draw: Draw,
    shift: float,
    kind: Kind,
    limit: float | None,
    sizes: tuple[int, ...],
) -> Trial:
    gate = Gate(alpha=ALPHA, claims=(claim,))

    def passes(rng: np.random.Generator, n: int) -> bool:
        pair = _pair(rng, world, draw(rng, n), shift)
        return decide_gate(gate, {"m": pair}).verdict == "pass"

    return Trial(f"gate: {claim}".replace("m ", "", 1), name, kind, limit, passes, sizes)


def _covers(world: Scenario, rng: np.random.Generator, n: int) -> bool:
    pair = _pair(rng, world, unequal(rng, n), 0.0)
    found = find_interval(pair, np.ones(n, dtype=np.bool))
    return found.low <= 0 <= found.high


def _looks(name: str, world: Scenario, shift: float, kind: Kind, limit: float | None) -> Trial:
    """Make a trial of a gate that may stop early between clusters, which come in random order."""
    gate = Gate(alpha=ALPHA, claims=(SUPERIOR,), stop_early=True)

    @cache
    def planned_for(n: int) -> tuple[Labels, TaskLooks]:
        """Return the clusters and looks of every simulation.

        They are kept, since scheduling looks takes longer than a simulated look.
        """
        labels = unequal(np.random.default_rng(n), n)
        found = schedule_looks("items", np.bincount(labels).tolist(), gate)
        assert found is not None
        return labels, found

    def happens(rng: np.random.Generator, n: int) -> float:
        labels, planned = planned_for(n)
        pair = _pair(rng, world, labels, shift)
        found, seen = simulate_looks(gate, planned, pair)
        return 1 - seen / n if kind == "saved" else float(found.decision.verdict == "pass")

    told = f"{name}, true {shift:+g}" if shift else name
    return Trial("stop_early: superior", told, kind, limit, happens, LARGE)


def _both_pass(rng: np.random.Generator, n: int) -> bool:
    """Decide two claims, one of them false, on columns whose differences correlate 0.5."""
    claims = tuple(Claim(metric=name, claim="superior") for name in FAMILY)
    gate = Gate(alpha=ALPHA, claims=claims, stop_early=True)
    planned = _even_looks(gate, n)
    shared = skewed(rng, n)
    pairs = [
        replace(pair_of(np.where(rng.random(n) < ALIKE, shared, skewed(rng, n)) + gain), metric=m)
        for m, gain in zip(FAMILY, (0.0, SHIFT), strict=True)
    ]
    return simulate_looks(gate, planned, *pairs)[0].decision.verdict == "pass"


@cache
def _even_looks(gate: Gate, n: int) -> TaskLooks:
    found = schedule_looks("items", (1,) * n, gate)
    assert found is not None
    return found


def _flips(rng: np.random.Generator, n: int) -> bool:
    labels = unequal(rng, n)
    return signflip_test(in_clusters(rng, symmetric, labels), clusters=labels).p_value <= ALPHA


def _flips_items(rng: np.random.Generator, n: int) -> bool:
    return signflip_test(in_clusters(rng, symmetric, unequal(rng, n))).p_value <= ALPHA


def _plain_t(rng: np.random.Generator, n: int) -> bool:
    """Apply a cluster-robust, one-sided t test with one degree of freedom less than clusters."""
    labels = unequal(rng, n)
    found = mean_moments(in_clusters(rng, skewed, labels), clusters=labels)
    return t_tail(found.estimate / found.se, found.n_clusters - 1) <= ALPHA


def _rule_holds(rng: np.random.Generator, n: int) -> bool:
    """Test a rule where exactly the allowed share is critical, all or none of a cluster."""
    labels = unequal(rng, n)
    critical = (rng.random(int(labels.max()) + 1) < ALLOWED)[labels]
    pair = replace(pair_of(np.where(critical, -9.0, 0.0)), clusters=labels)
    return evaluate_critical_rule(RULE, pair, ALPHA).verdict == "pass"
