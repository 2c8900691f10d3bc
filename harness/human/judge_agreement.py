"""Agreement of a judge with human labels, and biases of the judge relative to people."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.analysis.judge_reliability import Ratings, Scale, as_interval, rater_agreement
from harness.artifacts.answers import AnsweredItems
from harness.config import ScoreKind
from harness.human.label_join import LabelledColumn
from harness.scoring.columns import WIN
from harness.stats.agreement import percent_agreement
from harness.stats.annotator_means import mean_votes
from harness.stats.means import mean_difference, slope
from harness.stats.vectors import Vector
from harness.types import Bias, Interval, JudgeAgainstPeople, OrderAgreement


def judge_agreement(
    column: LabelledColumn, texts: Mapping[str, AnsweredItems], models: tuple[str, str]
) -> JudgeAgainstPeople:
    """Compare one column's judge with people; `texts` are the answers by task, for their lengths."""
    scored = ~np.isnan(column.judged)
    common = common_labels(column.labels, column.kind)
    judged = _to_labels(column.judged, column.kind)
    both = scored & ~np.isnan(common)

    # The judge against the annotators' common label, and annotators against each other.
    agreement = rater_agreement(
        column.scale, (column.judge, "people"), np.array([judged, common])[:, both]
    )
    several = int((~np.isnan(column.labels)).any(axis=0).sum()) > 1
    names = tuple(f"annotator {j + 1}" for j in range(column.labels.shape[1]))
    percent = agreement.percent
    return JudgeAgainstPeople(
        column=column.scale.column,
        judge=column.judge,
        n=int(both.sum()),
        unscored=int((~scored).sum()),
        percent=percent,
        kappa=agreement.kappa or _perfect_agreement(percent, chance_of_kappa(common[both])),
        ac1=agreement.ac1 or _perfect_agreement(percent, chance_of_ac1(common[both], column.scale)),
        single=_single_annotator_agreement(judged, column.labels, scored) if several else None,
        between=rater_agreement(column.scale, names, column.labels.T) if several else None,
        categories=tuple(_category(value, column.kind) for value in column.scale.values),
        confusion=_confusion(common[both], judged[both], column.scale.values),
        biases=tuple(_biases(column, _answer_lengths(texts), models)),
        orders=tuple(_order_agreement(column, common)),
        slope=_slope(column),
    )


def common_labels(labels: Ratings, kind: ScoreKind) -> Vector:
    """Return the annotators' common label of each subject.

    It is NaN for a subject without a label, and for a yes/no question on which they are split.
    """
    common = _to_labels(mean_votes(labels), kind)
    return np.where(common == 0.5, np.nan, common) if kind == "share" else common


def chance_of_kappa(labels: Vector) -> float:
    """Return the chance agreement of Cohen's kappa for two raters with this share of each label."""
    shares = np.unique(labels, return_counts=True)[1] / max(labels.size, 1)
    return float((shares**2).sum())


def chance_of_ac1(labels: Vector, scale: Scale) -> float:
    """Return the chance agreement of Gwet's AC1 for two raters with this share of each label."""
    shares = np.unique(labels, return_counts=True)[1] / max(labels.size, 1)
    return float((shares * (1 - shares)).sum()) / (len(scale.values) - 1)


def t_interval(values: Vector, low: float = -math.inf, high: float = math.inf) -> Interval | None:
    """Return the mean with its 95 % t interval, cut at the bounds; None if it has no interval."""
    mean = mean_difference(values)
    if not math.isfinite(mean.ci_low):
        return None
    return Interval(estimate=mean.estimate, low=max(low, mean.ci_low), high=min(high, mean.ci_high))


# --- agreement -------------------------------------------------------------------------------


def _perfect_agreement(percent: Interval | None, chance: float) -> Interval | None:
    """Return the interval of a coefficient where all verdicts are equal and its standard error is 0.

    Its lower end is (l - c) / (1 - c), with l the lower end of the share of equal verdicts
    (Wilson's) and c the chance agreement. It is None where a single label was given: then chance
    explains all agreement.
    """
    if percent is None or percent.estimate < 1 or chance >= 1:
        return None
    return Interval(estimate=1.0, low=(percent.low - chance) / (1 - chance), high=1.0)


