"""Types and helpers shared by the statistics: vectors, cluster sums, intervals."""

from bisect import bisect_left
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]

HALVINGS = 60  # of a bisection: more than the digits of a float


class Interval(NamedTuple):
    """A confidence interval, in the units of its estimate."""

    low: float
    high: float


def as_vector(values: ArrayLike, *, name: str) -> Vector:
    """Convert values to a one-dimensional float vector.

    Raises:
        ValueError: If the values are not one-dimensional, are empty, or hold a NaN or infinity.
            Nothing is dropped: missing items are to be filled by `fill_missing`.
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, but its shape is {vector.shape}.")
    if vector.size == 0:
        raise ValueError(f"{name} is empty. At least one item is needed.")
    not_finite = int((~np.isfinite(vector)).sum())
    if not_finite:
        raise ValueError(
            f"{name} holds {not_finite} missing or infinite values. Fill them with fill_missing."
        )
    return vector


def cluster_sums(d: Vector, clusters: ArrayLike | None) -> Vector:
    """Sum each cluster, in order of label; `d` itself when every item is its own cluster.

    Raises:
        ValueError: If there is not exactly one label for each item.
    """
    if clusters is None:
        return d
    return np.asarray(np.bincount(_cluster_index(d, clusters), weights=d), dtype=np.float64)


def cluster_sizes(d: Vector, clusters: ArrayLike | None) -> Vector:
    """Count the items of each cluster, in the order of `cluster_sums`."""
    if clusters is None:
        return np.ones(d.size)
    return np.bincount(_cluster_index(d, clusters)).astype(np.float64)


def effective_clusters(sizes: Vector) -> float:
    """Compute the number of equal clusters with the same information: n^2 / sum n_c^2.

    Kish 1965, section 8.2.

    It equals the number of clusters if all have the same size. If the items of a cluster are equal,
    the mean has the variance of that many items; if they are independent, it is one more than the
    degrees of freedom of Bell and McCaffrey (2002, Survey Methodology 28:169).
    """
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def expit(log_odds: Vector) -> Vector:
    """Return the probabilities of log odds: 1 / (1 + exp(-x))."""
    chances: Vector = 1 / (1 + np.exp(-log_odds))
    return chances


def check_fraction(value: float, *, name: str) -> float:
    """Return the value if it is strictly between 0 and 1.

    Raises:
        ValueError: If it is not.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, but it is {value}.")
    return value


def _cluster_index(d: Vector, clusters: ArrayLike) -> NDArray[np.intp]:
    labels = np.asarray(clusters)
    if labels.shape != d.shape:
        raise ValueError(
            f"clusters needs one label for each of the {d.size} items; its shape is {labels.shape}."
        )
    return np.unique(labels, return_inverse=True)[1]


def bisect_flip(
    decide: Callable[[float], bool], *, low: float, high: float, halvings: int = HALVINGS
) -> float:
    """Find the smallest value in [low, high] at which `decide` differs from its value at `low`.

    `decide` may change its value once. If it never does, the result is `high`.
    """
    at_low = decide(low)
    for _ in range(halvings):
        middle = (low + high) / 2
        if decide(middle) == at_low:
            low = middle
        else:
            high = middle
    return high


def first_true(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Find the first number from `low` on at which `holds`, as it does from some number on; at most `high`."""
    return low + bisect_left(range(low, high), True, key=holds)
