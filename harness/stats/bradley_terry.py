"""Strengths of three or more models from pairwise comparisons: the Bradley-Terry model.

P(j beats i) = expit(strength_j - strength_i); a tie is half a win for each (Bradley & Terry 1952,
Biometrika 39:324). Items are the unit: all pairs on one item, including both orders and every
repeat, are one cluster of the sandwich variance, because outcomes on one question are correlated.
"""

from itertools import combinations, permutations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.distributions import TAIL, t_quantile
from harness.stats.rank_groups import transitive_closure
from harness.stats.vectors import Vector, as_vector, expit

STEPS = 100
TOLERANCE = 1e-10
SMALLEST_SE = 1e-8  # below it a standard error is what the iteration leaves, not variation
LARGEST_STEP = 2.0  # of Newton's method, in any strength

NoStrengths = Literal[
    "fewer than three items",
    "some models were never compared, not even through others",
    "one group of models never lost to the rest",
]


class Strengths(NamedTuple):
    """Log-strengths of models 0 .. m-1, where the first is 0.

    Attributes:
        log_strength: One per model; NaN if not identified.
        se: Their standard errors, sandwich by cluster; 0 for the first model.
        low: Lower ends of the confidence intervals; NaN for a model whose outcomes do not vary, such
            as ties on every item, which do not show that it would always tie.
        high: Upper ends, likewise.
        n_clusters: Independent units: items, or clusters of them.
        unidentified: The reason for NaN; None if there are estimates.
    """

    log_strength: Vector
    se: Vector
    low: Vector
    high: Vector
    n_clusters: int
    unidentified: NoStrengths | None


def bradley_terry(
    first: ArrayLike,
    second: ArrayLike,
    scores: ArrayLike,
    *,
    items: ArrayLike,
    n_models: int,
) -> Strengths:
    """Fit log-strengths by maximum likelihood, with 95 % intervals clustered by item.

    They are t intervals, with one degree of freedom less than clusters.

    Args:
        first: One model's number (from 0) for each compared pair.
        second: The other's.
        scores: The second model's score in the pair: 1 win, 0.5 tie, 0 loss, or a mean of these.
        items: The item, or the cluster of items, that each pair is about.
        n_models: The number of models.

    Raises:
        ValueError: If the four differ in length, a score is outside [0, 1], or a model is
            compared with itself or out of range.
    """
    y = as_vector(scores, name="scores")
    one, other = np.asarray(first, dtype=np.intp), np.asarray(second, dtype=np.intp)
    index = np.unique(np.asarray(items), return_inverse=True)[1]
    _check(one, other, y, index, n_models)
    n_clusters = int(index.max()) + 1
    unidentified = _why_unidentified(one, other, y, n_clusters, n_models)
    if unidentified:
        nan = np.full(n_models, np.nan)
        return Strengths(nan, nan, nan, nan, n_clusters, unidentified)
    # Fit, with model 0 as the reference.
    design = np.zeros((y.size, n_models))
    design[np.arange(y.size), other] = 1.0
    design[np.arange(y.size), one] = -1.0
    design = design[:, 1:]
    fitted, bread = _fit(design, y)
    # Sandwich variance over clusters.
    residuals = y - expit(design @ fitted)
    pulls = np.column_stack([np.bincount(index, weights=residuals * x) for x in design.T])
    meat = n_clusters / (n_clusters - 1) * pulls.T @ pulls
    se = np.sqrt(np.diag(bread @ meat @ bread).clip(min=0))
    strength, error = np.append(0.0, fitted), np.append(0.0, se)
    half = t_quantile(TAIL, n_clusters - 1) * error
    half[1:][se <= SMALLEST_SE] = np.nan
    return Strengths(strength, error, strength - half, strength + half, n_clusters, None)


def expected_win_rate(strength: float, opponent: float = 0.0) -> float:
    """Compute the probability that a model of that log-strength beats its opponent."""
    return float(expit(np.array([strength - opponent]))[0])


def find_cycles(win_rates: NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """Find triples in which each model beats the next.

    `win_rates[i, j]` is j's rate against i; NaN where they were not compared. Strengths cannot show
    such a triple.
    """
    cycles = []
    for triple in combinations(range(len(win_rates)), 3):
        start = triple[0]
        for a, b, c in permutations(triple):
            beaten = (win_rates[b, a], win_rates[c, b], win_rates[a, c])
            if a == start and all(rate > 0.5 for rate in beaten):
                cycles.append((a, b, c))
    return cycles


# --- fitting ---------------------------------------------------------------------------------


def _fit(design: NDArray[np.float64], y: Vector) -> tuple[Vector, NDArray[np.float64]]:
    """Fit by Newton's method; also return the inverse of the information at the optimum."""
    fitted = np.zeros(design.shape[1])
    for _ in range(STEPS):
        p = expit(design @ fitted)
        information = design.T @ (design * (p * (1 - p))[:, None])
        step = np.linalg.solve(information, design.T @ (y - p))
        fitted += step * min(1.0, LARGEST_STEP / max(float(np.abs(step).max()), TOLERANCE))
        if np.abs(step).max() <= TOLERANCE:
            break
    p = expit(design @ fitted)
    bread = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
    return fitted, np.asarray(bread, dtype=np.float64)


# --- identification --------------------------------------------------------------------------


def _why_unidentified(
    one: NDArray[np.intp], other: NDArray[np.intp], y: Vector, n_clusters: int, n_models: int
) -> NoStrengths | None:
    """Name the reason why strengths are not finite, if any.

    They are finite if in every split of the models into two groups each group won against the other
    (Ford 1957).
    """
    if n_clusters < 3:
        return "fewer than three items"
    met = np.zeros((n_models, n_models), dtype=np.bool)
    beat = np.zeros((n_models, n_models), dtype=np.bool)
    met[one, other] = met[other, one] = True
    beat[other[y > 0], one[y > 0]] = True
    beat[one[y < 1], other[y < 1]] = True
    every = np.eye(n_models, dtype=np.bool)
    if not transitive_closure(met | every).all():
        return "some models were never compared, not even through others"
    return (
        None
        if transitive_closure(beat | every).all()
        else "one group of models never lost to the rest"
    )


def _check(
    one: NDArray[np.intp], other: NDArray[np.intp], y: Vector, index: NDArray[np.intp], n: int
) -> None:
    if not one.shape == other.shape == y.shape == index.shape:
        raise ValueError("first, second, scores and items must have one entry for each pair.")
    if y.min() < 0 or y.max() > 1:
        raise ValueError(f"scores must lie in [0, 1], but they run from {y.min()} to {y.max()}.")
    if (one == other).any() or min(one.min(), other.min()) < 0 or max(one.max(), other.max()) >= n:
        raise ValueError(f"each pair needs two different models from 0 to {n - 1}.")
