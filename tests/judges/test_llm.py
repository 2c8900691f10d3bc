import json
from typing import Any

import pytest

from harness.config import EndpointSpec
from harness.core.quoting import NOTHING
from harness.models.endpoint import Ask, Endpoint, Problem, ask_once
from judges.llm import LanguageModelJudge, Structured
from tests.builders.chat_backends import Canned, OneAtATime, grades, is_unscored, judge, reply
from tests.builders.judge_requests import (
    BAD,
    FAIR,
    GOOD,
    evasion,
    grade,
    outcome,
    outcomes,
    prefer,
    rouge,
)
from tests.loopback.faults import script
from tests.loopback.server import LoopbackServer

JUNK = "I would say seven."


def test_verdicts_are_given_to_their_requests():
    verdicts = [grades(8), json.dumps({"reason": "r", "winner": "second"})]
    label = json.dumps({"reason": "r", "label": "proper_deferral"})
    requests = [grade(GOOD), prefer(FAIR, GOOD), grade(BAD, evasion())]
    first, second, third = outcomes(judge(Canned(*verdicts, label)), requests)
    assert first.values == dict.fromkeys(("correctness", "clarity", "safety", "empathy"), 8.0)
    assert second.winner == "second"
    assert (third.values, third.label) == ({"helpful": 1.0}, "proper_deferral")


def test_outcomes_are_yielded_as_replies_come():
    canned = Canned(say=lambda ask: grades(5))
    requests = [grade(f"{BAD} {n}") for n in range(3)]
    assert [place for place, _ in judge(canned).judge(requests)] == [2, 1, 0]


def test_the_reply_is_kept_with_what_it_took():
    given = outcome(judge(Canned(f"Well: {grades(5)}")), grade(BAD)).exchange
    assert given is not None
    assert given.replies == (f"Well: {grades(5)}",)
    assert (given.input_tokens, given.output_tokens, given.seconds) == (100, 10, 0.5)


# --- asking again ----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [JUNK, "", grades(11), grades(5)[:-1]])
def test_what_could_not_be_read_is_asked_once_more(first: str):
    canned = Canned(first, grades(6))
    given = outcome(judge(canned), grade(BAD))
    assert given.values is not None
    assert given.exchange is not None
    assert given.exchange.replies == (first, grades(6))
    assert given.exchange.input_tokens == 200
    again = canned.asks[1].messages[1].content
    assert again.startswith(canned.asks[0].messages[1].content)
    assert JUNK not in again


def test_two_unreadable_replies_leave_the_request_unscored():
    canned = Canned(JUNK, "Eight, then.")
    given = outcome(judge(canned), grade(BAD))
    assert is_unscored(given, "unreadable")
    assert given.exchange is not None
    assert given.exchange.replies == (JUNK, "Eight, then.")
    assert len(canned.asks) == 2


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (reply("I'm sorry, but I can't."), "refused"),
        (reply(None, refusal="No.", problem="refusal"), "refused"),
        (reply(grades(5), finish="length", problem="length"), "cut off"),
        (reply(grades(5), finish="content_filter", problem="content_filter"), "filtered"),
        (reply(None, finish=None, problem="content_filter", detail="HTTP 400"), "filtered"),
        (reply(None, finish=None, problem="context_length", detail="HTTP 400"), "too long"),
        (reply(json.dumps({**json.loads(grades(5)), "scores": None})), "abstained"),
    ],
)
def test_other_endings_are_not_asked_again(said: Any, kind: str):
    canned = Canned(said)
    assert is_unscored(outcome(judge(canned), grade(BAD)), kind)
    assert len(canned.asks) == 1


@pytest.mark.parametrize(
    "problem",
    ["timeout", "unreachable", "rate_limited", "server_error", "garbage", "bad_request"],
)
def test_a_failed_call_is_no_reply(problem: Problem):
    given = outcome(
        judge(Canned(reply(None, finish=None, problem=problem, detail="d"))), grade(BAD)
    )
    assert given.reason == f"no reply: {problem}: d"


