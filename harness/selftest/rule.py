"""Trials of `harness selftest` for the gate's rule on what people really have, at every number of items.

Worlds of mean 0 that fool a test of the seen scores must not fool the gate; ordinary gains must be found nearly
as often as Student's test finds them. The rule that this one replaced, with its switch at 100 items, must be
caught at both.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.selftest.claims import share_pair
from harness.selftest.interim import early_stopping_trial
from harness.selftest.simulation import (
    ALPHA,
    Scenario,
    Trial,
    pair_of,
    skewed,
)
from harness.selftest.worlds import POINTS, WINS, World, judged_pair, null_worlds
from harness.stats.bounded_means import betting_lower_bound
from harness.stats.one_sided import mean_above_test
from harness.stats.paired_proportions import mcnemar_midp
from harness.stats.unseen_worst import lower_bounds, share_not_excluded
from harness.stats.vectors import Vector

NUMBERS = (30, 50, 80, 100, 200, 500)
FEW = (50, 80, 100)  # where the rule costs power
CLUSTERS = (20, 40, 60, 100)
CLUSTER_SIZE = 5
MOST_LOST = 0.15  # of the power of Student's (or McNemar's) test, from 50 items on
WORST_ERROR = 0.066  # of the worst of many random worlds
NULLS, FINALISTS, FINAL_RUNS = 1500, 10, 20_000
SWITCH = 100  # items, of the rule before
# What the rule before must show at least: errors from 100 items on, and power that it gives away below.
MIN_FOOLED, MIN_LOST = 0.3, 0.35
HIDDEN = "91 % ties, 1 % drop 8"  # the world in which the rule before must be caught
SUPERIOR = Claim(metric="m", claim="superior")
NOT_WORSE = Claim(metric="m", claim="non_inferior", margin=0.5)


def rule_trials(limit: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`."""
    for world in null_worlds():
        draw = partial(_passes, SUPERIOR, world)
        yield Trial("gate: superior", world.name, "error", limit, draw, NUMBERS)
    yield Trial("gate: superior", "the worst of random worlds", "error", WORST_ERROR, _no_single_draw,
                NUMBERS, _worst_of_random_worlds)  # fmt: skip
    yield from _other_claim_trials(limit)
    yield from _power_trials()
    yield from _cluster_trials(limit)
    hidden = next(world for world in null_worlds() if world.name == HIDDEN)
    yield early_stopping_trial(hidden.name, hidden.draw, 0.0, "error", limit, (100, 200, 500))
    yield Trial("rule before, switch at 100", hidden.name, "control", MIN_FOOLED,
                partial(_rule_before_passes, hidden), (SWITCH,))  # fmt: skip


# --- errors ----------------------------------------------------------------------------------


def _passes(claim: Claim, world: World, rng: np.random.Generator, n: int) -> bool:
    return _decides(claim, pair_of(world.draw(rng, n), world.bounds))


def _decides(claim: Claim, pair: PairedScores) -> bool:
    gate = Gate(alpha=ALPHA, claims=(claim,))
    return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"


def _rule_before_passes(world: World, rng: np.random.Generator, n: int) -> bool:
    return _passes_before(world.draw(rng, n), world.bounds)


def _passes_before(d: Vector, bounds: tuple[float, float]) -> bool:
    """Decide by Student's and Hall's tests of the seen scores, below 100 items by a betting bound too."""
    if mean_above_test(d, 0.0).p_gate > ALPHA:
        return False
    return d.size >= SWITCH or betting_lower_bound(d, bounds=bounds, alpha=ALPHA) > 0


def _other_claim_trials(limit: float) -> Iterator[Trial]:
    yield Trial("gate: at least the true mean", "ceiling, 1 % at the bottom", "error", limit,
                _ceiling_passes, NUMBERS)  # fmt: skip
    yield Trial("any of 4 claims, Holm", "95 % ties, 0.5 % drop 9", "error", limit, _any_passes,
                (100, 200))  # fmt: skip
    yield Trial("gate: shares superior by 0.05", "true 0.05, few losses", "error", limit,
                partial(_shares_pass, 0.05, 0.0536, 0.0036), (100, 200, 500))  # fmt: skip
    yield Trial("gate: shares superior", "equal, 6 % differ", "error", limit,
                partial(_shares_pass, None, 0.03, 0.03), NUMBERS)  # fmt: skip


def _ceiling_passes(rng: np.random.Generator, n: int) -> bool:
    scores = rng.choice([10.0, 9.0, 1.0], p=[0.9, 0.09, 0.01], size=n)
    pair = replace(
        pair_of(scores - 9.0, (-9.0, 9.0)),
        baseline_scores=np.full(n, 9.0),
        candidate_scores=scores,
        score_bounds=(1.0, 10.0),
    )
    return _decides(Claim(metric="m", claim="at_least", value=0.9 * 10 + 0.09 * 9 + 0.01), pair)


