"""Judgements: every answer on every metric, asked only where the store has none."""

from collections.abc import Iterable, Iterator, Sequence

from harness.config import Metric, PairwiseMetric, RubricMetric, pairs_of
from harness.core.hashing import content_hash
from harness.core.progress import Progress, Stage
from harness.core.store import Store
from harness.models.cost import Meter
from harness.models.write_buffer import WriteBuffer
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
from harness.types.judgements import NOT_ASKED, TRANSIENT, JudgeRound, reason_kind
from judges.panel import Panel
from judges.protocol import Judge
from judges.response_stream import ResponseStream, StreamClosedError


def is_cacheable(outcome: Outcome) -> bool:
    """Whether asking again would be paying twice; a reply that never came was not paid for."""
    return outcome.reason is None or reason_kind(outcome.reason) not in TRANSIENT


JUDGING_VERSION = 1  # raise it when requests mean something else than before


def judge_responses(
    task: Task,
    metric_name: str,
    board: ResponseStream,
    panel: Panel,
    judge: Judge,
    store: Store,
    progress: Progress,
) -> list[JudgeRound]:
    """One judge's judgements in each round: of every answer, or every pair in both orders.

    The board's models come baseline first. Where a model gave no answer there is nothing to
    judge: that is scored as its failure later, not here.

    Raises:
        BoardClosedError: answering, or another judge, has failed.
    """
    metric = task.metrics[metric_name]
    rounds = range(panel.repeats)
    requests = repeat_requests(make_requests(task, metric_name, board), rounds)
    per_item = verdicts_per_item(metric, len(board.models))
    by = f" by {judge.card.name}" if len(panel.judges) > 1 else ""
    stage = Stage(f"judge {metric_name}{by}", len(task.samples) * per_item)
    judged = collect_outcomes(requests, judge, store, progress, stage)
    return [
        JudgeRound(
            judge.card,
            n,
            [
                to_judgement(r, outcome)
                for r, outcome in judged
                if r.round == n and outcome.reason != NOT_ASKED
            ],
        )
        for n in rounds
    ]


def verdicts_per_item(metric: Metric, n_models: int) -> int:
    """How many verdicts one judge gives on one item, over models, orders and rounds."""
    if isinstance(metric, PairwiseMetric):
        shown = len(ORDERS) * len(pairs_of(metric, range(n_models)))
    else:
        shown = n_models
    return shown * metric.repeats


# --- what is asked ---------------------------------------------------------------------------


