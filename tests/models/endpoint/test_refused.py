"""What ends a run: refusals that hold for every ask, and outages."""

import time

import pytest

from harness.core.errors import InfrastructureError
from harness.models.endpoint import EndpointRefusedError, Reply
from tests.builders.asking import make_asks, make_endpoint, texts_of
from tests.loopback.faults import Fault, Kind, Request, always
from tests.loopback.server import LoopbackServer


@pytest.mark.parametrize("kind", ["401", "402", "403", "404", "insufficient_quota", "redirect"])
def test_a_refusal_of_everything_ends_the_run_in_two_seconds(kind: Kind) -> None:
    with LoopbackServer(fault=always(kind)) as server:
        endpoint = make_endpoint(server)
        list(endpoint.ask_all([]))  # LangChain's import takes seconds
        start = time.monotonic()
        with pytest.raises(EndpointRefusedError, match="refuses all requests") as caught:
            list(endpoint.ask_all(make_asks(10_000)))
        assert time.monotonic() - start < 2
    assert isinstance(caught.value, InfrastructureError)
    assert server.counts.total() < 50


@pytest.mark.parametrize("kind", ["404", "html"])
def test_a_wrong_base_url_is_named_with_what_may_be_meant(kind: Kind) -> None:
    with LoopbackServer(fault=always(kind)) as server:
        url = server.base_url.removesuffix("/v1")
        endpoint = make_endpoint(url, timeout_s=1.0)
        with pytest.raises(EndpointRefusedError) as caught:
            list(endpoint.ask_all(make_asks(100)))
    assert f"asked {url}/chat/completions" in str(caught.value)
    assert f"did you mean base_url: {url}/v1" in str(caught.value)


def answering_as(name: str) -> LoopbackServer:
    """A server that answers under this name, whatever model was asked for."""
    server = LoopbackServer()
    served = server._choose

    def rename(request: Request) -> Fault | None:
        request.body["model"] = name
        return served(request)

    server._choose = rename  # type: ignore[method-assign]
    return server


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("gpt-4o", "meta-llama/Llama-3-8B"), ("org/Qwen2.5-7B", "gpt-3.5-turbo"), ("o3", "claude-x")],
)
def test_an_answer_of_another_family_than_asked_ends_the_run(asked: str, answered: str) -> None:
    with answering_as(answered) as server, pytest.raises(EndpointRefusedError, match=answered):
        list(make_endpoint(server, model=asked).ask_all(make_asks(5)))


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        *[("gpt-4o", "gpt-4o-2024-08-06"), ("my-deployment", "gpt-4o"), ("gpt-4o", "mine")],
        *[("llama3", "/models/Llama-3-8B.gguf"), ("deepseek-r1-distill-qwen", "Qwen/x"), ("m", "")],
    ],
)
def test_another_name_of_the_same_or_an_unknown_family_is_passed_on(
    asked: str, answered: str
) -> None:
    with answering_as(answered) as server:
        [(_, reply)] = make_endpoint(server, model=asked).ask_all(make_asks(1))
    assert (reply.text, reply.model) == ("ok", answered or None)


def test_a_gateways_own_name_may_be_stated() -> None:
    with answering_as("llama-3") as server:
        endpoint = make_endpoint(server, model="gpt-fast", answers_as="llama-3")
        assert texts_of(endpoint, 1) == ["ok"]


def test_a_refused_request_without_a_key_says_so() -> None:
    with (
        LoopbackServer(fault=always("401")) as server,
        pytest.raises(EndpointRefusedError, match="no key was sent"),
    ):
        list(make_endpoint(server).ask_all(make_asks(1)))


def test_all_replies_so_far_come_before_the_refusal() -> None:
    def fault(request: Request) -> Fault | None:
        return Fault("401") if request.number >= 40 else None

    replies: list[tuple[int, Reply]] = []
    with (
        LoopbackServer(fault=fault, latency_s=0.02) as server,
        pytest.raises(EndpointRefusedError),
    ):
        replies.extend(make_endpoint(server).ask_all(make_asks(200)))  # keeps what came before
    assert len(replies) == server.counts["ok"] == 40


def test_an_endpoint_that_is_down_ends_the_run() -> None:
    with LoopbackServer() as server:
        pass
    asked = make_endpoint(server, timeout_s=1.0, max_concurrency=5).ask_all(make_asks(10_000))
    start = time.monotonic()
    replies = []
    with pytest.raises(EndpointRefusedError, match="5 requests in a row failed"):
        replies.extend(asked)
    assert time.monotonic() - start < 15
    assert {reply.problem for _, reply in replies} == {"unreachable"}


def test_requests_that_are_all_bad_end_the_run() -> None:
    with (
        LoopbackServer(fault=always("400")) as server,
        pytest.raises(EndpointRefusedError, match="Unsupported value"),
    ):
        list(make_endpoint(server).ask_all(make_asks(10_000)))
    assert server.counts.total() <= 100


def test_prompts_that_are_all_too_long_do_not() -> None:
    with LoopbackServer(fault=always("context_length")) as server:
        assert len(list(make_endpoint(server).ask_all(make_asks(50)))) == 50


@pytest.mark.parametrize("max_concurrency", [5, 64])
def test_a_closed_door_ends_the_run_at_once(max_concurrency: int) -> None:
    closed = always("429", headers={"Retry-After": "3600"})
    start = time.monotonic()
    with (
        LoopbackServer(fault=closed) as server,
        pytest.raises(EndpointRefusedError, match="429"),
    ):
        list(make_endpoint(server, max_concurrency=max_concurrency).ask_all(make_asks(1000)))
    assert time.monotonic() - start < 10
