"""Endpoints that refuse a format of replies are asked in a weaker one; nothing else is taken for that."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.models.endpoint import Ask, Reply
from harness.types import Message
from tests.builders.asking import make_endpoint
from tests.loopback.faults import Fault, Kind, Request, script
from tests.loopback.server import LoopbackServer

SCHEMA: dict[str, object] = {"type": "json_schema", "json_schema": {"name": "verdict"}}


def format_in(body: dict[str, Any]) -> str:
    return str(body.get("response_format", {"type": "text"})["type"])


def refuses(kind: Kind, *formats: str) -> Callable[[Request], Fault | None]:
    return lambda request: Fault(kind) if format_in(request.body) in formats else None


def ask_for_json(server: LoopbackServer, n: int = 1, **spec: object) -> list[Reply]:
    asks = [Ask((Message(role="user", content=f"question {i}"),), SCHEMA) for i in range(n)]
    return [reply for _, reply in make_endpoint(server, **spec).ask_all(asks)]


@pytest.mark.parametrize("kind", ["400", "500"])
@pytest.mark.parametrize(
    ("refused", "format_"),
    [(["json_schema"], "json_object"), (["json_schema", "json_object"], "text")],
)
def test_the_strictest_format_that_is_not_refused_is_asked_for(
    kind: Kind, refused: list[str], format_: str
):
    with LoopbackServer(format_in, fault=refuses(kind, *refused)) as server:
        replies = ask_for_json(server, n=12)
    assert {reply.text for reply in replies} == {format_}


def test_what_is_refused_is_found_out_once():
    with LoopbackServer(format_in, fault=refuses("400", "json_schema")) as server:
        ask_for_json(server, n=40, max_concurrency=1)
    assert server.counts == {"400": 2, "ok": 40}


def test_an_outage_is_no_refusal_of_a_format():
    outage: list[Kind] = ["500"] * 5
    with LoopbackServer(format_in, fault=script(*outage)) as server:
        [reply] = ask_for_json(server)
    assert reply.text == "json_schema"


def test_a_bad_request_stays_one():
    with LoopbackServer(fault=refuses("400", "json_schema", "json_object", "text")) as server:
        replies = ask_for_json(server, n=4)
    assert [reply.problem for reply in replies] == ["bad_request"] * 4


def test_a_format_that_was_answered_once_is_not_given_up():
    def fault(request: Request) -> Fault | None:
        return refuses("400", "json_schema")(request) if request.number else None

    with LoopbackServer(format_in, fault=fault) as server:
        first, second = ask_for_json(server, n=2, max_concurrency=1)
    assert (first.text, second.problem) == ("json_schema", "bad_request")
