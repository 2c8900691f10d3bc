"""The score of an answer by criteria with points: the points met over the sum of the positive points.

As HealthBench scores an example (Arora et al. 2025, https://arxiv.org/abs/2505.08775): criteria with
negative points subtract where they are met, so that a score is at most 1 and may be below 0. Of criteria
without a verdict the worst is that all with negative points are met, and none with positive points.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class BoundedScore(NamedTuple):
    """A score with the limits that missing verdicts leave; NaN where they differ."""

    score: float
    least: float
    greatest: float


def score_checklist(points: Sequence[float], met: Sequence[float | None]) -> BoundedScore | None:
    """Compute the score of one answer, without limiting it to [0, 1].

    Args:
        points: The points of each criterion, not 0.
        met: 1 where the answer meets it, else 0, None without a verdict; between them for several judges.

    Returns:
        The score; None where no criterion has positive points, so that there is no share of them.
    """
    most = math.fsum(p for p in points if p > 0)
    if most <= 0:
        return None
    known = [p * m for p, m in zip(points, met, strict=True) if m is not None]
    open_points = [p for p, m in zip(points, met, strict=True) if m is None]
    least = math.fsum([*known, *(p for p in open_points if p < 0)]) / most
    greatest = math.fsum([*known, *(p for p in open_points if p > 0)]) / most
    return BoundedScore(math.nan if open_points else least, least, greatest)


def worst_met(points: Sequence[float], met: Sequence[float | None]) -> BoundedScore:
    """Return the points of the worst criterion that the answer meets, 0 if it meets none below 0.

    One that at least half of several judges say is met counts as met.
    """
    greatest = min((p for p, m in zip(points, met, strict=True) if m is not None and m >= 0.5),
                   default=0.0)  # fmt: skip
    greatest = min(greatest, 0.0)
    least = min([greatest, *(p for p, m in zip(points, met, strict=True) if m is None)])
    return BoundedScore(greatest if least == greatest else math.nan, least, greatest)
