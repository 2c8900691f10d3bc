"""Paired scores: two models on the same items, the input of every comparison and claim."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from harness.config.metric_base import ScoreKind
from harness.scoring.columns import (
    Clusters,
    GradeColumn,
    Limits,
    PreferenceColumn,
    ScoreColumn,
    Seeds,
)
from harness.stats.annotator_means import Votes
from harness.stats.vectors import Vector, effective_clusters
from harness.types import Plan

Mask = NDArray[np.bool]  # the chosen items
ROUNDING = 1e-9


@dataclass(frozen=True)
class PairedScores:
    """The scores of one comparison; vectors are in the order of the items.

    `d` is the candidate's score less the baseline's (for preferences: the win score less 0.5),
    NaN where it is missing; `least` and `greatest` bound it there. `candidate_scores` and their
    bounds serve claims about the candidate alone; `own_limits` bound the missing ones, or else
    `score_bounds` do. `votes` are differences by annotator, items x
    annotators, whose means over annotators are `d`; `own_votes` are those of the candidate's scores.
    `seeds` are the training seeds behind the differences, where a model has several, and `own_seeds`
    those behind the candidate's scores. Of a model alone `d` are its scores, and no baseline has any.
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
    own_limits: Limits | None = None
    seeds: Seeds | None = None
    own_seeds: Seeds | None = None

    @property
    def own_ends(self) -> tuple[Vector, Vector]:
        """Return the least and the greatest score that the candidate may have on each item."""
        if self.own_limits is not None:
            return self.own_limits
        scores, gaps = self.candidate_scores, np.isnan(self.candidate_scores)
        low, high = self.score_bounds
        return np.where(gaps, low, scores), np.where(gaps, high, scores)

    @property
    def alone(self) -> bool:
        """Return whether these are one model's own scores, compared with nothing."""
        return self.baseline == self.candidate

    @property
    def missing(self) -> int:
        """Return the number of items without a difference."""
        return int(np.isnan(self.d).sum())


def independent_units(n: int, clusters: Clusters) -> int:
    """Return the number of independent units among n items.

    It is n, or the number of equal clusters with the same information: a cluster with most of the
    items holds most of the information, however many others there are.
    """
    if clusters is None:
        return n
    sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return math.floor(effective_clusters(sizes) + ROUNDING)


def take_clusters(clusters: Clusters, chosen: Mask) -> Clusters:
    """Return the cluster labels of the chosen items; None where items have none."""
    return None if clusters is None else clusters[chosen]


def take_items(pair: PairedScores, chosen: Mask) -> PairedScores:
    """Return the comparison on the chosen items alone."""
    return replace(
        pair,
        sample_ids=tuple(compress(pair.sample_ids, chosen.tolist())),
        clusters=take_clusters(pair.clusters, chosen),
        d=pair.d[chosen],
        least=pair.least[chosen],
        greatest=pair.greatest[chosen],
        baseline_scores=pair.baseline_scores[chosen],
        candidate_scores=pair.candidate_scores[chosen],
        votes=None if pair.votes is None else pair.votes[chosen],
        own_votes=None if pair.own_votes is None else pair.own_votes[chosen],
        own_limits=pair.own_limits and (pair.own_limits[0][chosen], pair.own_limits[1][chosen]),
        seeds=None if pair.seeds is None else pair.seeds[chosen],
        own_seeds=None if pair.own_seeds is None else pair.own_seeds[chosen],
    )


def votes_by_seed(values: Vector, seeds: Seeds) -> Votes:
    """Return values as votes, items' copies x seeds: each in its seed's column, NaN in the others."""
    labels, columns = np.unique(seeds, return_inverse=True)
    votes = np.full((values.size, labels.size), np.nan)
    votes[np.arange(values.size), columns] = values
    return votes


def fill_gaps(pair: PairedScores, *, adverse: bool) -> PairedScores:
    """Return the comparison with every gap at its worst, or its best, for the candidate."""
    filling = pair.least if adverse else pair.greatest
    d = np.where(np.isnan(pair.d), filling, pair.d)
    if pair.votes is not None:
        pair = replace(pair, votes=fill_votes(pair.votes, filling))
    if pair.kind == "preference":
        return replace(pair, d=d, baseline_scores=0.5 - d, candidate_scores=0.5 + d)
    old, new = pair.baseline_scores, pair.own_ends[0 if adverse else 1]
    high = pair.score_bounds[1 if adverse else 0]
    return replace(
        pair, d=d, baseline_scores=np.where(np.isnan(old), high, old), candidate_scores=new
    )


def fill_votes(votes: Votes, filling: Vector) -> Votes:
    """Return the votes, with the item's filling from every annotator where nobody voted."""
    without_votes = np.asarray(np.isnan(votes).all(axis=1))
    return np.where(without_votes[:, None], filling[:, None], votes)


def pair_scores(column: ScoreColumn, baseline: str) -> list[PairedScores]:
    """Return the paired scores of one column, for every candidate in it.

    The scores of a model alone are paired with nothing.
    """
    if isinstance(column, PreferenceColumn):
        return [_pair_preferences(column)]
    if list(column.scores) == [baseline]:
        return [_own_scores(column, baseline)]
    return [_pair_grades(column, baseline, model) for model in column.scores if model != baseline]


def gated_pairs(columns: Iterable[ScoreColumn], plan: Plan) -> dict[str, PairedScores]:
    """Return the candidate's scores against the baseline's by column, as the gate decides on them."""
    pairs = (pair for column in columns for pair in pair_scores(column, plan.baseline))
    return {pair.metric: pair for pair in pairs if (pair.baseline, pair.candidate) == plan.gated}


# --- pairing ---------------------------------------------------------------------------------


def _pair_grades(column: GradeColumn, baseline: str, candidate: str) -> PairedScores:
    old, new = column.scores[baseline], column.scores[candidate]
    (old_least, old_greatest) = column.limits_of(baseline)
    (new_least, new_greatest) = column.limits_of(candidate)
    return PairedScores(
        metric=column.metric,
        kind=column.kind,
        baseline=baseline,
        candidate=candidate,
        sample_ids=column.sample_ids,
        clusters=column.clusters,
        d=new - old,
        least=new_least - old_greatest,
        greatest=new_greatest - old_least,
        bounds=(column.low - column.high, column.high - column.low),
        baseline_scores=old,
        candidate_scores=new,
        score_bounds=(column.low, column.high),
        null=0.0,
        votes=None if column.votes is None else column.votes[candidate] - column.votes[baseline],
        own_votes=None if column.votes is None else column.votes[candidate],
        own_limits=None if column.limits is None else column.limits[candidate],
        seeds=column.seeds.get(candidate, column.seeds.get(baseline)),
        own_seeds=column.seeds.get(candidate),
    )


def _own_scores(column: GradeColumn, model: str) -> PairedScores:
    scores, (least, greatest) = column.scores[model], column.limits_of(model)
    votes = None if column.votes is None else column.votes[model]
    return PairedScores(
        metric=column.metric,
        kind=column.kind,
        baseline=model,
        candidate=model,
        sample_ids=column.sample_ids,
        clusters=column.clusters,
        d=scores,
        least=least,
        greatest=greatest,
        bounds=(column.low, column.high),
        baseline_scores=np.full_like(scores, np.nan),
        candidate_scores=scores,
        score_bounds=(column.low, column.high),
        null=0.0,
        votes=votes,
        own_votes=votes,
        own_limits=None if column.limits is None else column.limits[model],
        seeds=column.seeds.get(model),
        own_seeds=column.seeds.get(model),
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
        seeds=column.seeds,
        own_seeds=column.seeds,
    )
