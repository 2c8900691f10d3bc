"""A judge that asks a language model, wherever it runs.

Prompts come from `prompts.py`, verdicts are read by `verdicts.py`; this file only asks, asks once
more where nothing readable came back, and keeps the replies word for word.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Literal, NamedTuple, Protocol

from harness.config import Metric, Prices
from harness.core.hashing import content_hash
from harness.core.sanitize import to_valid_utf8
from harness.data.redaction import REDACTION_VERSION, redact, redact_sample
from harness.models.endpoint import Ask, Reply
from harness.types import Exchange, GradeRequest, JudgeCard, JudgeRequest, Outcome
from harness.types.judgements import MissingReason, reason_kind
from judges.parsing import VERDICT_VERSION, read_verdict, unscored
from judges.prompts import (
    PLAIN_VERSION,
    JudgePrompt,
    Schema,
    ask_again,
    build_plain_prompt,
    build_prompt,
    is_asked,
    prompts_fingerprint,
)

ASKED_AGAIN = frozenset({MissingReason.UNREADABLE, MissingReason.EMPTY})


Structured = Literal["json_schema", "json_object", "text"]


class ChatBackend(Protocol):
    """Whatever answers chats: `harness.models.endpoint.Endpoint`, or a model on this machine."""

    @property
    def fingerprint(self) -> str:
        """A hash of everything that decides the replies."""

    def ask_all(self, asks: Iterable[Ask | None]) -> Iterator[tuple[int, Reply]]:
        """Each ask's reply with the ask's number, as replies come.

        None among the asks says that there is nothing to ask until a reply has been handed on.
        Only what ends the whole run is raised; any other failure is a reply with a `problem`.
        """


class LanguageModelJudge:
    """Any answerer behind the `Judge` protocol.

    `structured` is how the answerer is asked for JSON; the verdict is read as strictly in any way.
    `model` names it. A `remote` one works elsewhere, and may have `prices`. With `redacted` it is
    shown no identifiers that were found in item and answers; unless it is `hardened`, it is asked
    plainly, without what keeps an answer from speaking to it.
    """

    def __init__(
        self,
        answerer: ChatBackend,
        *,
        name: str,
        nature: str,
        model: str,
        structured: Structured = "json_schema",
        redacted: bool = False,
        hardened: bool = True,
        remote: bool = False,
        prices: Prices | None = None,
    ) -> None:
        self._answerer = answerer
        self._remote = remote
        self._prices = prices
        self._name = name
        self._nature = nature
        self._model = model
        self._structured = structured
        self._redacted = redacted
        self._hardened = hardened

    @property
    def card(self) -> JudgeCard:
        """Who judges; another prompt or another way to read verdicts makes another judge."""
        asked = (self._answerer.fingerprint, self._structured, prompts_fingerprint())
        redacted = ["redacted", REDACTION_VERSION] if self._redacted else []
        plain = [] if self._hardened else ["plain", PLAIN_VERSION]
        fingerprint = content_hash(*asked, VERDICT_VERSION, *redacted, *plain)
        return JudgeCard(
            name=self._name,
            nature=self._nature,
            fingerprint=fingerprint,
            remote=self._remote,
            prices=self._prices,
            model=self._model,
        )

    def judge(self, requests: Iterable[JudgeRequest | None]) -> Iterator[tuple[int, Outcome]]:
        """Outcomes as replies come; where nothing readable came, once asked again."""
        shown = map(_redact, requests) if self._redacted else requests
        talk = _JudgeSession(shown, self._structured, self._hardened)
        for number, reply in self._answerer.ask_all(talk.asks()):
            yield from talk.hear(number, reply)
        yield from talk.unasked

    def plainly(self) -> "LanguageModelJudge":
        """The same judge, asked without the defences: to see what these do to its verdicts."""
        plain = copy(self)
        plain._hardened = False
        plain._name = f"{self._name}, asked plainly"
        return plain


def _redact(request: JudgeRequest | None) -> JudgeRequest | None:
    """The request without the identifiers that were found in it."""
    if request is None:
        return None
    shown: dict[str, object] = {"sample": redact_sample(request.sample)}
    if isinstance(request, GradeRequest):
        shown["answer"] = redact(request.answer)
    else:
        shown |= {"first": redact(request.first), "second": redact(request.second)}
    return request.model_copy(update=shown)


class _Turn(NamedTuple):
    """The request at a place, and how it is asked; `before` came of asking it a first time."""

    place: int
    metric: Metric
    prompt: JudgePrompt
    before: Outcome | None = None


class _JudgeSession:
    """Who was asked what, and what is still to be asked. `unasked` are no language model's."""

    def __init__(
        self, requests: Iterable[JudgeRequest | None], structured: Structured, hardened: bool
    ) -> None:
        self.unasked: list[tuple[int, Outcome]] = []
        self._new = self._turns(requests)
        self._all_seen = False
        self._again: deque[_Turn] = deque()
        self._asked: dict[int, _Turn] = {}
        self._structured = structured
        self._hardened = hardened

    def asks(self) -> Iterator[Ask | None]:
        """Asks in the order of their numbers; None while there may be more to ask."""
        number = 0
        while True:
            turn = self._again.popleft() if self._again else next(self._new, None)
            if turn is None:
                if self._all_seen and not self._asked and not self._again:
                    return
                yield None
                continue
            self._asked[number] = turn
            number += 1
            prompt = turn.prompt if turn.before is None else ask_again(turn.prompt)
            yield Ask(prompt.messages, _response_format(prompt.schema, self._structured))

    def hear(self, number: int, reply: Reply) -> Iterator[tuple[int, Outcome]]:
        """The outcome of a reply; nothing yet if it is to be asked again."""
        turn = self._asked.pop(number)
        outcome = _read(reply, turn.prompt, turn.metric)
        if turn.before is not None:
            yield turn.place, _after(turn.before, outcome)
        elif outcome.reason is not None and reason_kind(outcome.reason) in ASKED_AGAIN:
            self._again.append(turn._replace(before=outcome))
        else:
            yield turn.place, outcome

    def _turns(self, requests: Iterable[JudgeRequest | None]) -> Iterator[_Turn | None]:
        place = 0
        for request in requests:
            if request is None:
                yield None
                continue
            if is_asked(request):
                build = build_prompt if self._hardened else build_plain_prompt
                yield _Turn(place, request.metric, build(request))
            else:
                why = unscored(MissingReason.UNSUPPORTED, f"'{request.metric.kind}' metrics")
                self.unasked.append((place, why))
            place += 1
        self._all_seen = True


