"""Rank and sign tests: secondary, because they answer other questions than the mean does.

Wilcoxon's hypothesis is symmetry about 0 and the sign test's is P(d > 0) = P(d < 0). Both can
reject when the means are equal: a candidate with more tens and more disasters is one case.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import normal_quantile, normal_tail
from harness.stats.permutation import exact_signflip_p, subset_sum_chances
from harness.stats.vectors import Alternative, Vector, as_vector, check_fraction

LARGEST_EXACT_N = 200


"""Items up to which the exact rank distributions are used unless another method is asked for."""


class Wilcoxon(NamedTuple):
    """A Wilcoxon signed-rank test.

    Attributes:
        statistic: Sum of the ranks of positive differences.
        p_value: P-value of the alternative asked for.
        method: How it was found.
    """

    statistic: float
    p_value: float
    method: Literal["exact", "asymptotic"]


class SignTest(NamedTuple):
    """A sign test: exact binomial on the items that are not tied.

    Attributes:
        p_value: P-value of the alternative asked for; 1 if every item is tied.
        n_positive: Items on which the candidate is better.
        n_negative: Items on which the baseline is.
        n_zero: Ties.
    """

    p_value: float
    n_positive: int
    n_negative: int
    n_zero: int


class HodgesLehmann(NamedTuple):
    """The Hodges-Lehmann estimate of the centre of symmetry, in the units of the data.

    Attributes:
        estimate: Median of the Walsh averages.
        ci_low: Lower end of its confidence interval; minus infinity if n is too small for one.
        ci_high: Upper end; infinity likewise.
    """

    estimate: float
    ci_low: float
    ci_high: float


def wilcoxon_test(
    d: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    method: Literal["auto", "exact", "asymptotic"] = "auto",
) -> Wilcoxon:
    """Wilcoxon's signed-rank test of symmetry about 0, with zeros ranked by Pratt's rule.

    Zeros take part in the ranking and are then left out (Pratt 1959, JASA 54:655); ties share
    their mean rank. "exact" flips the signs of those very ranks, ties and zeros included;
    "asymptotic" takes the normal limit, without continuity correction. "auto" is exact up to 200
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


def sign_test(d: ArrayLike, *, alternative: Alternative = "two-sided") -> SignTest:
    """Exact test of P(d > 0) = P(d < 0); ties are counted and left out.

    Raises:
        ValueError: If `d` is empty or not finite.
    """
    from scipy import stats

    d = as_vector(d, name="d")
    positive, negative = int((d > 0).sum()), int((d < 0).sum())
    untied = positive + negative
    p_value = 1.0
    if untied:
        p_value = float(stats.binomtest(positive, untied, alternative=alternative).pvalue)
    return SignTest(p_value, positive, negative, d.size - untied)


def hodges_lehmann(d: ArrayLike, *, confidence: float = 0.95) -> HodgesLehmann:
    """Median of the averages of all pairs, with the interval that inverts Wilcoxon's test.

    Hodges & Lehmann 1963 and Hollander, Wolfe & Chicken 2014, sections 3.2-3.3. Memory grows
    with n^2. With ties the interval is conservative.

    Raises:
        ValueError: If `d` is empty or not finite, or confidence is not in (0, 1).
    """
    d = as_vector(d, name="d")
    tail = (1 - check_fraction(confidence, name="confidence")) / 2
    first, second = np.triu_indices(d.size)
    averages = np.sort((d[first] + d[second]) / 2)
    estimate = float(np.median(averages))
    k = _signed_rank_quantile(d.size, tail)
    if k == 0:
        return HodgesLehmann(estimate, -np.inf, np.inf)
    return HodgesLehmann(estimate, float(averages[k - 1]), float(averages[-k]))


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


def _signed_rank_quantile(n: int, tail: float) -> int:
    """The smallest k with P(V <= k) >= tail, for the signed-rank sum V of n untied items."""
    if n <= LARGEST_EXACT_N:
        cumulative = subset_sum_chances(np.arange(1, n + 1)).cumsum()
        return int(np.searchsorted(cumulative, tail))
    spread = np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return int(np.ceil(n * (n + 1) / 4 - normal_quantile(tail) * spread))
