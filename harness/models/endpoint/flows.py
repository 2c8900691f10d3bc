"""Chats with a model in which a request may follow from an earlier reply.

    def ask_twice(ask: Ask) -> ChatFlow[Reply]:
        reply = yield ask
        return reply if reply.text else (yield ask)

A flow never waits and knows no network: it yields a request and is sent the reply. An endpoint, a
model on this machine and the replies of a batch all run the same flows.
"""

from collections.abc import Generator
from typing import Generic, NamedTuple, TypeVar

from harness.models.endpoint.replies import Reply
from harness.models.endpoint.transport import Ask

T = TypeVar("T")

ChatFlow = Generator[Ask, Reply, T]


class Ended(NamedTuple, Generic[T]):
    """The result of a flow."""

    result: T


def advance(flow: ChatFlow[T], reply: Reply | None) -> Ask | Ended[T]:
    """Start a flow (without a reply) or send it a reply; return its next request or its result."""
    try:
        return next(flow) if reply is None else flow.send(reply)
    except StopIteration as end:
        return Ended(end.value)


def ask_once(ask: Ask) -> ChatFlow[Reply]:
    """Send one request and return its reply."""
    return (yield ask)
