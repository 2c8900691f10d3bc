"""Estimates from a judge, corrected by people's labels on a random part of the items.

    all items      judge, judge, judge, judge, judge, judge …
    labelled ones  judge + people

The judge alone is precise and may be biased; the labels alone are unbiased and few. Both estimates
are unbiased for any judge, and the more precise the better the judge agrees with people. This holds
only for labels on items drawn at random.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.distributions import TAIL, t_interval, t_quantile
from harness.stats.means import mean_moments
from harness.stats.one_sided import one_sided_lower_bound
from harness.stats.vectors import Interval, Vector, check_fraction

DRAWS = 200_000
FEWEST_LABELS = 2
FOLDS = 5
FEW_LABELS = 50  # below it the judge narrows no one-sided bound


class Corrected(NamedTuple):
    """A corrected estimate.

    Attributes:
        estimate: Mean of the scores that people would have given to all items.
        se: Its standard error.
        interval: The confidence interval.
        weight: The weight of the judge, from 0 (labels alone) to 1.
    """

    estimate: float
    se: float
    interval: Interval
    weight: float


class Labelled(NamedTuple):
    """Counts of labelled items by the yes or no of people and judge."""

    both: int
    judge_only: int
    people_only: int
    neither: int


def corrected_mean(people: Vector, judge: Vector, judge_elsewhere: Vector) -> Corrected:
    """Estimate the mean of people's scores over all items by PPI++, with a 95 % interval.

    Angelopoulos et al. 2023, arXiv 2311.01453.

        theta = mean(Y) + w (mean(J elsewhere) - mean(J))
        w     = cov(Y, J) / ((1 + n/N) var(J)), within [0, 1]

    with variances over n - 1 and Student's t with n - 1 degrees of freedom, which are valid from a
    few dozen labels on, where the normal interval of the paper is too narrow.

    Args:
        people: Labels Y of the n labelled items.
        judge: The judge's scores J of the same items, in the same order.
        judge_elsewhere: The judge's scores of the N other items; may be empty.

    Raises:
        ValueError: fewer than two labels, lengths that differ, or scores that are missing.
    """
    y, j, others = (np.asarray(part, dtype=np.float64) for part in (people, judge, judge_elsewhere))
    if y.size != j.size:
        raise ValueError(f"{y.size} labels, but {j.size} scores of the judge for them")
    if y.size < FEWEST_LABELS:
        raise ValueError("a correction needs at least two labels")
    if not all(np.isfinite(part).all() for part in (y, j, others)):
        raise ValueError("a missing score cannot be corrected; leave its item out of all three")
    # Weight the judge by its covariance with people.
    n, n_others = y.size, others.size
    spread = float(np.concatenate([j, others]).var(ddof=1))
    weight = _weight(y, j, spread, n_others)
    variance = float((y - weight * j).var(ddof=1)) / n
    estimate = float(y.mean())
    if n_others:
        variance += weight**2 * spread / n_others
        estimate += weight * float(others.mean() - j.mean())
    se = math.sqrt(variance)
    return Corrected(estimate, se, t_interval(estimate, se, n - 1, 0.95), weight)


def _weight(y: Vector, j: Vector, spread: float, n_others: int) -> float:
    if not n_others or spread == 0:
        return 0.0
    shared = float(np.cov(y, j)[0, 1])
    return min(1.0, max(0.0, shared / ((1 + y.size / n_others) * spread)))


def _cross_fitted_weights(people: Vector, judge: Vector, everywhere: Vector) -> Vector:
    """Return the judge's weight for each label, fitted to the labels of the other folds.

    Chernozhukov et al. 2018, Econometrics Journal 21:C1.
    """
    n_others = everywhere.size - people.size
    spread = float(everywhere.var(ddof=1))
    fold = np.arange(people.size) % FOLDS
    weights = np.zeros(people.size)
    for number in range(FOLDS):
        of_others = fold != number
        if int(of_others.sum()) >= FEWEST_LABELS:
            weights[~of_others] = _weight(people[of_others], judge[of_others], spread, n_others)
    return weights


def corrected_lower_bound(
    people: Vector,
    judge: Vector,
    judge_elsewhere: Vector,
    *,
    least: float,
    alpha: float,
    clusters: ArrayLike | None = None,
    clusters_elsewhere: ArrayLike | None = None,
) -> float:
    """Return a one-sided lower bound at `alpha` of the mean that `corrected_mean` estimates.

    It is the lowest of three: Student's t and Hall's skew-corrected t of the residuals Y - w J, spread
    so that their standard error contains that of the judge's mean elsewhere, and

        (1 - e) theta + e least,    e = 1 - alpha^(1/n)

    since n labels without a worst difference do not exclude a share e of them. The weight w of a
    label's judge is fitted to the other four of five folds: fitted to the label itself it makes the
    bound too narrow. Below 50 labels the bound of the labels alone must hold too.

    Args:
        people: Labels Y of the n labelled items.
        judge: The judge's scores J of the same items.
        judge_elsewhere: The judge's scores of the N other items; may be empty.
        least: The lowest value that people's labels can take.
        alpha: Error rate of the bound.
        clusters: One label a labelled item, for items that share a source.
        clusters_elsewhere: The same of the other items.

    Raises:
        ValueError: As `corrected_mean`.
    """
    check_fraction(alpha, name="alpha")
    estimate = corrected_mean(people, judge, judge_elsewhere).estimate  # also checks the arguments
    # The estimate with weights of the judge that are not fitted to the labels that they weigh.
    everywhere = np.concatenate([judge, judge_elsewhere])
    weights = _cross_fitted_weights(people, judge, everywhere)
    weight, rest = float(weights.mean()), people - weights * (judge - everywhere.mean())
    theta = float(rest.mean())
    if judge_elsewhere.size:
        theta += weight * float(judge_elsewhere.mean() - everywhere.mean())
    theta = min(theta, estimate)
    # What the labels cannot exclude.
    n = people.size if clusters is None else np.unique(clusters).size
    if n < FEWEST_LABELS:
        return least
    bound = theta - (1 - math.pow(alpha, 1 / n)) * (theta - least)
    if n < FEW_LABELS and judge_elsewhere.size:
        nothing = np.empty(0)
        bound = min(
            bound,
            corrected_lower_bound(
                people, judge, nothing, least=least, alpha=alpha, clusters=clusters
            ),
        )
    # Sampling error of both parts.
    residuals = mean_moments(rest, clusters=clusters)
    se = residuals.se
    if judge_elsewhere.size > 1 and weight:
        elsewhere = mean_moments(judge_elsewhere, clusters=clusters_elsewhere)
        se = math.hypot(se, weight * elsewhere.se)
    if residuals.degenerate:
        return min(bound, theta - t_quantile(alpha, max(1.0, n - 1)) * se) if se else bound
    spread = theta + (rest - residuals.estimate) * (se / residuals.se)
    return min(bound, one_sided_lower_bound(spread, alpha=alpha, clusters=clusters))


def corrected_share(
    labelled: Labelled,
    *,
    judge_yes_elsewhere: int,
    n_elsewhere: int,
    draws: int = DRAWS,
) -> Corrected:
    """Estimate the share of items that people would label yes, by double sampling.

    Tenenbein 1970, JASA 65:1350.

        theta = p PPV + (1 - p) FOR

    p is the judge's share of yes over all items; PPV and FOR are people's shares of yes among the
    judge's yes and no. The 95 % interval is that of `draws` draws of the three from Beta distributions
    with Jeffreys' priors.

    Raises:
        ValueError: no labels, negative counts, or more yes than items.
    """
    if min(*labelled, judge_yes_elsewhere, n_elsewhere) < 0:
        raise ValueError("counts cannot be negative")
    if judge_yes_elsewhere > n_elsewhere:
        raise ValueError(f"{judge_yes_elsewhere} yes among {n_elsewhere} items")
    if sum(labelled) == 0:
        raise ValueError("a correction needs labels")
    yes = labelled.both + labelled.judge_only
    no = labelled.people_only + labelled.neither
    all_yes, all_no = yes + judge_yes_elsewhere, no + n_elsewhere - judge_yes_elsewhere
    p = all_yes / (all_yes + all_no)
    # Without a yes (or no) of the judge among the labelled, that share is unknown.
    ppv = labelled.both / yes if yes else 0.5
    omitted = labelled.people_only / no if no else 0.5
    # The interval, from draws of the three shares.
    rng = np.random.default_rng(1)
    ps = rng.beta(all_yes + 0.5, all_no + 0.5, draws)
    ppvs = rng.beta(labelled.both + 0.5, labelled.judge_only + 0.5, draws)
    omissions = rng.beta(labelled.people_only + 0.5, labelled.neither + 0.5, draws)
    shares = ps * ppvs + (1 - ps) * omissions
    low, high = (float(end) for end in np.quantile(shares, [TAIL, 1 - TAIL]))
    return Corrected(
        estimate=p * ppv + (1 - p) * omitted,
        se=float(shares.std()),
        interval=Interval(low, high),
        weight=1.0,
    )
