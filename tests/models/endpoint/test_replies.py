import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.retries import retry_after
from harness.core.sanitize import printable_line
from harness.models.endpoint.replies import read_reply

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\xff\xfe", b"<html>", b"[]", b"null", b"7", b"{}", b'{"choices": [{}]}'),
        b'{"choices": [{"message": {}}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": {"0": {}}}',
        b"[" * 100_000,
        b'{"choices": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_200_that_is_no_completion_is_garbage(body: bytes) -> None:
    reading = read_reply(200, {}, body)
    assert (reading.step, reading.problem, reading.text) == ("retry", "garbage", None)


@pytest.mark.parametrize(
    "usage",
    [
        *(None, [], {}, {"prompt_tokens": True, "completion_tokens": -1}),
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 10**30, "completion_tokens": 1e30},
    ],
)
def test_tokens_that_are_no_counts_are_unknown(usage: object) -> None:
    body = {"choices": [{"message": {"content": "x"}}], "usage": usage}
    reading = read_reply(200, {}, json.dumps(body).encode())
    assert (reading.text, reading.input_tokens, reading.output_tokens) == ("x", None, None)


@pytest.mark.parametrize(
    ("status", "body", "step", "problem"),
    [
        (400, {"object": "error", "message": "bad", "code": 400}, "final", "bad_request"),
        (400, {"detail": "maximum context length is 4096"}, "final", "context_length"),
        (400, {"error": "prompt is too long"}, "final", "context_length"),
        (413, {}, "final", "context_length"),
        (422, {"detail": [{"loc": ["body"]}]}, "final", "bad_request"),
        (408, {}, "retry", "server_error"),
        (529, {}, "retry", "server_error"),
        (204, {}, "retry", "garbage"),
        (429, {"error": {"code": "rate_limit_exceeded"}}, "rate_limited", "rate_limited"),
        (429, {"error": {"type": "insufficient_quota"}}, "fatal", None),
        (405, {}, "fatal", None),
        (400, {"detail": "Server is pinned to 'a'; requested 'b'."}, "fatal", None),
        (422, {"detail": "Unexpected fields in the request: {'top_k'}"}, "fatal", None),
    ],
)
def test_refusals_in_the_forms_that_servers_have(
    status: int, body: dict[str, Any], step: str, problem: str | None
) -> None:
    reading = read_reply(status, {}, json.dumps(body).encode())
    assert (reading.step, reading.problem) == (step, problem)


@given(status=st.integers(200, 599), body=JSON)
def test_no_json_is_too_odd_to_be_read(status: int, body: object) -> None:
    reading = read_reply(status, {}, json.dumps(body).encode())
    assert (reading.problem is None) == (reading.step == "fatal" or reading.text is not None)


@given(status=st.integers(200, 599), body=st.binary())
def test_no_bytes_are_too_odd_to_be_read(status: int, body: bytes) -> None:
    assert read_reply(status, {}, body).step


@given(content=JSON, finish=JSON, refusal=JSON, usage=JSON)
def test_a_completion_of_odd_parts_is_a_text_or_a_problem(
    content: object, finish: object, refusal: object, usage: object
) -> None:
    message = {"content": content, "refusal": refusal}
    body = {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}
    reading = read_reply(200, {}, json.dumps(body).encode())
    assert reading.problem or (reading.text and reading.text.strip())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"date": "Sun, 06 Nov 1994 08:49:00 GMT", "retry-after": "9" * 400}, None),
        *(
            ({"date": "Sun, 06 Nov 1994 08:49:00 GMT", "retry-after": odd}, None)
            for odd in (
                "Mon, 01 Jan 99999999999999 00:00:00 GMT",
                "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
                "Mon, 01 Jan 2024 99:99:99 GMT",
                "Mon, 01 Jan 2024 00:00:00",  # without a zone
                ",",
                "\x00",
            )
        ),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, None),  # without a Date to count from
        (
            {
                "date": "Sun, 06 Nov 1994 08:49:00 GMT",
                "retry-after": "Sun, 06 Nov 1994 08:49:37 GMT",
            },
            37.0,
        ),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_what_a_stranger_wrote_becomes_one_printable_line() -> None:
    assert printable_line("a\x1b]52;c;x\x07b\r\n\u202e c") == "a ]52;c;x b c"
    assert len(printable_line("x" * 10_000)) == 301


