"""Summary of human labels: means with intervals, and agreement between annotators.

Items and annotators are both samples: the interval also covers other annotators who judge like
these. With a single annotator it covers the items only, and the text adds this.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.analysis.comparisons import as_interval
from harness.analysis.judge_reliability import (
    Scale,
    preference_scale,
    rater_agreement,
)
from harness.human.label_rows import Label
from harness.human.labels import AnnotatorStatus, HumanLabels
from harness.scoring.columns import WIN
from harness.stats.agreement import percent_agreement
from harness.stats.annotator_means import Votes, mean_votes, two_way_mean
from harness.stats.means import mean_difference
from harness.stats.permutation import signflip_test
from harness.stats.vectors import Interval as Span
from harness.types import AnnotatorSummary, HumanMean, HumanSummary, Interval, JudgeAgreement

N_LISTED_ITEMS = 10
MOST_POINTS = 1_000  # of a scale that is not known
WIN_RATE = "win_rate"  # the column of preferences that answer no metric of the suite


class LabelTable(NamedTuple):
    """The labels of one column: items x annotators, NaN where there is none."""

    sample_ids: tuple[str, ...]
    annotators: tuple[str, ...]
    values: Votes

    @property
    def labelled(self) -> "np.ndarray":
        """Return a mask of the items that have a label."""
        return np.asarray((~np.isnan(self.values)).any(axis=1))


def win_table(people: HumanLabels) -> LabelTable:
    """Return the candidate's win scores: 1 for a win, 0.5 for a tie, 0 for a loss."""
    return _table(people, lambda label: np.nan if label.winner is None else WIN[label.winner])


def score_table(people: HumanLabels, model: str, name: str) -> LabelTable:
    """Return the scores of one model's answers on the criterion `name`."""
    return _table(people, lambda label: label.scores.get(model, {}).get(name, np.nan))


