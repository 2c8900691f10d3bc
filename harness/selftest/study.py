"""Trials of `harness selftest` for studies that rank several arms, each trained with several seeds.

Each training moves an arm's mean by 0.2 points, or by what the world says, and half of an item's variance is new
in every training. Equal arms must not be told apart; nobody may be dropped who is among the best.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.analysis.arms import (
    ArmScores,
    Standing,
    beaten_arms,
    begin_standing,
    compare_at_look,
    look_levels,
    place_arms,
)
from harness.selftest.simulation import ALPHA, Trial, skewed, symmetric

N_SEEDS = 3
SEED_SD = 0.2  # of an arm's mean between trainings, in points
UNSTABLE = (1.0, 0.1, 0.1, 0.1)
GAIN = 1.0  # of the one better arm, in points
WORSE = 2.0  # of the one clearly worse arm
PARENT_SD = 0.5  # of the part that all arms' trainings with one seed share
WIN_SD = 0.35  # of an item's part in a win score
SIZES = (100, 500)
LARGE = (500,)
LOOKS = (0.05, 0.25)  # shares of the items before the last look
MIN_ITEMS_ALONE_ERROR = 0.4  # which the negative controls must reach
MIN_ONE_VARIANCE_ERROR = 0.08
MIN_SAVED = 0.3  # of the verdicts, where every pair is judged and one arm of four is worse, or one is clearly better

Matrix = NDArray[np.float64]


class World(NamedTuple):
    """The arms' true means, and the standard deviations of their trainings and of the parents they share.

    `skewed` scores have rare disasters.
    """

    means: tuple[float, ...]
    seed_sds: tuple[float, ...]
    pairwise: bool = False
    parent_sd: float = 0.0
    skewed: bool = False


def equal_arms(n_arms: int, seed_sd: float = SEED_SD) -> World:
    """Return a world of equal recipes under that many names."""
    return World((0.0,) * n_arms, (seed_sd,) * n_arms)


def study_trials(limit: float) -> Iterator[Trial]:
    """List the trials; errors may reach `limit`."""
    same = "equal arms, seeds differ by {:g} points"
    four, worse = equal_arms(4), (0.0, 0.0, 0.0, -WORSE)
    for title, world in {
        f"4 {same.format(0.2)}": four,
        f"4 {same.format(0.5)}": equal_arms(4, 0.5),
        f"8 {same.format(0.5)}": equal_arms(8, 0.5),
        "4 equal arms, one is unstable": four._replace(seed_sds=UNSTABLE),
        "4 equal arms from the same parents": four._replace(parent_sd=PARENT_SD),
    }.items():
        told = partial(_tells_apart, world)
        yield Trial("study: told apart", title, "error", limit, told, SIZES)
    wins = World((0.0,) * 4, (0.03,) * 4, pairwise=True)
    told = partial(_tells_apart, wins)
    yield Trial("study: told apart, pairwise", "4 equal arms", "error", limit, told, SIZES)
    one_better = four._replace(means=(GAIN, 0.0, 0.0, 0.0))
    found = partial(_finds_best, one_better)
    title = f"4 arms, one better by {GAIN:g}"
    yield Trial("study: the best is told apart from all", title, "power", None, found, SIZES)
    ranks = partial(_ranks_hold, four._replace(means=(0.6, 0.4, 0.2, 0.0)))
    yield Trial("study: all ranks in their ranges", "4 arms, 0.2 apart", "coverage", 0.95 - (limit - ALPHA), ranks, LARGE)  # fmt: skip
    # Arms dropped at looks.
    dropped = partial(_drops_one_of_the_best, four)
    yield Trial("study: a best arm dropped", f"4 {same.format(0.2)}", "error", limit, dropped, SIZES)  # fmt: skip
    dropped = partial(_drops_one_of_the_best, four._replace(skewed=True))
    yield Trial("study: a best arm dropped", "4 equal arms, rare disasters", "error", limit, dropped, SIZES)  # fmt: skip
    kept = partial(_drops_one_of_the_best, four._replace(means=worse))
    title = f"4 arms, one worse by {WORSE:g}"
    yield Trial("study: a best arm dropped", title, "error", limit, kept, LARGE)
    alone = "study: looks, every arm judged by itself"
    saved = partial(_share_saved, four._replace(means=worse))
    yield Trial(alone, title, "saved", None, saved, LARGE)
    saved = partial(_share_saved, equal_arms(3)._replace(means=worse[1:]))
    yield Trial(alone, f"3 arms, one worse by {WORSE:g}", "saved", None, saved, LARGE)
    saved = partial(_share_saved, four._replace(means=(WORSE, 0.0, 0.0, 0.0)))
    yield Trial(alone, f"4 arms, one better by {WORSE:g}", "saved", MIN_SAVED, saved, LARGE)
    wins = wins._replace(means=(0.0, 0.0, 0.0, -0.3))
    saved = partial(_share_saved, wins)
    title = "4 arms, one wins 0.2"
    yield Trial("study: looks, every pair judged", title, "saved", MIN_SAVED, saved, LARGE)
    kept = partial(_drops_one_of_the_best, wins)
    yield Trial("study: a best arm dropped, pairwise", title, "error", limit, kept, LARGE)
    # Negative controls.
    items_alone = partial(_items_alone, equal_arms(4))
    yield Trial("study: one checkpoint of each arm", f"4 {same.format(0.2)}", "control", MIN_ITEMS_ALONE_ERROR, items_alone, LARGE)  # fmt: skip
    one = partial(_one_variance, four._replace(seed_sds=UNSTABLE))
    yield Trial("Tukey: one variance between seeds", "4 equal arms, one is unstable", "control", MIN_ONE_VARIANCE_ERROR, one, LARGE)  # fmt: skip


# --- worlds ----------------------------------------------------------------------------------


def draw_arms(rng: np.random.Generator, world: World, n: int, n_seeds: int = N_SEEDS) -> ArmScores:
    """Draw the scores of n items by all arms, in points or as win scores of every pair."""
    trained = (
        np.array(world.means)[:, None]
        + rng.normal(0, 1, (len(world.means), n_seeds)) * (np.array(world.seed_sds)[:, None])
        + rng.normal(0, 1, (1, n_seeds)) * world.parent_sd
    )
    of_scores = skewed if world.skewed else symmetric
    if world.pairwise:
        return _of_matrices(_draw_wins(rng, trained, n), preference=True)
    of_items = of_scores(rng, n)
    arms = []
    for means in trained:
        shared = of_scores(rng, n)[:, None] / 2
        arms.append(
            of_items[:, None] + means + shared + of_scores(rng, n * n_seeds).reshape(n, -1) / 2
        )
    return _of_matrices(arms, preference=False)


def _draw_wins(rng: np.random.Generator, trained: Matrix, n: int) -> list[Matrix]:
    """Draw win scores of every pair, and return each arm's mean over all arms, less one half."""
    m, n_seeds = trained.shape
    arms = [np.zeros((n, n_seeds)) for _ in range(m)]
    taste = rng.normal(0, WIN_SD, (m, n, 1)) + rng.normal(0, WIN_SD, (m, n, n_seeds))
    for a, b in combinations(range(m), 2):
        chance = 0.5 + trained[b] - trained[a] + taste[b] - taste[a]
        win = (rng.random((n, n_seeds)) < np.clip(chance, 0, 1)) - 0.5
        arms[b] += win / m
        arms[a] -= win / m
    return arms


