"""How an endpoint is asked for JSON: by schema, as any JSON, or in words only.

Servers that do not know a format refuse every request with it, llama_cpp.server by a 500 and others by
a 400. From then on such an endpoint is asked in the next weaker format.

Such a refusal is told from an outage and from a bad request by asking: the request fails, is answered
in a weaker format, and fails again as it was. A format that was answered once is never given up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Literal, get_args

from harness.core.sanitize import printable_line
from harness.models.endpoint.replies import AttemptResult
from harness.models.endpoint.transport import Ask
from harness.types import Record

Structured = Literal["json_schema", "json_object", "text"]
FORMATS: tuple[Structured, ...] = get_args(Structured)  # each stricter than the next

MAX_TRIES = 3  # fruitless ones of an endpoint: what is refused is not the format
_REFUSALS = ("HTTP 400", "HTTP 422", "HTTP 500", "HTTP 501")

Send = Callable[[Ask], Awaitable[AttemptResult]]


class AdmittedFormat(Record):
    """The strictest format that an endpoint takes, and its words on a stricter one."""

    format: Structured
    refused: Structured
    detail: str

    def __str__(self) -> str:
        """Say both in one line."""
        return f"refuses '{self.refused}' ({self.detail}) and is asked as '{self.format}'"


class ResponseFormats:
    """The formats that one endpoint takes, as far as they are known; belongs to its event loop."""

    def __init__(self) -> None:
        self.admitted: AdmittedFormat | None = None
        self._answered: set[Structured] = set()
        self._lock = asyncio.Lock()
        self._tries = 0

    def limit(self, ask: Ask) -> Ask:
        """Return the ask in its own format, or in the one that the endpoint is known to take."""
        if self.admitted is None or FORMATS.index(format_of(ask)) >= FORMATS.index(
            self.admitted.format
        ):
            return ask
        return _in_format(ask, self.admitted.format)

    def note(self, ask: Ask, result: AttemptResult) -> None:
        """Remember the format of an ask that was answered."""
        if _is_answered(result):
            self._answered.add(format_of(ask))

    async def settle(self, ask: Ask, result: AttemptResult, send: Send) -> AttemptResult:
        """Return the reply to a failed ask in a weaker format, if it is its format that is refused.

        Requests that fail meanwhile wait for what is found here.
        """
        if format_of(ask) == "text" or not _may_refuse_format(result):
            return result
        async with self._lock:
            if self.limit(ask) != ask:
                return await send(self.limit(ask))
            if format_of(ask) in self._answered or self._tries == MAX_TRIES:
                return result
            for weaker in _weaker(ask):
                reply = await send(weaker)
                if _may_refuse_format(reply):
                    continue
                again = await send(ask) if _is_answered(reply) else reply
                if not _may_refuse_format(again):
                    return again
                self.admitted = AdmittedFormat(
                    format=format_of(weaker),
                    refused=format_of(ask),
                    detail=printable_line(again.detail or "", limit=160),
                )
                return reply
            self._tries += 1
        return result


def format_of(ask: Ask) -> Structured:
    """Return the format of the reply that is asked for."""
    kind = (ask.response_format or {}).get("type")
    return next((known for known in FORMATS if known == kind), "text")


def _weaker(ask: Ask) -> Iterator[Ask]:
    """Yield the ask in every weaker format, the strictest first."""
    for weaker in FORMATS[FORMATS.index(format_of(ask)) + 1 :]:
        yield _in_format(ask, weaker)


def _in_format(ask: Ask, weaker: Structured) -> Ask:
    return ask._replace(response_format=None if weaker == "text" else {"type": weaker})


def _may_refuse_format(result: AttemptResult) -> bool:
    return (result.detail or "").startswith(_REFUSALS)


def _is_answered(result: AttemptResult) -> bool:
    return result.text is not None or result.finish is not None
