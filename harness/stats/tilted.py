"""Tail chances of a sum of very many coin flips, without going through every sum.

Sizes k, each there n_k times, join S with chance one half. The characteristic function of S is a
product over the few distinct sizes, so that a Fourier transform gives the chances of all sums. It
gives them to 16 digits of the largest, though, and a tail lies far below it. So S is tilted first:
with chances p_k = 1 / (1 + exp(-theta k)) the sum in question becomes the most likely one
(exponential tilting, Esscher 1932; with a Fourier transform, Keich 2005, "sFFT",
https://doi.org/10.1089/cmb.2005.12.416), and

    P(S >= s) = exp(K(theta) - theta s) * sum over j >= 0 of P_theta(S = s + j) exp(-theta j)

with K(theta) the sum of n_k log((1 + exp(theta k)) / 2). By Hoeffding's inequality P_theta lies
within a few times sqrt(sum k^2) of its mean, and a transform as long as that is enough.
"""

import math

import numpy as np
from numpy.typing import NDArray

from harness.stats.shapes import Vector

LOST = 1e-20
"""Chance of a sum outside the window that the transform covers."""

STEEPEST = 60.0
"""theta times the smallest size, at most: beyond it no chance differs from 1 in 16 digits."""


def window_of(sizes: NDArray[np.int64]) -> int:
    """How long the transform is: the sums, side by side, that hold all but `LOST` of the chance."""
    reach = math.sqrt(float((sizes.astype(np.float64) ** 2).sum()) * math.log(2 / LOST) / 2)
    return int(min(2 * math.ceil(reach) + 2, int(sizes.sum()) + 1))


def tail_chance(sizes: NDArray[np.int64], least: int) -> float:
    """P(S >= least), where each of the positive `sizes` joins S with chance one half.

    Exact but for rounding (about ten digits), however small it is.
    """
    total = int(sizes.sum())
    if least <= 0:
        return 1.0
    if least > total:
        return 0.0
    if 2 * least <= total:  # S and total - S have the same distribution
        return 1.0 - tail_chance(sizes, total - least + 1)
    distinct, counts = np.unique(sizes, return_counts=True)
    theta = _tilt_to(least, distinct, counts)
    length = window_of(sizes)
    chances = _tilted_chances(distinct, counts, theta, length)
    j = np.arange(min((length + 1) // 2 + 1, total - least + 1))
    beyond = float((chances[(least + j) % length] * np.exp(-theta * j)).sum())
    halves = np.logaddexp(0.0, theta * distinct) - math.log(2)
    return math.exp(float((counts * halves).sum()) - theta * least) * beyond


def _tilt_to(wanted: int, distinct: NDArray[np.int64], counts: NDArray[np.int64]) -> float:
    """The theta under which the mean of S is the wanted sum, by bisection."""
    low, high = 0.0, STEEPEST / int(distinct[0])
    for _ in range(100):
        theta = (low + high) / 2
        if float((counts * distinct * _joins(distinct, theta)).sum()) < wanted:
            low = theta
        else:
            high = theta
    return (low + high) / 2


def _joins(distinct: NDArray[np.int64], theta: float) -> Vector:
    chances: Vector = 1 / (1 + np.exp(-theta * distinct))
    return chances


def _tilted_chances(
    distinct: NDArray[np.int64], counts: NDArray[np.int64], theta: float, length: int
) -> Vector:
    """P_theta(S = s) at the place s modulo `length`."""
    angles = 2 * np.pi * np.arange(length // 2 + 1) / length
    function = np.ones(angles.size, dtype=np.complex128)
    for size, count, joins in zip(
        distinct.tolist(), counts.tolist(), _joins(distinct, theta).tolist(), strict=True
    ):
        function *= (1 - joins + joins * np.exp(-1j * angles * size)) ** count
    chances: Vector = np.fft.irfft(function, n=length)
    return np.maximum(chances, 0.0)
