"""Evidence, day by day, that answers to the same items have become worse; valid however long one goes on.

Items and baseline are the same every day, so that differences to the baseline are no fresh evidence: a baseline that
was lucky by a standard error is above an unchanged model on all days. What is fresh is which of an item's scores came
last. If the model is unchanged, its scores of an item on days 0 (the baseline) to t are exchangeable, and the last one is
any of them with equal chance, item by item. So

    p_t = share of draws, of one of each item's scores, whose sum is not above day t's

is uniform, whatever the earlier days' were (Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World), and
bets against it are an e-process: an unchanged model's wealth ever grows C-fold with chance at most 1 / C (Ville).
"""

import numpy as np
from numpy.typing import NDArray

from harness.stats.vectors import Vector

RESAMPLES = 999
EXPONENTS = (1.0, 0.5, 0.2)  # of the bets k p^(k - 1): none, moderate, and for clear drops
SHIFTED = 0.01  # share of the wealth that is spread over all bets anew each day


def p_values_of_days(
    scores: NDArray[np.float64], rng: np.random.Generator, resamples: int = RESAMPLES
) -> Vector:
    """Return the p-value of "lower than on the days before" of each day but the first.

    Ties are broken at random, so that p-values of an unchanged model are exactly uniform and independent.

    Args:
        scores: Days x items, the baseline's day first, without gaps.
        rng: A source of randomness that does not depend on the scores.
        resamples: Draws for each day; the smallest p-value is about 1 / resamples.

    Raises:
        ValueError: a score is missing, or there is no item.
    """
    if scores.ndim != 2 or not scores.shape[1] or not np.isfinite(scores).all():
        raise ValueError("scores must be a matrix of days x items, of finite values")
    items = np.arange(scores.shape[1])
    p_values = []
    for day in range(1, len(scores)):
        drawn = scores[rng.integers(0, day + 1, (resamples, items.size)), items].sum(axis=1)
        excess = drawn - scores[day].sum()
        rounding = 1e-9 * max(1.0, float(np.abs(scores[: day + 1]).sum()))
        below, ties = (excess < -rounding).sum(), (np.abs(excess) <= rounding).sum()
        p_values.append((below + rng.random() * (1 + ties)) / (resamples + 1))
    return np.array(p_values, dtype=np.float64)


def evidence_of_drop(p_values: Vector) -> Vector:
    """Return the wealth after each day of a bettor against uniform p-values, from a wealth of 1.

    Bets of several sizes share the wealth. Each day a hundredth of it is spread over them anew, so that a drop after
    many quiet days is found as soon as an early one (the "Simple Jumper" of Vovk et al. 2021, "Retrain or not
    retrain", PMLR 152, with other bets).
    """
    exponents = np.array(EXPONENTS)
    wealth = np.full(exponents.size, 1 / exponents.size)
    evidence = []
    for p_value in p_values:
        wealth = (1 - SHIFTED) * wealth + SHIFTED * wealth.sum() / exponents.size
        wealth = wealth * exponents * p_value ** (exponents - 1)
        evidence.append(float(wealth.sum()))
    return np.array(evidence, dtype=np.float64)
