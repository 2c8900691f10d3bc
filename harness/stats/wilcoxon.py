"""Wilcoxon's signed-rank test, a secondary test because it is not about the mean.

Its hypothesis is symmetry about 0. It can reject when the means are equal, as for a candidate with
more tens and more disasters.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import normal_tail
from harness.stats.permutation import exact_signflip_p
from harness.stats.vectors import Alternative, Vector, as_vector

# Items up to which "auto" uses the exact rank distributions.
LARGEST_EXACT_N = 200


class Wilcoxon(NamedTuple):
    """A Wilcoxon signed-rank test.

    Attributes:
        statistic: Sum of the ranks of positive differences.
        p_value: P-value of the chosen alternative.
        method: The method used.
    """

    statistic: float
    p_value: float
    method: Literal["exact", "asymptotic"]


def wilcoxon_test(
    d: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    method: Literal["auto", "exact", "asymptotic"] = "auto",
) -> Wilcoxon:
    """Test symmetry about 0 with Wilcoxon's signed-rank test, zeros ranked by Pratt's rule.

    Zeros take part in the ranking and are then left out (Pratt 1959, JASA 54:655); ties share
    their mean rank. "exact" flips the signs of these ranks, ties and zeros included;
    "asymptotic" uses the normal limit, without continuity correction. "auto" is exact up to 200
    items. All differences zero gives p = 1.

    Raises:
        ValueError: If `d` is empty or not finite.
    """
    d = as_vector(d, name="d")
    signed = np.sign(d) * _midranks(np.abs(d))
    statistic = float(signed[signed > 0].sum())
    if method == "exact" or (method == "auto" and d.size <= LARGEST_EXACT_N):
        doubled = np.rint(2 * signed).astype(np.int64)
        return Wilcoxon(statistic, exact_signflip_p(doubled, alternative=alternative), "exact")
    return Wilcoxon(statistic, _normal_p(signed, alternative), "asymptotic")


def _midranks(values: Vector) -> Vector:
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    midranks: Vector = (last - (counts - 1) / 2)[index]
    return midranks


def _normal_p(signed: Vector, alternative: Alternative) -> float:
    if not signed.any():
        return 1.0
    z = float(signed.sum() / np.sqrt((signed**2).sum()))
    match alternative:
        case "greater":
            return normal_tail(z)
        case "less":
            return normal_tail(-z)
        case "two-sided":
            return 2 * normal_tail(abs(z))
