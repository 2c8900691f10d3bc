"""`python -m tests.gate_rules`: rules that a gate could decide by, on the same worlds (decision 6).

Sizes are exact, over all samples of three values with mean 0: losses of 1 to 9 points, ties, gains of 0.25
to 9. Power is simulated on judge-like scores from 1 to 10 with a true difference of half a point or one.
The last part is on clusters of five items that correlate .1, whole ones of which may hide.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from harness.selftest.worlds import judged_pair
from harness.stats.bounded_means import BOLD, JUDGED, betting_lower_bound
from harness.stats.distributions import t_quantile
from harness.stats.one_sided import t_at_hall
from harness.stats.unseen_worst import lower_bounds, share_not_excluded
from harness.stats.vectors import Vector

ALPHA, WORST = 0.05, -9.0
LOSSES, GAINS = (1.0, 2.0, 4.0, 6.0, 8.0, 9.0), (0.25, 0.5, 1.0, 2.0, 3.0, 5.4, 9.0)
CHANCES = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
ITEMS, CORRELATION, HIDDEN = 5, 0.1, (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1)  # of clusters
RULES = (
    "t",
    "t and Hall",
    "and a share 1 - alpha^(1/n) at the worst",
    "the largest 1.1 p over all shares at the worst",
)


class Moments(NamedTuple):
    """Mean, standard error and Hall's a of many samples."""

    mean: Vector
    se: Vector
    asymmetry: Vector


def passes(m: Moments, n: int, worst: float = WORST) -> NDArray[np.bool]:
    """Whether each sample shows a mean above 0, one row a rule."""
    quantile, share = t_quantile(ALPHA, n - 1), share_not_excluded(n, ALPHA)
    student = m.mean - quantile * m.se
    seen = np.minimum(student, m.mean - t_at_hall(quantile, m.asymmetry) * m.se)
    guard = (1 - share) * m.mean + share * worst
    rule = lower_bounds(*m, df=n - 1, units=n, worst=worst, alpha=ALPHA)
    return np.stack([student, seen, np.minimum(seen, guard), rule]) > 0


def moments(powers: list[Vector], n: int) -> Moments:
    """The moments from the means of the first, second and third power."""
    one, two, three = powers
    variance = np.maximum(two - one**2, 1e-12)
    third = three - 3 * one * two + 2 * one**3
    return Moments(one, np.sqrt(variance / (n - 1)), third / variance**1.5 / np.sqrt(n))


def sizes(n: int) -> Vector:
    """The largest chance of a wrong pass of each rule."""
    lost, gained = (part.ravel() for part in np.indices((n + 1, n + 1)))
    possible = lost + gained <= n
    lost, gained = lost[possible], gained[possible]
    tied = n - lost - gained
    ways = gammaln(n + 1) - gammaln(lost + 1) - gammaln(gained + 1) - gammaln(tied + 1)
    worst = np.zeros(len(RULES))
    for loss in LOSSES:
        for gain in GAINS:
            powers = [(gained * gain**k + lost * (-loss) ** k) / n for k in (1, 2, 3)]
            passed = passes(moments(powers, n), n)
            for p in CHANCES:
                q = p * loss / gain
                if p + q <= 1:
                    chance = np.exp(
                        ways + xlogy(lost, p) + xlogy(gained, q) + xlogy(tied, 1 - p - q)
                    )
                    worst = np.maximum(worst, passed @ chance)
    return worst


def powers(n: int, gain: float, runs: int = 4000) -> list[float]:
    """The chance of each rule to find a true gain, and of two betting bounds."""
    rng = np.random.default_rng(n)
    d = np.stack([judged_pair(rng, n, gain) for _ in range(runs)])
    found = passes(moments([(d**k).mean(axis=1) for k in (1, 2, 3)], n), n).mean(axis=1)
    bets = [
        float(np.mean([betting_lower_bound(x, bounds=(-9, 9), begin=b) > 0 for x in d[:1000]]))
        for b in (BOLD, JUDGED)
    ]
    return [*map(float, found), *bets]


def cluster_means(rng: np.random.Generator, n: int, gain: float, runs: int = 4000) -> Vector:
    """Means of `n` clusters in each of many samples, samples x clusters."""
    items = judged_pair(rng, runs * n * ITEMS, gain).reshape(runs, n, ITEMS)
    common = judged_pair(rng, runs * n, gain).reshape(runs, n, 1)
    shares = rng.random(items.shape) < np.sqrt(CORRELATION)
    means: Vector = np.where(shares, common, items).mean(axis=2)
    return means


def passes_clusters(means: Vector, worst: float) -> Vector:
    """How often each rule passes on means of clusters, taking `worst` for the worst of a cluster."""
    n = means.shape[1]
    found: Vector = passes(moments([(means**k).mean(axis=1) for k in (1, 2, 3)], n), n, worst).mean(
        axis=1
    )
    return found


def hidden_clusters(n: int, worst: float, true_worst: float) -> Vector:
    """The largest error of each rule at mean 0 where a share of whole clusters is at `true_worst`."""
    rng, largest = np.random.default_rng(n), np.zeros(len(RULES))
    for share in HIDDEN:
        means = cluster_means(rng, n, -share * true_worst / (1 - share))
        hit = rng.random(means.shape) < share
        largest = np.maximum(largest, passes_clusters(np.where(hit, true_worst, means), worst))
    return largest


def power_limit(n: int, gain: float) -> float:
    """The most power that a test can have that errs at most alpha where whole units are at the worst.

    With such a share of them that the mean is 0, a sample shows none with chance (1 - share)^n, and
    is then as one without them.
    """
    share = gain / (gain - WORST)
    return float(min(ALPHA / (1 - share) ** n, 1.0))


if __name__ == "__main__":
    print("largest error at a nominal .05, exactly:", *RULES, sep="\n  ")
    for n in (20, 30, 50, 80, 100, 200):
        print(f"n {n:>3}:", *(f"{size:.4f}" for size in sizes(n)))
    print("power; then betting alone as below 100 items before, and as `distribution_free`:")
    for gain in (0.5, 1.0):
        for n in (30, 50, 80, 100, 200):
            print(f"+{gain:g}, n {n:>3}:", *(f"{power:.3f}" for power in powers(n, gain)))
    print(
        "clusters: power at +.5, its limit, power at +1, and errors where whole clusters are at -6 or -9:"
    )
    for n in (40, 60, 100):
        for worst in (WORST, -6.0):
            rng = np.random.default_rng(n)
            half, one = (passes_clusters(cluster_means(rng, n, gain), worst) for gain in (0.5, 1.0))
            errors = [hidden_clusters(n, worst, at) for at in (-6.0, WORST)]
            for name, *figures in zip(RULES, half, one, *errors, strict=True):
                shown = [figures[0], power_limit(n, 0.5), *figures[1:]]
                print(f"n {n:>3}, worst {worst:g}:", *(f"{x:.3f}" for x in shown), name)
