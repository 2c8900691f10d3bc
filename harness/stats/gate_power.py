"""Power, sample sizes and detectable effects of the gate's own test of a mean.

The test of `harness.stats.unseen_worst` is inverted: with a standard deviation known to be sd, and no
skewness, it rejects where t exceeds

    c = max over e of  e reach / ((1 - e) se) + t_{n-1}(alpha / (1.1 (1 - e)^n)),    se = sd / sqrt(n),

for `reach` the distance from the boundary to the worst that the scale allows. So its power is that of a
t test with the critical value c. Against simulation it is right within 0.05 (tests/stats/test_gate_power.py).
A betting bound with stakes sqrt(2 log(1 / alpha) / (n sd^2)) needs t above sqrt(2 log(1 / alpha)) instead,
in the limit of many items (Waudby-Smith & Ramdas 2024, section 3); with few it shows a little less.
"""

import math

import numpy as np

from harness.stats.distributions import noncentral_t_tail
from harness.stats.exact_tango import exact_tango_power
from harness.stats.unseen_worst import FARTHEST as FARTHEST_STEP
from harness.stats.unseen_worst import SAFETY, STEP
from harness.stats.vectors import bisect_flip, check_fraction, first_true

FARTHEST = 1e6  # noncentrality
MOST = 2**31  # items beyond which no number is sought


def gate_power(
    effect: float,
    sd: float,
    n: float,
    *,
    reach: float,
    alpha: float = 0.05,
    units: float = 0,
    betting: bool = False,
) -> float:
    """Compute the chance that n items show a true mean `effect` beyond the boundary.

    Args:
        effect: True mean less the boundary, in points, to the side of the claim.
        sd: Standard deviation of the items' scores, in points.
        n: Items, or equal clusters with as much information.
        reach: The boundary less the worst value of the scale, in points; 0 for an exact test or one
            that takes no account of unseen answers.
        alpha: Error rate of the test.
        units: Number of clusters, if not `n`.
        betting: Whether a betting bound decides.

    Raises:
        ValueError: If n is not above 1, sd is not positive or alpha is not in (0, 1).
    """
    check_fraction(alpha, name="alpha")
    if n <= 1 or sd <= 0:
        raise ValueError(f"n must be above 1 and sd above 0, but they are {n} and {sd}.")
    se = sd / math.sqrt(n)
    critical = _critical_t(se, n - 1, units or n, reach, alpha)
    if betting:
        critical = max(critical, math.sqrt(-2 * math.log(alpha)))
    return noncentral_t_tail(critical, n - 1, max(min(effect / se, FARTHEST), -FARTHEST))


def fewest_for_gate(
    sd: float,
    effect: float,
    *,
    reach: float,
    alpha: float = 0.05,
    power: float = 0.8,
    betting: bool = False,
) -> float:
    """Find the fewest items that show `effect` with probability `power`; infinity beyond 2^31.

    Raises:
        ValueError: As `gate_power`, or if effect is not above 0.
    """
    if effect <= 0:
        raise ValueError(f"effect must be above 0, but it is {effect}.")

    def enough(n: int) -> bool:
        return gate_power(effect, sd, n, reach=reach, alpha=alpha, betting=betting) >= power

    high = 2
    while not enough(high):
        high *= 2
        if high > MOST:
            return math.inf
    return first_true(enough, high // 2 + 1, high)


def detectable_by_gate(
    sd: float,
    n: float,
    *,
    reach: float,
    alpha: float = 0.05,
    power: float = 0.8,
    units: float = 0,
    betting: bool = False,
) -> float:
    """Find the smallest true mean beyond the boundary that n items show with probability `power`.

    Infinity where a mean of `FARTHEST` standard errors is not shown.

    Raises:
        ValueError: As `gate_power`.
    """

    def is_found(effect: float) -> bool:
        found = gate_power(effect, sd, n, reach=reach, alpha=alpha, units=units, betting=betting)
        return found >= power

    largest = sd
    while not is_found(largest):
        if largest * math.sqrt(n) > FARTHEST * sd:  # farther ones have the power of this one
            return math.inf
        largest *= 2
    return bisect_flip(is_found, low=0.0, high=largest)


def share_power(effect: float, boundary: float, discordant: float, n: int, alpha: float) -> float:
    """Compute the chance that n items show a difference of shares `effect` beyond the boundary.

    `discordant` is the share of items on which the models differ; it is larger where the difference
    of the shares is.
    """
    difference = min(boundary + effect, 1.0)
    differing = min(1.0, max(discordant, abs(difference)))
    wins, losses = (differing + difference) / 2, (differing - difference) / 2
    return exact_tango_power(n, boundary, wins, losses, alpha)


def detectable_share(
    boundary: float, discordant: float, n: int, *, alpha: float, power: float
) -> float | None:
    """Find the smallest difference of shares beyond the boundary that n items show; None if none is."""

    def is_found(effect: float) -> bool:
        return share_power(effect, boundary, discordant, n, alpha) >= power

    largest = 1.0 - boundary
    return bisect_flip(is_found, low=0.0, high=largest, halvings=14) if is_found(largest) else None


def fewest_for_shares(
    boundary: float, effect: float, discordant: float, *, alpha: float, power: float, most: int
) -> int | None:
    """Find about the fewest items that show a difference of shares; None above `most`.

    The power of an exact test is a saw-tooth function of n, so that a few fewer may do as well.
    """

    def enough(n: int) -> bool:
        return share_power(effect, boundary, discordant, n, alpha) >= power

    high = 4
    while not enough(high):
        if high > most:
            return None
        high *= 2
    low = high // 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _critical_t(se: float, df: float, units: float, reach: float, alpha: float) -> float:
    from scipy.special import stdtrit

    steps = np.arange(0.0, min(FARTHEST_STEP, -math.log(alpha) - 1e-9), STEP)
    odds = np.expm1(steps / units)  # e / (1 - e)
    safety = SAFETY if reach else 1.0
    return float((odds * reach / se - stdtrit(df, alpha / safety * np.exp(steps))).max())
