"""How many labels bring a corrected estimate to a stated precision, from what is known so far."""

from collections.abc import Callable

import numpy as np

from harness.stats.corrected import Labelled
from harness.stats.distributions import normal_quantile, t_quantile
from harness.stats.shapes import Vector


def labels_for_mean(
    people: Vector,
    judge: Vector,
    judge_elsewhere: Vector,
    *,
    half_width: float,
    confidence: float = 0.95,
) -> int | None:
    """Labels for which the interval of `corrected_mean` is expected to be that narrow.

    The labels come from the judged items, whose number stays. None where even labels on all of
    them would not do.

    Raises:
        ValueError: fewer than two labels, or a half-width that is not positive.
    """
    _check(half_width)
    n_all = people.size + judge_elsewhere.size
    spread = float(np.concatenate([judge, judge_elsewhere]).var(ddof=1))
    own = float(people.var(ddof=1))
    shared = float(np.cov(people, judge)[0, 1])

    def half(n: int) -> float:
        others = n_all - n
        weight, gained = 0.0, 0.0
        if others and spread > 0:
            weight = min(1.0, max(0.0, shared / ((1 + n / others) * spread)))
            gained = weight**2 * spread / others
        left = max(own - 2 * weight * shared + weight**2 * spread, 0.0)
        return t_quantile((1 - confidence) / 2, n - 1) * float(np.sqrt(left / n + gained))

    return _fewest(half, 2, n_all, half_width)


def labels_for_share(
    labelled: Labelled,
    judge_share: float,
    n_all: int,
    *,
    half_width: float,
    confidence: float = 0.95,
) -> int | None:
    """The same for `corrected_share`, by the variance of p PPV + (1 - p) FOR (Tenenbein 1970).

    `judge_share` is p, the judge's share of yes over all `n_all` items.
    """
    _check(half_width)
    yes, no = labelled.both + labelled.judge_only, labelled.people_only + labelled.neither
    # Jeffreys' means, so that a rate of 0 or 1 seen on a few labels is not taken for certain.
    ppv = (labelled.both + 0.5) / (yes + 1)
    omitted = (labelled.people_only + 0.5) / (no + 1)
    p = judge_share
    within = p * ppv * (1 - ppv) + (1 - p) * omitted * (1 - omitted)
    between = (ppv - omitted) ** 2 * p * (1 - p)

    def half(n: int) -> float:
        return normal_quantile((1 - confidence) / 2) * float(np.sqrt(within / n + between / n_all))

    return _fewest(half, 1, n_all, half_width)


def _check(half_width: float) -> None:
    if not half_width > 0:
        raise ValueError(f"a half-width must be positive, but it is {half_width}")


def _fewest(half: Callable[[int], float], low: int, high: int, wanted: float) -> int | None:
    """The least n whose half-width is at most the wanted one."""
    if high < low or half(high) > wanted:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if half(middle) <= wanted else (middle + 1, high)
    return low
