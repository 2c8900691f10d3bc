import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from harness.models.endpoint import Ask, ChatFlow
from tests.builders.asking import ask_one, make_ask, make_asks, make_endpoint, texts_of, upper
from tests.loopback.faults import Fault, Request, always
from tests.loopback.server import LoopbackServer


def test_each_ask_gets_its_own_reply() -> None:
    with LoopbackServer(upper) as server:
        assert texts_of(make_endpoint(server), 100) == [f"QUESTION {i}" for i in range(100)]
    assert server.counts == {"ok": 100}


def test_a_request_holds_what_the_spec_and_the_ask_say() -> None:
    schema: dict[str, object] = {"type": "json_object"}
    with LoopbackServer() as server:
        endpoint = make_endpoint(server, temperature=0.5, seed=3, max_tokens=7)
        list(endpoint.ask_all([make_ask("hi")._replace(response_format=schema, max_tokens=9)]))
    assert server.requests[0].body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "seed": 3,
        "max_tokens": 9,
        "response_format": schema,
    }


def test_without_a_temperature_none_is_sent() -> None:
    with LoopbackServer() as server:
        ask_one(server, temperature=None)
    assert "temperature" not in server.requests[0].body


def test_fingerprints_stay_as_they_were() -> None:
    endpoint = make_endpoint("http://127.0.0.1:9/v1", top_p=0.9, seed=3)
    assert (
        endpoint.fingerprint == "6101f91e7510f90f28d1b7217aa34ab44b81ea77972094b417998bcb8887206d"
    )
    assert make_endpoint("http://127.0.0.1:9/v1", temperature=None).fingerprint != (
        make_endpoint("http://127.0.0.1:9/v1").fingerprint
    )


def test_nothing_but_plain_headers_leave_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Other: private")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-private")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-private")
    with LoopbackServer() as server:
        ask_one(server)
    names = set(server.requests[0].headers)
    assert names <= {
        *("host", "content-length", "content-type", "connection", "accept", "user-agent"),
        "accept-encoding",
    }


def test_other_base_urls_in_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "LANGSMITH_GATEWAY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/v1")
    with LoopbackServer() as server:
        assert ask_one(server).text == "ok"


def test_loopback_is_not_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with LoopbackServer() as server:
        assert ask_one(server).text == "ok"


def test_tracing_to_third_parties_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "true")
    with LoopbackServer() as server:
        ask_one(server)
    assert os.environ["LANGSMITH_TRACING"] == os.environ["LANGCHAIN_TRACING_V2"] == "false"


def test_asks_are_taken_only_a_little_ahead() -> None:
    taken = 0

    def counting() -> Iterator[Ask]:
        nonlocal taken
        for ask in make_asks(200):
            taken += 1
            yield ask

    with LoopbackServer(latency_s=0.02) as server:
        most_ahead = 0
        for done, _ in enumerate(make_endpoint(server, max_concurrency=4).ask_all(counting())):
            most_ahead = max(most_ahead, taken - done)
    assert taken == 200
    assert most_ahead <= 8
    assert server.peak_in_flight <= 4


def test_replies_come_while_asks_are_still_being_made() -> None:
    replies = 0
    seen_while_asking = []

    def slow() -> Iterator[Ask]:
        for ask in make_asks(6):
            seen_while_asking.append(replies)
            yield ask
            time.sleep(0.1)

    with LoopbackServer() as server:
        for _ in make_endpoint(server).ask_all(slow()):
            replies += 1
    assert seen_while_asking[-1] >= 4


def test_asks_may_depend_on_replies() -> None:
    def ask_about(text: str) -> ChatFlow[list[str | None]]:
        first = yield make_ask(text)
        second = yield make_ask(f"not {first.text}")
        return [first.text, second.text]

    with LoopbackServer(upper) as server:
        ended = dict(make_endpoint(server).run_flows(map(ask_about, ("this", "that"))))
    assert ended == {0: ["THIS", "NOT THIS"], 1: ["THAT", "NOT THAT"]}


def test_the_next_ask_of_a_flow_goes_before_new_flows() -> None:
    def ask_twice(number: int) -> ChatFlow[None]:
        yield make_ask(f"{number} first")
        yield make_ask(f"{number} second")

    with LoopbackServer(upper) as server:
        list(make_endpoint(server, max_concurrency=1).run_flows(map(ask_twice, range(3))))
    sent = [request.body["messages"][0]["content"] for request in server.requests]
    assert sent == [f"{n} {turn}" for n in range(3) for turn in ("first", "second")]