def _any_passes(rng: np.random.Generator, n: int) -> bool:
    names = [f"c{i}" for i in range(4)]
    gate = Gate(
        alpha=ALPHA,
        require="any",
        claims=tuple(Claim(metric=name, claim="superior") for name in names),
    )
    draws = rng.choice([-9.0, 0.0, 1.0], p=[0.005, 0.95, 0.045], size=(4, n))
    pairs = {name: replace(pair_of(d), metric=name) for name, d in zip(names, draws, strict=True)}
    return decide_gate(gate, pairs, advise=False).verdict == "pass"


def _shares_pass(
    margin: float | None, wins: float, losses: float, rng: np.random.Generator, n: int
) -> bool:
    claim = Claim(metric="m", claim="superior", margin=margin)
    return _decides(claim, _draw_shares(rng, n, wins, losses))


def _draw_shares(rng: np.random.Generator, n: int, wins: float, losses: float) -> PairedScores:
    d = rng.choice([1.0, -1.0, 0.0], p=[wins, losses, 1 - wins - losses], size=n)
    return share_pair(np.where(d < 0, 1.0, 0.0), np.where(d > 0, 1.0, 0.0))


# --- the worst of random worlds ----------------------------------------------------------------


class _Null(NamedTuple):
    """A distribution of mean 0 on whole points."""

    values: Vector
    chances: Vector


def _no_single_draw(rng: np.random.Generator, n: int) -> float:
    raise AssertionError("a search is measured as a whole")


def _worst_of_random_worlds(rng: np.random.Generator, n: int, simulations: int) -> Vector:
    """Search random worlds for the one that fools the rule most, and return new outcomes of it.

    The ten worst of the search are simulated again, so that chance does not choose the worst.
    """
    share = min(1.0, simulations / 2000)
    nulls = [_random_null(rng) for _ in range(max(2, round(NULLS * share / len(NUMBERS))))]
    rates = [_outcomes(rng, null, n, simulations).mean() for null in nulls]
    worst = np.argsort(rates)[-max(1, round(FINALISTS * share)) :]
    again = [_outcomes(rng, nulls[i], n, max(2, round(FINAL_RUNS * share))) for i in worst]
    return max(again, key=lambda outcomes: float(outcomes.mean()))


def _random_null(rng: np.random.Generator) -> _Null:
    """Draw up to six whole values between -9 and 9, often mostly ties, balanced to mean 0."""
    values = np.sort(rng.choice(np.arange(-9.0, 10.0), rng.integers(2, 7), replace=False))
    if values[0] >= 0 or values[-1] <= 0:
        return _random_null(rng)
    chances = rng.dirichlet(np.full(values.size, rng.choice([0.1, 0.3, 1.0, 3.0]))) + 1e-6
    lost = float(-(chances * values)[values < 0].sum())
    chances[values > 0] *= lost / float((chances * values)[values > 0].sum())
    ties = rng.uniform(0, 0.97) if rng.random() < 0.5 else 0.0
    chances = np.append(chances / chances.sum() * (1 - ties), ties)
    return _Null(np.append(values, 0.0), chances / chances.sum())


def _outcomes(rng: np.random.Generator, null: _Null, n: int, runs: int) -> Vector:
    """Return whether each of many samples has the gate's bound above 0."""
    counts = rng.multinomial(n, null.chances, size=runs)
    mean, second, third = (counts @ null.values**k / n for k in (1, 2, 3))
    variance = np.maximum(second - mean**2, 0.0)
    varied = variance > 1e-12
    safe = np.where(varied, variance, 1.0)
    skewness = (third - 3 * mean * second + 2 * mean**3) / safe**1.5
    bounds = lower_bounds(
        mean,
        np.sqrt(safe / (n - 1)),
        skewness / np.sqrt(n),
        df=n - 1,
        units=n,
        worst=POINTS[0],
        alpha=ALPHA,
    )
    share = share_not_excluded(n, ALPHA)
    constant = (1 - share) * mean + share * POINTS[0]
    return (np.where(varied, bounds, constant) > 0).astype(np.float64)


# --- power ------------------------------------------------------------------------------------


def _power_trials() -> Iterator[Trial]:
    """List how often a gain is found, and what of Student's power that loses."""
    half, one = (partial(judged_pair, gain=gain) for gain in (0.5, 1.0))
    cases = (
        ("judged 1-10, true +0.5", SUPERIOR, half, POINTS),
        ("judged 1-10, true +1", SUPERIOR, one, POINTS),
        ("judged 1-10, true 0", NOT_WORSE, judged_pair, POINTS),
        ("win rate 0.65", SUPERIOR, _wins, WINS),
    )
    for name, claim, scenario, bounds in cases:
        method = f"gate: {claim}".replace("m ", "", 1)
        found = partial(_finds, claim, scenario, bounds)
        yield Trial(method, name, "power", None, found, NUMBERS)
        lost = partial(_loses, claim, scenario, bounds)
        yield Trial(f"{method}, less than Student's t", name, "lost", MOST_LOST, lost, FEW)
    yield Trial("gate: shares superior", "0.85 to 0.95", "power", None, _finds_shares, NUMBERS)
    yield Trial("gate: shares superior, less than McNemar's mid-p", "0.85 to 0.95", "lost", MOST_LOST,
                _loses_shares, FEW)  # fmt: skip
    yield Trial("rule before, less than Student's t", "judged 1-10, true +0.5", "control", MIN_LOST,
                _rule_before_loses, (50,))  # fmt: skip


