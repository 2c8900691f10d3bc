"""What befalls one ask, over real sockets: rows 3 to 6, 9, 10 and 13 of the fault catalogue."""

import time

import pytest

from tests.builders.asking import ask_one, make_asks, make_endpoint, texts_of, upper
from tests.loopback.faults import Fault, Kind, always, mixed, script
from tests.loopback.server import LoopbackServer

PASSING: list[Fault | Kind] = [
    *("429", "500", "502", "503", "529", "html", "error_200", "no_choices", "null_choices"),
    *("no_json", "deep_json", "reset", "short_body"),
]
FINAL = {
    "400": "bad_request",
    "context_length": "context_length",
    "prompt_filtered": "content_filter",
    "content_filter": "content_filter",
    "length": "length",
    "refusal": "refusal",
    "empty": "empty",
    "null": "empty",
    "tool_calls": "empty",
    "huge": "too_large",
}


@pytest.mark.parametrize("kind", PASSING)
def test_a_passing_fault_is_tried_again(kind: Kind) -> None:
    with LoopbackServer(upper, fault=script(kind)) as server:
        reply = ask_one(server)
    assert (reply.text, reply.problem, reply.attempts) == ("QUESTION", None, 2)
    assert server.counts == {kind: 1, "ok": 1}


@pytest.mark.parametrize("kind", FINAL)
def test_a_fault_of_the_ask_is_told_and_not_tried_again(kind: Kind) -> None:
    with LoopbackServer(upper, fault=always(kind)) as server:
        reply = ask_one(server)
    assert reply.problem == FINAL[kind]
    assert server.counts == {kind: 1}


@pytest.mark.parametrize("charset", ["hex", "punycode", "zip", "undefined", "no-such", "utf-7"])
def test_a_charset_that_is_none_of_texts_disturbs_neither_answers_nor_errors(charset: str) -> None:
    odd = {"Content-Type": f"application/json; charset={charset}"}
    with LoopbackServer(upper, fault=script(Fault("400", headers=odd))) as server:
        assert ask_one(server).problem == "bad_request"
    with LoopbackServer(upper, fault=script(Fault("surrogate", headers=odd))) as server:
        assert (ask_one(server).text or "").startswith("QUESTION")


def test_proxies_of_the_library_below_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_PROXY", "http://127.0.0.1:9")
    with LoopbackServer(upper) as server:
        assert ask_one(server).text == "QUESTION"


@pytest.mark.parametrize("kind", ["length", "content_filter"])
def test_a_cut_text_is_kept(kind: Kind) -> None:
    with LoopbackServer(upper, fault=always(kind)) as server:
        reply = ask_one(server)
    assert (reply.text, reply.finish) == ("QUES", kind)


def test_a_refusal_keeps_its_words() -> None:
    with LoopbackServer(fault=always("refusal")) as server:
        assert ask_one(server).refusal == "I can't help with that."


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    with LoopbackServer(fault=always("surrogate")) as server:
        assert ask_one(server).text == "ok\ufffd"


def test_missing_usage_is_unknown_not_nothing() -> None:
    with LoopbackServer(fault=always("no_usage")) as server:
        reply = ask_one(server)
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("ok", None, None)


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_no_ask_outlives_its_deadline(kind: Kind) -> None:
    with LoopbackServer("long enough to drip for a while".format, fault=always(kind)) as server:
        start = time.monotonic()
        reply = ask_one(server, timeout_s=1.0)
        assert time.monotonic() - start < 4
    assert reply.problem == "timeout"
    assert reply.seconds < 2


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_hung_attempt_leaves_time_for_another(kind: Kind) -> None:
    with LoopbackServer(upper, fault=script(kind)) as server:
        assert ask_one(server, timeout_s=2.0).text == "QUESTION"


def test_what_failed_before_the_deadline_is_the_problem() -> None:
    with LoopbackServer(fault=always("503")) as server:
        reply = ask_one(server, timeout_s=0.5)
    assert reply.problem == "server_error"
    assert reply.detail is not None
    assert "HTTP 503: Overloaded" in reply.detail


@pytest.mark.parametrize(
    ("headers", "at_least"),
    [
        ({"Retry-After": "1"}, 1.0),
        ({"retry-after-ms": "700"}, 0.7),
        (
            {
                "Date": "Sun, 06 Nov 1994 08:49:37 GMT",
                "Retry-After": "Sun, 06 Nov 1994 08:49:38 GMT",
            },
            1.0,
        ),
    ],
)
def test_retry_after_is_honoured(headers: dict[str, str], at_least: float) -> None:
    with LoopbackServer(fault=script(Fault("429", headers=headers))) as server:
        assert ask_one(server).text == "ok"
    first, second = server.requests
    assert second.at - first.at >= at_least


def test_a_wait_that_ends_after_the_deadline_is_not_begun() -> None:
    with LoopbackServer(fault=always("429", headers={"Retry-After": "50"})) as server:
        start = time.monotonic()
        reply = ask_one(server, timeout_s=5.0)
        assert time.monotonic() - start < 4
    assert reply.problem == "rate_limited"


MIXED: list[Fault | Kind] = [
    *("429", "500", "503", "reset", "short_body", "html", "no_choices", "error_200"),
    Fault("drip", seconds=3600),
]


def test_under_mixed_faults_every_ask_gets_the_answer_it_would_have_got() -> None:
    with LoopbackServer(upper, fault=mixed(0.2, MIXED[:-1], seed=1)) as server:
        assert texts_of(make_endpoint(server), 100) == [f"QUESTION {i}" for i in range(100)]
    assert server.counts.total() > 110


@pytest.mark.slow
def test_a_thousand_asks_under_mixed_faults_cost_a_third_more_calls_at_most() -> None:
    with LoopbackServer(upper, fault=mixed(0.2, MIXED, seed=2), latency_s=0.05) as server:
        endpoint = make_endpoint(server, max_concurrency=64, timeout_s=60.0)
        assert texts_of(endpoint, 1000) == [f"QUESTION {i}" for i in range(1000)]
    assert endpoint.spend.calls == server.counts.total()
    assert 1150 < endpoint.spend.calls <= 1350


def test_a_request_under_which_the_connection_is_closed_counts_and_is_made_again() -> None:
    with LoopbackServer(upper, fault=script("hang_up")) as server:
        endpoint = make_endpoint(server, max_concurrency=1)
        assert texts_of(endpoint, 2) == ["QUESTION 0", "QUESTION 1"]
    assert server.counts == {"hang_up": 1, "ok": 1}
    assert endpoint.spend.calls == 3  # the second one was sent, and never read


def test_a_request_that_never_left_does_not_count() -> None:
    endpoint = make_endpoint("http://127.0.0.1:9/v1", timeout_s=1.0)
    [(_, reply)] = endpoint.ask_all(make_asks(1))
    assert (reply.problem, endpoint.spend.calls) == ("unreachable", 0)


def test_one_bad_ask_does_not_disturb_the_others() -> None:
    def fault(request: object) -> Fault | None:
        return Fault("400") if "7" in str(request.prompt) else None  # type: ignore[attr-defined]

    with LoopbackServer(upper, fault=fault) as server:
        replies = dict(make_endpoint(server).ask_all(make_asks(10)))
    assert [i for i in range(10) if replies[i].problem] == [7]
