"""Trials of `harness selftest` for juries of machines that are read as a sample of judges.

Judges agree on half of the variance of an item's difference, and each leans: its mean difference of the two models
is off by a standard deviation of a fifth of the items'.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.selftest.clusters import draw_clustered
from harness.selftest.simulation import ALPHA, Trial, pair_of, symmetric
from harness.stats.annotator_means import TwoWayMean, two_way_mean

LEAN_SD = 0.44  # points, a fifth of the standard deviation of items' differences
SIZES = (100,)
GAIN = 1.0
MIN_FIXED_ERROR = 0.2  # which the negative control must reach
WORLD = f"judges lean by {LEAN_SD:g} points"
SUPERIOR = Gate(alpha=ALPHA, claims=(Claim(metric="m", claim="superior"),))


def jury_trials(limit: float, covered: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`, intervals must cover `covered`."""
    for n_judges in (3, 5):
        several = f"{n_judges} judges as a sample"
        null, better = partial(_passes, n_judges, 0.0), partial(_passes, n_judges, GAIN)
        yield Trial(f"gate: superior, {several}", WORLD, "error", limit, null, (100, 300))
        yield Trial(f"gate: superior, {several}", f"{WORLD}, better by {GAIN:g}", "power", None, better, SIZES)  # fmt: skip
        covers = partial(_interval_covers, n_judges)
        yield Trial(f"95 % interval, {several}", WORLD, "coverage", covered, covers, SIZES)
    fixed = partial(_these_judges_pass, 3)
    yield Trial("gate: superior, 3 judges taken as all", WORLD, "control", MIN_FIXED_ERROR, fixed, (300,))  # fmt: skip


def draw_jury(rng: np.random.Generator, n: int, n_judges: int, gain: float) -> PairedScores:
    """Draw the paired scores of n items by each of the judges, of whom the next would lean otherwise."""
    items = np.repeat(np.arange(n), n_judges)
    votes = draw_clustered(rng, symmetric, items).reshape(n, n_judges)
    votes = np.clip(votes + rng.normal(0.0, LEAN_SD, n_judges) + gain, -9.0, 9.0)
    return replace(pair_of(votes.mean(axis=1)), votes=votes)


def _passes(n_judges: int, gain: float, rng: np.random.Generator, n: int) -> bool:
    pair = draw_jury(rng, n, n_judges, gain)
    # The gate's other test takes long, and cannot pass what this one does not.
    if _two_way(pair).p_above(0.0) > ALPHA:
        return False
    return decide_gate(SUPERIOR, {"m": pair}, advise=False).verdict == "pass"


def _interval_covers(n_judges: int, rng: np.random.Generator, n: int) -> bool:
    low, high = _two_way(draw_jury(rng, n, n_judges, 0.0)).interval()
    return low <= 0.0 <= high


def _two_way(pair: PairedScores) -> TwoWayMean:
    assert pair.votes is not None
    return two_way_mean(pair.votes)


def _these_judges_pass(n_judges: int, rng: np.random.Generator, n: int) -> bool:
    pair = replace(draw_jury(rng, n, n_judges, 0.0), votes=None)
    return decide_gate(SUPERIOR, {"m": pair}, advise=False).verdict == "pass"
