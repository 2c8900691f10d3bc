"""The labels that a required agreement of judges with people takes, before the judges are asked.

The requirement is that the lower end of the interval of a judge's agreement with people reaches a
bound (harness/human/judge_requirement.py). Too few labels cannot show it for any judge, and a bound
above the agreement of people with one another is hardly reached with any number.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from harness.analysis.judge_reliability import Ratings, Scale, rater_agreement, scales_of
from harness.config import Gate, JudgeRequirement, Metric, metric_of
from harness.config.request import Request, judge_name
from harness.human.judge_agreement import chance_of_ac1, chance_of_kappa, common_labels
from harness.human.labels import HumanLabels, load_human_labels
from harness.human.question_match import question_mismatch
from harness.human.summary import score_table, win_table
from harness.human.votes import NobodyVotedError
from harness.stats.distributions import normal_quantile
from harness.stats.vectors import Vector
from harness.types import REQUIREMENT_MEASURES, Interval, JudgeAgreement, Record, Task, find_metric

CLOSE = 0.1  # above the bound: the true agreement that is assumed of a judge


class RequirementForecast(Record):
    """The labels that the requirement takes for one column.

    The judge is compared with `n_labels`, or with none for the reason `why`. With fewer than `least`
    even full agreement does not show `at_least` of the `measure`; with about `n_close` a judge whose
    true agreement is `close` shows it (80 % power; None for scores). `ceiling` is the agreement of
    two annotators; a judge that agrees with people as well shows the bound with about
    `n_at_ceiling` labels, None where that agreement does not reach the bound.
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
    """People's labels of one column: of each annotator, and their common label of each item."""

    ratings: Ratings
    common: Vector


def forecast_requirements(
    gate: Gate, tasks: Sequence[Task], request: Request
) -> Iterator[RequirementForecast]:
    """Forecast each claimed column (of a composite, each criterion) that a judge decides.

    Raises:
        HarnessError: the labels that the profile names cannot be read.
    """
    if gate.judge_licence is None:
        return
    for column in dict.fromkeys(claim.metric for claim in gate.claims):
        name = metric_of(column)
        metric, task = find_metric(column, tasks)
        judge = judge_name(name, request)
        if judge is None or request.profile.find_judge(judge).people is not None:
            continue
        scales = scales_of(name, metric)
        for scale in [s for s in scales if s.column == column] or scales:
            yield _forecast(scale, metric, task, judge, gate.judge_licence, request)


def describe_requirements(forecasts: Sequence[RequirementForecast]) -> Iterator[str]:
    """Yield a few lines on each column."""
    if forecasts:
        first = forecasts[0]
        yield (
            f"The gate asks for judges whose {REQUIREMENT_MEASURES[first.measure]} with people is shown to be at "
            f"least {first.at_least:g}:"
        )
    for f in forecasts:
        yield f"  {f.column}, judge '{f.judge}': {f.why or f'{f.n_labels:,} labels, {f.source}'}"
        yield f"    {_describe_needed(f)}"
        if f.ceiling is not None:
            yield f"    {_describe_ceiling(f)}"
        if not f.n_labels and f.least is not None:
            yield (
                f"    draw them with: harness annotate RUN --n {f.n_close or f.least}, and name the study "
                f"as 'calibrated_by' of '{f.judge}'"
            )


def _describe_needed(f: RequirementForecast) -> str:
    if f.least is None:
        return "no number of labels shows full agreement"
    close = (
        "" if f.n_close is None else f", and a judge that reaches {f.close:g} about {f.n_close:,}"
    )
    return f"full agreement takes {f.least:,} labels to show it{close}"


def _describe_ceiling(f: RequirementForecast) -> str:
    assert f.ceiling is not None
    people = f"two annotators reach {f.ceiling.estimate:.2f} ({f.ceiling.low:.2f} to {f.ceiling.high:.2f})"
    if f.n_at_ceiling is None:
        return f"{people}: a judge as good as a person does not reach the bound with any number of labels"
    return f"{people}: a judge as good as a person takes about {f.n_at_ceiling:,} labels"


# --- one column ------------------------------------------------------------------------------


def _forecast(
    scale: Scale,
    metric: Metric,
    task: Task,
    judge: str,
    requirement: JudgeRequirement,
    request: Request,
) -> RequirementForecast:
    # The labels, or why there are none.
    people = _find_people(judge, request)
    why = people if isinstance(people, str) else _unfit_reason(people, scale, metric, task, request)
    labels = None if why or isinstance(people, str) else _labels(people, scale, metric, request)
    # The numbers of labels, from agreement by chance and from the agreement of people.
    common = np.array(_even_labels(scale)) if labels is None else labels.common
    chance = _chance_agreement(requirement, common, scale)
    least = _fewest_labels(requirement.at_least, chance)
    close = requirement.at_least + min(CLOSE, (1 - requirement.at_least) / 2)
    ceiling = None if labels is None else _annotator_agreement(scale, labels.ratings, requirement)
    return RequirementForecast(
        column=scale.column,
        judge=judge,
        measure=requirement.metric,
        at_least=requirement.at_least,
        source="" if isinstance(people, str) else people.source,
        why=why,
        n_labels=0 if labels is None else labels.common.size,
        least=least,
        close=close,
        n_close=None
        if scale.ordinal or least is None
        else max(least, _labels_to_show(close, requirement, chance)),
        ceiling=None if ceiling is None else ceiling[0],
        n_at_ceiling=None
        if ceiling is None
        else _labels_at_ceiling(*ceiling, requirement.at_least),
    )


