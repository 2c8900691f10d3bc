"""Trials of `harness selftest` for all that is tried on the same items until something passes.

Each draws one user who goes on until a run passes, with no true difference anywhere. The controls test
every try at the whole alpha.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from harness.config import Claim, Gate
from harness.gate.best import choose_best
from harness.gate.decision import decide_gate
from harness.gate.tries import LATER_SHARE, MOST_TRIES, count_tries, spending_share, stands
from harness.selftest.simulation import ALPHA, Kind, Trial, pair_of, symmetric
from harness.stats.vectors import Vector
from harness.types import ItemSet, Try

N_CANDIDATES = 20
N_SEEDS = 10
N_DAYS = 20
MARGIN = 0.5  # of the daily checks, in points
SIZES = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)  # of the items that are added to, of those at first
NOISY = "noisy"
SCALE = 9.0  # of a difference of two scores; against a baseline's own noise it is twice as long

Tried = tuple[Try, Vector]
Draw = Callable[[np.random.Generator, int], Iterator[Tried]]


def tries_trials(limit: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`."""
    until_one_passes = limit + LATER_SHARE * ALPHA  # the bound is 1.1 alpha
    worlds: tuple[tuple[str, Draw, float, float], ...] = (
        (f"{N_CANDIDATES} candidates, one baseline", _candidates, until_one_passes, 0.2),
        (f"items added {len(SIZES) - 1} times", _added_items, until_one_passes, 0.07),
        (f"{N_SEEDS} seeds", _seeds, limit, 0.2),
    )
    for name, draw, at_most, at_least in worlds:
        yield Trial("one try after another", name, "error", at_most, _passes(draw), (100,))
        control = _passes(draw, counted=False)
        yield Trial("every try at alpha", name, "control", at_least, control, (100,))
    daily: tuple[tuple[bool, Kind, float], ...] = (
        (True, "error", limit),
        (False, "control", 0.15),
    )
    for counted, kind, at_most in daily:
        method = "daily checks, alpha spent" if counted else "daily checks, each at alpha"
        raises = _daily_alarm(counted=counted)
        world = f"{N_DAYS} days, worse by the margin"
        yield Trial(method, world, kind, at_most, raises, (100,))
    together = f"{N_CANDIDATES} candidates, one baseline"
    yield Trial("best of all, by Holm", together, "error", limit, _best_passes, (100,))


def _passes(draw: Draw, *, counted: bool = True) -> Callable[[np.random.Generator, int], bool]:
    """Return whether any try passes, where each is counted, or is tested at alpha."""

    def passes(rng: np.random.Generator, n: int) -> bool:
        history: list[Try] = []
        for attempt, d in draw(rng, n):
            if _is_near(d) and _passes_now(attempt, d, history, counted=counted):
                return True
            history.append(attempt.model_copy(update={"verdict": "inconclusive"}))
        return False

    return passes


def _passes_now(attempt: Try, d: Vector, history: Sequence[Try], *, counted: bool) -> bool:
    level = count_tries(attempt, history, _ITEM_SETS).level if counted else ALPHA
    gate = Gate(alpha=level, claims=(Claim(metric="m", claim="superior"),))
    reach = 2 * SCALE if attempt.baseline == NOISY else SCALE
    if decide_gate(gate, {"m": pair_of(d, (-reach, reach))}, advise=False).verdict != "pass":
        return False
    decided = attempt.model_copy(update={"verdict": "pass", "stands_to": MOST_TRIES})
    return not counted or stands(decided, count_tries(decided, history, _ITEM_SETS))


def _is_near(d: Vector, least: float = 1.5) -> bool:
    """Return whether t is so large that a gate may pass: none does below 1.64, at alpha .05 or less."""
    return bool(d.mean() * math.sqrt(d.size) > least * d.std(ddof=1))


def _daily_alarm(*, counted: bool) -> Callable[[np.random.Generator, int], bool]:
    """Return whether any day raises an alarm; each has the same items and the same baseline scores."""
    margin = Claim(metric="m", claim="non_inferior", margin=MARGIN)

    def raises(rng: np.random.Generator, n: int) -> bool:
        blessed = symmetric(rng, n)
        for day in range(1, N_DAYS + 1):
            d = symmetric(rng, n) - MARGIN - blessed
            level = ALPHA * spending_share(day) if counted else ALPHA
            gate = Gate(alpha=level, claims=(margin,))
            if not _is_near(-MARGIN - d):
                continue
            if (
                decide_gate(gate, {"m": pair_of(d, (-2 * SCALE, 2 * SCALE))}, advise=False).verdict
                == "fail"
            ):
                return True
        return False

    return raises


def _best_passes(rng: np.random.Generator, n: int) -> bool:
    """Return whether any of the candidates passes where they are compared in one run."""
    gate = Gate(alpha=ALPHA, candidates="best", claims=(Claim(metric="m", claim="superior"),))
    candidates = list(_candidates(rng, n))
    if not any(_is_near(d, least=2.5) for _, d in candidates):  # z of alpha / 20 is 2.8
        return False
    pairs = {one.candidates[0]: {"m": pair_of(d, (-2 * SCALE, 2 * SCALE))} for one, d in candidates}
    return bool(choose_best(gate, pairs).passing)


# --- worlds ----------------------------------------------------------------------------------


def _candidates(rng: np.random.Generator, n: int) -> Iterator[Tried]:
    baseline = symmetric(rng, n)
    for number in range(N_CANDIDATES):
        yield _make_try(number, candidate=number, baseline=NOISY), symmetric(rng, n) - baseline


def _added_items(rng: np.random.Generator, n: int) -> Iterator[Tried]:
    d = symmetric(rng, round(n * SIZES[-1]))
    for number, size in enumerate(SIZES):
        yield _make_try(number, items=number), d[: round(n * size)]


def _seeds(rng: np.random.Generator, n: int) -> Iterator[Tried]:
    for number in range(N_SEEDS):
        yield _make_try(number, seed=number), symmetric(rng, n)


_ITEM_SETS = {
    str(size): ItemSet(key=str(size), hashes=tuple(map(str, range(size + 1))))
    for size in range(len(SIZES))
}


def _make_try(
    number: int, *, candidate: int = 0, items: int = 0, seed: int = 0, baseline: str = "exact"
) -> Try:
    what: Sequence[int] = (candidate, items, seed)
    return Try(
        key=str(what),
        registered=f"2026-01-01T00:00:{number:02}",
        suite="s",
        models=("baseline", "candidate"),
        baseline=baseline,
        candidates=(str(candidate),),
        columns=("m",),
        items=str(items),
        n_items=items,
        claims="c",
        measured="m",
        seed=str(seed),
        alpha=ALPHA,
    )
