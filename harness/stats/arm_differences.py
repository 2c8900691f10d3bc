"""Differences between several arms, each trained with several seeds and scored on the same items.

       arm a            arm b
          s1   s2   s3     s1   s2   s3
    q1     7    8    7      6    9    7
    q2     4    4    5      5    4    4

An arm is a recipe. Items are shared by all arms, so that their difficulty cancels; trainings are each arm's
own draws. The mean difference of two arms has the variance

    V = V_items + V_seeds - V_cells, never below the larger of the first two

as of two crossed random factors (Cameron, Gelbach & Miller 2011, JBES 29:238, equation 2.11). V_items is that of
the items' mean differences (CR1 by cluster), V_seeds = v_a / S_a + v_b / S_b with v the variance of an arm's mean
between its trainings, and V_cells what both have counted, from each arm's interaction of items and seeds.

With three seeds an arm's v has two degrees of freedom, and of many pairs one has a v near zero by chance: Welch's
test on each pair's own variances, at the small levels that many pairs need, is then wrong 0.10 to 0.13 of the time
in the place of 0.05 (8 arms, 3 seeds). A v pooled over the arms has more, but where one method is less stable than
the others, intervals of its pairs are too narrow. So V_seeds is the larger of the pair's own and the pooled one, each
with its own degrees of freedom, and those of V are Satterthwaite's (1946, Biometrics Bulletin 2:110).

All pairs together are wrong with probability alpha at most: each interval has the level of Sidak's inequality
(1967, JASA 62:626), as in T2 of Tamhane (1979, JASA 74:471), who also compares means of unequal variances. A
bootstrap over three seeds has ten distinct samples, too few for any such level; Tukey's studentised range
supposes one variance. `harness selftest` simulates all of this.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import t_quantile
from harness.stats.means import mean_difference, mean_moments
from harness.stats.vectors import Interval, Vector, check_fraction, cluster_sums

DRAWS = 4000  # of variances and errors, for the smallest difference that is found


class Arm(NamedTuple):
    """One arm's scores in what its differences need.

    Attributes:
        by_item: The mean over seeds of each item.
        n_seeds: Trainings; 1 for a model that was not trained, or once.
        seed_variance: The variance of the arm's mean between single trainings; 0 for one.
        cell_variance: The part of V_items and of V_seeds / n_seeds that both count.
    """

    by_item: Vector
    n_seeds: int
    seed_variance: float
    cell_variance: float

    @property
    def mean(self) -> float:
        """Return the mean over items and seeds."""
        return float(self.by_item.mean())


class SeedVariance(NamedTuple):
    """A variance between trainings with its degrees of freedom; (0, 0) where no arm has several."""

    variance: float
    df: float


class ArmDifference(NamedTuple):
    """The second arm's mean less the first's, with its simultaneous interval.

    Attributes:
        estimate: The difference, in points.
        se: Its standard error; 0 where nothing varies.
        df: Degrees of freedom.
        interval: Of this level among all pairs.
    """

    estimate: float
    se: float
    df: float
    interval: Interval


def describe_arm(
    scores: ArrayLike, *, clusters: ArrayLike | None = None, inflation: float = 1.0
) -> Arm:
    """Compute what an arm's differences need.

    Args:
        scores: Items x seeds, without gaps.
        clusters: One label an item, for items that share a source.
        inflation: Factor of the variance between trainings, where arms' scores are bound to each other.

    Raises:
        ValueError: the scores are no matrix of items x seeds, or hold a gap.
    """
    matrix = np.asarray(scores, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
        raise ValueError("scores must be a complete matrix of items x seeds")
    n, n_seeds = matrix.shape
    by_item = matrix.mean(axis=1)
    if n_seeds == 1:
        return Arm(by_item, 1, 0.0, 0.0)
    by_seed = matrix.mean(axis=0)
    # The interaction of items (or clusters) and seeds; with single items it is that of two-way ANOVA.
    rest = matrix - by_item[:, None] - by_seed + by_item.mean()
    sums = np.column_stack([cluster_sums(column, clusters) for column in rest.T])
    units = len(sums)
    cells = float((sums**2).sum()) * units / max(units - 1, 1) / ((n_seeds - 1) * n_seeds * n**2)
    variance = float(by_seed.var(ddof=1))
    return Arm(by_item, n_seeds, inflation * variance, inflation * cells)


def pool_seed_variance(arms: Sequence[Arm]) -> SeedVariance:
    """Pool the variance between trainings over the arms with several, weighted by degrees of freedom."""
    df = sum(arm.n_seeds - 1 for arm in arms)
    if not df:
        return SeedVariance(0.0, 0.0)
    return SeedVariance(sum((arm.n_seeds - 1) * arm.seed_variance for arm in arms) / df, float(df))


def pair_level(alpha: float, n_pairs: int) -> float:
    """Compute the level of each of so many pairs at which all together are wrong with chance alpha (Sidak)."""
    check_fraction(alpha, name="alpha")
    return -math.expm1(math.log1p(-alpha) / n_pairs)


def compare_arms(
    first: Arm,
    second: Arm,
    pooled: SeedVariance,
    *,
    level: float,
    bounds: tuple[float, float],
    clusters: ArrayLike | None = None,
) -> ArmDifference:
    """Compute the difference of two arms on the same items, with its interval of level 1 - `level`.

    Differences that do not vary at all have the betting interval within `bounds`, never one of width 0.
    """
    d = second.by_item - first.by_item
    items = mean_moments(d, clusters=clusters)
    own, of_seeds = _own_variance(first, second), _seed_variance(first, second, pooled)
    least = max(items.se**2, of_seeds.variance)
    cells = first.cell_variance + second.cell_variance
    variance = max(items.se**2 + of_seeds.variance - cells, least)
    if math.isnan(variance) or not variance > 0:
        found = mean_difference(d, clusters=clusters, confidence=1 - level, bounds=bounds)
        low, high = found.ci_low, found.ci_high
        return ArmDifference(items.estimate, 0.0, max(items.df, own.df), Interval(low, high))
    parts = [(items.se**2, items.df), (of_seeds.variance, of_seeds.df)]
    df = variance**2 / sum(part**2 / of_part for part, of_part in parts if part > 0)
    half = t_quantile(level / 2, df) * math.sqrt(variance)
    low, high = max(items.estimate - half, bounds[0]), min(items.estimate + half, bounds[1])
    return ArmDifference(items.estimate, math.sqrt(variance), df, Interval(low, high))


def _own_variance(first: Arm, second: Arm) -> SeedVariance:
    """Return V_seeds from the two arms' own trainings, with Satterthwaite's degrees of freedom."""
    parts = [(a.seed_variance / a.n_seeds, a.n_seeds - 1) for a in (first, second)]
    total = sum(part for part, _ in parts)
    if not total > 0:
        return SeedVariance(0.0, 0.0)
    return SeedVariance(total, total**2 / sum(part**2 / df for part, df in parts if part > 0))


def _seed_variance(first: Arm, second: Arm, pooled: SeedVariance) -> SeedVariance:
    """Return the larger of V_seeds from the two arms and from the pooled variance."""
    own = _own_variance(first, second)
    shares = sum(1 / arm.n_seeds for arm in (first, second) if arm.n_seeds > 1)
    of_all = SeedVariance(pooled.variance * shares, pooled.df)
    return own if own.variance >= of_all.variance * (1 - 1e-12) else of_all


def detectable_difference(
    *,
    level: float,
    n_items: int,
    n_seeds: int,
    n_arms: int,
    sd: float,
    seed_sd: float,
    power: float = 0.8,
) -> float:
    """Compute the smallest true difference of two arms that is found with chance `power`.

    Variances and errors are drawn as normal scores have them and put through the rule of `compare_arms`: a draw finds
    what is larger than its critical distance less its error, and `power` of the draws find the answer. Half of an
    item's own variance is taken to be new in every training.

    Args:
        level: The level of each pair, as of `pair_level`.
        n_items: Items, or equal clusters of them.
        n_seeds: Trainings of each arm; of one, nothing is known between trainings and `seed_sd` does not count.
        n_arms: Arms whose variances between trainings are pooled.
        sd: Standard deviation of the items' differences between one training of each arm.
        seed_sd: Standard deviation of an arm's mean between trainings.
        power: The chance to find it.
    """
    rng = np.random.default_rng(1)
    df_items, df_seeds = n_items - 1, n_seeds - 1
    new = sd**2 / 4 / n_items  # variance of an arm's mean by what is new in one training
    true_items = (1 + 1 / n_seeds) / 2 * sd**2 / n_items
    of_items = true_items * rng.chisquare(df_items, DRAWS) / df_items
    variance, seed_part, error_variance = of_items, 0.0, true_items
    if n_seeds > 1:
        v = (seed_sd**2 + new) * rng.chisquare(df_seeds, (DRAWS, n_arms)) / df_seeds
        own, pooled = v[:, 0] + v[:, 1], 2 * v.mean(axis=1)
        df_own = own**2 / ((v[:, 0] ** 2 + v[:, 1] ** 2) / df_seeds)
        of_seeds = np.maximum(own, pooled) / n_seeds
        seed_part = of_seeds**2 / np.where(own >= pooled, df_own, n_arms * df_seeds)
        variance = of_items + of_seeds - 2 * new / n_seeds
        variance = np.maximum(variance, np.maximum(of_items, of_seeds))
        error_variance += 2 * seed_sd**2 / n_seeds
    df = variance**2 / (of_items**2 / df_items + seed_part)
    critical = np.array([t_quantile(level / 2, each) for each in df])
    errors = math.sqrt(error_variance) * rng.standard_normal(DRAWS)
    return float(np.quantile(critical * np.sqrt(variance) - errors, power))
