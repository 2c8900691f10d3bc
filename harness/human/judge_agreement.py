"""Agreement of a judge with human labels, and biases of the judge relative to people."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparisons import as_interval
from harness.analysis.judge_reliability import Ratings, Scale, rater_agreement
from harness.artifacts.answers import AnsweredItems
from harness.config import ScoreKind
from harness.human.label_join import LabelledColumn
from harness.scoring.columns import WIN, winners_of
from harness.scoring.reduce import majority
from harness.stats.agreement import percent_agreement
from harness.stats.annotator_means import mean_votes
from harness.stats.means import ROUNDING, mean_difference, slope
from harness.stats.vectors import Vector
from harness.types import (
    Bias,
    Interval,
    JudgeAgainstPeople,
    ModelAgreement,
    OrderAgreement,
    StrictAgreement,
)

# The label of a pair whose winner depends on the order, on a scale of preferences.
BY_ORDER = -1.0


def judge_agreement(
    column: LabelledColumn, texts: Mapping[str, AnsweredItems], models: tuple[str, str]
) -> JudgeAgainstPeople:
    """Compare one column's judge with people; `texts` are the answers by task, for their lengths."""
    shares = column.scale.shares
    common = mean_votes(column.labels) if shares else common_labels(column.labels)
    judged = _judge_labels(column)
    scored = ~np.isnan(column.judged)
    labelled = (~np.isnan(column.labels)).any(axis=1)
    several = int((~np.isnan(column.labels)).any(axis=0).sum()) > 1

    # The judge against the annotators' common label, and annotators against each other.
    agreement = _agreement(column, judged, common)
    categories = () if shares else _categories(column.scale, np.concatenate([judged, common]))
    return JudgeAgainstPeople(
        column=column.scale.column,
        judge=column.judge,
        n=agreement.n,
        unscored=int((~scored).sum()),
        undecided=int((labelled & np.isnan(common)).sum()),
        percent=agreement.percent,
        kappa=agreement.kappa,
        ac1=agreement.ac1,
        single=_single_annotator_agreement(judged, column.labels) if several else None,
        strict=_strict_agreement(column, common, several=several),
        over_orders=_agreement_over_orders(column, common),
        models=tuple(_agreement_by_model(column, judged, common)),
        between=rater_agreement(column.scale, column.annotators, column.labels.T)
        if several
        else None,
        categories=tuple(_category(value, column.kind) for value in categories),
        confusion=_confusion(common, judged, categories),
        biases=tuple(_biases(column, _answer_lengths(texts), models)),
        difference_bias=_difference_bias(column, models),
        orders=tuple(_order_agreement(column, common)),
        slope=_slope(column),
    )


def common_labels(labels: Ratings) -> Vector:
    """Return the label that most annotators gave to each subject.

    It is NaN for a subject without a label, and for one on which no label has a majority: the rule
    by which juries decide (harness/scoring/reduce.py).
    """
    by_subject = (majority(row[~np.isnan(row)].tolist()) for row in labels)
    return np.array([np.nan if label is None else label for label in by_subject], dtype=np.float64)


def chance_of_kappa(labels: Vector) -> float:
    """Return the chance agreement of Cohen's kappa for two raters with this share of each label."""
    shares = np.unique(labels, return_counts=True)[1] / max(labels.size, 1)
    return float((shares**2).sum())


def chance_of_ac1(labels: Vector, scale: Scale) -> float:
    """Return the chance agreement of Gwet's AC1 for two raters with this share of each label."""
    shares = np.unique(labels, return_counts=True)[1] / max(labels.size, 1)
    return float((shares * (1 - shares)).sum()) / (len(scale.values) - 1)


def t_interval(values: Vector, low: float = -math.inf, high: float = math.inf) -> Interval | None:
    """Return the mean with its 95 % t interval, cut at the bounds.

    Values that do not vary have the interval that the gate uses for them within finite bounds, and
    none without.
    """
    bounds = (low, high) if math.isfinite(low) and math.isfinite(high) else None
    mean = mean_difference(values, bounds=bounds)
    if not math.isfinite(mean.ci_low):
        return None
    return Interval(estimate=mean.estimate, low=max(low, mean.ci_low), high=min(high, mean.ci_high))


# --- agreement -------------------------------------------------------------------------------


class _Agreement(NamedTuple):
    """The agreement of a judge's labels with people's common ones, on `n` subjects."""

    n: int
    percent: Interval | None
    kappa: Interval | None
    ac1: Interval | None


def _agreement(column: LabelledColumn, judged: Vector, common: Vector) -> _Agreement:
    ratings = np.array([judged, common])
    ratings = ratings[:, ~np.isnan(ratings).any(axis=0)]
    scale = column.scale._replace(outside=(BY_ORDER,)) if BY_ORDER in ratings else column.scale
    found = rater_agreement(scale, (column.judge, "people"), ratings)
    people = ratings[1]
    return _Agreement(
        n=ratings.shape[1],
        percent=found.percent,
        kappa=found.kappa or _perfect_agreement(found.percent, chance_of_kappa(people)),
        ac1=found.ac1 or _perfect_agreement(found.percent, chance_of_ac1(people, scale)),
    )


def _perfect_agreement(percent: Interval | None, chance: float) -> Interval | None:
    """Return the interval of a coefficient where all verdicts are equal and its standard error is 0.

    Its lower end is (l - c) / (1 - c), with l the lower end of the share of equal verdicts
    (Wilson's) and c the chance agreement. It is None where a single label was given: then chance
    explains all agreement.
    """
    if percent is None or percent.estimate < 1 or chance >= 1:
        return None
    return Interval(estimate=1.0, low=(percent.low - chance) / (1 - chance), high=1.0)


