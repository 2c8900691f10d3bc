"""How far a judge says what people say, and where it leans more than they do."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.analysis.judge_reliability import Ratings, Scale, agree_on, as_interval
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
    """One column's judge against people; `texts` of the answers, by task, tell the lengths."""
    scored = ~np.isnan(column.judged)
    common = common_labels(column.labels, column.kind)
    judged = _labels_of(column.judged, column.kind)
    both = scored & ~np.isnan(common)
    held = agree_on(column.scale, (column.judge, "people"), np.array([judged, common])[:, both])
    several = int((~np.isnan(column.labels)).any(axis=0).sum()) > 1
    names = tuple(f"annotator {j + 1}" for j in range(column.labels.shape[1]))
    return JudgeAgainstPeople(
        column=column.scale.column,
        judge=column.judge,
        n=int(both.sum()),
        unscored=int((~scored).sum()),
        percent=held.percent,
        kappa=held.kappa or _of_perfect(held.percent, chance_of_kappa(common[both])),
        ac1=held.ac1 or _of_perfect(held.percent, chance_of_ac1(common[both], column.scale)),
        single=_single(judged, column.labels, scored) if several else None,
        between=agree_on(column.scale, names, column.labels.T) if several else None,
        categories=tuple(_category(value, column.kind) for value in column.scale.values),
        confusion=_confusion(common[both], judged[both], column.scale.values),
        biases=tuple(_biases(column, _lengths(texts), models)),
        orders=tuple(_orders(column, common)),
        slope=_slope(column),
    )


def _of_perfect(percent: Interval | None, chance: float) -> Interval | None:
    """A coefficient of verdicts that are all equal, which has no standard error.

    Its lower end is what the lower end of the share of equal verdicts (Wilson's) comes to beyond
    the same chance; None where one verdict is all there is, so that chance is everything.
    """
    if percent is None or percent.estimate < 1 or chance >= 1:
        return None
    return Interval(estimate=1.0, low=(percent.low - chance) / (1 - chance), high=1.0)


def chance_of_kappa(labels: Vector) -> float:
    """How often two raters who give these labels, each as often, say the same by chance."""
    shares = np.unique(labels, return_counts=True)[1] / max(labels.size, 1)
    return float((shares**2).sum())


def chance_of_ac1(labels: Vector, scale: Scale) -> float:
    """The same as Gwet's AC1 has it."""
    shares = np.unique(labels, return_counts=True)[1] / max(labels.size, 1)
    return float((shares * (1 - shares)).sum()) / (len(scale.values) - 1)


def common_labels(labels: Ratings, kind: ScoreKind) -> Vector:
    """The annotators' common verdict on each subject; NaN without one, or where a yes is split."""
    found = _labels_of(mean_votes(labels), kind)
    return np.where(found == 0.5, np.nan, found) if kind == "share" else found


def _labels_of(scores: Vector, kind: ScoreKind) -> Vector:
    """Scores as labels of the scale: who won more than half, or the nearest whole number."""
    if kind == "points":
        return np.asarray(np.rint(scores))
    return np.asarray((np.sign(scores - 0.5) + 1) / 2)


def _single(judged: Vector, labels: Ratings, scored: "np.ndarray") -> Interval | None:
    """How often one annotator says what the judge says, averaged over each subject's annotators."""
    cast = ~np.isnan(labels)
    kept = scored & cast.any(axis=1)
    if int(kept.sum()) < 2:
        return None
    same = (labels == judged[:, None]) & cast
    shares = same[kept].sum(axis=1) / cast[kept].sum(axis=1)
    return t_interval(shares, 0.0, 1.0)


def _confusion(
    people: Vector, judge: Vector, values: Sequence[float]
) -> tuple[tuple[int, ...], ...]:
    return tuple(
        tuple(int(((people == said) & (judge == found)).sum()) for found in values)
        for said in values
    )


def _category(value: float, kind: ScoreKind) -> str:
    if kind == "preference":
        return {won: name for name, won in WIN.items()}[value]
    if kind == "share":
        return "yes" if value else "no"
    return f"{value:g}"


def _orders(column: LabelledColumn, common: Vector) -> Iterator[OrderAgreement]:
    for order, scores in column.by_order.items():
        ratings = np.array([scores, common])
        both = ~np.isnan(ratings).any(axis=0)
        percent = as_interval(percent_agreement(ratings[:, both])) if both.any() else None
        yield OrderAgreement(order=order, n=int(both.sum()), percent=percent)


# --- leanings --------------------------------------------------------------------------------


def _lengths(texts: Mapping[str, AnsweredItems]) -> dict[tuple[str, str], int]:
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
    if column.kind != "preference":
        for model in column.own:
            chosen = np.array([m == model for _, m in column.subjects])
            yield from _lean(f"score of {model}", column.judged[chosen], people[chosen])
        return
    ids = [i for i, _ in column.subjects]
    yield from _lean(f"prefers {candidate}", column.judged, people)
    longer = np.array(
        [np.sign(lengths.get((i, candidate), 0) - lengths.get((i, baseline), 0)) for i in ids]
    )
    unequal = longer != 0
    towards = [0.5 + longer[unequal] * (w[unequal] - 0.5) for w in (column.judged, people)]
    yield from _lean("prefers the longer answer", *towards)
    yield from _lean(
        "calls it a tie", _where_scored(column.judged == 0.5, column.judged), _ties(column.labels)
    )


def _lean(what: str, judged: Vector, people: Vector) -> Iterator[Bias]:
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


def _where_scored(said: "np.ndarray", scores: Vector) -> Vector:
    return np.where(np.isnan(scores), np.nan, said.astype(np.float64))


def _ties(labels: Ratings) -> Vector:
    return mean_votes(np.where(np.isnan(labels), np.nan, (labels == 0.5).astype(np.float64)))


def _slope(column: LabelledColumn) -> Interval | None:
    people = mean_votes(column.labels)
    both = ~np.isnan(column.judged) & ~np.isnan(people)
    if column.kind != "points":
        return None
    items = np.array([i for i, _ in column.subjects])[both]
    if not both.any():
        return None
    found = slope(people[both], column.judged[both], clusters=items)
    return found and Interval(
        estimate=found.estimate, low=found.interval.low, high=found.interval.high
    )


def t_interval(values: Vector, low: float = -math.inf, high: float = math.inf) -> Interval | None:
    """The mean with its 95 % interval, kept within bounds; None where there is no interval."""
    found = mean_difference(values)
    if not math.isfinite(found.ci_low):
        return None
    return Interval(
        estimate=found.estimate, low=max(low, found.ci_low), high=min(high, found.ci_high)
    )
