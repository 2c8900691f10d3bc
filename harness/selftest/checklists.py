"""Trials of `harness selftest` for checklists: items with signed points, each within a range of its own.

The candidate is no better than the baseline, or worse by exactly the margin. The limit of unseen answers is that
of the drawn items, as the plan finds it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.scoring.paired import PairedScores
from harness.selftest.simulation import ALPHA, Trial
from harness.stats.vectors import Vector

NUMBERS = (50, 100, 500)
MOST_CRITERIA = 12
MARGIN = 0.05
HARM, HARM_RATE = 10.0, 0.01  # negative points that one candidate's answer in a hundred meets


class _Checklists(NamedTuple):
    """The points of n items, items x criteria, 0 beyond an item's own; and the chances to meet them."""

    points: Vector
    chances: Vector


def checklist_trials(limit: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`."""
    superior = Claim(metric="m", claim="superior")
    no_worse = Claim(metric="m", claim="non_inferior", margin=MARGIN)
    for claim, gain in ((superior, 0.0), (no_worse, -MARGIN)):
        for missing in (0.0, 0.005):
            world = f"signed points, true {gain:g}" + (
                f", {missing:.1%} missing" if missing else ""
            )
            draw = partial(_signed_passes, claim, gain, missing)
            yield _trial(claim, world, limit, draw)
    yield _trial(superior, "1 % meet -10 of 5 points, small gains", limit, _harm_passes)
    for gain in (0.05, 0.1):
        draw = partial(_signed_passes, superior, gain, 0.0)
        yield _trial(superior, f"signed points, true {gain:g}", None, draw)


def _trial(
    claim: Claim, world: str, limit: float | None, draw: Callable[[np.random.Generator, int], bool]
) -> Trial:
    method = f"gate: checklist {claim}".replace("m ", "", 1)
    return Trial(method, world, "power" if limit is None else "error", limit, draw, NUMBERS)


def _signed_passes(
    claim: Claim, gain: float, missing: float, rng: np.random.Generator, n: int
) -> bool:
    """Let both models meet each criterion with the same chance, and add the gain to every difference."""
    lists = _draw_lists(rng, n)
    met = rng.random((2, *lists.points.shape)) < lists.chances
    known = rng.random(met.shape) >= missing
    return _decides(claim, _pair(lists.points, met, known, gain))


def _draw_lists(rng: np.random.Generator, n: int) -> _Checklists:
    """Draw 2 to 12 criteria an item, of 1 to 10 points, three in ten of them negative but the first."""
    shape = n, MOST_CRITERIA
    signs = np.where(rng.random(shape) < 0.3, -1.0, 1.0)
    points = rng.integers(1, 11, shape).astype(np.float64) * signs
    points[:, 0] = np.abs(points[:, 0])
    points[np.arange(MOST_CRITERIA) >= rng.integers(2, MOST_CRITERIA + 1, n)[:, None]] = 0
    quality = rng.beta(2, 2, (n, 1))
    return _Checklists(points, np.where(points > 0, quality, (1 - quality) / 4))


def _harm_passes(rng: np.random.Generator, n: int) -> bool:
    """Let rare answers meet what subtracts most, and others gain a point of five so that the mean is 0."""
    points = np.tile([1.0, 1.0, 1.0, 1.0, 1.0, -HARM], (n, 1))
    met = np.zeros((2, *points.shape), dtype=np.bool)
    met[:, :, :3] = True
    harmed = rng.random(n) < HARM_RATE
    met[1, harmed, -1] = True
    met[1, :, 3] = ~harmed & (rng.random(n) < HARM_RATE * HARM / (1 - HARM_RATE))
    superior = Claim(metric="m", claim="superior")
    return _decides(superior, _pair(points, met, np.ones_like(met), 0.0))


def _pair(
    points: Vector, met: NDArray[np.bool], known: NDArray[np.bool], gain: float
) -> PairedScores:
    """Score both models' verdicts, baseline first, with what is missing at its worst and best."""
    most = np.maximum(points, 0).sum(axis=1)
    worst, best = (np.where(known, points * met, ends).sum(axis=2) / most
                   for ends in (np.minimum(points, 0), np.maximum(points, 0)))  # fmt: skip
    scores = np.where(known.all(axis=2) | (worst == best), worst, np.nan)
    lowest = float((np.minimum(points, 0).sum(axis=1) / most).min())
    return PairedScores(
        metric="m",
        kind="points",
        baseline="baseline",
        candidate="candidate",
        sample_ids=tuple(map(str, range(len(points)))),
        clusters=None,
        d=scores[1] - scores[0] + gain,
        least=worst[1] - best[0] + gain,
        greatest=best[1] - worst[0] + gain,
        bounds=(lowest - 1 - abs(gain), 1 - lowest + abs(gain)),
        baseline_scores=scores[0],
        candidate_scores=scores[1],
        score_bounds=(lowest, 1.0),
        null=0.0,
    )


def _decides(claim: Claim, pair: PairedScores) -> bool:
    gate = Gate(alpha=ALPHA, claims=(claim,), max_unscored=1.0)
    return decide_gate(gate, {"m": pair}, advise=False).verdict == "pass"