def _to_labels(scores: Vector, kind: ScoreKind) -> Vector:
    """Turn scores into labels: the nearest whole number, or 0, 0.5 or 1 by the side of a half."""
    if kind == "points":
        return np.asarray(np.rint(scores))
    return np.asarray((np.sign(scores - 0.5) + 1) / 2)


def _single_annotator_agreement(
    judged: Vector, labels: Ratings, scored: NDArray[np.bool_]
) -> Interval | None:
    """Return how often one annotator agrees with the judge, averaged over each subject's annotators."""
    present = ~np.isnan(labels)
    rows = scored & present.any(axis=1)
    if int(rows.sum()) < 2:
        return None
    same = (labels == judged[:, None]) & present
    shares = same[rows].sum(axis=1) / present[rows].sum(axis=1)
    return t_interval(shares, 0.0, 1.0)


def _confusion(
    people: Vector, judge: Vector, values: Sequence[float]
) -> tuple[tuple[int, ...], ...]:
    return tuple(
        tuple(int(((people == row) & (judge == column)).sum()) for column in values)
        for row in values
    )


def _category(value: float, kind: ScoreKind) -> str:
    if kind == "preference":
        return {win: name for name, win in WIN.items()}[value]
    if kind == "share":
        return "yes" if value else "no"
    return f"{value:g}"


def _order_agreement(column: LabelledColumn, common: Vector) -> Iterator[OrderAgreement]:
    for order, scores in column.by_order.items():
        ratings = np.array([scores, common])
        both = ~np.isnan(ratings).any(axis=0)
        percent = as_interval(percent_agreement(ratings[:, both])) if both.any() else None
        yield OrderAgreement(order=order, n=int(both.sum()), percent=percent)


# --- biases ----------------------------------------------------------------------------------


def _answer_lengths(texts: Mapping[str, AnsweredItems]) -> dict[tuple[str, str], int]:
    return {
        (sample_id, model): len(answer)
        for items in texts.values()
        for sample_id, item in items.items()
        for model, answer in item.answers.items()
        if answer is not None
    }


def _biases(
    column: LabelledColumn, lengths: Mapping[tuple[str, str], int], models: tuple[str, str]
) -> Iterator[Bias]:
    baseline, candidate = models
    people = mean_votes(column.labels)
    # Grades: whether the judge scores a model higher than people do.
    if column.kind != "preference":
        for model in column.all_scores:
            rows = np.array([m == model for _, m in column.subjects])
            yield from _bias(f"score of {model}", column.judged[rows], people[rows])
        return
    # Preferences: for the candidate, for the longer answer, and for ties.
    ids = [i for i, _ in column.subjects]
    yield from _bias(f"prefers {candidate}", column.judged, people)
    longer = np.array(
        [np.sign(lengths.get((i, candidate), 0) - lengths.get((i, baseline), 0)) for i in ids]
    )
    unequal = longer != 0
    towards_longer = (
        0.5 + longer[unequal] * (wins[unequal] - 0.5) for wins in (column.judged, people)
    )
    yield from _bias("prefers the longer answer", *towards_longer)
    yield from _bias("calls it a tie", _is_tie(column.judged), mean_votes(_is_tie(column.labels)))


def _bias(what: str, judged: Vector, people: Vector) -> Iterator[Bias]:
    both = ~np.isnan(judged) & ~np.isnan(people)
    if int(both.sum()) < 2:
        return
    yield Bias(
        what=what,
        n=int(both.sum()),
        judge=float(judged[both].mean()),
        people=float(people[both].mean()),
        difference=t_interval(judged[both] - people[both]),
    )


def _is_tie(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 for a tie, 0 for a win or loss, and NaN where there is no verdict."""
    return np.where(np.isnan(wins), np.nan, (wins == 0.5).astype(np.float64))


def _slope(column: LabelledColumn) -> Interval | None:
    """Fit the slope of the judge's scores on people's mean scores, with items as clusters."""
    if column.kind != "points":
        return None
    people = mean_votes(column.labels)
    both = ~np.isnan(column.judged) & ~np.isnan(people)
    if not both.any():
        return None
    items = np.array([i for i, _ in column.subjects])[both]
    fit = slope(people[both], column.judged[both], clusters=items)
    return fit and Interval(estimate=fit.estimate, low=fit.interval.low, high=fit.interval.high)
