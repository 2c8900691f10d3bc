"""A judge that asks a language model, wherever the model runs.

`prompts.py` builds the prompts and `parsing.py` reads the verdicts. This module sends a prompt, sends
it a second time where the reply is unreadable, and keeps the replies word for word.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import replace
from typing import Protocol, TypeVar

from harness.config import Metric, Prices
from harness.core.hashing import content_hash
from harness.core.sanitize import to_valid_utf8
from harness.data.redaction import REDACTION_VERSION, redact, redact_sample
from harness.models.endpoint import AdmittedFormat, Ask, ChatFlow, Reply, Structured
from harness.types import Exchange, GradeRequest, JudgeCard, JudgeRequest, Outcome
from harness.types.judgements import MissingReason, reason_kind
from harness.types.samples import hash_prompt
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
from judges.served import ServedBy

ASKED_AGAIN = frozenset({MissingReason.UNREADABLE, MissingReason.EMPTY})

T = TypeVar("T")


class ChatBackend(Protocol):
    """A model that answers chats: `harness.models.endpoint.Endpoint`, or a model on this machine."""

    @property
    def fingerprint(self) -> str:
        """Return a hash of everything that decides the replies."""

    def run_flows(self, flows: Iterable[ChatFlow[T]]) -> Iterator[tuple[int, T]]:
        """Run the flows; yield each one's result with its number, as they end.

        Flows are taken one by one, as earlier ones end. Only an error that ends the whole run is raised;
        any other failure is a reply with a `problem`.
        """


class LanguageModelJudge:
    """A language model behind the `Judge` protocol.

    Attributes:
        structured: how the backend is asked for JSON; verdicts are read equally strictly either way.
        model: the model's name.
        redacted: identifiers found in the item and the answers are not shown to the model.
        hardened: the prompt defends against instructions in the answers.
        remote: the model runs on another machine, and may have `prices`.
        served: the endpoint behind it, where its stored verdicts can be checked.
    """

    def __init__(
        self,
        backend: ChatBackend,
        *,
        name: str,
        nature: str,
        model: str,
        structured: Structured = "json_schema",
        redacted: bool = False,
        hardened: bool = True,
        remote: bool = False,
        prices: Prices | None = None,
        served: ServedBy | None = None,
    ) -> None:
        self._backend = backend
        self._remote = remote
        self._prices = prices
        self.served = served
        self._name = name
        self._nature = nature
        self._model = model
        self._structured = structured
        self._redacted = redacted
        self._hardened = hardened

    @property
    def card(self) -> JudgeCard:
        """Describe the judge; other prompts, or another parser of verdicts, change the fingerprint."""
        basis = (self._backend.fingerprint, self._structured, prompts_fingerprint())
        redacted = ["redacted", REDACTION_VERSION] if self._redacted else []
        plain = [] if self._hardened else ["plain", PLAIN_VERSION]
        fingerprint = content_hash(*basis, VERDICT_VERSION, *redacted, *plain)
        return JudgeCard(
            name=self._name,
            nature=self._nature,
            fingerprint=fingerprint,
            remote=self._remote,
            prices=self._prices,
            model=self._model,
        )

    @property
    def admitted(self) -> AdmittedFormat | None:
        """Return the format that verdicts are asked for in, where the endpoint refused a stricter one."""
        return self.served.endpoint.formats.admitted if self.served else None

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        """Yield outcomes as replies come, each with the number of its request."""
        return self._backend.run_flows(map(self._judge_one, requests))

    def read_again(self, request: JudgeRequest, outcome: Outcome) -> Outcome:
        """Read the stored replies of an unreadable outcome by this version's reader, the last first."""
        exchange = outcome.exchange
        if exchange is None or not is_asked(request):
            return outcome
        if self._redacted:
            request = redact_request(request)
        prompt = build_prompt(request) if self._hardened else build_plain_prompt(request)
        for reply in reversed(exchange.replies):
            again = read_verdict(
                reply,
                request.metric,
                shown=prompt.messages[-1].content,
                n_criteria=prompt.n_criteria,
            )
            if again.reason is None:
                return again.model_copy(update={"exchange": exchange})
        return outcome

    def without_hardening(self) -> "LanguageModelJudge":
        """Return the same judge without the prompt's defences, to measure their effect on verdicts."""
        plain = copy(self)
        plain._hardened = False
        plain._name = f"{self._name}, asked plainly"
        return plain

    def _judge_one(self, request: JudgeRequest) -> ChatFlow[Outcome]:
        """Ask for a verdict, and once more where the reply is unreadable."""
        if self._redacted:
            request = redact_request(request)
        if not is_asked(request):
            return unscored(MissingReason.UNSUPPORTED, f"'{request.metric.kind}' metrics")
        prompt = build_prompt(request) if self._hardened else build_plain_prompt(request)
        first = _read((yield self._ask(prompt)), prompt, request.metric, self._model)
        if first.reason is None or reason_kind(first.reason) not in ASKED_AGAIN:
            return first
        reply = yield self._ask(ask_again(prompt))
        second = _read(reply, prompt, request.metric, self._model)
        return _merge_exchanges(first, second)

    def _ask(self, prompt: JudgePrompt) -> Ask:
        wanted = _response_format(prompt.schema, self._structured)
        return Ask(prompt.messages, wanted, until_object=True)


