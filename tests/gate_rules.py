"""`python -m tests.gate_rules`: rules that a gate could decide by, on the same worlds (decision 6).

Sizes are exact, over all samples of three values with mean 0: losses of 1 to 9 points, ties, gains of 0.25
to 9. Power is simulated on judge-like scores from 1 to 10 with a true difference of half a point or one.
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


def passes(m: Moments, n: int) -> NDArray[np.bool]:
    """Whether each sample shows a mean above 0, one row a rule."""
    quantile, share = t_quantile(ALPHA, n - 1), share_not_excluded(n, ALPHA)
    student = m.mean - quantile * m.se
    seen = np.minimum(student, m.mean - t_at_hall(quantile, m.asymmetry) * m.se)
    guard = (1 - share) * m.mean + share * WORST
    rule = lower_bounds(*m, df=n - 1, units=n, worst=WORST, alpha=ALPHA)
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


if __name__ == "__main__":
    print("largest error at a nominal .05, exactly:", *RULES, sep="\n  ")
    for n in (20, 30, 50, 80, 100, 200):
        print(f"n {n:>3}:", *(f"{size:.4f}" for size in sizes(n)))
    print("power; then betting alone as below 100 items before, and as `distribution_free`:")
    for gain in (0.5, 1.0):
        for n in (30, 50, 80, 100, 200):
            print(f"+{gain:g}, n {n:>3}:", *(f"{power:.3f}" for power in powers(n, gain)))
