"""The ranking of a study's arms on one column: which are told apart, at looks that spend alpha."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.scoring.columns import Clusters, GradeColumn, PreferenceColumn, ScoreColumn, Seeds
from harness.scoring.paired import pair_scores
from harness.stats.annotator_means import Votes, two_way_mean
from harness.stats.arm_differences import (
    Arm,
    ArmDifference,
    compare_arms,
    describe_arm,
    pair_level,
    pool_seed_variance,
)
from harness.stats.bradley_terry import Strengths, bradley_terry
from harness.stats.distributions import t_quantile
from harness.stats.means import mean_difference
from harness.stats.rank_groups import Relation, group_letters, rank_ranges, transitive_closure
from harness.stats.vectors import Interval as Limits
from harness.stats.vectors import Vector
from harness.types import Interval
from harness.types.study import ArmPair

LOOKS_SHARE = 0.2  # of alpha, spent on the looks before the last


@dataclass(frozen=True)
class ArmScores:
    """All arms' scores on one column: items x seeds each, with the least and greatest that a gap may hide.

    Of a pairwise metric an arm's score is its mean win score less one half against all arms, itself included,
    so that the difference of two arms is the win score expected between them. Such scores sum to 0 over
    the arms, and the `inflation` of their variance between trainings undoes it.
    """

    metric: str
    low: float
    high: float
    preference: bool
    clusters: Clusters
    observed: dict[str, Votes]
    least: dict[str, Votes]
    greatest: dict[str, Votes]
    reasons: dict[str, dict[str, int]]
    inflation: float = 1.0

    @property
    def names(self) -> list[str]:
        return list(self.observed)

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the least and the greatest difference that the scale allows."""
        span = 0.5 if self.preference else self.high - self.low
        return -span, span


class Standing(NamedTuple):
    """What is known after the looks so far: every pair compared, and which arms are better than which."""

    names: tuple[str, ...]
    better: Relation
    pairs: dict[frozenset[str], ArmPair]


# --- scores ----------------------------------------------------------------------------------


def arm_scores(columns: Iterable[ScoreColumn], metric: str, arms: Sequence[str]) -> ArmScores:
    """Return the scores of the arms on one column of a run.

    Raises:
        ValueError: the run has no such column.
    """
    chosen = [column for column in columns if column.metric == metric]
    graded = [column for column in chosen if isinstance(column, GradeColumn)]
    if graded:
        return _of_grades(graded[0], arms)
    pairs = [column for column in chosen if isinstance(column, PreferenceColumn)]
    if not pairs:
        raise ValueError(f"no column '{metric}'")
    return _of_preferences(pairs, arms)


def _of_grades(column: GradeColumn, arms: Sequence[str]) -> ArmScores:
    seeds = next(iter(column.seeds.values()), None)
    limits = {arm: column.limits_of(arm) for arm in arms}

    def matrix(values: Vector, arm: str) -> Votes:
        return _by_seed(values, seeds, seeded=arm in column.seeds)

    return ArmScores(
        metric=column.metric,
        low=column.low,
        high=column.high,
        preference=False,
        clusters=_clusters_of_items(column.clusters, seeds),
        observed={arm: matrix(column.scores[arm], arm) for arm in arms},
        least={arm: matrix(limits[arm][0], arm) for arm in arms},
        greatest={arm: matrix(limits[arm][1], arm) for arm in arms},
        reasons={arm: _count_reasons(column.reasons[arm]) for arm in arms},
    )


def _of_preferences(columns: Sequence[PreferenceColumn], arms: Sequence[str]) -> ArmScores:
    seeds = columns[0].seeds
    zeros = _by_seed(np.zeros(len(columns[0].sample_ids)), seeds, seeded=True)
    observed, least, greatest = ({arm: zeros.copy() for arm in arms} for _ in range(3))
    reasons = {arm: Counter[str]() for arm in arms}
    for column in columns:
        (pair,) = pair_scores(column, column.baseline)
        values = (_by_seed(v, seeds, seeded=True) for v in (pair.d, pair.least, pair.greatest))
        d, low, high = (value / len(arms) for value in values)
        observed[pair.candidate] += d
        observed[pair.baseline] -= d
        least[pair.candidate] += low
        least[pair.baseline] -= high
        greatest[pair.candidate] += high
        greatest[pair.baseline] -= low
        for arm in (pair.candidate, pair.baseline):
            reasons[arm] += Counter(_count_reasons(column.reasons))
    return ArmScores(
        metric=columns[0].metric,
        low=-0.5,
        high=0.5,
        preference=True,
        clusters=_clusters_of_items(columns[0].clusters, seeds),
        observed=observed,
        least=least,
        greatest=greatest,
        reasons={arm: dict(found) for arm, found in reasons.items()},
        inflation=len(arms) / (len(arms) - 1),
    )