def _wins(rng: np.random.Generator, n: int) -> Vector:
    """Draw win scores less one half over two orders, 0.15 on the mean."""
    chances = [0.1625, 0.0625, 0.175, 0.2125, 0.3875]
    return rng.choice([-0.5, -0.25, 0.0, 0.25, 0.5], p=chances, size=n)


def _finds(
    claim: Claim, scenario: Scenario, bounds: tuple[float, float], rng: np.random.Generator, n: int
) -> bool:
    return _decides(claim, pair_of(scenario(rng, n), bounds))


def _loses(
    claim: Claim, scenario: Scenario, bounds: tuple[float, float], rng: np.random.Generator, n: int
) -> float:
    """Return 1 where Student's test passes and the gate does not."""
    d = scenario(rng, n)
    student = mean_above_test(d, claim.boundaries(0.0)[0]).p_t <= ALPHA
    return float(student) - float(_decides(claim, pair_of(d, bounds)))


def _finds_shares(rng: np.random.Generator, n: int) -> bool:
    return _decides(SUPERIOR, _draw_shares(rng, n, 0.12, 0.02))


def _loses_shares(rng: np.random.Generator, n: int) -> float:
    pair = _draw_shares(rng, n, 0.12, 0.02)
    wins, losses = int((pair.d > 0).sum()), int((pair.d < 0).sum())
    plain = wins > losses and mcnemar_midp(wins, losses) / 2 <= ALPHA
    return float(plain) - float(_decides(SUPERIOR, pair))


def _rule_before_loses(rng: np.random.Generator, n: int) -> float:
    d = judged_pair(rng, n, 0.5)
    return float(mean_above_test(d, 0.0).p_t <= ALPHA) - float(_passes_before(d, POINTS))


# --- clusters ---------------------------------------------------------------------------------


def _cluster_trials(limit: float) -> Iterator[Trial]:
    """List trials whose n is the number of clusters, of five items or geometric with that mean."""
    for sizes in ("equal", "geometric"):
        geometric = sizes == "geometric"
        for name, scenario in (("judged", judged_pair), ("skewed", skewed)):
            for shared in (0.1, 0.4):
                passes = partial(_clusters_pass, scenario, 0.0, shared, geometric)
                yield Trial("gate: superior", f"{name}, {sizes} clusters, correlation {shared:g}",
                            "error", limit, passes, CLUSTERS)  # fmt: skip
        yield Trial("gate: superior", f"whole clusters drop 6, {sizes}", "error", limit,
                    partial(_clusters_that_drop_pass, geometric), CLUSTERS)  # fmt: skip
        for gain in (0.5, 1.0):
            finds = partial(_clusters_pass, partial(judged_pair, gain=gain), 0.0, 0.1, geometric)
            yield Trial("gate: superior", f"judged +{gain:g}, {sizes} clusters, correlation 0.1",
                        "power", None, finds, CLUSTERS)  # fmt: skip


def _labels(rng: np.random.Generator, n_clusters: int, *, geometric: bool) -> "np.ndarray":
    sizes = np.full(n_clusters, CLUSTER_SIZE)
    if geometric:
        sizes = rng.geometric(1 / CLUSTER_SIZE, n_clusters)
    return np.repeat(np.arange(n_clusters), sizes)


def _clusters_pass(
    scenario: Scenario,
    shift: float,
    shared: float,
    geometric: bool,
    rng: np.random.Generator,
    n_clusters: int,
) -> bool:
    labels = _labels(rng, n_clusters, geometric=geometric)
    own, common = scenario(rng, labels.size), scenario(rng, n_clusters)[labels]
    d = np.where(rng.random(labels.size) < np.sqrt(shared), common, own) + shift
    return _decides(SUPERIOR, replace(pair_of(d), clusters=labels))


def _clusters_that_drop_pass(geometric: bool, rng: np.random.Generator, n_clusters: int) -> bool:
    """Let one cluster in fifty drop by 6 altogether, and others' items gain what makes up for it."""
    labels = _labels(rng, n_clusters, geometric=geometric)
    drops = (rng.random(n_clusters) < 0.02)[labels]
    gains = rng.random(labels.size) < 0.02 * 6 / 0.98
    d = np.where(drops, -6.0, np.where(gains, 1.0, 0.0))
    return _decides(SUPERIOR, replace(pair_of(d), clusters=labels))
