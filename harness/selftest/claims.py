"""Trials of `harness selftest` for equivalences, regression alarms, and families of claims."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.selftest.simulation import (
    ALPHA,
    SHIFT,
    SIZES,
    Kind,
    Scenario,
    Trial,
    pair_of,
    skewed,
    symmetric,
)
from harness.stats.vectors import Vector
from harness.types import GateDecision

MARGIN = 0.5  # of the equivalences and alarms, in points
FAMILY = 4  # claims of a family, on columns whose differences correlate 0.5
FLIPS = 399  # of signs
# Error rates that these negative controls must reach at least: max-T on skewed differences, and a
# family without correction.
MIN_MAX_T_ERROR = 0.08
MIN_UNCORRECTED_ERROR = 0.09
COLUMNS = tuple(f"c{i}" for i in range(FAMILY))
SUPERIOR = tuple(Claim(metric=name, claim="superior") for name in COLUMNS)
LARGE = SIZES[1:]


def claim_trials(limit: float, covered: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`, and joint coverage must reach `covered`."""
    yield from _equivalence_trials(limit)
    yield from _alarm_trials(limit)
    yield from _family_trials(limit, covered)


def _equivalence_trials(limit: float) -> Iterator[Trial]:
    same = Claim(metric="m", claim="equivalent", margin=MARGIN)
    yield _claim_trial(same, "symmetric", symmetric, MARGIN, "pass", "error", limit, LARGE)
    yield _claim_trial(same, "skewed", skewed, MARGIN, "pass", "error", limit, SIZES)
    yield _claim_trial(same, "skewed", skewed, -MARGIN, "pass", "error", limit, LARGE)
    yield _claim_trial(same, "skewed", skewed, MARGIN, "fail", "error", limit, LARGE)
    yield _claim_trial(same, "skewed", skewed, -MARGIN, "fail", "error", limit, LARGE)
    yield _claim_trial(same, "skewed", skewed, 0.0, "pass", "power", None, LARGE)
    yield _share_equivalence_trial(limit)


def _alarm_trials(limit: float) -> Iterator[Trial]:
    alarm = Claim(metric="m", claim="regression_alarm")
    yield _claim_trial(alarm, "symmetric", symmetric, 0.0, "fail", "error", limit, LARGE)
    yield _claim_trial(alarm, "skewed", skewed, 0.0, "fail", "error", limit, SIZES)
    yield _claim_trial(alarm, "skewed", skewed, -SHIFT, "fail", "power", None, LARGE)


def _family_trials(limit: float, covered: float) -> Iterator[Trial]:
    """List trials in which every single test is valid, so that they test the correction alone."""
    equal, one_better = f"skewed, {FAMILY} equal", f"skewed, 1 better of {FAMILY}"
    yield Trial("any claim, Holm", equal, "error", limit, _any_passes, LARGE)
    yield Trial("any claim, Holm", one_better, "error", limit, _false_one_passes, LARGE)
    yield Trial("claims in order", one_better, "error", limit, _later_claim_passes, LARGE)
    yield Trial("simultaneous intervals", equal, "coverage", covered, _all_covered, LARGE)
    yield Trial(
        "any claim, uncorrected",
        equal,
        "control",
        MIN_UNCORRECTED_ERROR,
        _uncorrected_passes,
        (500,),
    )


# --- single claims ---------------------------------------------------------------------------


def _claim_trial(
    claim: Claim,
    name: str,
    scenario: Scenario,
    shift: float,
    verdict: str,
    kind: Kind,
    limit: float | None,
    sizes: tuple[int, ...],
) -> Trial:
    """Make a trial that draws whether the claim gets a verdict: for `power` the right one."""
    gate = Gate(alpha=ALPHA, claims=(claim,))

    def draw(rng: np.random.Generator, n: int) -> bool:
        pair = pair_of(scenario(rng, n) + shift)
        return decide_gate(gate, {"m": pair}, advise=False).claims[0].verdict == verdict

    suffixes = {"pass": "", "fail": " raised" if claim.kind.alarm else " refuted"}
    method = f"gate: {claim}{suffixes[verdict]}".replace("m ", "", 1)
    truth = f"{name}, true {shift:+g}" if shift else f"{name}, true 0"
    return Trial(method, truth, kind, limit, draw, sizes)


def _share_equivalence_trial(limit: float) -> Trial:
    """Make a trial of shares that differ by exactly the margin.

    Half of the discordant items would mean equal shares.
    """
    margin, discordant = 0.05, 0.15
    gate = Gate(claims=(Claim(metric="m", claim="equivalent", margin=margin),))
    chances = [(discordant + margin) / 2, (discordant - margin) / 2, 1 - discordant]

    def passes(rng: np.random.Generator, n: int) -> bool:
        d = rng.choice([1.0, -1.0, 0.0], p=chances, size=n)
        pair = share_pair(np.where(d < 0, 1.0, 0.0), np.where(d > 0, 1.0, 0.0))
        return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"

    name = f"gate: shares equivalent (within ±{margin:g})"
    return Trial(name, f"true +{margin:g}", "error", limit, passes, LARGE)


