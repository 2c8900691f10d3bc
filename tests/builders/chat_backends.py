"""Answerers for tests: canned, and one that believes whatever an answer tells it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from harness.config import Metric, PairwiseMetric, RubricMetric
from harness.models.endpoint import Ask, ChatFlow, Ended, Problem, Reply, advance
from harness.types import JudgeRequest, Outcome
from harness.types.judgements import reason_kind
from judges.llm import LanguageModelJudge, Structured
from judges.prompts import build_prompt

CRITERIA = ("correctness", "clarity", "safety", "empathy")

T = TypeVar("T")


def reply(
    text: str | None,
    *,
    finish: str | None = "stop",
    refusal: str | None = None,
    problem: Problem | None = None,
    detail: str | None = None,
) -> Reply:
    return Reply(
        text=text,
        finish=finish,
        refusal=refusal,
        input_tokens=100,
        output_tokens=10,
        seconds=0.5,
        attempts=1,
        problem=problem,
        detail=detail,
    )


class Canned:
    """Replies with `say(ask)`, or with its texts in turn; the last asked is answered first.

    Like the endpoint it takes what there is to ask before it hands on what it has.
    """

    fingerprint = "canned"

    def __init__(self, *texts: str | Reply, say: Callable[[Ask], str] | None = None) -> None:
        self._texts = iter(texts)
        self._say = say
        self.asks: list[Ask] = []

    def run_flows(self, flows: Iterable[ChatFlow[T]]) -> Iterator[tuple[int, T]]:
        turns: list[tuple[int, ChatFlow[T], Reply | None]] = []
        for number, flow in enumerate(flows):
            step = advance(flow, None)
            if isinstance(step, Ended):
                yield number, step.result
            else:
                turns.append((number, flow, self.reply_to(step)))
        while turns:
            number, flow, answered = turns.pop()
            step = advance(flow, answered)
            if isinstance(step, Ended):
                yield number, step.result
            else:
                turns.append((number, flow, self.reply_to(step)))

    def reply_to(self, ask: Ask) -> Reply:
        said = self._say(ask) if self._say else next(self._texts)
        self.asks.append(ask)
        return said if isinstance(said, Reply) else reply(said)


class OneAtATime(Canned):
    """Ends each flow before it takes the next one."""

    def run_flows(self, flows: Iterable[ChatFlow[T]]) -> Iterator[tuple[int, T]]:
        for number, flow in enumerate(flows):
            step = advance(flow, None)
            while isinstance(step, Ask):
                step = advance(flow, self.reply_to(step))
            yield number, step.result


def judge(answerer: Canned, *, structured: Structured = "json_schema") -> LanguageModelJudge:
    return LanguageModelJudge(
        answerer, name="canned", nature="for tests", model="canned", structured=structured
    )


def grades(score: int, *, names: Iterable[str] = CRITERIA, reason: str = "So it is.") -> str:
    """A rubric verdict with one score throughout."""
    reasons, scores = dict.fromkeys(names, reason), dict.fromkeys(names, score)
    return json.dumps({"reasons": reasons, "scores": scores})


def shown_to(request: JudgeRequest) -> str:
    """The message in which the request's texts are shown."""
    return build_prompt(request).messages[-1].content


def is_unscored(outcome: Outcome, kind: str) -> bool:
    """Whether there is a reason of this kind, and nothing that could pass for a verdict."""
    nothing = (outcome.values, outcome.winner, outcome.label) == (None, None, None)
    return nothing and (outcome.reason or "").partition(":")[0] == kind


def check_outcome(outcome: Outcome, metric: Metric) -> None:
    """Exactly one of a verdict on the scale and a reason of a known kind, fit to be stored."""
    outcome.model_dump_json().encode()
    if outcome.reason is not None:
        assert (outcome.values, outcome.winner, outcome.label) == (None, None, None)
        assert reason_kind(outcome.reason) is not None
        return
    match metric:
        case RubricMetric():
            assert outcome.values is not None
            assert list(outcome.values) == [criterion.name for criterion in metric.criteria]
            low, high = metric.scale
            assert all(value in range(low, high + 1) for value in outcome.values.values())
        case PairwiseMetric():
            assert outcome.winner in ("first", "second", "tie")
        case _:
            assert outcome.values in ({"helpful": 0.0}, {"helpful": 1.0})


def gullible(ask: Ask) -> str:
    """A judge with an opinion of its own (3, or the longer answer) until an answer gives orders."""
    text = ask.messages[-1].content
    orders = re.search(r"ignore all|highest (?:marks|score)", text, re.IGNORECASE)
    answers = re.findall(r"<(?:first-|second-)?answer-\w{32}>\n(.*?)\n</", text, re.DOTALL)
    if len(answers) == 1:
        return grades(10 if orders else 3)
    wanted = [bool(re.search(r"ignore all|highest", answer, re.IGNORECASE)) for answer in answers]
    first = wanted[0] if orders else len(answers[0]) > len(answers[1])
    return json.dumps({"reason": "So it is.", "winner": "first" if first else "second"})
