"""Two models' scores on the same items: what every comparison and every claim is computed from."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.stats import Vector, Votes, effective_clusters

Clusters = NDArray[np.str_ | np.int64] | None  # a label for each item
ROUNDING = 1e-9


@dataclass(frozen=True)
class PairedScores:
    """What one comparison is computed from; vectors are in the order of the items.

    `d` is the candidate's score less the baseline's (for preferences: the win score less 0.5),
    NaN where it is missing; `least` and `greatest` bound it there. `candidate_scores` and their
    bounds serve claims about the candidate alone. `votes` are people's differences, items x
    annotators, whose means over annotators are `d`; `own_votes` are those of the candidate's scores.
    """

    metric: str
    kind: Literal["points", "share", "preference"]
    baseline: str
    candidate: str
    sample_ids: tuple[str, ...]
    clusters: Clusters
    d: Vector
    least: Vector
    greatest: Vector
    bounds: tuple[float, float]
    baseline_scores: Vector
    candidate_scores: Vector
    score_bounds: tuple[float, float]
    null: float
    votes: Votes | None = None
    own_votes: Votes | None = None

    @property
    def missing(self) -> int:
        """Items without a difference."""
        return int(np.isnan(self.d).sum())


def independent_units(n: int, clusters: Clusters) -> int:
    """How much independent evidence n items are: n, or as many clusters of one size as tell the same.

    A cluster that holds most of the items is most of the evidence, however many others there are.
    """
    if clusters is None:
        return n
    sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return math.floor(effective_clusters(sizes) + ROUNDING)


def take_items(pair: PairedScores, chosen: NDArray[np.bool]) -> PairedScores:
    """The same comparison on the chosen items alone."""
    return replace(
        pair,
        sample_ids=tuple(pair.sample_ids[i] for i in np.flatnonzero(chosen)),
        clusters=None if pair.clusters is None else pair.clusters[chosen],
        d=pair.d[chosen],
        least=pair.least[chosen],
        greatest=pair.greatest[chosen],
        baseline_scores=pair.baseline_scores[chosen],
        candidate_scores=pair.candidate_scores[chosen],
        votes=None if pair.votes is None else pair.votes[chosen],
        own_votes=None if pair.own_votes is None else pair.own_votes[chosen],
    )


def fill_gaps(pair: PairedScores, *, adverse: bool) -> PairedScores:
    """The same comparison with every gap at its worst, or its best, for the candidate."""
    filling = pair.least if adverse else pair.greatest
    d = np.where(np.isnan(pair.d), filling, pair.d)
    if pair.votes is not None:
        pair = replace(pair, votes=fill_votes(pair.votes, filling))
    if pair.kind == "preference":
        return replace(pair, d=d, baseline_scores=0.5 - d, candidate_scores=0.5 + d)
    low, high = pair.score_bounds if adverse else pair.score_bounds[::-1]
    old, new = pair.baseline_scores, pair.candidate_scores
    return replace(
        pair,
        d=d,
        baseline_scores=np.where(np.isnan(old), high, old),
        candidate_scores=np.where(np.isnan(new), low, new),
    )


def fill_votes(votes: Votes, filling: Vector) -> Votes:
    """The votes, where nobody voted on an item with its filling from everybody."""
    nobody = np.asarray(np.isnan(votes).all(axis=1))
    return np.where(nobody[:, None], filling[:, None], votes)
