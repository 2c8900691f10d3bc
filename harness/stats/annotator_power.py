"""Numbers of annotators, items and labels that human votes need, by the intervals that use them.

With few annotators their number is the limit: on 3 of them a t interval has 2 degrees of freedom,
and no number of items compensates for that.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.annotator_means import TwoWayMean
from harness.stats.distributions import TAIL, normal_quantile, t_quantile
from harness.stats.gate_power import detectable_by_gate, gate_power
from harness.stats.judge_correction import Labelled
from harness.stats.vectors import Vector, first_true

MOST_ANNOTATORS = 100


class VoteSpread(NamedTuple):
    """Variances of one vote: between items, between annotators' biases, and the residual."""

    items: float
    annotators: float
    rest: float


class VoteDesign(NamedTuple):
    """A number of annotators, each voting on a number of items."""

    n_annotators: int
    n_items: int


def vote_spread(votes: ArrayLike) -> VoteSpread:
    """Estimate the variances behind votes (items x annotators, NaN for no vote); none is below 0.

    Half the mean squared difference of two votes is, of one item, s_annotators + s_rest; of one
    annotator, s_items + s_rest; of neither, the sum of all three. Unbiased for any missing votes,
    as long as being missing is independent of the vote. Where no item has two votes, the residual
    variance is attributed to the items.

    Raises:
        ValueError: there are fewer than two annotators, or none voted twice.
    """
    matrix = np.asarray(votes, dtype=np.float64)
    of_item, of_annotator = _squares(matrix), _squares(matrix.T)
    everything = _squares(matrix.reshape(1, -1))
    neither = everything - of_item - of_annotator
    if not (of_annotator[1] and neither[1]):
        raise ValueError("these votes do not show how far annotators differ")
    total, own = neither[0] / neither[1] / 2, of_annotator[0] / of_annotator[1] / 2
    if not of_item[1]:
        return VoteSpread(own, max(total - own, 0.0), 0.0)
    shared = of_item[0] / of_item[1] / 2
    return VoteSpread(
        max(total - shared, 0.0), max(total - own, 0.0), max(shared + own - total, 0.0)
    )


def power_of_votes(
    spread: VoteSpread,
    effect: float,
    design: VoteDesign,
    *,
    alpha: float = 0.05,
    reach: float = 0.0,
) -> float:
    """Compute the power of a design to show an effect, one-sided, as a gate does.

    Both tests must show it: with items and annotators as sources of uncertainty, and with the
    items alone, of which unseen ones may be at their worst, `reach` below the boundary. The power is
    the lower one of the two.
    """
    return min(
        gate_power(effect, scale, n, reach=far, alpha=alpha) if scale > 0 else 1.0
        for (scale, n), far in zip(_scales(spread, design), (0.0, reach), strict=True)
    )


def detectable_by_votes(
    spread: VoteSpread,
    design: VoteDesign,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    reach: float = 0.0,
) -> float:
    """Return the smallest effect that a design shows with probability `power`, one-sided."""
    return _detectable(_scales(spread, design), alpha, power, reach)


def detectable_of_mean(
    mean: TwoWayMean, *, alpha: float = 0.05, power: float = 0.8, reach: float = 0.0
) -> float | None:
    """Return the smallest effect that existing votes show; None for one item or no variation."""
    both, units = mean.df + 1, mean.n_units
    if mean.df < 1 or not mean.se > 0:
        return None
    scales = [(mean.se * math.sqrt(both), both), (mean.se_items * math.sqrt(units), units)]
    return _detectable(scales, alpha, power, reach)


def fewest_votes(
    spread: VoteSpread,
    effect: float,
    *,
    least_items: int,
    most_items: int,
    alpha: float = 0.05,
    power: float = 0.8,
    reach: float = 0.0,
) -> VoteDesign | None:
    """Find the design with the fewest votes that shows an effect with probability `power`.

    None if 100 annotators on `most_items` items are not enough.
    """
    designs: list[VoteDesign] = []
    for n_annotators in range(2, MOST_ANNOTATORS + 1):
        n_items = _fewest_items(
            spread, effect, n_annotators, least_items, most_items, alpha, power, reach
        )
        if n_items is not None:
            designs.append(VoteDesign(n_annotators, n_items))
            if n_items == least_items:
                break  # the items cannot get fewer with more annotators
    return min(designs, key=lambda design: design.n_annotators * design.n_items, default=None)


