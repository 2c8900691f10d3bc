"""`harness selftest`: how often the harness's own gates and tests are wrong, by simulation.

Scores are drawn from worlds in which the truth is known, and the functions that decide real runs
decide on them. A method that errs more often than it says fails the test; so does a negative
control (a common way of doing it wrong) that is not caught, which would show that the simulation
has no teeth.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.compare import PairedScores, find_interval
from harness.gate import decide_gate
from harness.stats import mcnemar_midp, signflip_test, wilcoxon_test
from harness.suite import Claim, Gate
from harness.types import Record

ALPHA = 0.05
SIZES = (30, 100, 500)
STANDARD_ERRORS = 2.6  # what chance may add to a rate of 5 %: 0.5 % of sound methods exceed it
LEAST_COVERAGE = 0.943  # of a 95 % interval on skewed scores, before what chance may take away

# Differences as judges give them on a scale from 1 to 10: 38 % ties, most changes small.
# The skewed ones have a few disasters among many small gains; both have mean 0 after centring.
VALUES = np.arange(-8.0, 6.0)
SKEWED = np.array(
    [0.022, 0.02, 0.016, 0.012, 0.01, 0.02, 0.03, 0.08, 0.38, 0.25, 0.12, 0.03, 0.008, 0.002]
)
SHIFT = 0.5  # the true gain behind the figures for power, in points

Vector = NDArray[np.float64]
Kind = Literal["error", "coverage", "power", "control"]


class Cell(Record):
    """One method in one world: its rate over the simulations, and the limit it must keep.

    Of an `error` the rate must lie at or below the limit, of a `coverage` or a `control` (which
    must be caught erring) at or above it; `power` has no limit. `se` is the Monte Carlo error.
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
        """Whether the limit is kept."""
        if self.limit is None:
            return True
        return self.rate <= self.limit if self.kind == "error" else self.rate >= self.limit


class SelfTest(Record):
    """All cells, from `simulations` simulations each with a fixed seed."""

    simulations: int
    cells: tuple[Cell, ...]

    @property
    def holds(self) -> bool:
        """Whether every cell keeps its limit."""
        return all(cell.holds for cell in self.cells)


class _Trial(NamedTuple):
    """A method in a world: draws a sample of n items, and says whether the event happened."""

    method: str
    world: str
    kind: Kind
    limit: float | None
    happens: Callable[[np.random.Generator, int], bool]
    sizes: tuple[int, ...] = SIZES


def run_selftest(
    simulations: int, *, seed: int = 1, progress: Callable[[str, int, int], None]
) -> SelfTest:
    """Every method in every world."""
    cells: list[Cell] = []
    plans = [(trial, n) for trial in _trials(simulations) for n in trial.sizes]
    for number, (trial, n) in enumerate(plans, start=1):
        rng = np.random.default_rng((seed, number))
        rate = sum(trial.happens(rng, n) for _ in range(simulations)) / simulations
        cells.append(
            Cell(
                method=trial.method,
                world=trial.world,
                n=n,
                kind=trial.kind,
                rate=rate,
                se=math.sqrt(rate * (1 - rate) / simulations),
                limit=trial.limit,
            )
        )
        progress("selftest", number, len(plans))
    return SelfTest(simulations=simulations, cells=tuple(cells))


def describe_selftest(found: SelfTest) -> Iterator[str]:
    """The cells as the lines of a Markdown table, and a last line with the outcome."""
    yield "| method | world | n | what | rate | ± | limit | |"
    yield "|---|---|---:|---|---:|---:|---:|---|"
    signs: dict[Kind, str] = {"error": "at most", "coverage": "at least", "control": "at least"}
    for cell in found.cells:
        limit = "" if cell.limit is None else f"{signs[cell.kind]} {cell.limit:.3f}"
        outcome = "" if cell.limit is None else "ok" if cell.holds else "FAILS"
        yield (
            f"| {cell.method} | {cell.world} | {cell.n} | {_WHAT[cell.kind]} | {cell.rate:.3f} | "
            f"{cell.se:.3f} | {limit} | {outcome} |"
        )
    failed = sum(not cell.holds for cell in found.cells)
    yield ""
    yield (
        f"{failed} of {len(found.cells)} limits broken"
        if failed
        else f"all limits kept, {found.simulations:,} simulations each"
    )


_WHAT: dict[Kind, str] = {
    "error": "wrong passes",
    "coverage": "interval covers",
    "power": "right passes",
    "control": "wrong rejections",
}

# --- worlds ----------------------------------------------------------------------------------


def skewed(rng: np.random.Generator, n: int) -> Vector:
    """Differences of mean 0 with rare disasters."""
    return rng.choice(VALUES, p=SKEWED, size=n) - float(VALUES @ SKEWED)


def symmetric(rng: np.random.Generator, n: int) -> Vector:
    """The same sizes of differences, as often up as down."""
    d = np.abs(rng.choice(VALUES, p=SKEWED, size=n)) * rng.choice([-1.0, 1.0], size=n)
    return np.asarray(d, dtype=np.float64)


