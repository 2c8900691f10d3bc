"""Judgements: every response on every metric, asked for only where the store has none."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from harness.config import ChecklistMetric, Metric, PairwiseMetric, SupportMetric, pairs_of
from harness.config.request import NOTHING_AGAIN, AskAgain
from harness.core.progress import Progress, Stage
from harness.core.store import Store
from harness.models.cost import Meter
from harness.models.endpoint import BudgetSpentError, EndpointRefusedError
from harness.models.write_buffer import WriteBuffer
from harness.types import (
    ORDERS,
    Grade,
    GradeRequest,
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
from harness.types.judgements import NOT_ASKED, JudgeRound
from judges.backlog import Backlog, is_cacheable, row_key
from judges.checklist import count_requests, join_criteria, requests_on_criteria
from judges.llm import LanguageModelJudge
from judges.panel import Panel
from judges.protocol import Judge
from judges.response_stream import ResponseStream
from judges.served import check_judge

TOKENS_PER_STATEMENT = 20  # a short sentence


def judge_responses(
    task: Task,
    metric_name: str,
    stream: ResponseStream,
    panel: Panel,
    judge: Judge,
    store: Store,
    progress: Progress,
    again: AskAgain = NOTHING_AGAIN,
) -> list[JudgeRound]:
    """Return one judge's judgements in each round: of every response, or pair in both orders.

    The stream's models come baseline first. A missing response is not judged here; it is scored as
    the model's failure later. `again` is what is asked again although the store has it.

    Raises:
        StreamClosedError: answering, or another judge, has failed.
    """
    # 1. Judge every response in every round.
    rounds = range(panel.repeats)
    requests = repeat_requests(make_requests(task, metric_name, stream), rounds)
    by = f" by {judge.card.name}" if len(panel.judges) > 1 else ""
    total = count_verdicts(task, metric_name, len(stream.models))
    stage = Stage(f"judge {metric_name}{by}", total)
    judged = collect_outcomes(requests, judge, store, progress, stage, again)
    # 2. Group the judgements by round, in the order of the items and not of the replies.
    judged = sort_requests(judged, task, stream.models)
    return [
        JudgeRound(
            judge.card,
            n,
            [
                to_judgement(request, outcome)
                for request, outcome in judged
                if request.round == n and outcome.reason != NOT_ASKED
            ],
        )
        for n in rounds
    ]


def sort_requests(
    judged: Iterable[tuple[JudgeRequest, Outcome]], task: Task, models: Sequence[str]
) -> list[tuple[JudgeRequest, Outcome]]:
    """Sort requests with their outcomes by models, items, and orders of a pair; join those on criteria."""
    place = _places(task, models)
    return join_criteria(sorted(judged, key=lambda pair: place(pair[0])))


def _places(
    task: Task, models: Sequence[str]
) -> Callable[[JudgeRequest], tuple[int, int, int, int]]:
    """Return the place of a request: by models, items, and orders of a pair, or rounds of an answer."""
    items = {sample.id: i for i, sample in enumerate(task.samples)}
    numbers = {model: i for i, model in enumerate(models)}

    def place(request: JudgeRequest) -> tuple[int, int, int, int]:
        item = items[request.sample.id]
        if isinstance(request, PreferenceRequest):
            pair = numbers[request.baseline], numbers[request.candidate]
            return (*pair, item, ORDERS.index(request.order))
        return numbers[request.model], 0, item, request.round

    return place


def count_verdicts(task: Task, metric_name: str, n_models: int) -> int:
    """Return the number of one judge's verdicts on a task, over models, orders, criteria and rounds."""
    metric = task.metrics[metric_name]
    if isinstance(metric, PairwiseMetric):
        per_round = task.n_items * len(ORDERS) * len(pairs_of(metric, range(n_models)))
    elif isinstance(metric, ChecklistMetric):
        per_round = n_models * count_requests(metric, task.samples)
    elif isinstance(metric, SupportMetric):
        per_round = n_models * task.n_items * assumed_statements(task.generation.max_new_tokens)
    else:
        per_round = n_models * task.n_items
    return per_round * metric.repeats


