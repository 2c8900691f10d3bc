"""Paired scores and columns made of plain numbers."""

from collections.abc import Sequence

import numpy as np

from harness.scoring.columns import GradeColumn, PreferenceColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.types import Response

NAN = float("nan")


def grade_column(
    baseline: Sequence[float],
    candidate: Sequence[float],
    *,
    share: bool = False,
    clusters: Sequence[str] | None = None,
    metric: str = "m",
) -> GradeColumn:
    n = len(baseline)
    return GradeColumn(
        metric=metric,
        kind="share" if share else "points",
        low=0.0 if share else 1.0,
        high=1.0 if share else 10.0,
        sample_ids=tuple(f"q{i:04d}" for i in range(n)),
        clusters=None if clusters is None else np.array(clusters),
        scores={"a": np.array(baseline, dtype=float), "b": np.array(candidate, dtype=float)},
        reasons={"a": [None] * n, "b": [None] * n},
        generation_failed={"a": 0, "b": 0},
    )


def grades(
    baseline: Sequence[float],
    candidate: Sequence[float],
    *,
    share: bool = False,
    clusters: Sequence[str] | None = None,
    metric: str = "m",
) -> PairedScores:
    column = grade_column(baseline, candidate, share=share, clusters=clusters, metric=metric)
    return pair_scores(column, "a")[0]


def win_column(
    first: Sequence[float],
    second: Sequence[float],
    *,
    baseline: str = "a",
    candidate: str = "b",
) -> PreferenceColumn:
    """The candidate's scores with the baseline shown first, and with itself shown first."""
    n = len(first)
    return PreferenceColumn(
        metric="wins",
        baseline=baseline,
        candidate=candidate,
        sample_ids=tuple(f"q{i:04d}" for i in range(n)),
        clusters=None,
        by_order={
            "baseline_first": np.array(first, dtype=float),
            "candidate_first": np.array(second, dtype=float),
        },
        reasons=[None] * n,
        generation_failed=0,
    )


def wins(
    first: Sequence[float], second: Sequence[float], *, baseline: str = "a", candidate: str = "b"
) -> PairedScores:
    column = win_column(first, second, baseline=baseline, candidate=candidate)
    return pair_scores(column, baseline)[0]


def answers(
    pair: PairedScores, lengths: dict[str, Sequence[int]]
) -> dict[str, dict[str, Response]]:
    """Answers of so many characters, by model."""
    return {
        model: {
            item: Response(sample_id=item, model=model, text="x" * n, finish="stop")
            for item, n in zip(pair.sample_ids, counts, strict=True)
        }
        for model, counts in lengths.items()
    }
