"""What a judge's licence takes, before the judge is asked: labels, and how many of them.

A licence needs the lower end of the interval of the judge's agreement with people to reach a bound
(harness/licence.py). Few labels cannot show that whatever the judge says, and a bound above that on which
people agree among themselves will hardly be reached by any number.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from harness.analysis.judge_reliability import Ratings, Scale, agree_on, scales_of
from harness.config import Gate, JudgeRequirement, Metric, metric_of
from harness.config.request import Request, judge_name
from harness.human.judge_agreement import chance_of_ac1, chance_of_kappa, common_labels
from harness.human.labels import HumanLabels, load_human_labels
from harness.human.question_match import question_mismatch
from harness.human.summary import score_table, win_table
from harness.human.votes import NobodyVotedError
from harness.stats.distributions import normal_quantile
from harness.stats.vectors import Vector
from harness.types import REQUIREMENT_MEASURES, Interval, JudgeAgreement, Record, Task

CLOSE = 0.1  # above the bound: how good a judge is assumed to be where nothing is known of it


class RequirementForecast(Record):
    """What one column's licence takes.

    The judge has `n_labels` to be held to, or none for the reason `why`. With fewer than `least` even
    full agreement does not show `at_least` of the `measure`, and with about `n_close` a judge whose
    true agreement is `close` does (80 % power; None for scores). `ceiling` is how far two annotators agree,
    and about `n_at_ceiling` labels show it of a judge that agrees with people as well; None where
    that does not reach the bound.
    """

    column: str
    judge: str
    measure: Literal["kappa", "ac1", "percent"]
    at_least: float
    source: str
    why: str | None
    n_labels: int
    least: int | None
    close: float
    n_close: int | None
    ceiling: Interval | None = None
    n_at_ceiling: int | None = None


class _Labels(NamedTuple):
    """People's labels of one column: of every annotator, and in common."""

    ratings: Ratings
    common: Vector


def forecast_licences(
    gate: Gate, tasks: Sequence[Task], request: Request
) -> Iterator[RequirementForecast]:
    """A forecast for each claimed column (of a composite, each criterion) that a judge decides.

    Raises:
        HarnessError: the labels that the profile names cannot be read.
    """
    if gate.judge_licence is None:
        return
    metrics = {name: (metric, task) for task in tasks for name, metric in task.metrics.items()}
    for column in dict.fromkeys(claim.metric for claim in gate.claims):
        name = metric_of(column)
        metric, task = metrics[name]
        judge = judge_name(name, request)
        if judge is None or request.profile.find_judge(judge).people is not None:
            continue
        scales = scales_of(name, metric)
        for scale in [s for s in scales if s.column == column] or scales:
            yield _forecast(scale, metric, task, judge, gate.judge_licence, request)


def describe_licences(forecasts: Sequence[RequirementForecast]) -> Iterator[str]:
    """The forecasts for people, a few lines a column."""
    if forecasts:
        first = forecasts[0]
        yield (
            f"The gate asks for judges whose {REQUIREMENT_MEASURES[first.measure]} with people is shown to be at "
            f"least {first.at_least:g}:"
        )
    for f in forecasts:
        yield f"  {f.column}, judge '{f.judge}': {f.why or f'{f.n_labels:,} labels, {f.source}'}"
        yield f"    {_takes(f)}"
        if f.ceiling is not None:
            yield f"    {_ceiling(f)}"
        if not f.n_labels and f.least is not None:
            yield (
                f"    draw them with: harness annotate RUN --n {f.n_close or f.least}, and name the study "
                f"as 'calibrated_by' of '{f.judge}'"
            )


def _takes(f: RequirementForecast) -> str:
    if f.least is None:
        return "no number of labels shows full agreement"
    close = (
        "" if f.n_close is None else f", and a judge that comes to {f.close:g} about {f.n_close:,}"
    )
    return f"full agreement takes {f.least:,} labels to show it{close}"


def _ceiling(f: RequirementForecast) -> str:
    assert f.ceiling is not None
    own = f"two annotators come to {f.ceiling.estimate:.2f} ({f.ceiling.low:.2f} to {f.ceiling.high:.2f})"
    if f.n_at_ceiling is None:
        return (
            f"{own}: a judge as good as a person does not reach the bound with any number of labels"
        )
    return f"{own}: a judge as good as a person takes about {f.n_at_ceiling:,} labels"


# --- one column ------------------------------------------------------------------------------