def test_a_flow_may_end_without_an_ask() -> None:
    def ask_even(number: int) -> ChatFlow[str | None]:
        return (yield make_ask(f"{number}")).text if number % 2 == 0 else "odd"

    with LoopbackServer(upper) as server:
        ended = dict(make_endpoint(server, max_concurrency=2).run_flows(map(ask_even, range(5))))
    assert ended == {0: "0", 1: "odd", 2: "2", 3: "odd", 4: "4"}
    assert server.counts == {"ok": 3}


def test_replies_are_handed_on_while_there_is_nothing_to_ask() -> None:
    answered: list[str | None] = []
    three_answered = threading.Event()

    def asks() -> Iterator[Ask]:
        yield from make_asks(3)
        assert three_answered.wait(10)
        yield make_ask("and one more")

    with LoopbackServer(upper, latency_s=0.05) as server:
        for _, reply in make_endpoint(server).ask_all(asks()):
            answered.append(reply.text)
            if len(answered) == 3:
                three_answered.set()
    assert sorted(map(str, answered[:3])) == [f"QUESTION {i}" for i in range(3)]
    assert answered[3:] == ["AND ONE MORE"]


NOTHING_TO_ASK = """
import sys
from tests.builders.asking import make_endpoint
print(list(make_endpoint("http://127.0.0.1:9/v1").ask_all(iter([]))))
print("langchain_openai" in sys.modules, "openai" in sys.modules)
"""


def test_with_nothing_to_ask_no_client_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOTHING_TO_ASK], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\nFalse False\n"


def test_an_endpoint_can_be_asked_again_and_from_several_threads() -> None:
    with LoopbackServer(upper, latency_s=0.05) as server:
        endpoint, other = make_endpoint(server), make_endpoint(server, model="other")
        found: dict[str, list[str | None]] = {}

        def ask(name: str) -> None:
            found[name] = texts_of(endpoint if name < "c" else other, 20)

        threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert texts_of(endpoint, 3) == found["a"][:3]
    assert [len(set(texts)) for texts in found.values()] == [20] * 4


def test_closing_early_cancels_what_is_in_flight() -> None:
    def hang_later(request: Request) -> Fault | None:
        return Fault("hang") if request.number else None

    with LoopbackServer(fault=hang_later) as server:
        replies = make_endpoint(server).ask_all(make_asks(10))
        next(replies)
        start = time.monotonic()
        replies.close()
        assert time.monotonic() - start < 2
        assert list(replies) == []


def test_a_mistake_in_the_asks_reaches_the_caller_at_once() -> None:
    def broken() -> Iterator[Ask]:
        yield make_ask("x")
        raise KeyError("gone")

    with LoopbackServer(fault=always("hang")) as server:
        start = time.monotonic()
        with pytest.raises(KeyError, match="gone"):
            list(make_endpoint(server).ask_all(broken()))
        assert time.monotonic() - start < 4


INTERRUPTED = """
import sys
from tests.builders.asking import make_asks, make_endpoint
endpoint = make_endpoint(sys.argv[1])
try:
    for number, _ in endpoint.ask_all(make_asks(10**6)):
        if number == 20:
            print("going", flush=True)
except KeyboardInterrupt:
    print("stopped after", endpoint.spend.calls > 20, flush=True)
    raise SystemExit(130) from None
"""


def test_an_interrupt_ends_a_run_within_seconds() -> None:
    with LoopbackServer(latency_s=0.1) as server:
        command = [sys.executable, "-W", "error", "-c", INTERRUPTED, server.base_url]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "going\n"
            process.send_signal(signal.SIGINT)
            start = time.monotonic()
            out, err = process.communicate(timeout=20)
            assert time.monotonic() - start < 5
    assert (process.returncode, out, err) == (130, "stopped after True\n", "")


def test_connections_that_do_not_close_in_time_end_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.models.endpoint.dispatch.CLOSE_S", 0.0)
    with LoopbackServer(upper) as server:
        assert texts_of(make_endpoint(server), 2) == ["QUESTION 0", "QUESTION 1"]
