"""Bootstrap over items, for estimates whose standard error has no short formula."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.stats.means import ROUNDING
from harness.stats.vectors import Vector, check_fraction

Matrix = NDArray[np.float64]

# Numbers in one array at once; blocks that fit the processor's cache are twice as fast.
CELLS_AT_ONCE = 200_000

# Share of resamples without an estimate up to which an interval is still given.
LARGEST_UNDEFINED_SHARE = 0.05


class Resampled(NamedTuple):
    """The spread of the estimate over resamples.

    Attributes:
        se: Its standard deviation; 0 when every resample gives the same, NaN without any.
        ci_low: Lower end of the percentile interval. NaN when every resample gives the same
            (a sample without variation does not prove that there is none), or when more than one in
            twenty resamples gave no estimate.
        ci_high: Upper end, likewise.
    """

    se: float
    ci_low: float
    ci_high: float


def resample(
    estimate: Callable[[Matrix], Vector],
    copies: NDArray[np.int64],
    *,
    confidence: float,
    resamples: int,
    seed: int,
    width: int,
) -> Resampled:
    """Compute the bootstrap standard error and percentile interval of `estimate`.

    Efron & Tibshirani 1993, chapter 13.

    Args:
        estimate: Returns one estimate for each row of its argument, NaN where there is none. A row
            counts how often each unit was drawn.
        copies: The number of items that equal each unit; all ones if the units are the items.
        confidence: Coverage of the interval.
        resamples: Number of resamples.
        seed: Of the resamples.
        width: The largest number of values that `estimate` keeps in one array for one resample.

    Raises:
        ValueError: If resamples is below 1, or confidence is not in (0, 1).
    """
    check_fraction(confidence, name="confidence")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, but it is {resamples}.")
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(copies.size), copies)
    # Draw in blocks, so that memory stays bounded.
    rows = max(1, CELLS_AT_ONCE // max(width, units.size))
    blocks = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    estimates = np.concatenate([estimate(_draw(rng, units, copies.size, size)) for size in blocks])
    # Summarise the resamples that have an estimate.
    defined = estimates[~np.isnan(estimates)]
    if defined.size == 0:
        return Resampled(math.nan, math.nan, math.nan)
    se = float(defined.std())
    if se <= ROUNDING:
        return Resampled(0.0, math.nan, math.nan)
    if defined.size < (1 - LARGEST_UNDEFINED_SHARE) * resamples:
        return Resampled(se, math.nan, math.nan)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Resampled(se, float(low), float(high))


def _draw(rng: np.random.Generator, units: NDArray[np.intp], n_units: int, size: int) -> Matrix:
    picked = units[rng.integers(units.size, size=(size, units.size))]
    picked += n_units * np.arange(size)[:, None]
    counts = np.bincount(picked.ravel(), minlength=size * n_units)
    return counts.reshape(size, n_units).astype(np.float64)