def share_trials(limit: float) -> Iterator[Trial]:
    """List trials of equal shares where 30 % (or all) of the items differ.

    Tango's test alone errs in these.
    """
    gate = Gate(claims=(Claim(metric="m", claim="superior"),))

    def passes(discordant: float, rng: np.random.Generator, n: int) -> bool:
        chances = [discordant / 2, discordant / 2, 1 - discordant]
        d = rng.choice([1.0, -1.0, 0.0], p=chances, size=n)
        pair = share_pair(np.where(d < 0, 1.0, 0.0), np.where(d > 0, 1.0, 0.0))
        return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"

    for discordant, sizes in ((0.3, SIZES), (1.0, (9, 30))):
        scenario_name = f"equal shares, {discordant:.0%} differ"
        draw = partial(passes, discordant)
        yield Trial("gate: shares superior", scenario_name, "error", limit, draw, sizes)


def accuracy_trials(limit: float) -> Iterator[Trial]:
    """List trials of right and wrong answers, as of choices, on the sizes of small benchmarks.

    The candidate is no better, or worse by exactly the margin of "knows no less than before".
    """
    margin = 0.05
    no_less = Claim(metric="m", claim="non_inferior", margin=margin)
    better = Claim(metric="m", claim="superior")
    for claim, loss, discordant in (
        (better, 0.0, 0.2),
        (no_less, margin, 0.1),
        (no_less, margin, 0.3),
    ):
        world = f"right or wrong, true {0 - loss:g}, {discordant:.0%} differ"
        chances = ((discordant - loss) / 2, (discordant + loss) / 2, 1 - discordant)
        draw = partial(_accuracy_passes, Gate(claims=(claim,)), chances)
        method = f"gate: accuracy {claim}".replace("m ", "", 1)
        yield Trial(method, world, "error", limit, draw, (50, 100, 500))


def _accuracy_passes(
    gate: Gate, chances: tuple[float, float, float], rng: np.random.Generator, n: int
) -> bool:
    """Draw which items each model alone has right, by `chances`, and decide the gate."""
    d = rng.choice([1.0, -1.0, 0.0], p=chances, size=n)
    pair = share_pair(np.where(d < 0, 1.0, 0.0), np.where(d > 0, 1.0, 0.0))
    return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"


def other_corrections() -> Iterator[Trial]:
    """List corrections that the gate does not offer, each with the reason for that."""
    scenario_name = f"skewed, {FAMILY} equal"
    yield Trial(
        "any claim, max-T by sign flips",
        scenario_name,
        "control",
        MIN_MAX_T_ERROR,
        _largest_t_rejects,
        (100,),
    )


def share_pair(baseline_scores: Vector, candidate_scores: Vector) -> PairedScores:
    """Make paired scores of 0 and 1, as the gate takes them."""
    pair = pair_of(candidate_scores - baseline_scores, (-1.0, 1.0))
    return replace(
        pair,
        kind="share",
        baseline_scores=baseline_scores,
        candidate_scores=candidate_scores,
        score_bounds=(0, 1),
    )


# --- families --------------------------------------------------------------------------------


EQUAL = (0.0,) * FAMILY
FIRST_BETTER = (SHIFT, *EQUAL[1:])


def _decide(
    rng: np.random.Generator, n: int, *, gains: tuple[float, ...], require: str
) -> GateDecision:
    """Decide a family of claims of superiority, on columns with these true gains."""
    columns = zip(COLUMNS, _draw_columns(rng, n), gains, strict=True)
    pairs = {name: pair_of(d + gain) for name, d, gain in columns}
    gate = Gate.model_validate({"alpha": ALPHA, "require": require, "claims": SUPERIOR})
    return decide_gate(gate, pairs, advise=False)


def _draw_columns(rng: np.random.Generator, n: int) -> list[Vector]:
    """Draw differences of mean 0 on each column.

    An item's difference is the shared one with chance r, or the column's own: correlation between two
    columns r^2.
    """
    shared = skewed(rng, n)
    return [np.where(rng.random(n) < np.sqrt(0.5), shared, skewed(rng, n)) for _ in COLUMNS]


def _largest_t_rejects(rng: np.random.Generator, n: int) -> bool:
    """Apply Westfall and Young's correction by sign flips that all columns share, one-sided."""
    d = np.array(_draw_columns(rng, n))
    scale = np.sqrt((d**2).sum(axis=1))
    flipped = rng.choice([-1.0, 1.0], size=(FLIPS, n)) @ d.T / scale
    extreme = int((flipped.max(axis=1) >= (d.sum(axis=1) / scale).max() - 1e-9).sum())
    return (1 + extreme) / (1 + FLIPS) <= ALPHA


def _any_passes(rng: np.random.Generator, n: int) -> bool:
    decision = _decide(rng, n, gains=EQUAL, require="any")
    return any(claim.verdict == "pass" for claim in decision.claims)


def _false_one_passes(rng: np.random.Generator, n: int) -> bool:
    decision = _decide(rng, n, gains=FIRST_BETTER, require="any")
    return any(claim.verdict == "pass" for claim in decision.claims[1:])


def _later_claim_passes(rng: np.random.Generator, n: int) -> bool:
    decision = _decide(rng, n, gains=FIRST_BETTER, require="ordered")
    return any(claim.verdict == "pass" for claim in decision.claims[1:])


def _all_covered(rng: np.random.Generator, n: int) -> bool:
    decision = _decide(rng, n, gains=EQUAL, require="any")
    intervals = [claim.simultaneous for claim in decision.claims if claim.simultaneous]
    return all(interval.low <= 0 <= interval.high for interval in intervals)


def _uncorrected_passes(rng: np.random.Generator, n: int) -> bool:
    decision = _decide(rng, n, gains=EQUAL, require="all")
    return any(claim.verdict == "pass" for claim in decision.claims)