def _of_matrices(matrices: Sequence[Matrix], *, preference: bool) -> ArmScores:
    arms = {str(i): matrix for i, matrix in enumerate(matrices)}
    m = len(arms)
    return ArmScores(
        metric="m",
        low=-0.5 if preference else -30.0,
        high=0.5 if preference else 30.0,
        preference=preference,
        clusters=None,
        observed=arms,
        least=arms,
        greatest=arms,
        reasons={},
        inflation=m / (m - 1) if preference else 1.0,
    )


def _first_items(scores: ArmScores, names: Sequence[str], n: int) -> ArmScores:
    """Return the scores of some arms on the first items, as those of a look.

    Win scores against dropped arms are still in them, where a real look has those of the others alone.
    """
    arms = [scores.observed[name][:n] for name in names]
    part = _of_matrices(arms, preference=scores.preference)
    own = dict(zip(names, arms, strict=True))
    return ArmScores(**{**part.__dict__, "observed": own, "least": own, "greatest": own})


# --- what is measured ------------------------------------------------------------------------


def _settle(scores: ArmScores) -> Standing:
    return compare_at_look(begin_standing(scores.names), scores, 1, ALPHA)


def _tells_apart(world: World, rng: np.random.Generator, n: int) -> bool:
    return bool(_settle(draw_arms(rng, world, n)).better.any())


