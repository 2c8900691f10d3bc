"""Replies that come in pieces are closed where their JSON object ends, and are otherwise as any other."""

import json

import pytest

from harness.models.endpoint import Ask, Reply
from harness.models.endpoint.event_stream import EventStream, is_whole_object
from harness.types import Message
from tests.builders.asking import make_endpoint
from tests.loopback.server import LoopbackServer

VERDICT = '{"reasons": {"safety": "names } and \\" signs"}, "scores": {"safety": 4}}'
RAMBLING = " and so on" * 2000


def ask_for_object(text: str, **spec: object) -> tuple[Reply, LoopbackServer]:
    ask = Ask((Message(role="user", content="question"),), until_object=True)
    with LoopbackServer(lambda _: text, streams=True) as server:
        [(_, reply)] = make_endpoint(server, **spec).ask_all([ask])
    return reply, server


def test_a_reply_is_closed_behind_its_object() -> None:
    reply, server = ask_for_object(VERDICT + RAMBLING)
    assert reply.text == VERDICT + " "
    assert (reply.problem, reply.finish) == (None, "stop")
    assert server.words_sent < 1000


@pytest.mark.parametrize("text", [VERDICT, "No verdict.", f"Here it is: {VERDICT}", "{ and no end"])
def test_a_reply_that_ends_by_itself_is_whole(text: str) -> None:
    reply, _ = ask_for_object(text)
    assert (reply.text, reply.problem) == (text, None)


def test_tokens_that_are_paid_for_are_counted_by_the_server() -> None:
    reply, server = ask_for_object("{} " * 5, price_per_million={"input": 1, "output": 1})
    assert "stream" not in server.requests[0].body
    assert reply.output_tokens == 5


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("{}", True),
        ('\n{"a": {"b": "}"}}', True),
        ('{"a": {"b": "}"}', False),
        ('{"a": "\\"}"', False),
        ('```json\n{"a": 1}', False),
        ('```json\n{"a": 1}\n```', True),
        ('I would say {"a": 1}', False),
        ('<think>{"a": 1}', False),
        ("", False),
    ],
)
def test_an_object_is_whole_when_its_last_brace_is_closed(text: str, whole: bool) -> None:
    assert is_whole_object(text) is whole


def test_events_may_be_cut_anywhere() -> None:
    events = [{"choices": [{"delta": {"content": c}, "finish_reason": None}]} for c in "{é}"]
    data = "".join(f"data: {json.dumps(e, ensure_ascii=False)}\r\n\r\n" for e in events).encode()
    stream = EventStream()
    for byte in data:
        stream.feed(bytes([byte]))
    assert json.loads(stream.completion() or b"")["choices"][0]["message"]["content"] == "{é}"


def test_a_stream_that_breaks_off_is_no_completion() -> None:
    stream = EventStream()
    stream.feed(b'data: {"choices": [{"delta": {"content": "{"}, "finish_reason": null}]}\n\n')
    assert stream.completion() is None


def test_an_error_in_a_stream_is_handed_on() -> None:
    stream = EventStream()
    stream.feed(b'data: {"error": {"message": "out of memory"}}\n\n')
    assert b"out of memory" in (stream.completion() or b"")


@pytest.mark.parametrize("event", [b"data: {broken\n", b"data: [1]\n", b'data: {"choices": 3}\n'])
def test_odd_events_end_as_an_answer_that_cannot_be_read(event: bytes) -> None:
    with pytest.raises((ValueError, AttributeError, TypeError)):
        EventStream().feed(event)
