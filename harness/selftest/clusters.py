"""Trials of `harness selftest` for items in clusters of unequal size.

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

SHARED_CHANCE = np.sqrt(0.5)  # that an item's difference is its cluster's: correlation 0.5
MEAN_SIZE = 4
ALLOWED_SHARE = 0.05  # of critical answers, equal to the true share
# Error rates that these negative controls must reach at least: a plain t test on skewed clusters,
# and a test that treats items as independent.
MIN_PLAIN_T_ERROR = 0.075
MIN_ITEMS_ERROR = 0.1
FAMILY = ("first", "second")
SUPERIOR = Claim(metric="m", claim="superior")
NON_INFERIOR = Claim(metric="m", claim="non_inferior", margin=0.5)
RULE = CriticalRule(metric="m", at_most=-8.5, allowed_share=ALLOWED_SHARE)
FEW, LARGE, MANY = (400,), (1000,), (400, 1000, 2000)

Labels = NDArray[np.int64]
LabelDraw = Callable[[np.random.Generator, int], Labels]


def cluster_trials(limit: float, covered: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`, intervals must cover `covered`."""
    scenarios: tuple[tuple[str, Scenario], ...] = (("symmetric", symmetric), ("skewed", skewed))
    # Gates and intervals in each scenario.
    for name, scenario in scenarios:
        unequal_name = f"{name}, unequal clusters"
        yield _gate_trial(
            SUPERIOR, unequal_name, scenario, unequal_clusters, 0.0, "error", limit, MANY
        )
        yield _gate_trial(
            NON_INFERIOR, unequal_name, scenario, unequal_clusters, -0.5, "error", limit, LARGE
        )
        yield _gate_trial(
            SUPERIOR, unequal_name, scenario, unequal_clusters, SHIFT, "power", None, LARGE
        )
        half_name = f"{name}, one cluster of half"
        yield _gate_trial(
            SUPERIOR, half_name, scenario, half_in_one_cluster, 0.0, "error", limit, LARGE
        )
        covers = partial(_interval_covers, scenario)
        yield Trial(
            "95 % interval of a difference", unequal_name, "coverage", covered, covers, LARGE
        )
        yield _early_stopping_trial(unequal_name, scenario, 0.0, "error", limit)
    yield _early_stopping_trial("skewed, unequal clusters", skewed, SHIFT, "power", None)
    yield _early_stopping_trial("skewed, unequal clusters", skewed, SHIFT, "saved", None)
    # Single tests, and negative controls.
    unequal_name = "symmetric, unequal clusters"
    yield Trial(
        "sign-flip test, whole clusters", unequal_name, "error", limit, _signflip_rejects, MANY
    )
    yield Trial(
        "sign-flip test, items alone",
        unequal_name,
        "control",
        MIN_ITEMS_ERROR,
        _signflip_of_items_rejects,
        LARGE,
    )
    skewed_name = "skewed, unequal clusters"
    yield Trial(
        "t test without the guard", skewed_name, "control", MIN_PLAIN_T_ERROR, _plain_t_rejects, FEW
    )
    share_name = f"share is {ALLOWED_SHARE:g}, unequal clusters"
    yield Trial("critical rule holds", share_name, "error", limit, _rule_passes, LARGE)
    yield Trial("stop_early: both of 2 claims", "1 of 2 better", "error", limit, _both_pass, (500,))


# --- scenarios -------------------------------------------------------------------------------


def unequal_clusters(rng: np.random.Generator, n: int) -> Labels:
    """Draw each item's cluster; sizes are geometric."""
    sizes = rng.geometric(1 / MEAN_SIZE, n)
    return np.repeat(np.arange(n), sizes)[:n]