def make_requests(
    task: Task, metric_name: str, board: ResponseStream
) -> Iterator[JudgeRequest | None]:
    """What the judge is asked, as soon as the answers are there; None while none has come."""
    metric = task.metrics[metric_name]
    samples = {sample.id: sample for sample in task.samples}
    if isinstance(metric, PairwiseMetric):
        for baseline, candidate in pairs_of(metric, board.models):
            for answers in board.arrivals(baseline, candidate):
                if answers is None:
                    yield None
                    continue
                first, second = answers
                if first.text is not None and second.text is not None:
                    yield from preference_requests(
                        samples[second.sample_id],
                        metric_name,
                        metric,
                        (baseline, first.text),
                        (candidate, second.text),
                    )
        return
    for model in board.models:
        for arrived in board.arrivals(model):
            if arrived is None:
                yield None
                continue
            (response,) = arrived
            if response.text is not None:
                yield GradeRequest(
                    sample=samples[response.sample_id],
                    metric_name=metric_name,
                    metric=metric,
                    model=model,
                    answer=response.text,
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


def repeat_requests(
    requests: Iterable[JudgeRequest | None], rounds: Iterable[int]
) -> Iterator[JudgeRequest | None]:
    """Each request once for every round; None, that there is nothing yet, once."""
    for request in requests:
        if request is None:
            yield None
            continue
        for number in rounds:
            yield request.model_copy(update={"round": number}) if number else request


# --- what was said ---------------------------------------------------------------------------


def collect_outcomes(
    requests: Iterable[JudgeRequest | None],
    judge: Judge,
    store: Store,
    progress: Progress,
    stage: Stage,
) -> list[tuple[JudgeRequest, Outcome]]:
    """Every request with its outcome, in order; what the judge says is stored as it comes.

    Raises:
        BoardClosedError: the requests ended early; what the judge had been asked is stored.
    """
    card = judge.card
    if card.replayed:
        asked = [request for request in requests if request is not None]
        outcomes = dict(judge.judge(asked))
        return [(request, outcomes[i]) for i, request in enumerate(asked)]
    inquiry = _Inquiry(requests, card, store)
    fresh, meter = WriteBuffer(store), Meter(card.prices)
    try:
        for index, outcome in judge.judge(inquiry.unanswered()):
            key = inquiry.asked[index]
            inquiry.found[key] = outcome
            if is_cacheable(outcome):
                fresh.add(key, outcome)
            meter.add(outcome.exchange)
            progress.advance(stage.name, len(inquiry.found), stage.total, str(meter))
    finally:  # what has been said is kept, also when the judge stops half-way
        fresh.commit()
    if inquiry.closed is not None:
        raise inquiry.closed
    return [(request, inquiry.found[key]) for key, request in inquiry.keyed]


class _Inquiry:
    """Requests on their way to a judge; `found` fills up with the store's outcomes and with new ones.

    `keyed` are the requests that have come, under their keys; `asked` the keys of those that the
    judge was asked, in its order; `closed` why no more came, where they ended early.
    """

    def __init__(
        self, requests: Iterable[JudgeRequest | None], card: JudgeCard, store: Store
    ) -> None:
        self._requests = requests
        self._card = card
        self._store = store
        self.keyed: list[tuple[str, JudgeRequest]] = []
        self.asked: list[str] = []
        self.found: dict[str, Outcome] = {}
        self.closed: StreamClosedError | None = None

    def unanswered(self) -> Iterator[JudgeRequest | None]:
        """Every request that the store has no outcome of, once; None while none has come."""
        known: set[str] = set()  # keys that are answered or asked
        try:
            for request in self._requests:
                if request is None:
                    yield None
                    continue
                key = outcome_key(request, self._card)
                self.keyed.append((key, request))
                if key in known:
                    continue
                known.add(key)
                stored = self._store.get("outcome", [key], Outcome)
                self.found.update(stored)
                if not stored:
                    self.asked.append(key)
                    yield request
        except StreamClosedError as error:  # raised once the judge has answered what it was asked
            self.closed = error


def outcome_key(request: JudgeRequest, card: JudgeCard) -> str:
    """Everything the verdict could depend on, and nothing it must not (such as model names)."""
    metric = request.metric
    asked = metric.model_dump(
        mode="json", exclude={"data", "generation", "judge", "repeats", "pairs"}
    )
    if isinstance(request, GradeRequest):
        answers = [request.answer]
    else:
        answers = [request.first, request.second]
    item = (request.sample.input, request.sample.reference)
    # The first round is what a judge is asked without repeats, and is not paid for again.
    again = [request.round] if request.round else []
    return content_hash(JUDGING_VERSION, card.fingerprint, asked, item, answers, *again)


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
    """Which model won, from which place won in which order."""
    if outcome.winner is None or outcome.winner == "tie":
        return outcome.winner
    baseline_won = (outcome.winner == "first") == (order == "baseline_first")
    return "baseline" if baseline_won else "candidate"


def grade_answers(
    answers: Sequence[tuple[Sample, str]],
    metric: RubricMetric,
    judge: Judge,
    store: Store,
    progress: Progress,
    stage: str,
) -> list[float | None]:
    """Each answer's grade: 0 is the low end of the scale and 1 the high one, None is unscored.

    It is the mean over the criteria, and over the rounds that could be read. What was asked
    before is not asked again.
    """
    once = [
        GradeRequest(sample=sample, metric_name="grade", metric=metric, model="own", answer=answer)
        for sample, answer in answers
    ]
    requests = list(repeat_requests(once, range(metric.repeats)))
    judged = collect_outcomes(requests, judge, store, progress, Stage(stage, len(requests)))
    grades = [_grade(outcome, metric) for _, outcome in judged]
    rounds = [grades[i : i + metric.repeats] for i in range(0, len(grades), metric.repeats)]
    return [_mean([grade for grade in told if grade is not None]) for told in rounds]


def _grade(outcome: Outcome, metric: RubricMetric) -> float | None:
    """The mean over the criteria; None where any of them has no value."""
    values = outcome.values or {}
    names = [criterion.name for criterion in metric.criteria]
    if not all(name in values for name in names):
        return None
    low, high = metric.scale
    return sum((values[name] - low) / (high - low) for name in names) / len(names)


def _mean(grades: Sequence[float]) -> float | None:
    return sum(grades) / len(grades) if grades else None