def _fewest_items(
    spread: VoteSpread,
    effect: float,
    n_annotators: int,
    low: int,
    high: int,
    alpha: float,
    power: float,
    reach: float,
) -> int | None:
    def enough(n_items: int) -> bool:
        design = VoteDesign(n_annotators, n_items)
        return power_of_votes(spread, effect, design, alpha=alpha, reach=reach) >= power

    if high < low or not enough(high):
        return None
    return first_true(enough, low, high)


def _detectable(scales: list[tuple[float, int]], alpha: float, power: float, reach: float) -> float:
    return max(
        detectable_by_gate(scale, n, reach=far, alpha=alpha, power=power) if scale > 0 else 0.0
        for (scale, n), far in zip(scales, (0.0, reach), strict=True)
    )


def _scales(spread: VoteSpread, design: VoteDesign) -> list[tuple[float, int]]:
    """Return sd and n of each test, where sd / sqrt(n) is the test's standard error."""
    m, n = design
    rest = spread.rest / (n * m)
    items, annotators = spread.items / n + rest, spread.annotators / m + rest
    votes = (spread.items + spread.annotators + spread.rest) / (n * m)
    both = max(items, annotators, items + annotators - votes)
    units = min(n, m)
    return [(math.sqrt(both * units), units), (math.sqrt(items * n), n)]


def _squares(groups: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum squared differences over all ordered pairs within the rows, and count the pairs."""
    n = (~np.isnan(groups)).sum(axis=1)
    sums, squares = np.nansum(groups, axis=1), np.nansum(groups**2, axis=1)
    return np.array([(2 * n * squares - 2 * sums**2).sum(), (n * (n - 1)).sum()])


def labels_for_mean(
    people: Vector,
    judge: Vector,
    judge_elsewhere: Vector,
    *,
    half_width: float,
) -> int | None:
    """Find the number of labels expected to give `corrected_mean` an interval that narrow.

    The labels are on judged items, whose number is fixed. None if labels on all of them are not
    enough.

    Raises:
        ValueError: fewer than two labels, or a half-width that is not positive.
    """
    _check(half_width)
    n_all = people.size + judge_elsewhere.size
    spread = float(np.concatenate([judge, judge_elsewhere]).var(ddof=1))
    own = float(people.var(ddof=1))
    shared = float(np.cov(people, judge)[0, 1])

    # The expected half-width with n labels.
    def half(n: int) -> float:
        others = n_all - n
        weight, judge_variance = 0.0, 0.0
        if others and spread > 0:
            weight = min(1.0, max(0.0, shared / ((1 + n / others) * spread)))
            judge_variance = weight**2 * spread / others
        residual = max(own - 2 * weight * shared + weight**2 * spread, 0.0)
        return t_quantile(TAIL, n - 1) * float(np.sqrt(residual / n + judge_variance))

    return _fewest(half, 2, n_all, half_width)


def labels_for_share(
    labelled: Labelled,
    judge_share: float,
    n_all: int,
    *,
    half_width: float,
) -> int | None:
    """Find the number of labels for `corrected_share`, by the variance of p PPV + (1 - p) FOR.

    Tenenbein 1970. `judge_share` is p, the judge's share of yes over all `n_all` items.
    """
    _check(half_width)
    yes, no = labelled.both + labelled.judge_only, labelled.people_only + labelled.neither
    # Jeffreys' means, so that a rate of 0 or 1 on a few labels does not count as certain.
    ppv = (labelled.both + 0.5) / (yes + 1)
    omitted = (labelled.people_only + 0.5) / (no + 1)
    p = judge_share
    within = p * ppv * (1 - ppv) + (1 - p) * omitted * (1 - omitted)
    between = (ppv - omitted) ** 2 * p * (1 - p)

    def half(n: int) -> float:
        return normal_quantile(TAIL) * float(np.sqrt(within / n + between / n_all))

    return _fewest(half, 1, n_all, half_width)


def _check(half_width: float) -> None:
    if not half_width > 0:
        raise ValueError(f"a half-width must be positive, but it is {half_width}")


def _fewest(half: Callable[[int], float], low: int, high: int, target: float) -> int | None:
    """Find the least n whose half-width is at most `target`."""
    if high < low or half(high) > target:
        return None
    return first_true(lambda n: half(n) <= target, low, high)
