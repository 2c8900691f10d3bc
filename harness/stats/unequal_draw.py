"""Draws of items with known unequal probabilities, and means from labels of such draws.

    chance       .9   .2   .2   .6   .2 …     of each item to be labelled
    labelled     Y         Y    Y             weight 1 / chance

Labels tell most where judge and people may differ. As long as every item's chance is above 0 and
known, weights of 1 / chance keep the estimate right on average (Horvitz and Thompson 1952, JASA
47:663), and the judge narrows it (Zrnic and Candes 2024, "Active statistical inference",
arXiv 2403.03208).
"""

import math
import random

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.one_sided import one_sided_lower_bound
from harness.stats.vectors import Vector, check_fraction, first_true

Mask = NDArray[np.bool]
FEWEST_LABELS = 3
EVEN = (
    0.5  # part of the draw that is the same for every item, so that no weight exceeds twice N / n
)


def inclusion_chances(interest: Vector, n: int) -> Vector:
    """Return each item's chance to be among n drawn: half of it equal, half in proportion to interest.

    The chances sum to n, and none is above 1.

    Raises:
        ValueError: n is not between 1 and the number of items, or an interest is negative.
    """
    size = interest.size
    if not 1 <= n <= size:
        raise ValueError(f"{n} of {size} items cannot be drawn")
    if not (interest >= 0).all():
        raise ValueError("an interest must be 0 or more")
    total = float(interest.sum())
    share = interest / total if total > 0 else np.full(size, 1 / size)
    share = EVEN / size + (1 - EVEN) * share
    chances = np.zeros(size)
    certain = np.zeros(size, dtype=np.bool)
    while True:
        # Items whose chance would exceed 1 are certain, and the others share what is left.
        left = n - int(certain.sum())
        chances = np.where(certain, 1.0, left * share / max(float(share[~certain].sum()), 1e-300))
        above = (chances > 1) & ~certain
        if not above.any():
            return chances
        certain |= above


def chances_of_more(interest: Vector, more: int, labelled: Mask) -> Vector:
    """Return each item's chance in a draw of which `more` items are expected that have no label yet.

    The draw is from all items, and does not look at the labels, so that it is independent of an earlier one.

    Raises:
        ValueError: as `inclusion_chances`, or fewer than `more` items are without a label.
    """
    if not 1 <= more <= int((~labelled).sum()):
        raise ValueError(
            f"{more} of {int((~labelled).sum())} items without a label cannot be drawn"
        )

    def enough(n: int) -> bool:
        return float(inclusion_chances(interest, n)[~labelled].sum()) >= more - 0.5

    return inclusion_chances(interest, first_true(enough, more, interest.size))


def chances_of_either(first: Vector, second: Vector) -> Vector:
    """Return each item's chance to be in at least one of two independent draws."""
    return 1 - (1 - first) * (1 - second)


def draw_items(chances: Vector, seed: int) -> list[int]:
    """Draw items, each with exactly its chance, by systematic sampling in random order.

    Madow 1949, Annals of Mathematical Statistics 20:333. As many are drawn as the chances sum to.
    """
    rng = random.Random(seed)
    order = list(range(chances.size))
    rng.shuffle(order)
    ends = np.cumsum(chances[order])
    marks = rng.random() + np.arange(round(float(chances.sum())))
    places = np.minimum(np.searchsorted(ends, marks, side="right"), chances.size - 1)
    return [order[place] for place in places.tolist()]


def weighted_mean(people: Vector, judge: Vector, chances: Vector) -> float:
    """Return the mean of people's scores over all items; arguments as `weighted_lower_bound`."""
    return float(_contributions(people, judge, chances).mean())


