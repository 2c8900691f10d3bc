"""Reliability of judges: unscored requests, agreement between judges, and repeatability.

Agreement is computed over answers (or ordered pairs) as if they were independent. Those to one
question are not quite, so its intervals are somewhat too narrow.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparisons import as_interval, find_interval
from harness.config import ChecklistMetric, Metric
from harness.config.checklist import MET
from harness.scoring.columns import WIN, score_judgements
from harness.scoring.human import score_annotators
from harness.scoring.paired import pair_scores
from harness.scoring.reduce import group_by_judge, reduce_rounds, subject_key
from harness.stats.agreement import (
    cohen_kappa,
    gwet_ac1,
    gwet_ac2,
    krippendorff_alpha,
    percent_agreement,
)
from harness.stats.agreement_repeats import flip_rate, icc_oneway
from harness.types import (
    Grade,
    Interval,
    JudgeAgreement,
    JudgeCard,
    JudgeCounts,
    Judgement,
    Preference,
    RaterPair,
    Repeatability,
    SingleJudgeComparison,
    Task,
)
from harness.types.judgements import JudgeRound, MissingReason, count_reasons, verdict_reasons
from harness.types.samples import Responses

Ratings = NDArray[np.float64]  # raters x subjects, NaN where there is no verdict


class JudgeFindings(NamedTuple):
    """The findings about the judges of one metric, or of several."""

    tallies: list[JudgeCounts]
    agreements: list[JudgeAgreement]
    opinions: list[SingleJudgeComparison]
    repeatability: list[Repeatability]


def summarise_judges(
    task: Task,
    metric_name: str,
    judge_rounds: Sequence[JudgeRound],
    responses: Mapping[str, Responses],
) -> JudgeFindings:
    """Summarise the judges of one metric from their judgements; computed metrics have no summary."""
    metric = task.metrics[metric_name]
    if metric.computed:
        return JudgeFindings([], [], [], [])
    everybody = group_by_judge(judge_rounds)
    # A judge that stands in for another has judged nothing that the other has.
    judges = group_by_judge([part for part in judge_rounds if not part.stands_in])
    scales = scales_of(metric_name, metric)
    return JudgeFindings(
        tallies=[
            t
            for card, rounds in everybody.items()
            for t in _count_by_model(metric_name, metric, card, rounds)
        ],
        agreements=[_first_round_agreement(scale, judges) for scale in scales]
        if len(judges) > 1
        else [],
        opinions=list(_single_judge_comparisons(task, metric_name, judges, responses))
        if len(judges) > 1
        else [],
        repeatability=[
            repeatability
            for card, rounds in judges.items()
            if len(rounds) > 1
            for scale in scales
            if (repeatability := _repeatability(scale, card, rounds)) is not None
        ],
    )


def preference_agreement(column: str, judge_rounds: Sequence[JudgeRound]) -> JudgeAgreement | None:
    """Compute the agreement of several judges on preferences; None for one judge or no verdicts."""
    judges = group_by_judge(judge_rounds)
    has_judgements = any(judge_round.judgements for judge_round in judge_rounds)
    return (
        _first_round_agreement(preference_scale(column), judges)
        if has_judgements and len(judges) > 1
        else None
    )


def _count_by_model(
    name: str, metric: Metric, card: JudgeCard, rounds: Iterable[JudgeRound]
) -> Iterator[JudgeCounts]:
    by_model: dict[str, list[Judgement]] = {}
    for judge_round in rounds:
        for judgement in judge_round.judgements:
            model = judgement.model if isinstance(judgement, Grade) else judgement.candidate
            by_model.setdefault(model, []).append(judgement)
    for model, judgements in by_model.items():
        reasons = [reason for j in judgements for reason in verdict_reasons(j, metric)]
        kinds = count_reasons(reasons)
        abstained = kinds.pop(MissingReason.ABSTAINED, 0)
        yield JudgeCounts(
            metric=name,
            judge=card.name,
            model=model,
            asked=len(reasons),
            scored=reasons.count(None),
            abstained=abstained,
            asked_again=sum(_count_asked_again(j, metric) for j in judgements),
            reasons=dict(sorted(kinds.items())),
        )


def _count_asked_again(judgement: Judgement, metric: Metric) -> int:
    """Return how many requests behind a judgement, one for each criterion or one, took a second reply."""
    at_once = isinstance(metric, ChecklistMetric) and metric.together
    one_by_one = metric.by_criteria and not at_once
    n_requests = len(verdict_reasons(judgement, metric)) if one_by_one else 1
    n_replies = len(judgement.exchange.replies) if judgement.exchange else 0
    return min(max(n_replies - n_requests, 0), n_requests)


# --- ratings ---------------------------------------------------------------------------------


class Scale(NamedTuple):
    """A column, the key of its value in a verdict, and every value it can have.

    A rating may also be one of `outside`, which agrees with no value of the scale. Ratings of `shares` are any
    numbers between its ends.
    """

    column: str
    key: str
    values: tuple[float, ...]
    ordinal: bool
    outside: tuple[float, ...] = ()
    shares: bool = False


def scales_of(name: str, metric: Metric) -> list[Scale]:
    """Return the scale of each column that a judge scores: no composite, nothing computed."""
    if metric.computed:
        return []
    # By key: the columns of a checklist share their verdicts, and the last is about all of them.
    columns = {key: column for column, key in metric.verdict_keys(name).items()}
    return [Scale(c, key, metric.verdict_values, metric.ordinal) for key, c in columns.items()]


def preference_scale(column: str) -> Scale:
    """Return the scale of win scores: a loss, a tie and a win."""
    return Scale(column, "winner", tuple(sorted(WIN.values())), False)


def _ratings(scale: Scale, judge_rounds: Iterable[JudgeRound]) -> Ratings:
    """Return the rounds' values as raters x subjects, subjects in order of first occurrence."""
    rated = [
        {subject: value for j in b.judgements for subject, value in _rated(j, b.judge, scale.key)}
        for b in judge_rounds
    ]
    subjects = dict.fromkeys(subject for row in rated for subject in row)
    return np.array([[row.get(s, np.nan) for s in subjects] for row in rated], dtype=np.float64)


