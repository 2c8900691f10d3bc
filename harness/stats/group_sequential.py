"""Group-sequential tests: a few interim looks at the data without a larger error rate.

After a share t_k of the items, 0 < t_1 < … < t_K = 1, a z statistic is compared with its own
critical value. With B_k = Z_k sqrt(t_k) the looks have independent increments, B_k - B_{k-1}
normal with mean `drift` (t_k - t_{k-1}) and variance t_k - t_{k-1}, so that the probability to
continue at all of them is a nested integral (Armitage, McPherson & Rowe 1969, JRSS A 132:235;
Jennison & Turnbull 2000, "Group Sequential Methods", chapter 19), computed by Gauss-Legendre
quadrature.

O'Brien & Fleming (1979, Biometrics 35:549) require z_k >= C / sqrt(t_k): hardly anything passes at
the first looks, and the last requires little more than a single test.
"""

import math
from collections.abc import Sequence

import numpy as np

from harness.stats.distributions import normal_quantile, normal_tail
from harness.stats.power import Sides
from harness.stats.vectors import Vector, bisect_flip, check_fraction

FARTHEST = 7.0  # standard deviations; beyond them is less than 1e-11
PANEL_SD = 2.0  # width in sds of the smaller adjacent increment: ten nodes integrate it to 1e-9
LEAST_STEP = 0.001  # between two looks, as a share of the items: closer ones take too many nodes
HALVINGS = 32  # of the bisection, which is then as exact as the integrals
Band = tuple[float, float]


def obrien_fleming(
    fractions: Sequence[float], *, alpha: float = 0.05, sides: Sides = "one-sided"
) -> tuple[float, ...]:
    """Compute the critical z of each look, such that all looks together reject with chance alpha.

    Args:
        fractions: Share of the items seen at each look, rising to 1.
        alpha: Chance that a true null hypothesis is rejected at any look.
        sides: Whether z or |z| is compared with the critical value.

    Returns:
        C / sqrt(t_k) for each look. Five even looks, two-sided at .05: 4.562, 3.226, 2.634,
        2.281, 2.040, as published.

    Raises:
        ValueError: If the fractions do not rise to 1, or alpha is not in (0, 1).
    """
    _check_fractions(fractions)
    check_fraction(alpha, name="alpha")

    # The error rate falls as C grows.
    def is_conservative(c: float) -> bool:
        critical = [c / math.sqrt(t) for t in fractions]
        bands = [[(-z if sides == "two-sided" else -math.inf, z)] for z in critical]
        return 1 - survival(fractions, bands)[-1] <= alpha

    c = bisect_flip(is_conservative, low=0.0, high=FARTHEST, halvings=HALVINGS)
    return tuple(c / math.sqrt(t) for t in fractions)


def nominal_levels(critical: Sequence[float]) -> tuple[float, ...]:
    """Return the one-sided level of each look's own test, 1 - Phi(z_k).

    Comparing any test's p-value with it is the significance-level approach (Jennison & Turnbull
    2000, section 3.3), which extends the boundary to t tests, skew-corrected and exact ones.
    """
    return tuple(normal_tail(z) for z in critical)


def survival(
    fractions: Sequence[float], bands: Sequence[Sequence[Band]], *, drift: float = 0.0
) -> tuple[float, ...]:
    """Compute the probability that z was within the bands of every look so far.

    Args:
        fractions: Share of the items seen at each look, rising to 1.
        bands: At each look the disjoint ranges of z with which it continues.
        drift: Mean of z at the last look.

    Raises:
        ValueError: If the fractions do not rise to 1, or a look has no bands.
    """
    _check_fractions(fractions)
    if len(bands) != len(fractions):
        raise ValueError(f"{len(fractions)} looks need as many lists of bands, not {len(bands)}.")
    places, density = np.zeros(1), np.ones(1)  # B, and its density times the quadrature's weights
    chances = []
    steps = np.diff([0.0, *fractions])
    for t, step, next_step, ranges in zip(fractions, steps, [*steps[1:], 1.0], bands, strict=True):
        middle, reach = drift * t, FARTHEST * math.sqrt(t)
        spans = [_clip(band, math.sqrt(t), middle - reach, middle + reach) for band in ranges]
        panel = PANEL_SD * math.sqrt(min(step, next_step))
        nodes, weights = _nodes([span for span in spans if span[0] < span[1]], panel)
        deviations = (nodes[:, None] - places[None, :] - drift * step) / math.sqrt(step)
        density = weights * (np.exp(-(deviations**2) / 2) @ density) / math.sqrt(2 * math.pi * step)
        places = nodes
        chances.append(float(density.sum()))
    return tuple(chances)