def _judge_labels(column: LabelledColumn) -> Vector:
    """Return the judge's scores as labels.

    A preference is a loss, a tie or a win by its mean over the orders. A score between two points
    of the scale, as of repeats, becomes the nearer one; halfway it stays and equals neither.
    """
    if column.scale.shares:
        return column.judged
    if column.kind != "points":
        return winners_of(column.judged)
    halfway = np.abs(column.judged % 1 - 0.5) < ROUNDING
    return np.where(halfway, column.judged, np.rint(column.judged))


def _strict_agreement(
    column: LabelledColumn, common: Vector, *, several: bool
) -> StrictAgreement | None:
    """Compute the agreement of the verdicts that are alike in both orders; None for one order."""
    if len(column.by_order) < 2:
        return None
    first, *others = map(winners_of, column.by_order.values())
    alike = np.all([first == other for other in others], axis=0)
    judged = np.where(np.isnan(column.judged), np.nan, np.where(alike, first, BY_ORDER))
    agreement = _agreement(column, judged, common)
    return StrictAgreement(
        n_by_order=int((judged == BY_ORDER).sum()),
        percent=agreement.percent,
        kappa=agreement.kappa,
        ac1=agreement.ac1,
        single=_single_annotator_agreement(judged, column.labels) if several else None,
    )


def _agreement_over_orders(column: LabelledColumn, common: Vector) -> Interval | None:
    """Compute the share of equal verdicts, averaged over the orders; None for one order."""
    rows = ~np.isnan(column.judged) & ~np.isnan(common)
    if len(column.by_order) < 2 or int(rows.sum()) < 2:
        return None
    same = np.array([(winners_of(s) == common)[rows] for s in column.by_order.values()])
    return t_interval(same.mean(axis=0), 0.0, 1.0)


def _agreement_by_model(
    column: LabelledColumn, judged: Vector, common: Vector
) -> Iterator[ModelAgreement]:
    """Yield the agreement on each model's answers; a preference is on two models' at once."""
    if column.kind == "preference":
        return
    for model in column.all_scores:
        rows = np.array([of == model for _, of in column.subjects])
        agreement = _agreement(column, judged[rows], common[rows])
        yield ModelAgreement(model=model, **agreement._asdict())


def _single_annotator_agreement(judged: Vector, labels: Ratings) -> Interval | None:
    """Return how often one annotator agrees with the judge, averaged over each subject's annotators."""
    present = ~np.isnan(labels)
    rows = ~np.isnan(judged) & present.any(axis=1)
    if int(rows.sum()) < 2:
        return None
    same = (labels == judged[:, None]) & present
    shares = same[rows].sum(axis=1) / present[rows].sum(axis=1)
    return t_interval(shares, 0.0, 1.0)


def _categories(scale: Scale, labels: Vector) -> tuple[float, ...]:
    """Return the values of the scale, and others that occur, in order."""
    return tuple(sorted({*scale.values, *labels[~np.isnan(labels)].tolist()}))


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
        ratings = np.array([winners_of(scores), common])
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
    span = column.scale.values[-1] - column.scale.values[0]
    # Grades: whether the judge scores a model higher than people do.
    if column.kind != "preference":
        for model in column.all_scores:
            rows = np.array([m == model for _, m in column.subjects])
            yield from _bias(f"score of {model}", column.judged[rows], people[rows], span)
        return
    # Preferences: for the candidate, for the longer answer, and for ties.
    ids = [i for i, _ in column.subjects]
    yield from _bias(f"prefers {candidate}", column.judged, people, span)
    longer = np.array(
        [np.sign(lengths.get((i, candidate), 0) - lengths.get((i, baseline), 0)) for i in ids]
    )
    unequal = longer != 0
    judged_longer, people_longer = (
        0.5 + longer[unequal] * (wins[unequal] - 0.5) for wins in (column.judged, people)
    )
    yield from _bias("prefers the longer answer", judged_longer, people_longer, span)
    people_tie = mean_votes(_is_tie(column.labels))
    yield from _bias("calls it a tie", _is_tie(column.judged), people_tie, span)


def _difference_bias(column: LabelledColumn, models: tuple[str, str]) -> Bias | None:
    """Compare the judge's difference of two models with people's; None for preferences."""
    baseline, candidate = models
    if baseline == candidate:
        return None
    row_of = {subject: row for row, subject in enumerate(column.subjects)}
    of_both = [i for i, m in column.subjects if m == candidate and (i, baseline) in row_of]
    new, old = ([row_of[i, model] for i in of_both] for model in (candidate, baseline))
    people = mean_votes(column.labels)
    judged, labelled = (scores[new] - scores[old] for scores in (column.judged, people))
    span = 2 * (column.scale.values[-1] - column.scale.values[0])
    return next(_bias(f"{candidate} minus {baseline}", judged, labelled, span), None)


def _bias(what: str, judged: Vector, people: Vector, span: float) -> Iterator[Bias]:
    """Yield the judge's mean less people's; the two differ by at most `span` on one subject."""
    both = ~np.isnan(judged) & ~np.isnan(people)
    if int(both.sum()) < 2:
        return
    yield Bias(
        what=what,
        n=int(both.sum()),
        judge=float(judged[both].mean()),
        people=float(people[both].mean()),
        difference=t_interval(judged[both] - people[both], -span, span),
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