def test_each_of_many_requests_gets_one_outcome_whatever_is_said():
    said = [grades(5), JUNK, "", grades(99), "I cannot judge this."]
    canned = Canned(say=lambda ask: said[len(canned.asks) % 5])
    requests = [grade(f"{BAD} {n}") for n in range(50)]
    places = [place for place, _ in judge(canned).judge(requests)]
    assert sorted(places) == list(range(50))


def test_requests_are_taken_one_by_one_as_there_is_room():
    taken: list[int] = []

    def arriving():
        for n in range(3):
            taken.append(n)
            yield grade(f"{BAD} {n}")

    def say(ask: Ask) -> str:
        assert len(taken) == len(one_at_a_time.asks) + 1
        return grades(5)

    one_at_a_time = OneAtATime(say=say)
    given = list(judge(one_at_a_time).judge(arriving()))
    assert [place for place, _ in given] == taken == [0, 1, 2]


def test_what_is_asked_again_goes_before_new_requests():
    one_at_a_time = OneAtATime(JUNK, grades(6), grades(7))
    given = judge(one_at_a_time).judge([grade(BAD), grade(FAIR)])
    assert [place for place, _ in given] == [0, 1]


# --- what is asked ---------------------------------------------------------------------------


def test_rouge_is_no_question_for_a_language_model():
    canned = Canned(grades(5))
    unsupported, graded = outcomes(judge(canned), [grade(BAD, rouge()), grade(BAD)])
    assert is_unscored(unsupported, "unsupported")
    assert graded.values is not None
    assert len(canned.asks) == 1


def test_nothing_to_judge_asks_nothing():
    canned = Canned()
    assert outcomes(judge(canned), []) == []
    assert canned.asks == []


@pytest.mark.parametrize(
    ("structured", "type_"),
    [("json_schema", "json_schema"), ("json_object", "json_object"), ("text", None)],
)
def test_json_is_asked_for_as_the_endpoint_can(structured: Structured, type_: str | None):
    canned = Canned(grades(5))
    outcome(judge(canned, structured=structured), grade(BAD))
    asked = canned.asks[0].response_format
    assert (asked and asked["type"]) == type_


def test_an_empty_answer_is_shown_as_nothing():
    canned = Canned(grades(1))
    outcome(judge(canned), grade(""))
    assert f">\n{NOTHING}\n</answer-" in canned.asks[0].messages[1].content


def test_fingerprint_depends_on_answerer_and_way_of_asking():
    other = Canned()
    other.fingerprint = "other"
    cards = [
        judge(Canned()).card,
        judge(other).card,
        judge(Canned(), structured="text").card,
    ]
    assert len({card.fingerprint for card in cards}) == 3
    assert judge(Canned()).card == judge(Canned()).card


# --- over a real socket ----------------------------------------------------------------------


def test_an_endpoint_is_asked_and_asked_again():
    def say(body: dict[str, Any]) -> str:
        again = "An earlier reply could not be read" in body["messages"][-1]["content"]
        return grades(7) if again else JUNK

    with LoopbackServer(say, fault=script("500", "429")) as server:
        spec = EndpointSpec(model="m", base_url=server.base_url, max_concurrency=4)
        made = LanguageModelJudge(
            Endpoint(spec), name="m", nature="an endpoint on loopback", model="m"
        )
        given = outcomes(made, [grade(f"{BAD} {n}") for n in range(8)])
    assert all(o.values is not None and set(o.values.values()) == {7.0} for o in given)
    assert all(o.exchange is not None and o.exchange.replies == (JUNK, grades(7)) for o in given)
    assert server.counts == {"ok": 16, "500": 1, "429": 1}


def test_canned_backends_number_flows_like_the_endpoint():
    flows = [ask_once(Ask(())), ask_once(Ask(()))]
    numbers = [n for n, _ in Canned("a", "b").run_flows(flows)]
    assert sorted(numbers) == [0, 1]
