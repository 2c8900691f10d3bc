"""Two models' scores on the same items: what every comparison and every claim is computed from."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.config.metrics import ScoreKind
from harness.scoring.columns import Clusters, GradeColumn, PreferenceColumn, ScoreColumn
from harness.stats.annotator_means import Votes
from harness.stats.vectors import Vector, effective_clusters
from harness.types import Plan

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
    kind: ScoreKind
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


Mask = NDArray[np.bool]


def pair_scores(column: ScoreColumn, baseline: str) -> list[PairedScores]:
    """The differences of one column, for every candidate that it has scores of."""
    if isinstance(column, PreferenceColumn):
        return [_pair_preferences(column)]
    return [_pair_grades(column, baseline, model) for model in column.scores if model != baseline]


def gated_pairs(columns: Iterable[ScoreColumn], plan: Plan) -> dict[str, PairedScores]:
    """The candidate's scores against the baseline's by column: what the gate decides on."""
    pairs = (pair for column in columns for pair in pair_scores(column, plan.baseline))
    return {pair.metric: pair for pair in pairs if (pair.baseline, pair.candidate) == plan.gated}


# --- pairing ---------------------------------------------------------------------------------


def _pair_grades(column: GradeColumn, baseline: str, candidate: str) -> PairedScores:
    old, new = column.scores[baseline], column.scores[candidate]
    return PairedScores(
        metric=column.metric,
        kind=column.kind,
        baseline=baseline,
        candidate=candidate,
        sample_ids=column.sample_ids,
        clusters=column.clusters,
        d=new - old,
        least=np.where(np.isnan(new), column.low, new) - np.where(np.isnan(old), column.high, old),
        greatest=np.where(np.isnan(new), column.high, new)
        - np.where(np.isnan(old), column.low, old),
        bounds=(column.low - column.high, column.high - column.low),
        baseline_scores=old,
        candidate_scores=new,
        score_bounds=(column.low, column.high),
        null=0.0,
        votes=None if column.votes is None else column.votes[candidate] - column.votes[baseline],
        own_votes=None if column.votes is None else column.votes[candidate],
    )


def _pair_preferences(column: PreferenceColumn) -> PairedScores:
    orders = np.array([column.by_order[order] for order in column.orders])
    wins = orders.mean(axis=0)
    return PairedScores(
        metric=column.metric,
        kind="preference",
        baseline=column.baseline,
        candidate=column.candidate,
        sample_ids=column.sample_ids,
        clusters=column.clusters,
        d=wins - 0.5,
        least=np.where(np.isnan(orders), 0.0, orders).mean(axis=0) - 0.5,
        greatest=np.where(np.isnan(orders), 1.0, orders).mean(axis=0) - 0.5,
        bounds=(-0.5, 0.5),
        baseline_scores=1 - wins,
        candidate_scores=wins,
        score_bounds=(0.0, 1.0),
        null=0.5,
        votes=None if column.votes is None else column.votes - 0.5,
    )


def _at(clusters: Clusters, chosen: Mask) -> Clusters:
    return None if clusters is None else clusters[chosen]