def _rated(
    judgement: Judgement, judge: JudgeCard, key: str
) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield what a judgement rated: an answer, a pair, or each criterion of a checklist that it decided."""
    subject = _rated_subject(judgement, judge)
    if key == MET and isinstance(judgement, Grade):
        yield from (((*subject, k), value) for k, value in (judgement.values or {}).items())
    else:
        yield subject, _value(judgement, key)


def _rated_subject(judgement: Judgement, judge: JudgeCard) -> tuple[str, ...]:
    """Identify what was rated; people see a pair once, each in an order of their own."""
    subject = subject_key(judgement)
    return subject[:-1] if judge.people and isinstance(judgement, Preference) else subject


def _value(judgement: Judgement, key: str) -> float:
    if isinstance(judgement, Grade):
        return (judgement.values or {}).get(key, np.nan)
    return np.nan if judgement.winner is None else WIN[judgement.winner]


def _repeatability(
    scale: Scale, card: JudgeCard, rounds: Sequence[JudgeRound]
) -> Repeatability | None:
    """Compute how well a judge repeats itself; None where nothing was judged twice."""
    ratings = _ratings(scale, rounds).T
    repeated = ratings[(~np.isnan(ratings)).sum(axis=1) >= 2]
    if len(repeated) == 0:
        return None
    flips = flip_rate(repeated)
    icc = icc_oneway(repeated) if scale.ordinal and len(repeated) > 1 else None
    return Repeatability(
        column=scale.column,
        judge=card.name,
        repeats=len(rounds),
        n=flips.n_items,
        icc=None if icc is None else as_interval(icc),
        flip_rate=Interval(estimate=flips.estimate, low=flips.ci_low, high=flips.ci_high),
    )


def _first_round_agreement(
    scale: Scale, judges: Mapping[JudgeCard, Sequence[JudgeRound]]
) -> JudgeAgreement:
    """Compute agreement of the judges' first rounds, so that repeats steady no judge."""
    ratings = _ratings(scale, [rounds[0] for rounds in judges.values()])
    return rater_agreement(scale, tuple(card.name for card in judges), ratings)