def redact_request(request: JudgeRequest) -> JudgeRequest:
    """Return the request without the identifiers that were found in it."""
    sample = redact_sample(request.sample)
    if isinstance(request, GradeRequest):
        part, passages = request.part, request.passages or ()
        return replace(
            request,
            sample=sample,
            answer=redact(request.answer),
            passages=tuple(p.model_copy(update={"text": redact(p.text)}) for p in passages),
            part=part and part._replace(statement=redact(part.statement)),
        )
    return replace(
        request, sample=sample, first=redact(request.first), second=redact(request.second)
    )


def _response_format(schema: Schema, structured: Structured) -> dict[str, object] | None:
    match structured:
        case "json_schema":
            named = {"name": "verdict", "strict": True, "schema": schema}
            return {"type": "json_schema", "json_schema": named}
        case "json_object":
            return {"type": "json_object"}
        case "text":
            return None


def _read(reply: Reply, prompt: JudgePrompt, metric: Metric, asked: str | None) -> Outcome:
    exchange = Exchange(
        replies=(to_valid_utf8(reply.text or reply.refusal or ""),),
        input_tokens=reply.input_tokens or 0,
        output_tokens=reply.output_tokens or 0,
        seconds=reply.seconds,
        model="" if reply.model in (None, asked) else reply.model or "",
        prompt=hash_prompt(prompt.messages),
    )
    return _outcome(reply, prompt, metric).model_copy(update={"exchange": exchange})


def _outcome(reply: Reply, prompt: JudgePrompt, metric: Metric) -> Outcome:
    match reply.problem:
        case None | "empty" | "refusal" | "length":
            return read_verdict(
                reply.text,
                metric,
                finish=reply.finish,
                refusal=reply.refusal,
                shown=prompt.messages[-1].content,
                n_criteria=prompt.n_criteria,
            )
        case "content_filter":
            return unscored(MissingReason.FILTERED, reply.detail or "")
        case "context_length" | "too_large":
            return unscored(MissingReason.TOO_LONG, reply.detail or "")
        case problem:
            return unscored(MissingReason.NO_REPLY, f"{problem}: {reply.detail or ''}")


def _merge_exchanges(first: Outcome, second: Outcome) -> Outcome:
    """Return the second outcome with the first reply and its cost added to its own."""
    before, after = first.exchange, second.exchange
    assert before is not None
    assert after is not None
    both = Exchange(
        replies=before.replies + after.replies,
        input_tokens=before.input_tokens + after.input_tokens,
        output_tokens=before.output_tokens + after.output_tokens,
        seconds=before.seconds + after.seconds,
        model=after.model,
        prompt=before.prompt,
    )
    return second.model_copy(update={"exchange": both})
