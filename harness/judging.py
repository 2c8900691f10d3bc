"""Judgements: every answer on every metric, asked only where the store has none."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from harness.generate import Responses
from harness.plan import Request, judge_name
from harness.progress import Progress
from harness.provenance import content_hash
from harness.store import Store
from harness.suite import Metric, PairwiseMetric, Profile
from harness.types import (
    ORDERS,
    Grade,
    GradeRequest,
    JudgeCard,
    Judgement,
    JudgeRequest,
    Order,
    Outcome,
    Preference,
    PreferenceRequest,
    Sample,
    Task,
    Winner,
)
from judges.make import make_judge, rouge_judge
from judges.protocol import Judge

JUDGING_VERSION = 1  # raise it when requests mean something else than before
COMMIT_EVERY = 64


def judges_of(profile: Profile, root: Path) -> Callable[[str], Judge]:
    """The profile's judges by name, each made once.

    What is returned raises HarnessError for a name the profile has not, and for recorded
    verdicts that cannot be read.
    """

    @cache
    def find_judge(name: str) -> Judge:
        return make_judge(name, profile.find_judge(name), root)

    return find_judge


def judge_metrics(request: Request, find_judge: Callable[[str], Judge]) -> dict[str, Judge]:
    """Who judges each metric of the request's suite."""
    names = {metric: judge_name(metric, request) for metric in request.suite.metrics}
    return {
        metric: rouge_judge() if name is None else find_judge(name)
        for metric, name in names.items()
    }


def judge_responses(
    task: Task,
    metric_name: str,
    responses: Mapping[str, Responses],
    judge: Judge,
    store: Store,
    progress: Progress,
) -> list[Judgement]:
    """A judgement for every answer, or for every pair of answers in both orders.

    `responses` are by model, baseline first. Where a model gave no answer there is nothing to
    judge: that is scored as its failure later, not here.
    """
    metric = task.metrics[metric_name]
    requests = list(make_requests(task, metric_name, metric, responses))
    outcomes = collect_outcomes(requests, judge, store, progress, stage=f"judge {metric_name}")
    return [
        to_judgement(request, outcome) for request, outcome in zip(requests, outcomes, strict=True)
    ]


def collect_outcomes(
    requests: Sequence[JudgeRequest], judge: Judge, store: Store, progress: Progress, *, stage: str
) -> list[Outcome]:
    """One outcome for each request, in their order; what the judge says is stored as it comes."""
    if judge.card.replayed:
        return _in_order(dict(judge.judge(requests)))
    keys = [outcome_key(request, judge.card) for request in requests]
    found = store.get("outcome", keys, Outcome)
    missing = list(dict.fromkeys(key for key in keys if key not in found))
    first = dict(zip(reversed(keys), reversed(requests), strict=True))
    batch: dict[str, Outcome] = {}
    try:
        for index, outcome in judge.judge([first[key] for key in missing]):
            batch[missing[index]] = outcome
            if len(batch) >= COMMIT_EVERY:
                _commit(batch, found, store)
                progress.advance(stage, len(found), len(set(keys)))
    finally:  # what has been said is kept, also when the judge stops half-way
        _commit(batch, found, store)
    if missing:
        progress.advance(stage, len(found), len(set(keys)))
    return [found[key] for key in keys]


def make_requests(
    task: Task, metric_name: str, metric: Metric, responses: Mapping[str, Responses]
) -> Iterator[JudgeRequest]:
    """What the judge is asked, in a fixed order."""
    if isinstance(metric, PairwiseMetric):
        baseline, *others = responses
        for candidate in others:
            for sample in task.samples:
                first = responses[baseline][sample.id].text
                second = responses[candidate][sample.id].text
                if first is not None and second is not None:
                    yield from preference_requests(
                        sample, metric_name, metric, (baseline, first), (candidate, second)
                    )
        return
    for model, answers in responses.items():
        for sample in task.samples:
            text = answers[sample.id].text
            if text is not None:
                yield GradeRequest(
                    sample=sample, metric_name=metric_name, metric=metric, model=model, answer=text
                )


def preference_requests(
    sample: Sample,
    metric_name: str,
    metric: PairwiseMetric,
    baseline: tuple[str, str],
    candidate: tuple[str, str],
) -> Iterator[PreferenceRequest]:
    """The same pair in both orders; each side is a name and its answer."""
    for order in ORDERS:
        swapped = order == "candidate_first"
        first, second = (candidate[1], baseline[1]) if swapped else (baseline[1], candidate[1])
        yield PreferenceRequest(
            sample=sample,
            metric_name=metric_name,
            metric=metric,
            order=order,
            baseline=baseline[0],
            candidate=candidate[0],
            first=first,
            second=second,
        )


def outcome_key(request: JudgeRequest, card: JudgeCard) -> str:
    """Everything the verdict could depend on, and nothing it must not (such as model names)."""
    asked = request.metric.model_dump(mode="json", exclude={"data", "generation", "judge"})
    if isinstance(request, GradeRequest):
        answers = [request.answer]
    else:
        answers = [request.first, request.second]
    item = (request.sample.input, request.sample.reference)
    return content_hash(JUDGING_VERSION, card.fingerprint, asked, item, answers)


def to_judgement(request: JudgeRequest, outcome: Outcome) -> Judgement:
    """The outcome with the item, models and metric it belongs to."""
    if isinstance(request, GradeRequest):
        return Grade(
            sample_id=request.sample.id,
            model=request.model,
            metric=request.metric_name,
            values=outcome.values,
            label=outcome.label,
            rationale=outcome.rationale,
            reason=outcome.reason,
        )
    return Preference(
        sample_id=request.sample.id,
        baseline=request.baseline,
        candidate=request.candidate,
        metric=request.metric_name,
        order=request.order,
        winner=winner_of(outcome, request.order),
        rationale=outcome.rationale,
        reason=outcome.reason,
    )


def winner_of(outcome: Outcome, order: Order) -> Winner | None:
    """Which model won, from which place won in which order."""
    if outcome.winner is None or outcome.winner == "tie":
        return outcome.winner
    baseline_won = (outcome.winner == "first") == (order == "baseline_first")
    return "baseline" if baseline_won else "candidate"


def _commit(batch: dict[str, Outcome], found: dict[str, Outcome], store: Store) -> None:
    store.put("outcome", batch)
    found.update(batch)
    batch.clear()


def _in_order(outcomes: dict[int, Outcome]) -> list[Outcome]:
    return [outcomes[index] for index in range(len(outcomes))]