def assumed_statements(max_new_tokens: int) -> int:
    """Return how many statements an answer has at most, as is assumed before there is one."""
    return max(1, max_new_tokens // TOKENS_PER_STATEMENT)


# --- requests --------------------------------------------------------------------------------


def make_requests(task: Task, metric_name: str, stream: ResponseStream) -> Iterator[JudgeRequest]:
    """Yield the requests to a judge, as the responses come.

    Raises:
        StreamClosedError: the stream was closed before the last response.
    """
    metric = task.metrics[metric_name]
    samples = {sample.id: sample for sample in task.samples}
    # Pairs of responses, each in both orders.
    if isinstance(metric, PairwiseMetric):
        for baseline, candidate in pairs_of(metric, stream.models):
            for first, second in stream.iter_complete(baseline, candidate):
                if first.text is not None and second.text is not None:
                    yield from preference_requests(
                        samples[second.sample_id],
                        metric_name,
                        metric,
                        (baseline, first.text),
                        (candidate, second.text),
                    )
        return
    # Single responses.
    for model in stream.models:
        for (response,) in stream.iter_complete(model):
            if response.text is not None:
                yield from requests_on_criteria(
                    GradeRequest(
                        sample=shown_to_judge(samples[response.sample_id], metric),
                        metric_name=metric_name,
                        metric=metric,
                        model=model,
                        answer=response.text,
                        passages=response.passages if metric.about_passages else None,
                    )
                )


def preference_requests(
    sample: Sample,
    metric_name: str,
    metric: PairwiseMetric,
    baseline: tuple[str, str],
    candidate: tuple[str, str],
) -> Iterator[PreferenceRequest]:
    """Yield the same pair in both orders; each side is a model's name and its answer."""
    sample = shown_to_judge(sample, metric)
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


def shown_to_judge(sample: Sample, metric: Metric) -> Sample:
    """Return the item as the metric's judge sees it: without its reference where the suite hides that."""
    if metric.shows_reference:
        return sample
    return sample.model_copy(update={"reference": None, "references": ()})


def repeat_requests(
    requests: Iterable[JudgeRequest], rounds: Iterable[int]
) -> Iterator[JudgeRequest]:
    """Yield each request once for every round."""
    for request in requests:
        for number in rounds:
            yield replace(request, round=number) if number else request


# --- outcomes --------------------------------------------------------------------------------


def collect_outcomes(
    requests: Iterable[JudgeRequest],
    judge: Judge,
    store: Store,
    progress: Progress,
    stage: Stage,
    again: AskAgain = NOTHING_AGAIN,
) -> list[tuple[JudgeRequest, Outcome]]:
    """Return every request with its outcome, in order; new outcomes are stored as they come.

    A stored reply without a verdict is read again by this version's reader.

    Raises:
        StreamClosedError: the requests ended early; the outcomes of those sent are stored.
    """
    card = judge.card
    if card.replayed:
        recorded = list(requests)
        outcomes = dict(judge.judge(recorded))
        return [(request, outcomes[i]) for i, request in enumerate(recorded)]
    backlog = Backlog(requests, judge, store, again)
    buffer, meter = WriteBuffer(store), Meter(card.prices)
    admitted = judge.admitted if isinstance(judge, LanguageModelJudge) else None

    def ask(waiting: Iterable[JudgeRequest], keys: Sequence[str]) -> None:
        for index, outcome in judge.judge(waiting):
            key = keys[index]
            backlog.outcomes[key] = outcome
            if is_cacheable(outcome):
                buffer.add(row_key(key, judge), outcome)
            meter.add(outcome.exchange)
            progress.advance(stage.name, len(backlog.outcomes), stage.total, str(meter))

    try:
        ask(backlog.unanswered(), backlog.asked_keys)
        if backlog.closed is not None:
            raise backlog.closed
        if again.try_repaired and card.remote:
            _try_repaired(backlog, ask)
    finally:  # keep what the judge has answered, also when it stops half-way
        buffer.commit()
    if slow := meter.describe_slow():
        progress.log(f"{card.name}: {slow}")
    if isinstance(judge, LanguageModelJudge) and judge.served is not None:
        if judge.admitted != admitted:
            progress.log(f"{card.name} {judge.admitted}")
        stored = [(asked, backlog.outcomes[key]) for key, asked in backlog.reused.items()]
        new_keys = [
            row_key(key, judge) for key in backlog.asked_keys if is_cacheable(backlog.outcomes[key])
        ]
        check_judge(judge, judge.served, store, stored, new_keys)
    return [(request, backlog.outcomes[key]) for key, request in backlog.keyed_requests]


def _try_repaired(
    backlog: Backlog, ask: Callable[[Iterable[JudgeRequest], Sequence[str]], None]
) -> None:
    """Ask for one stored unreadable verdict again, and for the others where the judge was repaired.

    A judge that cannot be reached, or no longer be paid, leaves them as they were.
    """
    if not backlog.unreadable:
        return
    (first, request), *others = backlog.unreadable.items()
    stored = backlog.outcomes[first]
    try:
        ask([request], [first])
        if backlog.outcomes[first].reason is None and others:
            ask([request for _, request in others], [key for key, _ in others])
    except (EndpointRefusedError, BudgetSpentError):
        pass
    if not is_cacheable(backlog.outcomes[first]):
        backlog.outcomes[first] = stored


def to_judgement(request: JudgeRequest, outcome: Outcome) -> Judgement:
    """Return the outcome as a judgement of its item, models and metric."""
    if isinstance(request, GradeRequest):
        return Grade(
            sample_id=request.sample.id,
            model=request.model,
            metric=request.metric_name,
            values=outcome.values,
            label=outcome.label,
            rationale=outcome.rationale,
            reason=outcome.reason,
            missing=outcome.missing,
            exchange=outcome.exchange,
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
        exchange=outcome.exchange,
    )


def winner_of(outcome: Outcome, order: Order) -> Winner | None:
    """Return which model won, given the winning place and the order."""
    if outcome.winner is None or outcome.winner == "tie":
        return outcome.winner
    baseline_won = (outcome.winner == "first") == (order == "baseline_first")
    return "baseline" if baseline_won else "candidate"
