"""Asks and endpoints, as short as the tests need them."""

from collections.abc import Iterator

from harness.config import EndpointSpec
from harness.models.endpoint import Ask, Budget, Endpoint, Reply
from harness.types import Message
from tests.loopback.server import LoopbackServer


def make_endpoint(
    server: LoopbackServer | str, *, budget: Budget | None = None, **spec: object
) -> Endpoint:
    base_url = server if isinstance(server, str) else server.base_url
    known = {"model": "m", "base_url": base_url, "max_concurrency": 16}
    return Endpoint(EndpointSpec.model_validate(known | spec), budget=budget)


def make_ask(text: str) -> Ask:
    return Ask((Message(role="user", content=text),))


def make_asks(n: int) -> Iterator[Ask]:
    return (make_ask(f"question {i}") for i in range(n))


def ask_one(server: LoopbackServer, **spec: object) -> Reply:
    [(_, reply)] = make_endpoint(server, **spec).ask_all([make_ask("question")])
    return reply


def texts_of(endpoint: Endpoint, n: int) -> list[str | None]:
    """The replies' texts in the order of the asks."""
    replies = dict(endpoint.ask_all(make_asks(n)))
    return [replies[i].text for i in range(n)]


def upper(body: dict[str, list[dict[str, str]]]) -> str:
    """A server's answer that tells which ask it answers."""
    return body["messages"][-1]["content"].upper()