def _finds_best(world: World, rng: np.random.Generator, n: int) -> bool:
    return bool(_settle(draw_arms(rng, world, n)).better[0, 1:].all())


def _ranks_hold(world: World, rng: np.random.Generator, n: int) -> bool:
    scores = draw_arms(rng, world, n)
    means = {name: float(matrix.mean()) for name, matrix in scores.observed.items()}
    places = place_arms(_settle(scores), means)
    return all(
        place.best <= rank <= place.worst
        for rank, place in enumerate((places[name] for name in scores.names), start=1)
    )


class _Run(NamedTuple):
    """The arms dropped at looks, and the share of the verdicts that was not needed."""

    dropped: set[str]
    saved: float


def _run_looks(world: World, rng: np.random.Generator, n: int) -> _Run:
    scores = draw_arms(rng, world, n)
    standing, names, dropped = begin_standing(scores.names), list(scores.names), set[str]()
    asked, done = 0, 0
    ends = [*(int(share * n) for share in LOOKS), n]
    for look, (end, alpha) in enumerate(zip(ends, look_levels(ALPHA, len(ends)), strict=True), 1):
        asked += (end - done) * _verdicts(len(names), pairwise=world.pairwise)
        done = end
        standing = compare_at_look(standing, _first_items(scores, names, end), look, alpha)
        beaten = beaten_arms(standing, names)
        dropped |= beaten.keys()
        names = [name for name in names if name not in beaten]
        if len(names) == 1:
            break
    return _Run(dropped, 1 - asked / (n * _verdicts(len(scores.names), pairwise=world.pairwise)))


def _verdicts(n_arms: int, *, pairwise: bool) -> int:
    return n_arms * (n_arms - 1) // 2 if pairwise else n_arms


def _drops_one_of_the_best(world: World, rng: np.random.Generator, n: int) -> bool:
    best = {str(i) for i, mean in enumerate(world.means) if mean == max(world.means)}
    return bool(_run_looks(world, rng, n).dropped & best)


def _share_saved(world: World, rng: np.random.Generator, n: int) -> float:
    return _run_looks(world, rng, n).saved


def _items_alone(world: World, rng: np.random.Generator, n: int) -> bool:
    return bool(_settle(draw_arms(rng, world, n, n_seeds=1)).better.any())


def _one_variance(world: World, rng: np.random.Generator, n: int) -> bool:
    """Test all pairs with one variance of the seeds' means, by the studentised range (Tukey's test)."""
    arms = draw_arms(rng, world, n).observed.values()
    by_seed = np.array([matrix.mean(axis=0) for matrix in arms])
    spread, means = by_seed.var(axis=1, ddof=1).mean(), by_seed.mean(axis=1)
    m, n_seeds = by_seed.shape
    widest = float(np.ptp(means)) / math.sqrt(spread / n_seeds)
    return widest > _tukey_quantile(m, m * (n_seeds - 1))


@cache
def _tukey_quantile(n_arms: int, df: int) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.isf(ALPHA, n_arms, df))