def _by_seed(values: Vector, seeds: Seeds | None, *, seeded: bool) -> Votes:
    """Return values in the order of items and then seeds as items x seeds; one column without seeds."""
    n_seeds = 1 if seeds is None else np.unique(seeds).size
    matrix = values.reshape(-1, n_seeds)
    return matrix if seeded else matrix[:, :1]


def _clusters_of_items(clusters: Clusters, seeds: Seeds | None) -> Clusters:
    return clusters if clusters is None or seeds is None else clusters[:: np.unique(seeds).size]


def _count_reasons(reasons: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(reason for reason in reasons if reason))


# --- comparisons -----------------------------------------------------------------------------


def begin_standing(names: Sequence[str]) -> Standing:
    """Return what is known before the first look: nothing."""
    return Standing(tuple(names), np.zeros((len(names), len(names)), dtype=np.bool), {})


def look_levels(alpha: float, n_looks: int) -> list[float]:
    """Return the alpha of each look: a fifth is shared by those before the last, which has the rest.

    The union bound holds however strongly the looks are correlated. How strongly is not known before, as
    more items do not make the variance between trainings smaller, and boundaries for increments that are
    independent (O'Brien & Fleming 1979) spend so little early that a t test with few seeds never reaches it.
    """
    if n_looks == 1:
        return [alpha]
    return [alpha * LOOKS_SHARE / (n_looks - 1)] * (n_looks - 1) + [alpha * (1 - LOOKS_SHARE)]


def compare_at_look(standing: Standing, scores: ArmScores, look: int, alpha: float) -> Standing:
    """Return what is known after comparing all arms with scores at one look.

    All pairs of the study share its alpha, also those that are not compared any more. Missing scores are at
    their worst for the arm that would be better.
    """
    n_pairs = len(standing.names) * (len(standing.names) - 1) // 2
    ends = {end: _describe(scores, values) for end, values in _ends(scores).items()}
    pools = [pool_seed_variance([*arms.values()]) for arms in ends.values()]
    pooled = max(pools, key=lambda one: one.variance)
    pairs, better = dict(standing.pairs), standing.better.copy()
    place = {name: i for i, name in enumerate(standing.names)}
    for first, second in combinations(scores.names, 2):
        found = [
            compare_arms(
                ends[of_first][first],
                ends[of_second][second],
                pooled,
                level=pair_level(alpha, n_pairs),
                bounds=scores.bounds,
                clusters=scores.clusters,
            )
            for of_first, of_second in (("greatest", "least"), ("least", "greatest"))
        ]
        pair = _pair(first, second, look, found, _estimate(scores, first, second))
        pairs[frozenset((first, second))] = pair
        if pair.better is not None:
            worse = first if pair.better == second else second
            better[place[pair.better], place[worse]] = True
    return Standing(standing.names, transitive_closure(better), pairs)


def beaten_arms(standing: Standing, names: Sequence[str]) -> dict[str, str]:
    """Return the arms that cannot be the best any more, each with the one that is shown most clearly to be better."""
    clearest: dict[str, tuple[float, str]] = {}
    for pair in standing.pairs.values():
        worse = pair.first if pair.better == pair.second else pair.second
        if pair.better is None or worse not in names:
            continue
        least = min(abs(pair.difference.low), abs(pair.difference.high))
        clearest[worse] = max(clearest.get(worse, (-1.0, "")), (least, pair.better))
    return {name: clearest[name][1] for name in names if name in clearest}


def final_pairs(standing: Standing) -> list[ArmPair]:
    """Return all compared pairs, with what follows from others; each first arm comes first in the names."""
    place = {name: i for i, name in enumerate(standing.names)}
    pairs = []
    for pair in standing.pairs.values():
        i, j = place[pair.first], place[pair.second]
        better = pair.better
        if better is None and standing.better[i, j]:
            better = pair.first
        if better is None and standing.better[j, i]:
            better = pair.second
        pairs.append(pair.model_copy(update={"better": better, "follows": better != pair.better}))
    return sorted(pairs, key=lambda pair: (place[pair.first], place[pair.second]))


class Place(NamedTuple):
    """An arm's place: the ranks that it may have, and the letters of its groups."""

    best: int
    worst: int
    letters: str


def place_arms(standing: Standing, means: dict[str, float]) -> dict[str, Place]:
    """Return each arm's place, the best mean first; arms that beat another come before it."""
    order = sorted(
        range(len(standing.names)),
        key=lambda i: (int(standing.better[:, i].sum()), -means[standing.names[i]]),
    )
    better = standing.better[np.ix_(order, order)]
    return {
        standing.names[i]: Place(ranks.best, ranks.worst, letters)
        for i, ranks, letters in zip(order, rank_ranges(better), group_letters(better), strict=True)
    }


