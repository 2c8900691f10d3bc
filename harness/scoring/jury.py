"""The scores of a jury that is read as a sample of judges: the mean over judges, with every judge's own.

The gate takes its two-way bound over items and judges from them, as it does of people's votes. A judge that could
not read one of an item's answers has no vote on that item, since the difference of the models would else hold how
strict that judge is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.scoring.columns import (
    GradeColumn,
    Limits,
    PreferenceColumn,
    ScoreColumn,
    score_judgements,
)
from harness.scoring.human import reasons_of_gaps
from harness.scoring.paired import Mask
from harness.scoring.reduce import group_by_judge, reduce_rounds
from harness.stats.annotator_means import Votes, mean_votes
from harness.stats.vectors import Vector
from harness.types import ORDERS, Order, Task
from harness.types.judgements import JudgeRound, MissingReason
from harness.types.samples import Responses


def score_jurors(
    task: Task,
    metric: str,
    judge_rounds: Sequence[JudgeRound],
    votes_needed: int,
    responses: Mapping[str, Responses],
) -> list[ScoreColumn]:
    """Return the columns of one metric with each judge's scores.

    An item has a score where at least `votes_needed` judges have one of it, for every model.
    """
    shares = task.metrics[metric].score_kind == "share"
    by_judge = [
        score_judgements(task, metric, reduce_rounds(rounds, shares=shares), responses)
        for rounds in group_by_judge(judge_rounds).values()
    ]
    return [_join_judges(same, votes_needed) for same in zip(*by_judge, strict=True)]


def _join_judges(columns: Sequence[ScoreColumn], votes_needed: int) -> ScoreColumn:
    grades = [column for column in columns if isinstance(column, GradeColumn)]
    if grades:
        return _join_grades(grades, votes_needed)
    return _join_preferences([c for c in columns if isinstance(c, PreferenceColumn)], votes_needed)


def _join_grades(columns: Sequence[GradeColumn], votes_needed: int) -> GradeColumn:
    first = columns[0]
    by_model = {model: np.array([c.scores[model] for c in columns]).T for model in first.scores}
    lacking = np.any([np.isnan(scores) for scores in by_model.values()], axis=0)
    votes = {model: _enough(scores, lacking, votes_needed) for model, scores in by_model.items()}
    scores = {model: mean_votes(of_model) for model, of_model in votes.items()}
    reasons = {
        model: _reasons(scores[model], [c.reasons[model] for c in columns]) for model in scores
    }
    limits = first.limits and {model: _mean_limits(columns, model) for model in scores}
    # The mean of several judges' yes and no is between 0 and 1: points, not a share.
    return replace(first, kind="points", scores=scores, reasons=reasons, votes=votes, limits=limits)


def _mean_limits(columns: Sequence[GradeColumn], model: str) -> Limits:
    least, greatest = zip(*(column.limits_of(model) for column in columns), strict=True)
    return np.mean(least, axis=0), np.mean(greatest, axis=0)


def _join_preferences(columns: Sequence[PreferenceColumn], votes_needed: int) -> PreferenceColumn:
    first = columns[0]
    votes = np.array([_wins(column) for column in columns]).T
    votes = _enough(votes, np.isnan(votes), votes_needed)
    orders = tuple(order for order in ORDERS if any(order in c.orders for c in columns))
    by_order: dict[Order, Vector] = {o: np.full(len(first.sample_ids), np.nan) for o in ORDERS}
    for order in orders:
        # A judge that was asked in one order alone has the same score in both.
        scores = [c.by_order[order] if order in c.orders else _wins(c) for c in columns]
        by_order[order] = mean_votes(np.where(np.isnan(votes), np.nan, np.array(scores).T))
    return replace(
        first,
        by_order=by_order,
        asked_orders=orders,
        order_reasons={},
        reasons=_reasons(mean_votes(votes), [c.reasons for c in columns]),
        votes=votes,
    )


def _wins(column: PreferenceColumn) -> Vector:
    """Return one judge's win scores, over the orders in which it was asked."""
    wins: Vector = np.mean([column.by_order[order] for order in column.orders], axis=0)
    return wins


def _enough(scores: Votes, lacking: Mask, votes_needed: int) -> Votes:
    """Leave out the judges that lack a score of an item, and items with too few judges left."""
    few = (~lacking).sum(axis=1) < votes_needed
    return np.where(lacking | few[:, None], np.nan, scores)


def _reasons(mean: Vector, reasons: Sequence[Sequence[str | None]]) -> list[str | None]:
    return reasons_of_gaps(mean, reasons, MissingReason.TOO_FEW_VOTES)
