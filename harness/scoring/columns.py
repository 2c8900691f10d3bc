"""Score columns: judgements as numbers, one value per item and model, gaps kept as gaps.

Where a model gave no answer it gets its worst score. Where a judge gave no verdict, or a request
never reached the model, the score is NaN with a reason, and is bounded later; it is never dropped
and never imputed here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.config import ChecklistMetric, Metric, PairwiseMetric, SupportMetric, pairs_of
from harness.config.metric_base import COMPOSITE
from harness.scoring.checklist import score_item, task_of_column
from harness.scoring.support import score_support
from harness.stats.annotator_means import Votes
from harness.stats.checklist import BoundedScore
from harness.stats.means import design_effect, mean_difference
from harness.stats.proportions import wilson_interval
from harness.stats.vectors import Vector
from harness.types import (
    ORDERS,
    Coverage,
    Grade,
    Interval,
    Judgement,
    ModelScore,
    Order,
    Preference,
    Sample,
    Task,
)
from harness.types.judgements import (
    NOT_JUDGED,
    NOT_RECORDED,
    WRONG_ORDER,
    MissingReason,
    count_reasons,
    telling_reasons,
)
from harness.types.samples import Response, Responses

Limits = tuple[Vector, Vector]
Clusters = NDArray[np.str_ | np.int64] | None  # a label for each item
Seeds = NDArray[np.int64]  # the training seed of each item's copy
WIN = {"candidate": 1.0, "tie": 0.5, "baseline": 0.0}
HISTOGRAM_BINS = 10


@dataclass(frozen=True)
class GradeColumn:
    """One column of a metric that grades answers one by one.

    `scores` and `reasons` are by model, in the order of `sample_ids`; NaN comes with a reason.
    A `share` holds 0 and 1 only. With human labels, `votes` are by model, items x annotators, and a
    score is their mean. `limits` are the least and the greatest score of each item by model, where they
    are nearer than `low` and `high`. `seeds` are those of the models that have several. The mean of a
    checklist is reported `clipped` too.
    """

    metric: str
    kind: Literal["points", "share"]
    low: float
    high: float
    sample_ids: tuple[str, ...]
    clusters: Clusters
    scores: dict[str, Vector]
    reasons: dict[str, list[str | None]]
    generation_failed: dict[str, int]
    votes: dict[str, Votes] | None = None
    limits: dict[str, Limits] | None = None
    seeds: dict[str, Seeds] = field(default_factory=dict)
    clipped: bool = False

    @property
    def usual_range(self) -> float:
        """Return the range of the scores; that of a checklist without its items' negative points."""
        span = self.high - self.low
        return span if self.limits is None else min(span, 1.0)

    def limits_of(self, model: str) -> Limits:
        """Return the least and the greatest score that each item of a model may have: its own if known."""
        if self.limits is not None:
            return self.limits[model]
        scores, gaps = self.scores[model], np.isnan(self.scores[model])
        return np.where(gaps, self.low, scores), np.where(gaps, self.high, scores)


@dataclass(frozen=True)
class PreferenceColumn:
    """Win scores of one candidate against the baseline: 1 win, 0.5 tie, 0 loss, NaN unscored.

    With human labels, each given in one order, `votes` are items x annotators, their mean is stored
    under the first order, and `first_share` is how often the answer shown first won. `asked_orders`
    are the orders in which verdicts were requested; if empty, those in which any was given count.
    `reasons` are by item; `order_reasons` keep those of each order apart, where they are known. `seeds`
    are there where one of the models has several.
    """

    metric: str
    baseline: str
    candidate: str
    sample_ids: tuple[str, ...]
    clusters: Clusters
    by_order: dict[Order, Vector]
    reasons: list[str | None]
    generation_failed: int
    votes: Votes | None = None
    first_share: float | None = None
    asked_orders: tuple[Order, ...] = ()
    order_reasons: Mapping[Order, Sequence[str | None]] = field(default_factory=dict)
    seeds: Seeds | None = None

    @property
    def orders(self) -> tuple[Order, ...]:
        """Return the orders that count: an order on which the judge failed throughout is a gap."""
        return self.asked_orders or judged_orders(self.by_order)

    @property
    def order_dependent(self) -> NDArray[np.bool]:
        """Return on which items both orders were judged and have different win scores."""
        if len(self.orders) < len(ORDERS):
            return np.zeros(len(self.sample_ids), dtype=np.bool)
        one, other = (self.by_order[order] for order in self.orders)
        return np.asarray(~np.isnan(one) & ~np.isnan(other) & (one != other))


