"""`harness selftest`: error rates of the harness's own gates and tests, by simulation.

Scores are drawn from scenarios whose truth is known, and the functions that decide real runs
decide on them. A method that errs more often than its nominal rate fails the test. So does a
negative control (a common mistake) whose errors the simulation does not detect, because the
simulation would then detect nothing.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial

import numpy as np

from harness.analysis.comparisons import find_interval
from harness.config import Claim, Gate
from harness.core.processes import parallel_map
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.selftest.checklists import checklist_trials
from harness.selftest.claims import accuracy_trials, claim_trials, other_corrections, share_trials
from harness.selftest.clusters import cluster_trials
from harness.selftest.confirmation import confirmation_trials, given_pairs_trials, label_trials
from harness.selftest.daily import daily_trials
from harness.selftest.human import people_trials
from harness.selftest.interim import look_trials
from harness.selftest.jury import jury_trials
from harness.selftest.rule import rule_trials
from harness.selftest.seeds import seed_trials
from harness.selftest.simulation import (
    ALPHA,
    SHIFT,
    Kind,
    Scenario,
    Trial,
    even_wins,
    item_ids,
    pair_of,
    skewed,
    symmetric,
)
from harness.selftest.study import study_trials
from harness.selftest.tries import tries_trials
from harness.stats.paired_proportions import mcnemar_midp
from harness.stats.permutation import signflip_test
from harness.stats.wilcoxon import wilcoxon_test
from harness.types import Record

STANDARD_ERRORS = 2.6  # allowed above a rate of 5 % by chance: 0.5 % of sound methods exceed it
LEAST_COVERAGE = 0.943  # of a 95 % interval on skewed scores, before the allowance for chance


class ErrorRate(Record):
    """The rate of one method in one scenario over the simulations, and its limit.

    The rate of an `error`, and the power that is `lost` to another test, must not exceed the limit, that of
    a `coverage` or a `control` (which must err) must reach it; `power` and the mean share `saved` have no
    limit. `se` is the Monte Carlo error.
    """

    method: str
    world: str
    n: int
    kind: Kind
    rate: float
    se: float
    limit: float | None

    @property
    def holds(self) -> bool:
        """Return whether the rate is within its limit."""
        if self.limit is None:
            return True
        most = self.kind in ("error", "lost")
        return self.rate <= self.limit if most else self.rate >= self.limit


class SelfTest(Record):
    """All cells, each from `simulations` simulations with a fixed seed."""

    simulations: int
    cells: tuple[ErrorRate, ...]

    @property
    def holds(self) -> bool:
        """Return whether every cell is within its limit."""
        return all(cell.holds for cell in self.cells)


def run_selftest(
    simulations: int,
    *,
    seed: int = 1,
    jobs: int = 1,
    progress: Callable[[str, int, int], None],
) -> SelfTest:
    """Run every method in every scenario.

    `jobs` processes share the work and change no figure.
    """
    total = len(_planned_cells(simulations))
    simulate = partial(_simulate, simulations=simulations, seed=seed)
    cells: list[ErrorRate] = []
    shared = parallel_map(simulate, min(jobs, total), at_once=1)
    with nullcontext(partial(map, simulate)) if jobs == 1 else shared as each:
        for cell in each(range(total)):
            cells.append(cell)
            progress("selftest", len(cells), total)
    return SelfTest(simulations=simulations, cells=tuple(cells))


def _simulate(number: int, simulations: int, seed: int) -> ErrorRate:
    """Simulate the cell with this number, with its own random stream."""
    trial, n = _planned_cells(simulations)[number]
    rng = np.random.default_rng((seed, number + 1))
    if trial.measure is not None:
        outcomes = trial.measure(rng, n, simulations)
    else:
        outcomes = np.array([trial.draw(rng, n) for _ in range(simulations)], dtype=np.float64)
    return ErrorRate(
        method=trial.method,
        world=trial.world,
        n=n,
        kind=trial.kind,
        rate=float(outcomes.mean()),
        se=float(outcomes.std()) / math.sqrt(outcomes.size),
        limit=trial.limit,
    )


def _planned_cells(simulations: int) -> list[tuple[Trial, int]]:
    return [(trial, n) for trial in _trials(simulations) for n in trial.sizes]


_KIND_LABELS: dict[Kind, str] = {
    "error": "wrong verdicts",
    "coverage": "interval covers",
    "power": "right verdicts",
    "control": "wrong rejections",
    "saved": "verdicts saved",
    "lost": "power lost",
}


def describe_selftest(result: SelfTest) -> Iterator[str]:
    """Format the cells as lines of a Markdown table, and a last line with the outcome."""
    yield "| method | world | n | what | rate | ± | limit | |"
    yield "|---|---|---:|---|---:|---:|---:|---|"
    signs: dict[Kind, str] = {
        "error": "at most",
        "lost": "at most",
        "coverage": "at least",
        "control": "at least",
        "saved": "at least",
    }
    for cell in result.cells:
        limit = "" if cell.limit is None else f"{signs[cell.kind]} {cell.limit:.3f}"
        outcome = "" if cell.limit is None else "ok" if cell.holds else "FAILS"
        yield (
            f"| {cell.method} | {cell.world} | {cell.n} | {_KIND_LABELS[cell.kind]} | {cell.rate:.3f} | "
            f"{cell.se:.3f} | {limit} | {outcome} |"
        )
    failed = sum(not cell.holds for cell in result.cells)
    yield ""
    yield (
        f"{failed} of {len(result.cells)} limits broken"
        if failed
        else f"all limits kept, {result.simulations:,} simulations each"
    )


def _trials(simulations: int) -> Iterator[Trial]:
    # The gate and its interval in the basic scenarios.
    allowance = STANDARD_ERRORS * math.sqrt(ALPHA * (1 - ALPHA) / simulations)
    limit, covered = ALPHA + allowance, LEAST_COVERAGE - allowance
    scenarios: tuple[tuple[str, Scenario], ...] = (("symmetric", symmetric), ("skewed", skewed))
    for name, scenario in scenarios:
        yield _gate_trial(name, scenario, Claim(metric="m", claim="superior"), 0.0, "error", limit)
        margin = Claim(metric="m", claim="non_inferior", margin=0.5)
        yield _gate_trial(name, scenario, margin, -0.5, "error", limit)
        yield _gate_trial(name, scenario, Claim(metric="m", claim="superior"), SHIFT, "power", None)
        yield Trial(
            "95 % interval of a difference",
            name,
            "coverage",
            covered,
            _interval_covers(scenario),
            (100, 500),
        )
    yield _gate_trial(
        "equal models", even_wins, Claim(metric="m", claim="superior"), 0.0, "error", limit
    )
    # Single tests, and negative controls.
    yield Trial("share at least 0.9", "share is 0.9", "error", limit, _share_passes)
    yield Trial("exact sign-flip test", "symmetric", "error", limit, _signflip_rejects)
    yield Trial("McNemar mid-p", "equal shares", "error", limit, _mcnemar_rejects)
    yield Trial(
        "binomial test over both orders", "equal models", "control", 0.07, _binomial_rejects, (100,)
    )
    yield Trial(
        "t test, peeking every 25 items", "symmetric", "control", 0.15, _peeking_rejects, (500,)
    )
    yield Trial("Wilcoxon for a mean", "skewed, mean 0", "control", 0.5, _wilcoxon_rejects, (500,))
    # The families of trials in the other modules.
    yield from look_trials(limit)
    yield from claim_trials(limit, covered)
    yield from people_trials(limit, covered)
    yield from confirmation_trials(limit)
    yield from cluster_trials(limit, covered)
    yield from share_trials(limit)
    yield from other_corrections()
    yield from given_pairs_trials(limit)
    yield from rule_trials(limit)
    yield from tries_trials(limit)
    yield from accuracy_trials(limit)
    yield from seed_trials(limit, covered)
    yield from checklist_trials(limit)
    # New trials come last: a cell's random numbers depend on its place.
    yield from jury_trials(limit, covered)
    yield from label_trials(limit, covered)
    yield from daily_trials(limit)
    yield from study_trials(limit)


# --- methods ---------------------------------------------------------------------------------


def _gate_trial(
    scenario_name: str,
    scenario: Scenario,
    claim: Claim,
    shift: float,
    kind: Kind,
    limit: float | None,
) -> Trial:
    gate = Gate(alpha=ALPHA, claims=(claim,))
    bounds = (-0.5, 0.5) if scenario is even_wins else (-9.0, 9.0)

    def passes(rng: np.random.Generator, n: int) -> bool:
        pair = pair_of(scenario(rng, n) + shift, bounds)
        return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"

    return Trial(f"gate: {claim}".replace("m ", "", 1), scenario_name, kind, limit, passes)


def _interval_covers(scenario: Scenario) -> Callable[[np.random.Generator, int], bool]:
    def covers(rng: np.random.Generator, n: int) -> bool:
        pair = pair_of(scenario(rng, n), (-9.0, 9.0))
        interval = find_interval(pair, np.ones(n, dtype=np.bool))
        return interval.low <= 0 <= interval.high

    return covers


def _share_passes(rng: np.random.Generator, n: int) -> bool:
    scores = (rng.random(n) < 0.9).astype(np.float64)
    pair = PairedScores(
        metric="m",
        kind="share",
        baseline="baseline",
        candidate="candidate",
        sample_ids=item_ids(n),
        clusters=None,
        d=scores - 1.0,
        least=scores - 1.0,
        greatest=scores - 1.0,
        bounds=(-1.0, 1.0),
        baseline_scores=np.ones(n),
        candidate_scores=scores,
        score_bounds=(0.0, 1.0),
        null=0.0,
    )
    gate = Gate(alpha=ALPHA, claims=(Claim(metric="m", claim="at_least", value=0.9),))
    return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"


def _signflip_rejects(rng: np.random.Generator, n: int) -> bool:
    return signflip_test(symmetric(rng, n)).p_value <= ALPHA


def _mcnemar_rejects(rng: np.random.Generator, n: int) -> bool:
    discordant = int(rng.binomial(n, 0.3))
    gained = int(rng.binomial(discordant, 0.5))
    return mcnemar_midp(gained, discordant - gained) <= ALPHA


def _binomial_rejects(rng: np.random.Generator, n: int) -> bool:
    """Test a judge that always repeats itself in the other order, counted as two votes."""
    from scipy import stats

    wins = int((rng.random(n) < 0.5).sum())
    return float(stats.binomtest(2 * wins, 2 * n).pvalue) <= ALPHA


def _peeking_rejects(rng: np.random.Generator, n: int) -> bool:
    from scipy import stats

    d = symmetric(rng, n)
    return any(
        float(stats.ttest_1samp(d[:n_items], 0.0).pvalue) <= ALPHA
        for n_items in range(25, n + 1, 25)
    )


def _wilcoxon_rejects(rng: np.random.Generator, n: int) -> bool:
    return wilcoxon_test(skewed(rng, n)).p_value <= ALPHA