def _forecast(
    scale: Scale,
    metric: Metric,
    task: Task,
    judge: str,
    licence: JudgeRequirement,
    request: Request,
) -> RequirementForecast:
    people = _people(judge, request)
    why = people if isinstance(people, str) else _unfit(people, scale, metric, task, request)
    found = None if why or isinstance(people, str) else _labels(people, scale, metric, request)
    common = np.array(_evenly(scale)) if found is None else found.common
    chance = _chance(licence, common, scale)
    least = _least(licence.at_least, chance)
    close = licence.at_least + min(CLOSE, (1 - licence.at_least) / 2)
    ceiling = None if found is None else _agreement(scale, found.ratings, licence)
    return RequirementForecast(
        column=scale.column,
        judge=judge,
        measure=licence.metric,
        at_least=licence.at_least,
        source="" if isinstance(people, str) else people.source,
        why=why,
        n_labels=0 if found is None else found.common.size,
        least=least,
        close=close,
        n_close=None
        if scale.ordinal or least is None
        else max(least, _close(close, licence, chance)),
        ceiling=None if ceiling is None else ceiling[0],
        n_at_ceiling=None if ceiling is None else _at(*ceiling, licence.at_least),
    )


def _people(judge: str, request: Request) -> HumanLabels | str:
    """Whom a judge is held to, or why there is nobody."""
    spec = request.profile.find_judge(judge).calibrated_by
    if spec is None:
        return f"nobody's labels are named ('calibrated_by' in profile '{request.profile.profile}')"
    try:
        return load_human_labels(spec, request.profile_root)
    except NobodyVotedError as error:
        return f"{error}"


def _unfit(
    people: HumanLabels, scale: Scale, metric: Metric, task: Task, request: Request
) -> str | None:
    """Why these labels license nobody, as far as it is known before there are answers."""
    if not people.labels:
        return f"{people.source}: nobody has voted yet"
    if people.models not in (None, (request.models[0], request.models[-1])):
        return f"{people.source}: people compared other models than these"
    other = question_mismatch(metric, scale.key, people)
    if other is not None:
        return f"{people.source}: {other}"
    labelled = {label.sample_id for label in people.labels}
    if not people.random and not {sample.id for sample in task.samples} <= labelled:
        return f"{people.source}: the labelled items are not stated to be a random sample"
    return None


def _labels(people: HumanLabels, scale: Scale, metric: Metric, request: Request) -> _Labels:
    if metric.compares_pairs:
        ratings = win_table(people).values
    else:
        tables = [score_table(people, model, scale.key).values for model in request.models]
        ratings = np.concatenate(tables)
    common = common_labels(ratings, metric.score_kind)
    return _Labels(ratings, common[~np.isnan(common)])


def _evenly(scale: Scale) -> Iterable[float]:
    """Labels as if every verdict were as common as any other; of preferences, either side."""
    return scale.values if scale.ordinal else (scale.values[0], scale.values[-1])


def _chance(licence: JudgeRequirement, labels: Vector, scale: Scale) -> float:
    match licence.metric:
        case "kappa":
            return chance_of_kappa(labels)
        case "ac1":
            return chance_of_ac1(labels, scale)
        case "percent":
            return 0.0


# --- how many labels -------------------------------------------------------------------------


def _least(at_least: float, chance: float) -> int | None:
    """Labels with which full agreement is shown: Wilson's lower end of n in n is n / (n + z^2)."""
    share = chance + (1 - chance) * at_least
    if share >= 1:
        return None
    return math.ceil(normal_quantile(0.025) ** 2 * share / (1 - share))


def _close(true: float, licence: JudgeRequirement, chance: float) -> int:
    """By the normal interval of a share of equal verdicts, with chance as it is."""
    share = chance + (1 - chance) * true
    sd = math.sqrt(share * (1 - share)) / (1 - chance)
    z = abs(normal_quantile(0.025)) + abs(normal_quantile(0.2))
    return math.ceil((z * sd / (true - licence.at_least)) ** 2)


def _agreement(
    scale: Scale, ratings: Ratings, licence: JudgeRequirement
) -> tuple[Interval, int] | None:
    """How far annotators agree on the licence's measure, and on how many labels; None for one."""
    n_annotators = int((~np.isnan(ratings)).any(axis=0).sum())
    if n_annotators < 2:
        return None
    names = tuple(map(str, range(ratings.shape[1])))
    found: JudgeAgreement = agree_on(scale, names, ratings.T)
    measures: dict[str, Interval | None] = {
        "kappa": found.kappa or found.alpha,  # kappa is of two; alpha is its like of more
        "ac1": found.ac1,
        "percent": found.percent,
    }
    measure = measures[licence.metric]
    return None if measure is None or not found.n else (measure, found.n)


def _at(agreement: Interval, n: int, at_least: float) -> int | None:
    """Labels whose interval, as wide as this one at n and narrower with more, keeps to the bound."""
    if agreement.estimate <= at_least:
        return None
    below = agreement.estimate - agreement.low
    return max(2, math.ceil(n * (below / (agreement.estimate - at_least)) ** 2))