def rater_agreement(scale: Scale, raters: tuple[str, ...], ratings: Ratings) -> JudgeAgreement:
    """Compute how far raters gave the same subjects the same ratings.

    `ratings` are raters x subjects; NaN is a gap. Kappa is that of two raters, and of each pair of
    more.
    """
    if ratings.shape[1] == 0:
        return JudgeAgreement(
            column=scale.column, judges=raters, n=0, percent=None, alpha=None, ac1=None, kappa=None
        )
    scale = _with_fractions(scale, ratings)
    percent = percent_agreement(ratings)
    gwet = (
        gwet_ac2(ratings, categories=scale.values)
        if scale.ordinal
        else gwet_ac1(ratings, categories=scale.values, outside=scale.outside)
    )
    several = len(ratings) > 2
    return JudgeAgreement(
        column=scale.column,
        judges=raters,
        n=percent.n_items,
        percent=as_interval(percent),
        alpha=as_interval(
            krippendorff_alpha(ratings, level="ordinal" if scale.ordinal else "nominal")
        ),
        ac1=as_interval(gwet),
        kappa=None if several else _kappa(ratings, scale),
        pairs=tuple(_pair_agreements(scale, raters, ratings)) if several else (),
    )


def _with_fractions(scale: Scale, ratings: Ratings) -> Scale:
    """Add the fractional scores among the ratings (recorded ones, or means) to a scale of points."""
    if not scale.ordinal:
        return scale
    values = {*scale.values, *ratings[~np.isnan(ratings)].tolist()}
    return scale._replace(values=tuple(sorted(values)))


def _pair_agreements(
    scale: Scale, raters: tuple[str, ...], ratings: Ratings
) -> Iterator[RaterPair]:
    """Yield the agreement of every two raters on the subjects that both rated."""
    for i, j in combinations(range(len(raters)), 2):
        both = ~np.isnan(ratings[[i, j]]).any(axis=0)
        pair = ratings[[i, j]][:, both]
        yield RaterPair(
            judges=(raters[i], raters[j]),
            n=int(both.sum()),
            percent=as_interval(percent_agreement(pair)) if both.any() else None,
            kappa=_kappa(pair, scale),
        )


def _kappa(ratings: Ratings, scale: Scale) -> Interval | None:
    first, second = ratings[:, ~np.isnan(ratings).any(axis=0)]
    if first.size == 0:
        return None
    weights: Literal["quadratic", "none"] = "quadratic" if scale.ordinal else "none"
    categories = (*scale.values, *scale.outside)
    return as_interval(cohen_kappa(first, second, categories=categories, weights=weights))


# --- comparisons by single judges ------------------------------------------------------------


def _single_judge_comparisons(
    task: Task,
    metric: str,
    judges: Mapping[JudgeCard, Sequence[JudgeRound]],
    responses: Mapping[str, Responses],
) -> Iterator[SingleJudgeComparison]:
    """Compare by each judge's verdicts alone; skip pairs without a score."""
    baseline = next(iter(responses))
    shares = task.metrics[metric].score_kind == "share"
    for card, rounds in judges.items():
        scored = (
            score_annotators(task, metric, rounds, responses)
            if card.people
            else score_judgements(task, metric, reduce_rounds(rounds, shares=shares), responses)
        )
        for column in scored:
            for pair in pair_scores(column, baseline):
                observed = ~np.isnan(pair.d)
                if observed.any() and not pair.alone:
                    yield SingleJudgeComparison(
                        column=pair.metric,
                        judge=card.name,
                        baseline=pair.baseline,
                        candidate=pair.candidate,
                        n=int(observed.sum()),
                        difference=find_interval(pair, observed),
                    )
