"""A second judge, asked for the verdicts that the first one left open.

It is asked once about each answer, ordered pair or criterion of a checklist on which no round of the first
judge could be read. Its verdicts are stored under its own fingerprint, as those of any judge.
"""

from collections.abc import Iterable, Iterator

from harness.config.request import NOTHING_AGAIN, AskAgain
from harness.core.progress import Progress, Stage
from harness.core.store import Store
from harness.scoring.reduce import subject_key
from harness.types import Grade, GradeRequest, Judgement, JudgeRequest, Outcome, Task
from harness.types.judgements import JudgeRound, MissingReason, criterion_key, reason_kind
from judges.judging import collect_outcomes, make_requests, sort_requests, to_judgement
from judges.protocol import Judge
from judges.response_stream import ResponseStream

# An abstention is the judge's word, and what a server failed at is asked again by the next run.
LEFT_OPEN = frozenset(
    {
        MissingReason.UNREADABLE,
        MissingReason.EMPTY,
        MissingReason.REFUSED,
        MissingReason.CUT_OFF,
        MissingReason.TOO_LONG,
    }
)


def judge_left_open(
    task: Task,
    metric_name: str,
    stream: ResponseStream,
    first: Iterable[JudgeRound],
    second: Judge,
    store: Store,
    progress: Progress,
    again: AskAgain = NOTHING_AGAIN,
) -> JudgeRound:
    """Return the second judge's judgements of what the rounds of the `first` left open."""
    left = find_left_open(judgement for part in first for judgement in part.judgements)
    requests = [
        request
        for request in make_requests(task, metric_name, stream)
        if _subject_of(request) in left
    ]
    stage = Stage(f"judge {metric_name} by {second.card.name}", len(requests))
    judged = collect_outcomes(requests, second, store, progress, stage, again)
    judgements = [to_judgement(*pair) for pair in sort_requests(judged, task, stream.models)]
    return JudgeRound(second.card, 0, judgements, stands_in=True)


def find_left_open(judgements: Iterable[Judgement]) -> set[tuple[str, ...]]:
    """Return what has no verdict in any round, for a reason that another judge may not have."""
    left, scored = set(), set()
    for judgement in judgements:
        for subject, reason in _subjects(judgement):
            if reason is None:
                scored.add(subject)
            elif reason_kind(reason) in LEFT_OPEN:
                left.add(subject)
    return left - scored


def _subjects(judgement: Judgement) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Yield the subject of a judgement, and each criterion of it, with the reason of no verdict."""
    subject = subject_key(judgement)
    yield subject, judgement.reason
    if isinstance(judgement, Grade):
        yield from (((*subject, key), None) for key in judgement.values or ())
        yield from (((*subject, key), reason) for key, reason in judgement.missing.items())


def _subject_of(request: JudgeRequest) -> tuple[str, ...]:
    """Return what a request is about: an answer, an ordered pair, or one criterion."""
    subject = subject_key(to_judgement(request, Outcome()))
    if isinstance(request, GradeRequest) and request.criterion is not None:
        return *subject, criterion_key(request.criterion)
    return subject