def arm_mean(scores: ArmScores, name: str) -> Interval | None:
    """Compute an arm's mean with its own 95 % interval over items and seeds; None without any score.

    With gaps it runs from the interval's low end at the least scores to the high end at the greatest. Scores that do not
    vary at all have the betting interval of their items.
    """
    observed, shift = scores.observed[name], 0.5 if scores.preference else 0.0
    if np.isnan(observed).all():
        return None
    low = _mean_limits(scores, scores.least[name]).low + shift
    high = _mean_limits(scores, scores.greatest[name]).high + shift
    least, greatest = (0.0, 1.0) if scores.preference else (scores.low, scores.high)
    return Interval(
        estimate=float(np.nanmean(observed)) + shift, low=max(low, least), high=min(high, greatest)
    )


def _mean_limits(scores: ArmScores, values: Votes) -> Limits:
    mean = two_way_mean(values, clusters=scores.clusters)
    if mean.se > 0:
        return mean.interval()
    found = mean_difference(
        values.mean(axis=1), clusters=scores.clusters, bounds=(scores.low, scores.high)
    )
    return Limits(found.ci_low, found.ci_high)


def arm_strengths(
    columns: Iterable[ScoreColumn], metric: str, arms: Sequence[str]
) -> dict[str, Interval | None]:
    """Compute Bradley-Terry log-strengths against the first arm, with 95 % intervals over items and seeds.

    The variance is the sandwich's by item of all games together, plus that of the fits to each seed alone over
    their number, with Satterthwaite's degrees of freedom. None for an arm whose strength is not finite, and for
    every arm where the games of a seed do not identify them all.
    """
    games = [_Games.of(column, arms) for column in columns if isinstance(column, PreferenceColumn) and column.metric == metric]  # fmt: skip
    one, other, score, item, seed = (np.concatenate(parts) for parts in zip(*games, strict=True))

    def fit(chosen: NDArray[np.bool]) -> Strengths:
        return bradley_terry(
            one[chosen], other[chosen], score[chosen], items=item[chosen], n_models=len(arms)
        )

    whole = fit(np.ones(one.size, dtype=np.bool))
    seeds = np.unique(seed)
    by_seed = [fit(seed == number).log_strength for number in seeds] if seeds.size > 1 else []
    found: dict[str, Interval | None] = {}
    for i, name in enumerate(arms):
        parts = [(float(whole.se[i]) ** 2, float(whole.n_clusters - 1))]
        if by_seed:
            spread = float(np.var([strengths[i] for strengths in by_seed], ddof=1))
            parts.append((spread / seeds.size, seeds.size - 1.0))
        variance, value = sum(part for part, _ in parts), float(whole.log_strength[i])
        if np.isnan(variance) or np.isnan(value) or (i > 0 and not variance > 0):
            found[name] = None
            continue
        df = variance**2 / sum(p**2 / of for p, of in parts if p > 0) if variance > 0 else 1.0
        half = t_quantile(0.025, df) * math.sqrt(variance)
        found[name] = Interval(estimate=value, low=value - half, high=value + half)
    return found


class _Games(NamedTuple):
    """The scored games of one pair of arms: both arms' numbers, the second's score, the item and the seed."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    scores: Vector
    items: NDArray[np.str_]
    seeds: NDArray[np.int64]

    @classmethod
    def of(cls, column: PreferenceColumn, arms: Sequence[str]) -> "_Games":
        """Return the games of a column that have a score."""
        (pair,) = pair_scores(column, column.baseline)
        scored = ~np.isnan(pair.candidate_scores)
        n = int(scored.sum())
        items = np.array(pair.sample_ids if pair.clusters is None else pair.clusters)
        seeds = np.zeros(scored.size, dtype=np.int64) if pair.seeds is None else pair.seeds
        return cls(
            np.full(n, arms.index(pair.baseline)),
            np.full(n, arms.index(pair.candidate)),
            pair.candidate_scores[scored],
            items[scored],
            seeds[scored],
        )


def _ends(scores: ArmScores) -> dict[str, dict[str, Votes]]:
    return {"least": scores.least, "greatest": scores.greatest}


def _describe(scores: ArmScores, values: dict[str, Votes]) -> dict[str, Arm]:
    return {
        name: describe_arm(matrix, clusters=scores.clusters, inflation=scores.inflation)
        for name, matrix in values.items()
    }


def _estimate(scores: ArmScores, first: str, second: str) -> float | None:
    """Return the mean difference on the items with all scores of both; None where there is none."""
    d = scores.observed[second].mean(axis=1) - scores.observed[first].mean(axis=1)
    complete = d[~np.isnan(d)]
    return float(complete.mean()) if complete.size else None


def _pair(
    first: str, second: str, look: int, found: Sequence[ArmDifference], estimate: float | None
) -> ArmPair:
    """Make the record of a pair, from its comparison at the worst and at the best for the second arm."""
    low, high = found[0].interval.low, found[1].interval.high
    middle = (found[0].estimate + found[1].estimate) / 2 if estimate is None else estimate
    better = second if low > 0 else first if high < 0 else None
    return ArmPair(
        first=first,
        second=second,
        look=look,
        difference=Interval(estimate=min(max(middle, low), high), low=low, high=high),
        df=min(one.df for one in found),
        better=better,
    )