def half_in_one_cluster(rng: np.random.Generator, n: int) -> Labels:
    """Put half of the items in one cluster, and every other item in its own."""
    return np.maximum(np.arange(n) - n // 2, 0)


def draw_clustered(rng: np.random.Generator, scenario: Scenario, labels: Labels) -> Vector:
    """Draw differences of that scenario, correlated by one half within a cluster."""
    own, shared = scenario(rng, labels.size), scenario(rng, int(labels.max()) + 1)[labels]
    return np.where(rng.random(labels.size) < SHARED_CHANCE, shared, own)


def _clustered_pair(
    rng: np.random.Generator, scenario: Scenario, labels: Labels, shift: float
) -> PairedScores:
    return replace(pair_of(draw_clustered(rng, scenario, labels) + shift), clusters=labels)


# --- methods ---------------------------------------------------------------------------------


def _gate_trial(
    claim: Claim,
    name: str,
    scenario: Scenario,
    draw_labels: LabelDraw,
    shift: float,
    kind: Kind,
    limit: float | None,
    sizes: tuple[int, ...],
) -> Trial:
    gate = Gate(alpha=ALPHA, claims=(claim,))

    def passes(rng: np.random.Generator, n: int) -> bool:
        pair = _clustered_pair(rng, scenario, draw_labels(rng, n), shift)
        return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"

    return Trial(f"gate: {claim}".replace("m ", "", 1), name, kind, limit, passes, sizes)


def _interval_covers(scenario: Scenario, rng: np.random.Generator, n: int) -> bool:
    pair = _clustered_pair(rng, scenario, unequal_clusters(rng, n), 0.0)
    interval = find_interval(pair, np.ones(n, dtype=np.bool))
    return interval.low <= 0 <= interval.high


def _early_stopping_trial(
    name: str, scenario: Scenario, shift: float, kind: Kind, limit: float | None
) -> Trial:
    """Make a trial of a gate that may stop early between clusters, which come in random order."""
    gate = Gate(alpha=ALPHA, claims=(SUPERIOR,), stop_early=True)

    @cache
    def looks_of_size(n: int) -> tuple[Labels, TaskLooks]:
        """Return the clusters and looks of every simulation.

        They are cached, since scheduling looks takes longer than a simulated look.
        """
        labels = unequal_clusters(np.random.default_rng(n), n)
        looks = schedule_looks("items", np.bincount(labels).tolist(), gate)
        assert looks is not None
        return labels, looks

    def draw(rng: np.random.Generator, n: int) -> float:
        labels, looks = looks_of_size(n)
        pair = _clustered_pair(rng, scenario, labels, shift)
        outcome, n_used = simulate_looks(gate, looks, pair)
        return 1 - n_used / n if kind == "saved" else float(outcome.decision.verdict == "pass")

    scenario_name = f"{name}, true {shift:+g}" if shift else name
    return Trial("stop_early: superior", scenario_name, kind, limit, draw, LARGE)


def _both_pass(rng: np.random.Generator, n: int) -> bool:
    """Decide two claims, one of them false, on columns whose differences correlate 0.5."""
    claims = tuple(Claim(metric=name, claim="superior") for name in FAMILY)
    gate = Gate(alpha=ALPHA, claims=claims, stop_early=True)
    looks = _even_looks(gate, n)
    shared = skewed(rng, n)
    pairs = [
        replace(
            pair_of(np.where(rng.random(n) < SHARED_CHANCE, shared, skewed(rng, n)) + gain),
            metric=m,
        )
        for m, gain in zip(FAMILY, (0.0, SHIFT), strict=True)
    ]
    return simulate_looks(gate, looks, *pairs)[0].decision.verdict == "pass"


@cache
def _even_looks(gate: Gate, n: int) -> TaskLooks:
    looks = schedule_looks("items", (1,) * n, gate)
    assert looks is not None
    return looks


def _signflip_rejects(rng: np.random.Generator, n: int) -> bool:
    labels = unequal_clusters(rng, n)
    return signflip_test(draw_clustered(rng, symmetric, labels), clusters=labels).p_value <= ALPHA


def _signflip_of_items_rejects(rng: np.random.Generator, n: int) -> bool:
    return signflip_test(draw_clustered(rng, symmetric, unequal_clusters(rng, n))).p_value <= ALPHA


def _plain_t_rejects(rng: np.random.Generator, n: int) -> bool:
    """Apply a cluster-robust, one-sided t test with one degree of freedom less than clusters."""
    labels = unequal_clusters(rng, n)
    mean = mean_moments(draw_clustered(rng, skewed, labels), clusters=labels)
    return t_tail(mean.estimate / mean.se, mean.n_clusters - 1) <= ALPHA


def _rule_passes(rng: np.random.Generator, n: int) -> bool:
    """Test a rule where exactly the allowed share is critical: all of a cluster or none of it."""
    labels = unequal_clusters(rng, n)
    critical = (rng.random(int(labels.max()) + 1) < ALLOWED_SHARE)[labels]
    pair = replace(pair_of(np.where(critical, -9.0, 0.0)), clusters=labels)
    return evaluate_critical_rule(RULE, pair, ALPHA).verdict == "pass"