def weighted_lower_bound(
    people: Vector,
    judge: Vector,
    chances: Vector,
    *,
    least: float,
    alpha: float,
    clusters: ArrayLike | None = None,
) -> float:
    """Return a one-sided lower bound at `alpha` of people's mean over all items.

    With F the line through the labels on the judge's scores, weighted, item i contributes

        F(J_i)                                 without a label
        F(J_i) + (Y_i - F(J_i)) / chance_i     with one

    and the bound is the lower one of Student's and Hall's of the contributions' mean theta, and of

        (1 - e) theta + e least,    e = 1 - alpha^(1/m)

    for m the number of labels that equal chances of the smallest one would give: a share e of bad
    items may hide where few are labelled.

    Args:
        people: Labels of all items, NaN where there is none.
        judge: The judge's scores of all items.
        chances: The chance of each item to have a label.
        least: The lowest value that a label can take.
        alpha: Error rate of the bound.
        clusters: One label an item, for items that share a source.

    Raises:
        ValueError: fewer than three labels, or a chance that is not in (0, 1].
    """
    check_fraction(alpha, name="alpha")
    values = _contributions(people, judge, chances)
    theta, m = float(values.mean()), float(chances.min()) * chances.size
    bound = theta - (1 - math.pow(alpha, 1 / m)) * (theta - least)
    exact = one_sided_lower_bound(values, alpha=alpha, clusters=clusters)
    return max(least, bound if exact == -math.inf else min(bound, exact))


def expected_error(people: Vector, judge: Vector, chances: Vector, later: Vector) -> float:
    """Return the standard error to be expected of `weighted_mean` if items are labelled with chances `later`.

        se^2 = (var(Y) + mean((1 / later - 1) R^2)) / N,    R = Y - F(J)

    with both terms estimated from the labels there are, each weighted by 1 / chance (Hansen and Hurwitz's
    variance of independent draws; a draw of a fixed number of items has no larger one).

    Args:
        people: Labels of all items, NaN where there is none.
        judge: The judge's scores of all items.
        chances: The chance that each item had to be labelled by now.
        later: The chance that it will have had.

    Raises:
        ValueError: As `weighted_lower_bound`.
    """
    line = _fit_line(people, judge, chances)
    labelled = ~np.isnan(people)
    n, y, weights = int(labelled.sum()), people[labelled], 1 / chances[labelled]
    middle = float(np.average(y, weights=weights))
    of_items = float(np.average((y - middle) ** 2, weights=weights)) * n / (n - 1)
    rest = (y - line[labelled]) ** 2 * n / (n - 2)
    of_labels = float(np.average((1 / later[labelled] - 1) * rest, weights=weights))
    return math.sqrt((of_items + of_labels) / people.size)


def _contributions(people: Vector, judge: Vector, chances: Vector) -> Vector:
    labelled = ~np.isnan(people)
    n = int(labelled.sum())
    line = _fit_line(people, judge, chances)
    # Residuals of a fitted line are too small by its two degrees of freedom.
    rest = (people[labelled] - line[labelled]) / chances[labelled] * math.sqrt(n / (n - 2))
    values = line.copy()
    values[labelled] += rest
    return values


def _fit_line(people: Vector, judge: Vector, chances: Vector) -> Vector:
    """Return the line through the labels on the judge's scores, at every item, by weighted least squares.

    Its slope is from 0 (labels alone) to 1.
    """
    labelled = ~np.isnan(people)
    n = int(labelled.sum())
    if n < FEWEST_LABELS:
        raise ValueError(f"{n} labels are too few for a line through them")
    if not ((chances > 0) & (chances <= 1)).all():
        raise ValueError("every chance must be above 0 and at most 1")
    weights = 1 / chances[labelled]
    y, j = people[labelled], judge[labelled]
    middle_y, middle_j = (float(np.average(part, weights=weights)) for part in (y, j))
    spread = float(np.average((j - middle_j) ** 2, weights=weights))
    shared = float(np.average((j - middle_j) * (y - middle_y), weights=weights))
    slope = min(1.0, max(0.0, shared / spread)) if spread > 0 else 0.0
    line: Vector = middle_y + slope * (judge - middle_j)
    return line