ScoreColumn = GradeColumn | PreferenceColumn


def winners_of(scores: Vector) -> Vector:
    """Return 1, 0.5 or 0 for win scores above, at and below one half, as of the mean over several judges."""
    return np.asarray((np.sign(scores - 0.5) + 1) / 2)


def score_judgements(
    task: Task,
    metric_name: str,
    judgements: Iterable[Judgement],
    responses: Mapping[str, Responses],
) -> list[ScoreColumn]:
    """Return the columns of one metric, in the order of the suite."""
    metric = task.metrics[metric_name]
    if isinstance(metric, PairwiseMetric):
        preferences = [j for j in judgements if isinstance(j, Preference)]
        return [
            _preference_column(task, metric_name, preferences, responses, baseline, candidate)
            for baseline, candidate in pairs_of(metric, list(responses))
        ]
    grades = {(j.model, j.sample_id): j for j in judgements if isinstance(j, Grade)}
    columns = [
        _grade_column(task, metric, column, key, grades, responses)
        for column, key in metric.verdict_keys(metric_name).items()
    ]
    if metric.has_composite:
        columns.append(_composite(f"{metric_name}.{COMPOSITE}", columns))
    return [*columns]


def summarise_column(column: GradeColumn) -> list[ModelScore]:
    """Return each model's mean with its 95 % interval, histogram and share at the top score."""
    summaries = []
    for model, values in column.scores.items():
        scored = ~np.isnan(values)
        observed = values[scored]
        clusters = None if column.clusters is None else column.clusters[scored]
        if observed.size:
            summaries.append(
                ModelScore(
                    metric=column.metric,
                    model=model,
                    n=int(observed.size),
                    mean=_mean_interval(observed, column, clusters),
                    histogram=_histogram(observed, column),
                    ceiling_share=float((observed >= column.high - 1e-9).mean()),
                    overall_score=_overall_score(observed, column),
                )
            )
    return summaries


def summarise_coverage(column: ScoreColumn) -> list[Coverage]:
    """Count the scores of each model, and the missing ones by reason."""
    if isinstance(column, PreferenceColumn):
        gaps = {column.candidate: (column.reasons, column.generation_failed)}
    else:
        gaps = {m: (column.reasons[m], column.generation_failed[m]) for m in column.scores}
    return [
        _coverage(column.metric, model, reasons, failed)
        for model, (reasons, failed) in gaps.items()
    ]


# --- grades ----------------------------------------------------------------------------------


def _grade_column(
    task: Task,
    metric: Metric,
    column: str,
    key: str,
    grades: Mapping[tuple[str, str], Grade],
    responses: Mapping[str, Responses],
) -> GradeColumn:
    assert metric.score_kind != "preference"
    low, high = metric.bounds_of(column)
    task = task_of_column(task, column)
    # A model without an answer has the worst score. A failed request and a missing verdict are gaps.
    scores: dict[str, Vector] = {}
    reasons: dict[str, list[str | None]] = {}
    limits: dict[str, Limits] = {}
    failed: dict[str, int] = {}
    for model, answers in responses.items():
        judged = [(answers[s.id], grades.get((model, s.id))) for s in task.samples]
        failed[model] = sum(r.text is None and not r.request_failed for r, _ in judged)
        if isinstance(metric, ChecklistMetric | SupportMetric):
            cells = [
                _support_cell(metric, response, grade)
                if isinstance(metric, SupportMetric)
                else _checklist_cell(metric, column, sample, response, grade)
                for sample, (response, grade) in zip(task.samples, judged, strict=True)
            ]
            found = np.array([found for found, _ in cells], dtype=np.float64).reshape(-1, 3)
            scores[model], limits[model] = found[:, 0].copy(), (found[:, 1], found[:, 2])
            reasons[model] = [reason for _, reason in cells]
        else:
            graded = [_cell(key, low, response, grade) for response, grade in judged]
            scores[model] = np.array([score for score, _ in graded], dtype=np.float64)
            reasons[model] = [reason for _, reason in graded]
    return GradeColumn(
        metric=column,
        kind=metric.score_kind,
        low=low,
        high=high,
        sample_ids=tuple(sample.id for sample in task.samples),
        clusters=_clusters(task),
        scores=scores,
        reasons=reasons,
        generation_failed=failed,
        limits=limits or None,
        seeds=_seeds(task, responses),
        clipped=isinstance(metric, ChecklistMetric),
    )


