"""What one judge is still to be asked: the requests that have no outcome in the store."""

from collections.abc import Iterable, Iterator

from harness.config.request import AskAgain
from harness.core.hashing import content_hash
from harness.core.store import Store
from harness.data.text import word_rule
from harness.types import GradeRequest, JudgeCard, JudgeRequest, Outcome
from harness.types.judgements import TRANSIENT, MissingReason, reason_kind
from judges.checklist import criteria_key
from judges.llm import LanguageModelJudge
from judges.protocol import Judge
from judges.response_stream import StreamClosedError
from judges.support import decided_unasked

JUDGING_VERSION = 1  # raise it when the meaning of requests changes


class Backlog:
    """The requests to one judge, and the outcomes so far.

    Attributes:
        keyed_requests: all requests so far with their keys, in order.
        asked_keys: the keys of those that the judge was given, in order.
        outcomes: outcomes by key, from the store, from the judge, or decided without it.
        reused: the requests whose stored outcome counts, by key.
        unreadable: the requests whose stored outcome is an unreadable reply, by key.
        closed: the error that ended the requests early.
    """

    def __init__(
        self, requests: Iterable[JudgeRequest], judge: Judge, store: Store, again: AskAgain
    ) -> None:
        self._requests = requests
        self._judge = judge
        self._card = judge.card
        self._store = store
        self._again = again
        self.unreadable: dict[str, JudgeRequest] = {}
        self.reused: dict[str, JudgeRequest] = {}
        self.keyed_requests: list[tuple[str, JudgeRequest]] = []
        self.asked_keys: list[str] = []
        self.outcomes: dict[str, Outcome] = {}
        self.closed: StreamClosedError | None = None

    def unanswered(self) -> Iterator[JudgeRequest]:
        """Yield every request that the store has no outcome for, once."""
        seen_keys: set[str] = set()
        try:
            for request in self._requests:
                key = outcome_key(request, self._card)
                self.keyed_requests.append((key, request))
                if key in seen_keys:
                    continue
                seen_keys.add(key)
                if (decided := decided_unasked(request)) is not None:
                    self.outcomes[key] = decided
                    continue
                stored = self._find_stored(key, request)
                if stored is None:
                    self.asked_keys.append(key)
                    yield request
                    continue
                self.outcomes[key] = stored
                self.reused[key] = request
                if _is_unreadable(stored):
                    self.unreadable[key] = request
        except StreamClosedError as error:  # raised once the judge has finished what it was given
            self.closed = error

    def _find_stored(self, key: str, request: JudgeRequest) -> Outcome | None:
        """Return the stored outcome; None where the judge is to be asked."""
        row = row_key(key, self._judge)
        outcome = self._store.get("outcome", [row], Outcome).get(row)
        if outcome is None:
            return None
        if _is_unreadable(outcome) and isinstance(self._judge, LanguageModelJudge):
            outcome = self._judge.read_again(request, outcome)
        return None if _is_asked_again(request, outcome, self._again) else outcome


def _is_unreadable(outcome: Outcome) -> bool:
    return reason_kind(outcome.reason or "") is MissingReason.UNREADABLE


def _is_asked_again(request: JudgeRequest, outcome: Outcome, again: AskAgain) -> bool:
    if isinstance(request, GradeRequest):
        models: tuple[str, ...] = (request.model,)
    else:
        models = (request.baseline, request.candidate)
    if outcome.reason is None or not again.concerns(*models):
        return False
    kind = reason_kind(outcome.reason)
    if again.what == "unreadable":
        return kind is MissingReason.UNREADABLE
    return again.what == "failed" and kind is not MissingReason.ABSTAINED


def is_cacheable(outcome: Outcome) -> bool:
    """Return whether to store the outcome: a reply that never came was not paid for."""
    return outcome.reason is None or reason_kind(outcome.reason) not in TRANSIENT


def row_key(key: str, judge: Judge) -> str:
    """Return the key in the store of the outcome with this `outcome_key`.

    A verdict that was asked for in another format than the profile states is another verdict.
    """
    admitted = judge.admitted if isinstance(judge, LanguageModelJudge) else None
    return key if admitted is None else content_hash(key, "asked for as", admitted.format)


def passages_key(request: GradeRequest) -> list[object]:
    """Return what a verdict about passages depends on beside the metric, the item and the answer."""
    given = [(passage.document, passage.text) for passage in request.passages or ()]
    return [given, request.sample.sources]


def outcome_key(request: JudgeRequest, card: JudgeCard) -> str:
    """Return a hash of everything that the verdict may depend on, which excludes model names."""
    metric = request.metric
    metric_fields = metric.model_dump(mode="json", exclude=set(metric.not_judged))
    on_criteria: list[object] = []
    if isinstance(request, GradeRequest):
        answers, on_criteria = [request.answer], criteria_key(request)
        if metric.about_passages:
            on_criteria += passages_key(request)
    else:
        answers = [request.first, request.second]
    sample = request.sample
    item: list[object] = [sample.input, sample.reference]
    item += [sample.right_choice] if sample.right_choice is not None else []
    item += [sample.history] if sample.history else []
    # The first round is the request without repeats, and is not paid for again.
    repeat = [request.round] if request.round else []
    if metric.reads_words:
        repeat += word_rule(request.sample.reference or "", *answers)
    return content_hash(
        JUDGING_VERSION, card.fingerprint, metric_fields, item, answers, *on_criteria, *repeat
    )