def summarise_labels(
    people: HumanLabels,
    baseline: str,
    candidate: str,
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> HumanSummary:
    """Summarise the labels on two models: means, votes, annotators and their agreement.

    `ranges` are the ends of each criterion's scale. Equal differences on every item have no interval
    where the scale is not known, and are left out.
    """
    wins = win_table(people)
    criteria = _criteria(people, baseline, candidate)
    # Means: the win rate, and the difference of each criterion that both models were scored on.
    means: list[HumanMean] = []
    if wins.labelled.any():
        means.append(_mean(people.metric or WIN_RATE, 0.5, wins.values, (0.0, 1.0)))
    for name in criteria if baseline != candidate else ():
        old, new = (score_table(people, model, name) for model in (baseline, candidate))
        if old.labelled.any() and new.labelled.any():
            low, high = (ranges or {}).get(name, (-math.inf, math.inf))
            mean = _mean(
                _column(people, name), 0.0, new.values - old.values, (low - high, high - low)
            )
            means += [mean] if math.isfinite(mean.mean.low) else []
    # Votes, as counts of winners, and the pairs that an annotator decided twice.
    winners = [label.winner for label in people.labels if label.asked_winner]
    repeat_votes = [(a, b) for _, a, b in people.repeat_votes if a is not None and b is not None]
    return HumanSummary(
        source=people.source,
        sampling=people.sampling,
        random=people.random,
        n_drawn=len(people.sampled_ids),
        n_population=None if people.frame_ids is None else len(people.frame_ids),
        rule=people.rule,
        annotators=tuple(
            _annotator_summary(people, status, wins) for status in people.annotator_status
        ),
        wins=winners.count("candidate"),
        ties=winners.count("tie"),
        losses=winners.count("baseline"),
        undecided=winners.count(None),
        unsafe=sum(label.unsafe for label in people.labels),
        unsafe_items=tuple(dict.fromkeys(x.sample_id for x in people.labels if x.unsafe)),
        means=tuple(means),
        agreements=tuple(_agreements(people, wins, (baseline, candidate), criteria)),
        same_again=_self_agreement(repeat_votes),
        n_again=len(repeat_votes),
    )


def describe_unsafe(summary: HumanSummary) -> str:
    """List the items on which a vote calls both answers unsafe."""
    items = summary.unsafe_items
    named = ", ".join(items[:N_LISTED_ITEMS]) + (", …" if len(items) > N_LISTED_ITEMS else "")
    votes = f"{summary.unsafe} {'vote calls' if summary.unsafe == 1 else 'votes call'}"
    return f"{votes} both answers unsafe, on {len(items)} {'item' if len(items) == 1 else 'items'}: {named}"


# --- parts -----------------------------------------------------------------------------------


def _table(people: HumanLabels, value: Callable[[Label], float]) -> LabelTable:
    ids = tuple(dict.fromkeys(label.sample_id for label in people.labels))
    rows = {sample_id: i for i, sample_id in enumerate(ids)}
    columns = {name: j for j, name in enumerate(people.annotators)}
    values = np.full((len(rows), len(columns)), np.nan)
    for label in people.labels:
        values[rows[label.sample_id], columns[label.annotator]] = value(label)
    return LabelTable(ids, people.annotators, values)


def _criteria(people: HumanLabels, *models: str) -> list[str]:
    score_sets = (label.scores.get(model, {}) for label in people.labels for model in models)
    return list(dict.fromkeys(name for scores in score_sets for name in scores))


def _column(people: HumanLabels, criterion: str) -> str:
    return f"{people.rubric}.{criterion}" if people.rubric else criterion


def _mean(column: str, null: float, votes: Votes, bounds: tuple[float, float]) -> HumanMean:
    two_way = two_way_mean(votes)

    # The interval over items alone, of each item's mean vote.
    items = mean_votes(votes)
    items = items[~np.isnan(items)]
    known = math.isfinite(bounds[0])
    shifted_bounds = (bounds[0] - null, bounds[1] - null) if known else None
    over_items = mean_difference(items - null, bounds=shifted_bounds)
    items_span = Span(over_items.ci_low + null, over_items.ci_high + null)

    # The interval over items and annotators. Equal votes have a standard error of zero, which does
    # not show that all votes would be equal: then only the items count.
    if two_way.se > 0:
        span = two_way.interval() if two_way.n_annotators > 1 else items_span
        p = 2 * min(two_way.p_above(null), two_way.p_below(null), 0.5)
    else:
        span = items_span
        p = signflip_test(items - null).p_value
    return HumanMean(
        column=column,
        null=null,
        mean=_clipped(two_way.estimate, span, bounds),
        of_items=_clipped(two_way.estimate, items_span, bounds),
        df=two_way.df,
        p_value=p,
        n_items=two_way.n_items,
        n_annotators=two_way.n_annotators,
        n_votes=two_way.n_votes,
    )


def _clipped(estimate: float, span: Span, bounds: tuple[float, float]) -> Interval:
    return Interval(estimate=estimate, low=max(span.low, bounds[0]), high=min(span.high, bounds[1]))


def _annotator_summary(
    people: HumanLabels, status: AnnotatorStatus, wins: LabelTable
) -> AnnotatorSummary:
    name = status.name
    own_labels = [label for label in people.labels if label.annotator == name]
    repeat_votes = [(a, b) for annotator, a, b in people.repeat_votes if annotator == name]
    # The annotator's own win rate, from two votes on.
    mean = None
    if name in wins.annotators:
        column = wins.values[:, wins.annotators.index(name)]
        scores = column[~np.isnan(column)]
        if scores.size > 1:
            over_items = mean_difference(scores - 0.5, bounds=(-0.5, 0.5))
            span = Span(over_items.ci_low + 0.5, over_items.ci_high + 0.5)
            mean = _clipped(over_items.estimate + 0.5, span, (0.0, 1.0))
    return AnnotatorSummary(
        name=name,
        counted=status.counted,
        n_votes=len(own_labels) if status.counted else status.n_votes,
        n_undecided=sum(label.asked_winner and label.winner is None for label in own_labels),
        n_attention=status.n_attention,
        n_attentive=status.n_attentive,
        n_repeats=len(repeat_votes),
        n_same=sum(a == b for a, b in repeat_votes),
        mean=mean,
    )


def _agreements(
    people: HumanLabels, wins: LabelTable, models: Sequence[str], criteria: Iterable[str]
) -> Iterator[JudgeAgreement]:
    if len(people.annotators) < 2:
        return
    if wins.labelled.any():
        scale = preference_scale(people.metric or WIN_RATE)
        yield rater_agreement(scale, wins.annotators, wins.values.T)
    ranges = {criterion.name: (criterion.low, criterion.high) for criterion in people.criteria}
    for name in criteria:
        tables = [score_table(people, model, name).values for model in models]
        ratings = np.concatenate(tables).T
        points, ordinal = _scale_points(ranges.get(name), ratings)
        scale = Scale(_column(people, name), name, points, ordinal)
        yield rater_agreement(scale, people.annotators, ratings)


def _scale_points(
    known_range: tuple[int, int] | None, ratings: Votes
) -> tuple[tuple[float, ...], bool]:
    """Return the points of the scale, and whether they are ordered.

    They are the whole numbers of the range; of an unknown one those from the lowest to the highest
    score, or the scores themselves where these are many or not whole.
    """
    scores = np.unique(ratings[~np.isnan(ratings)])
    low, high = known_range or (scores[0], scores[-1])
    whole = bool((scores % 1 == 0).all()) and high - low < MOST_POINTS
    points = np.arange(low, max(high, low + 1) + 1) if whole else scores
    return tuple(points.tolist()), len(points) > 2 or not whole


def _self_agreement(pairs: Sequence[tuple[str, str]]) -> Interval | None:
    if not pairs:
        return None
    differs = np.array([[0.0] * len(pairs), [float(a != b) for a, b in pairs]])
    return as_interval(percent_agreement(differs))