def _find_people(judge: str, request: Request) -> HumanLabels | str:
    """Return the labels that a judge is compared with, or why there are none."""
    spec = request.profile.find_judge(judge).calibrated_by
    if spec is None:
        return f"nobody's labels are named ('calibrated_by' in profile '{request.profile.profile}')"
    try:
        return load_human_labels(spec, request)
    except NobodyVotedError as error:
        return f"{error}"


def _unfit_reason(
    people: HumanLabels, scale: Scale, metric: Metric, task: Task, request: Request
) -> str | None:
    """Return why these labels cannot meet the requirement, where that is known before a run."""
    if not people.labels:
        return f"{people.source}: {people.left_out.description or 'nobody has voted yet'}"
    if people.models not in (None, (request.models[0], request.models[-1])):
        return f"{people.source}: people compared other models than these"
    mismatch = question_mismatch(metric, scale.key, people)
    if mismatch is not None:
        return f"{people.source}: {mismatch}"
    if people.chances is not None:
        return (
            f"{people.source}: the items were drawn with unequal chances, which shows no agreement"
        )
    labelled_ids = {label.sample_id for label in people.labels}
    if not people.random and not {sample.id for sample in task.samples} <= labelled_ids:
        return f"{people.source}: the labelled items are not stated to be a random sample"
    return None


def _labels(people: HumanLabels, scale: Scale, metric: Metric, request: Request) -> _Labels:
    if metric.compares_pairs:
        ratings = win_table(people).values
    else:
        tables = [score_table(people, model, scale.key).values for model in request.models]
        ratings = np.concatenate(tables)
    common = common_labels(ratings)
    return _Labels(ratings, common[~np.isnan(common)])


def _even_labels(scale: Scale) -> Iterable[float]:
    """Return labels in which all verdicts are equally common; of preferences, the two sides."""
    return scale.values if scale.ordinal else (scale.values[0], scale.values[-1])


def _chance_agreement(requirement: JudgeRequirement, labels: Vector, scale: Scale) -> float:
    match requirement.metric:
        case "kappa":
            return chance_of_kappa(labels)
        case "ac1":
            return chance_of_ac1(labels, scale)
        case "percent":
            return 0.0


# --- how many labels -------------------------------------------------------------------------


def _fewest_labels(at_least: float, chance: float) -> int | None:
    """Return the fewest labels that show the bound: Wilson's lower end of n in n is n / (n + z^2)."""
    share = chance + (1 - chance) * at_least
    if share >= 1:
        return None
    return math.ceil(normal_quantile(0.025) ** 2 * share / (1 - share))


def _labels_to_show(true: float, requirement: JudgeRequirement, chance: float) -> int:
    """Return the labels by the normal interval of the share of equal verdicts, at this chance."""
    share = chance + (1 - chance) * true
    sd = math.sqrt(share * (1 - share)) / (1 - chance)
    z = abs(normal_quantile(0.025)) + abs(normal_quantile(0.2))
    return math.ceil((z * sd / (true - requirement.at_least)) ** 2)


def _annotator_agreement(
    scale: Scale, ratings: Ratings, requirement: JudgeRequirement
) -> tuple[Interval, int] | None:
    """Return the agreement of annotators and its number of labels; None for one annotator."""
    n_annotators = int((~np.isnan(ratings)).any(axis=0).sum())
    if n_annotators < 2:
        return None
    names = tuple(map(str, range(ratings.shape[1])))
    agreement: JudgeAgreement = rater_agreement(scale, names, ratings.T)
    measures: dict[str, Interval | None] = {
        "kappa": agreement.kappa or agreement.alpha,  # kappa is for two annotators, alpha for more
        "ac1": agreement.ac1,
        "percent": agreement.percent,
    }
    measure = measures[requirement.metric]
    return None if measure is None or not agreement.n else (measure, agreement.n)


def _labels_at_ceiling(agreement: Interval, n: int, at_least: float) -> int | None:
    """Return the labels at which the lower end of the interval reaches the bound.

    The interval is as wide as this one at `n` labels, and narrows with the root of their number.
    """
    if agreement.estimate <= at_least:
        return None
    below = agreement.estimate - agreement.low
    return max(2, math.ceil(n * (below / (agreement.estimate - at_least)) ** 2))