def _cell(
    key: str, low: float, response: Response, grade: Grade | None
) -> tuple[float, str | None]:
    """Return an answer's score, and why there is none."""
    if response.text is None:
        return (np.nan, _failed_request(response)) if response.request_failed else (low, None)
    score = np.nan if grade is None else (grade.values or {}).get(key, np.nan)
    if not math.isnan(score):
        return score, None
    return score, NOT_JUDGED if grade is None else grade.reason or f"the judge gave no {key}"


def _checklist_cell(
    metric: ChecklistMetric, column: str, sample: Sample, response: Response, grade: Grade | None
) -> tuple[BoundedScore, str | None]:
    """Return an item's score with its limits, and why there is none."""
    values = (grade.values or {}) if grade is not None and response.text is not None else {}
    found, problem = score_item(sample, metric, column, values)
    if response.request_failed:
        return found, _failed_request(response)
    if response.text is None:
        return found._replace(score=found.least, greatest=found.least), None
    if not math.isnan(found.score):
        return found, None
    return found, NOT_JUDGED if grade is None else grade.reason or problem


def _support_cell(
    metric: SupportMetric, response: Response, grade: Grade | None
) -> tuple[BoundedScore, str | None]:
    """Return an answer's share of supported parts with its limits, and why there is none."""
    if response.request_failed:
        return BoundedScore(math.nan, 0.0, 1.0), _failed_request(response)
    return score_support(metric, response, grade)


def _composite(name: str, columns: list[GradeColumn]) -> GradeColumn:
    """Return the mean of the columns; missing where any of them is."""
    first = columns[0]
    return GradeColumn(
        metric=name,
        kind="points",
        low=first.low,
        high=first.high,
        sample_ids=first.sample_ids,
        clusters=first.clusters,
        scores={m: np.mean([c.scores[m] for c in columns], axis=0) for m in first.scores},
        reasons={m: telling_reasons([c.reasons[m] for c in columns]) for m in first.scores},
        generation_failed=first.generation_failed,
        seeds=first.seeds,
    )


# --- preferences -----------------------------------------------------------------------------


def _preference_column(
    task: Task,
    metric_name: str,
    preferences: Iterable[Preference],
    responses: Mapping[str, Responses],
    baseline: str,
    candidate: str,
) -> PreferenceColumn:
    place = {sample.id: i for i, sample in enumerate(task.samples)}
    by_order = {order: np.full(len(place), np.nan) for order in ORDERS}
    reasons: dict[Order, list[str | None]] = {o: [NOT_JUDGED] * len(place) for o in ORDERS}
    # Verdicts by order.
    asked_orders: set[Order] = set()
    for preference in preferences:
        if (preference.baseline, preference.candidate) != (baseline, candidate):
            continue
        i = place[preference.sample_id]
        if preference.reason not in (NOT_RECORDED, WRONG_ORDER):
            asked_orders.add(preference.order)
        if preference.winner is None:
            reasons[preference.order][i] = preference.reason
        else:
            by_order[preference.order][i] = WIN[preference.winner]
    # A model that gave no answer loses in every order.
    for i, sample in enumerate(task.samples):
        both = responses[baseline][sample.id], responses[candidate][sample.id]
        failed = next((response for response in both if response.request_failed), None)
        if failed is not None:
            for order in ORDERS:
                reasons[order][i] = _failed_request(failed)
            continue
        forfeited = _forfeit(both[0].text, both[1].text)
        if forfeited is not None:
            for order in asked_orders or ORDERS:
                by_order[order][i] = forfeited
    orders = tuple(order for order in ORDERS if order in asked_orders) or ORDERS
    order_reasons = {order: _of_gaps(by_order[order], reasons[order]) for order in orders}
    return PreferenceColumn(
        metric=metric_name,
        baseline=baseline,
        candidate=candidate,
        sample_ids=tuple(place),
        clusters=_clusters(task),
        by_order=by_order,
        reasons=telling_reasons([*order_reasons.values()]),
        generation_failed=_count_failed(task, responses[candidate]),
        asked_orders=orders,
        order_reasons=order_reasons,
        seeds=next(iter(_seeds(task, (baseline, candidate)).values()), None),
    )