def completion(choice: dict[str, Any]) -> bytes:
    usage = {"prompt_tokens": 7, "completion_tokens": 5}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


@pytest.mark.parametrize("message", [{}, {"content": None}, {"content": []}, {"content": ""}])
@pytest.mark.parametrize(
    ("finish", "problem"),
    [("content_filter", "content_filter"), ("length", "length"), ("stop", "empty")],
)
def test_a_completion_without_text_is_read_by_its_ending_and_counted(
    message: dict[str, Any], finish: str, problem: str
) -> None:
    reading = read_reply(200, {}, completion({"message": message, "finish_reason": finish}))
    assert (reading.step, reading.problem) == ("final", problem)
    assert (reading.input_tokens, reading.output_tokens) == (7, 5)


@pytest.mark.parametrize(
    ("choice", "beside", "said"),
    [
        ({"finish_reason": "abort"}, {}, "ended its answer by 'abort'"),
        ({"finish_reason": "error"}, {}, "ended its answer by 'error'"),
        ({"finish_reason": "insufficient_system_resource"}, {}, "insufficient_system_resource"),
        ({"error": {"code": 502, "message": "upstream died"}}, {}, "upstream died"),
        ({"finish_reason": "stop"}, {"error": {"message": "worker lost"}}, "worker lost"),
    ],
)
def test_an_answer_that_the_server_broke_off_is_no_answer(
    choice: dict[str, Any], beside: dict[str, Any], said: str
) -> None:
    body = {"choices": [{"message": {"content": "Rest and"}} | choice]} | beside
    reading = read_reply(200, {}, json.dumps(body).encode())
    assert (reading.step, reading.problem, reading.text) == ("retry", "garbage", None)
    assert said in (reading.detail or "")


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_an_empty_error_beside_an_answer_is_none(error: object) -> None:
    whole = {"choices": [{"message": {"content": "Rest."}, "error": error}], "error": error}
    assert read_reply(200, {}, json.dumps(whole).encode()).text == "Rest."


@pytest.mark.parametrize("finish", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_an_answer_at_its_limit_is_cut_in_the_words_of_any_server(finish: str) -> None:
    reading = read_reply(
        200, {}, completion({"message": {"content": "Re"}, "finish_reason": finish})
    )
    assert (reading.problem, reading.text) == ("length", "Re")


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "Rest "}, {"type": "text", "text": "and ice."}],
        [{"type": "thinking", "thinking": "hm"}, {"type": "output_text", "text": "Rest and ice."}],
        ["Rest and ", "ice."],
    ],
)
def test_content_in_parts_is_the_text_of_its_parts_without_thoughts(parts: list[Any]) -> None:
    reading = read_reply(200, {}, completion({"message": {"content": parts}}))
    assert (reading.problem, reading.text) == (None, "Rest and ice.")


def test_tool_calls_without_text_are_an_empty_answer() -> None:
    message = {"content": None, "tool_calls": [{"id": "1", "type": "function"}]}
    reading = read_reply(200, {}, completion({"message": message, "finish_reason": "tool_calls"}))
    assert (reading.step, reading.problem) == ("final", "empty")


@pytest.mark.parametrize(
    "message",
    [
        {"content": "Rest.", "reasoning_content": "The knee."},
        {"content": "Rest.", "reasoning": "The knee.", "reasoning_details": []},
        {"content": [{"type": "thinking", "thinking": "The knee."}, {"type": "text", "text": "Rest."}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "The knee."}]},
                     {"type": "text", "text": "Rest."}]},
    ],
)  # fmt: skip
def test_thoughts_given_apart_are_read_beside_the_text(message: dict[str, Any]) -> None:
    reading = read_reply(200, {}, completion({"message": message, "finish_reason": "stop"}))
    assert (reading.text, reading.thoughts) == ("Rest.", "The knee.")


@pytest.mark.parametrize("odd", [None, "", " ", 7, {"a": 1}])
def test_fields_that_hold_no_thoughts_are_none(odd: object) -> None:
    message = {"content": "Rest.", "reasoning_content": odd}
    assert read_reply(200, {}, completion({"message": message})).thoughts is None
