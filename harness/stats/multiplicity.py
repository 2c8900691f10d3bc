"""Adjusted p-values for a family of tests declared beforehand.

Gates that must all pass need no correction (an intersection-union test). A claim that any one of
several outcomes improved needs Holm. Exploratory comparisons use Benjamini-Hochberg.
"""

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.vectors import Vector, as_vector


def holm(p_values: ArrayLike) -> Vector:
    """Adjust p-values by Holm's method, in the order given, to control the familywise error.

    Holm 1979, Scandinavian Journal of Statistics 6:65.

    Raises:
        ValueError: If there are no p-values, or one is not in [0, 1].
    """
    p = _as_p_values(p_values)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _restore(stepped, order)


def benjamini_hochberg(p_values: ArrayLike) -> Vector:
    """Adjust p-values by Benjamini and Hochberg's method, to control the false discovery rate.

    Benjamini & Hochberg 1995, JRSS B 57:289.

    Raises:
        ValueError: If there are no p-values, or one is not in [0, 1].
    """
    p = _as_p_values(p_values)
    order = np.argsort(p)[::-1]
    stepped = np.minimum.accumulate(p[order] * p.size / np.arange(p.size, 0, -1))
    return _restore(stepped, order)


def _as_p_values(p_values: ArrayLike) -> Vector:
    p = as_vector(p_values, name="p_values")
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"p_values must lie in [0, 1], but they run from {p.min()} to {p.max()}.")
    return p


def _restore(stepped: Vector, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Vector:
    adjusted = np.empty_like(stepped)
    adjusted[order] = stepped.clip(max=1)
    return adjusted