def _response_format(schema: Schema, structured: Structured) -> dict[str, object] | None:
    match structured:
        case "json_schema":
            named = {"name": "verdict", "strict": True, "schema": schema}
            return {"type": "json_schema", "json_schema": named}
        case "json_object":
            return {"type": "json_object"}
        case "text":
            return None


def _read(reply: Reply, prompt: JudgePrompt, metric: Metric) -> Outcome:
    exchange = Exchange(
        replies=(to_valid_utf8(reply.text or reply.refusal or ""),),
        input_tokens=reply.input_tokens or 0,
        output_tokens=reply.output_tokens or 0,
        seconds=reply.seconds,
    )
    return _outcome(reply, prompt, metric).model_copy(update={"exchange": exchange})


def _outcome(reply: Reply, prompt: JudgePrompt, metric: Metric) -> Outcome:
    match reply.problem:
        case None | "empty" | "refusal" | "length":
            shown = prompt.messages[-1].content
            return read_verdict(
                reply.text, metric, finish=reply.finish, refusal=reply.refusal, shown=shown
            )
        case "content_filter":
            return unscored(MissingReason.FILTERED, reply.detail or "")
        case "context_length" | "too_large":
            return unscored(MissingReason.TOO_LONG, reply.detail or "")
        case problem:
            return unscored(MissingReason.NO_REPLY, f"{problem}: {reply.detail or ''}")


def _after(first: Outcome, second: Outcome) -> Outcome:
    """The second outcome, with the first reply and its cost before its own."""
    before, after = first.exchange, second.exchange
    assert before is not None
    assert after is not None
    both = Exchange(
        replies=before.replies + after.replies,
        input_tokens=before.input_tokens + after.input_tokens,
        output_tokens=before.output_tokens + after.output_tokens,
        seconds=before.seconds + after.seconds,
    )
    return second.model_copy(update={"exchange": both})
