"""Paired scores and claims about them."""

import numpy as np
from hypothesis import strategies as st

from harness.config import Claim
from harness.scoring.columns import GradeColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.stats.vectors import Vector

NAN = float("nan")
Scores = list[float] | Vector


def points(d: Scores, *, clusters: list[str] | None = None) -> PairedScores:
    """Differences on a scale from 1 to 10, around a baseline of 5.5; NaN is a lost judgement."""
    values = np.asarray(d, dtype=np.float64)
    return _pair(np.full(values.size, 5.5), 5.5 + values, 1.0, 10.0, clusters)


def _pair(
    old: Vector, new: Vector, low: float, high: float, clusters: list[str] | None
) -> PairedScores:
    column = GradeColumn(
        metric="m",
        kind="points" if high > 1 else "share",
        low=low,
        high=high,
        sample_ids=tuple(map(str, range(old.size))),
        clusters=None if clusters is None else np.array(clusters),
        scores={"a": old.astype(np.float64), "b": new.astype(np.float64)},
        reasons={"a": [None] * old.size, "b": [None] * old.size},
        generation_failed={"a": 0, "b": 0},
    )
    return pair_scores(column, "a")[0]


def claim_of(kind: str, **options: float) -> Claim:
    return Claim.model_validate({"metric": "m", "claim": kind, **options})


def spread(n: int, mean: float = 0.0, *, seed: int = 0) -> Vector:
    """Differences of standard deviation 1 with exactly this mean."""
    d = np.random.default_rng(seed).normal(0, 1, n)
    return np.clip((d - d.mean()) / d.std(ddof=1) + mean, -4.5, 4.5)


values = st.one_of(st.integers(-4, 4).map(float), st.just(NAN))
