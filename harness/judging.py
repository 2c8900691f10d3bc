"""Judgements: every answer on every metric, asked only where the store has none."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from harness.annotators import NOT_ASKED
from harness.asking import Terms
from harness.board import Board, BoardClosedError
from harness.errors import HarnessError
from harness.fresh import FreshRows, is_final
from harness.hub import require_model
from harness.jury import Ballot, Panel, make_panel, make_people_panel
from harness.people import load_people
from harness.plan import Request, judge_name, judge_names
from harness.progress import Progress, Stage
from harness.provenance import content_hash
from harness.spend import Meter
from harness.store import Store
from harness.suite import Metric, PairwiseMetric, Profile, RougeMetric, pairs_of
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


def judges_of(profile: Profile, root: Path, *, terms: Terms = None) -> Callable[[str], Judge]:
    """The profile's judges by name, each made once; `terms` are those on which endpoints are asked.

    What is returned raises HarnessError for a name the profile has not, and for recorded
    verdicts that cannot be read.
    """

    @cache
    def find_judge(name: str) -> Judge:
        spec = profile.find_judge(name)
        if spec.jury is not None:
            members = ", ".join(spec.jury.members)
            raise HarnessError(f"'{name}' is a jury; name one of its judges here: {members}.")
        if spec.people is not None:
            raise HarnessError(
                f"judge '{name}' is people: what they said is read, and they cannot be asked here."
            )
        return make_judge(name, spec, root, terms=terms)

    return find_judge


def seat_panels(request: Request, find_judge: Callable[[str], Judge]) -> dict[str, Panel]:
    """Who judges each metric of the request's suite.

    Raises:
        HarnessError: as `judges_of`, or a panel that could not judge.
    """
    return {name: _seat_panel(name, request, find_judge) for name in request.suite.metrics}


def _seat_panel(metric_name: str, request: Request, find_judge: Callable[[str], Judge]) -> Panel:
    name = judge_name(metric_name, request)
    if name is None:
        return make_panel("", [rouge_judge()], None, repeats=1)
    repeats = repeats_of(request.suite.metrics[metric_name])
    spec, root = request.profile.find_judge(name), request.profile_root
    if spec.people is not None:
        return make_people_panel(spec.title or name, load_people(spec.people, root), repeats)
    panel = seat_judge(name, request.profile, find_judge, repeats=repeats)
    if spec.calibrated_by is None:
        return panel
    people = load_people(spec.calibrated_by, root)
    named = f"{people.source} ({people.fingerprint[:12]})"
    return panel._replace(card=panel.card.model_copy(update={"calibrated_by": named}))


def require_judges(request: Request) -> None:
    """Return if every language model on this machine that is to judge lies here or can be fetched.

    They are loaded when there is something to judge, which is too late to find out.

    Raises:
        InfrastructureError: one is a hub model that cannot be had; says what to do.
    """
    names = {name for metric in request.suite.metrics for name in judge_names(metric, request)}
    for name in sorted(names):
        spec = request.profile.find_judge(name).local
        if spec is not None and not (request.profile_root / spec.checkpoint).is_dir():
            require_model(spec.checkpoint, spec.revision)


def seat_judge(
    name: str, profile: Profile, find_judge: Callable[[str], Judge], *, repeats: int
) -> Panel:
    """The judge or the jury of that name in the profile, each member asked `repeats` times.

    Raises:
        HarnessError: as `judges_of`, or a panel that could not judge.
    """
    spec = profile.find_judge(name)
    judges = [find_judge(member) for member in profile.members_of(name)]
    return make_panel(spec.title or name, judges, spec.jury, repeats)


def judge_responses(
    task: Task,
    metric_name: str,
    board: Board,
    panel: Panel,
    judge: Judge,
    store: Store,
    progress: Progress,
) -> list[Ballot]:
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
        Ballot(
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


def repeats_of(metric: Metric) -> int:
    """How often each judge is asked the same; ROUGE, which is computed, never changes."""
    return 1 if isinstance(metric, RougeMetric) else metric.repeats


def verdicts_per_item(metric: Metric, n_models: int) -> int:
    """How many verdicts one judge gives on one item, over models, orders and rounds."""
    if isinstance(metric, PairwiseMetric):
        shown = len(ORDERS) * len(pairs_of(metric, range(n_models)))
    else:
        shown = n_models
    return shown * repeats_of(metric)


def collect_outcomes(
    requests: Iterable[JudgeRequest | None],
    judge: Judge,
    store: Store,
    progress: Progress,
    stage: Stage,
) -> list[tuple[JudgeRequest, Outcome]]:
    """Every request with its outcome, in order; what the judge says is stored as it comes."""
    card = judge.card
    if card.replayed:
        asked = [request for request in requests if request is not None]
        outcomes = dict(judge.judge(asked))
        return [(request, outcomes[i]) for i, request in enumerate(asked)]
    keyed: list[tuple[str, JudgeRequest]] = []
    waiting: list[str] = []  # keys of what the judge was asked, in its order
    known: set[str] = set()  # keys that are answered or asked
    found: dict[str, Outcome] = {}

    closed: list[BoardClosedError] = []

    def unanswered() -> Iterator[JudgeRequest | None]:
        try:
            for request in requests:
                if request is None:
                    yield None
                    continue
                key = outcome_key(request, card)
                keyed.append((key, request))
                if key in known:
                    continue
                known.add(key)
                stored = store.get("outcome", [key], Outcome)
                found.update(stored)
                if not stored:
                    waiting.append(key)
                    yield request
        except BoardClosedError as error:  # raised once the judge has answered what it was asked
            closed.append(error)

    fresh, meter = FreshRows(store), Meter(card.prices)
    try:
        for index, outcome in judge.judge(unanswered()):
            found[waiting[index]] = outcome
            if is_final(outcome):
                fresh.add(waiting[index], outcome)
            meter.add(outcome.exchange)
            progress.advance(stage.name, len(found), stage.total, str(meter))
    finally:  # what has been said is kept, also when the judge stops half-way
        fresh.commit()
    if closed:
        raise closed[0]
    return [(request, found[key]) for key, request in keyed]


def make_requests(task: Task, metric_name: str, board: Board) -> Iterator[JudgeRequest | None]:
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
                    sides = (baseline, first.text), (candidate, second.text)
                    yield from preference_requests(
                        samples[second.sample_id], metric_name, metric, *sides
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