def conditional_power(z: float, fraction: float, critical: float) -> float:
    """Compute the probability that z ends above `critical` if the current trend is true.

    With the drift estimated as z / sqrt(t), it is P(Z > (critical - z / sqrt(t)) / sqrt(1 - t))
    (Lan & Wittes 1988, Biometrics 44:579).

    Args:
        z: The statistic after a share `fraction` of the items.
        fraction: In (0, 1).
        critical: The critical value at the last look.

    Raises:
        ValueError: If fraction is not in (0, 1).
    """
    check_fraction(fraction, name="fraction")
    return normal_tail((critical - z / math.sqrt(fraction)) / math.sqrt(1 - fraction))


def futile_below(fraction: float, critical: float, *, power: float) -> float:
    """Find the z below which the conditional power is less than `power`.

    Raises:
        ValueError: If fraction or power is not in (0, 1).
    """
    check_fraction(fraction, name="fraction")
    check_fraction(power, name="power")
    return math.sqrt(fraction) * (critical - normal_quantile(power) * math.sqrt(1 - fraction))


def median_unbiased_z(z: float, fractions: Sequence[float], critical: Sequence[float]) -> float:
    """Find the mean of z at the look that stopped for which a z as large was as likely as not.

    Outcomes are ordered by stage: a crossing at an earlier look is more extreme than any at a later one
    (Tsiatis, Rosner & Mehta 1984, Biometrics 40:797). With the crossings of earlier looks, at which
    |z| reached the critical value, it is the mean m with

        sum over j < k of P(first crosses upwards at j) + P(reaches k, Z_k >= z) = 1/2

    and mirrored for a z below 0. The estimate boundary + m se is above the truth half of the time, where
    boundary + z se, at an early stop, is more often than not. At the first look it is z itself.

    Args:
        z: The statistic at the look at which judging stopped.
        fractions: Share of the items at each look up to that one, rising.
        critical: The critical value of each of these looks.

    Raises:
        ValueError: If the fractions do not rise.
    """
    if z < 0:
        return -median_unbiased_z(-z, fractions, critical)
    last = fractions[-1]

    def as_extreme(mean: float) -> float:
        crossed = [*critical[: len(fractions) - 1], z]
        chance = 0.0
        for number, (t, limit) in enumerate(zip(fractions, crossed, strict=True), start=1):
            bands = [[(-c, c)] for c in critical[: number - 1]]
            so_far = [each / t for each in fractions[:number]]
            reached = survival(
                so_far, [*bands, [(limit, math.inf)]], drift=mean * math.sqrt(t / last)
            )
            chance += reached[-1]
        return chance

    return bisect_flip(lambda mean: as_extreme(mean) >= 0.5, low=-z - 1, high=z + 1, halvings=18)


def _check_fractions(fractions: Sequence[float]) -> None:
    steps = np.diff([0.0, *fractions])
    if not fractions or fractions[-1] != 1 or steps.min() < LEAST_STEP * (1 - 1e-9):
        raise ValueError(
            f"fractions must rise to 1, by {LEAST_STEP} or more each, but they are {tuple(fractions)}."
        )


def _clip(band: Band, scale: float, lowest: float, highest: float) -> Band:
    """Convert a band of z into one of B."""
    return max(band[0] * scale, lowest), min(band[1] * scale, highest)


def _nodes(spans: Sequence[Band], panel: float) -> tuple[Vector, Vector]:
    """Return nodes and weights of Gauss-Legendre quadrature, ten in each panel."""
    x, w = np.polynomial.legendre.leggauss(10)
    places, weights = [np.zeros(0)], [np.zeros(0)]
    for low, high in spans:
        edges = np.linspace(low, high, 1 + math.ceil((high - low) / panel))
        width = edges[1] - edges[0]
        places.append((edges[:-1, None] + width * (x + 1) / 2).ravel())
        weights.append(np.tile(width * w / 2, edges.size - 1))
    return np.concatenate(places), np.concatenate(weights)