def even_wins(rng: np.random.Generator, n: int) -> Vector:
    """Win scores less one half, over two orders, of models that are equal: 0 is a tie."""
    return rng.choice([-0.5, -0.25, 0.0, 0.25, 0.5], p=[0.3, 0.1, 0.2, 0.1, 0.3], size=n)


World = Callable[[np.random.Generator, int], Vector]


def _trials(simulations: int) -> Iterator[_Trial]:
    by_chance = STANDARD_ERRORS * math.sqrt(ALPHA * (1 - ALPHA) / simulations)
    limit, covered = ALPHA + by_chance, LEAST_COVERAGE - by_chance
    worlds: tuple[tuple[str, World], ...] = (("symmetric", symmetric), ("skewed", skewed))
    for name, world in worlds:
        yield _gate(name, world, Claim(metric="m", claim="superior"), 0.0, "error", limit)
        margin = Claim(metric="m", claim="non_inferior", margin=0.5)
        yield _gate(name, world, margin, -0.5, "error", limit)
        yield _gate(name, world, Claim(metric="m", claim="superior"), SHIFT, "power", None)
        yield _Trial(
            "95 % interval of a difference", name, "coverage", covered, _covers(world), (100, 500)
        )
    yield _gate("equal models", even_wins, Claim(metric="m", claim="superior"), 0.0, "error", limit)
    yield _Trial("share at least 0.9", "share is 0.9", "error", limit, _share_passes)
    yield _Trial("exact sign-flip test", "symmetric", "error", limit, _signflip_rejects)
    yield _Trial("McNemar mid-p", "equal shares", "error", limit, _mcnemar_rejects)
    yield _Trial(
        "binomial test over both orders", "equal models", "control", 0.07, _binomial_rejects, (100,)
    )
    yield _Trial(
        "t test, peeking every 25 items", "symmetric", "control", 0.15, _peeking_rejects, (500,)
    )
    yield _Trial("Wilcoxon for a mean", "skewed, mean 0", "control", 0.5, _wilcoxon_rejects, (500,))


# --- methods ---------------------------------------------------------------------------------


def _gate(
    world_name: str, world: World, claim: Claim, shift: float, kind: Kind, limit: float | None
) -> _Trial:
    gate = Gate(alpha=ALPHA, claims=(claim,))
    bounds = (-0.5, 0.5) if world is even_wins else (-9.0, 9.0)

    def passes(rng: np.random.Generator, n: int) -> bool:
        pair = _pair(world(rng, n) + shift, bounds)
        return decide_gate(gate, {"m": pair}).verdict == "pass"

    return _Trial(f"gate: {claim}".replace("m ", "", 1), world_name, kind, limit, passes)


def _pair(d: Vector, bounds: tuple[float, float]) -> PairedScores:
    zeros = np.zeros_like(d)
    return PairedScores(
        metric="m",
        kind="points",
        baseline="baseline",
        candidate="candidate",
        sample_ids=tuple(map(str, range(d.size))),
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


def _covers(world: World) -> Callable[[np.random.Generator, int], bool]:
    def covers(rng: np.random.Generator, n: int) -> bool:
        pair = _pair(world(rng, n), (-9.0, 9.0))
        found = find_interval(pair, np.ones(n, dtype=np.bool))
        return found.low <= 0 <= found.high

    return covers


def _share_passes(rng: np.random.Generator, n: int) -> bool:
    scores = (rng.random(n) < 0.9).astype(np.float64)
    pair = PairedScores(
        metric="m",
        kind="share",
        baseline="baseline",
        candidate="candidate",
        sample_ids=tuple(map(str, range(n))),
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
    return decide_gate(gate, {"m": pair}).verdict == "pass"


def _signflip_rejects(rng: np.random.Generator, n: int) -> bool:
    return signflip_test(symmetric(rng, n)).p_value <= ALPHA


def _mcnemar_rejects(rng: np.random.Generator, n: int) -> bool:
    discordant = int(rng.binomial(n, 0.3))
    gained = int(rng.binomial(discordant, 0.5))
    return mcnemar_midp(gained, discordant - gained) <= ALPHA


def _binomial_rejects(rng: np.random.Generator, n: int) -> bool:
    """A judge that always repeats itself in the other order, counted as two votes."""
    from scipy import stats

    wins = int((rng.random(n) < 0.5).sum())
    return float(stats.binomtest(2 * wins, 2 * n).pvalue) <= ALPHA


def _peeking_rejects(rng: np.random.Generator, n: int) -> bool:
    from scipy import stats

    d = symmetric(rng, n)
    return any(
        float(stats.ttest_1samp(d[:looked], 0.0).pvalue) <= ALPHA for looked in range(25, n + 1, 25)
    )


def _wilcoxon_rejects(rng: np.random.Generator, n: int) -> bool:
    return wilcoxon_test(skewed(rng, n)).p_value <= ALPHA