def _of_gaps(scores: Vector, reasons: Sequence[str | None]) -> list[str | None]:
    """Keep the reasons of the items without a score."""
    gaps = np.isnan(scores).tolist()
    return [why if gap else None for gap, why in zip(gaps, reasons, strict=True)]


def judged_orders(by_order: Mapping[Order, Vector]) -> tuple[Order, ...]:
    """Return the orders with any verdict; both where there is none."""
    return tuple(o for o in ORDERS if not np.isnan(by_order[o]).all()) or ORDERS


def _forfeit(baseline: str | None, candidate: str | None) -> float | None:
    """Return the win score where a model gave no answer; None where both gave one."""
    if baseline is not None and candidate is not None:
        return None
    return 0.5 if baseline is candidate else float(baseline is None)


# --- shared ----------------------------------------------------------------------------------


def _clusters(task: Task) -> Clusters:
    labels = [sample.cluster for sample in task.samples]
    return None if None in labels else np.array(labels, dtype=np.str_)


def _seeds(task: Task, models: Iterable[str]) -> dict[str, Seeds]:
    """Return the training seed of each sample, for the models that have several."""
    seeded = [model for model in models if model in task.seeded]
    return {model: np.array([s.seed for s in task.samples], dtype=np.int64) for model in seeded}


def _count_failed(task: Task, answers: Responses) -> int:
    responses = (answers[sample.id] for sample in task.samples)
    return sum(response.text is None and not response.request_failed for response in responses)


def _failed_request(response: Response) -> str:
    return f"{MissingReason.REQUEST_FAILED}: {response.reason}"


def _coverage(metric: str, model: str, reasons: list[str | None], failed: int) -> Coverage:
    missing = count_reasons(reasons)
    return Coverage(
        metric=metric,
        model=model,
        n_items=len(reasons),
        n_scored=len(reasons) - missing.total(),
        generation_failed=failed,
        judge_failed=missing.total() - missing[MissingReason.REQUEST_FAILED],
        request_failed=missing[MissingReason.REQUEST_FAILED],
        reasons=dict(sorted(missing.items())),
    )


def _mean_interval(values: Vector, column: GradeColumn, clusters: Clusters) -> Interval:
    estimate = float(values.mean())
    if column.kind == "share":
        deff = 1.0 if clusters is None else design_effect(values, clusters=clusters)
        # A single cluster holds no information on other clusters, and counts as one item.
        deff = deff if np.isfinite(deff) else float(values.size)
        low, high = wilson_interval(float(values.sum()) / deff, values.size / deff)
    else:
        mean = mean_difference(values, clusters=clusters, bounds=(column.low, column.high))
        low, high = max(mean.ci_low, column.low), min(mean.ci_high, column.high)
    return Interval(estimate=estimate, low=low, high=high)


def _overall_score(values: Vector, column: GradeColumn) -> float | None:
    """Return the clipped mean under which HealthBench reports a checklist's score; None for another column."""
    if not column.clipped or column.high <= 0:
        return None
    return min(max(float(values.mean()), 0.0), 1.0)


def _histogram(values: Vector, column: GradeColumn) -> dict[str, int]:
    if np.all(values == np.rint(values)) and column.high - column.low <= HISTOGRAM_BINS:
        steps = np.arange(column.low, column.high + 1)
        return {f"{step:g}": int((values == step).sum()) for step in steps}
    counts, edges = np.histogram(values, bins=HISTOGRAM_BINS, range=(column.low, column.high))
    return {f"{edge:.3g}": int(count) for edge, count in zip(edges[:-1], counts, strict=True)}
