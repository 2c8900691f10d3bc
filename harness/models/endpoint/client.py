"""The interface of an endpoint: requests in, replies out, and their cost."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import TypeVar

from pydantic import SecretStr

from harness.config import EndpointSpec
from harness.core.hashing import content_hash
from harness.models.endpoint.addresses import Address, find_key, read_address
from harness.models.endpoint.attempts import RequestRunner
from harness.models.endpoint.budget import Budget, Spend
from harness.models.endpoint.dispatch import run_flows
from harness.models.endpoint.event_loop import run_in_background
from harness.models.endpoint.flows import ChatFlow, ask_once
from harness.models.endpoint.replies import Reply
from harness.models.endpoint.response_formats import ResponseFormats
from harness.models.endpoint.secrets import make_key_redactor
from harness.models.endpoint.transport import Ask, Transport

T = TypeVar("T")

LIST_TIMEOUT_S = 3.0


def fingerprint_endpoint(spec: EndpointSpec, address: Address) -> str:
    """Return a hash of everything that decides the answers; needs no key."""
    decoding = (spec.temperature, spec.top_p, spec.top_k, spec.seed, spec.max_tokens)
    more: list[object] = [spec.extra_body] if spec.extra_body else []
    more += [] if spec.revision is None else ["revision", spec.revision]
    return content_hash(spec.model, address.base_url, *decoding, spec.structured, *more)


class Endpoint:
    """A chat model behind an OpenAI-compatible endpoint.

    Requests go to `host`; `fingerprint` hashes everything that decides the answers: model, base URL
    and decoding, but no key. The measured rate limits of the endpoint live as long as this object.
    """

    def __init__(
        self, spec: EndpointSpec, *, budget: Budget | None = None, key: SecretStr | None = None
    ) -> None:
        """Check address and key without sending anything; a given `key` is sent in place of a variable's.

        Raises:
            HarnessError: a base URL that nothing may be sent to, no key, or mixed currencies.
        """
        self._spec = spec
        self._address = read_address(spec.base_url, allow_plain_http=spec.allow_plain_http)
        self._key = key or find_key(spec, self._address)
        if budget:
            budget.check_prices(spec.price_per_million, spec.model)
        self._runner = RequestRunner(spec, self._address, self._key, budget)
        self.host = self._address.host
        self.loopback = self._address.loopback
        self.fingerprint = fingerprint_endpoint(spec, self._address)

    def __repr__(self) -> str:
        return f"Endpoint({self._spec.model!r} at {self.host})"

    @property
    def spend(self) -> Spend:
        """Return the requests, tokens and cost so far, also while requests are under way."""
        return self._runner.spend

    @property
    def formats(self) -> ResponseFormats:
        """Return the formats of replies that this endpoint is known to take."""
        return self._runner.formats

    def list_models(self) -> bytes | None:
        """Ask the server for its list of models, which costs nothing; None without an answer in time."""
        transport = Transport(self._spec, self._address, self._key)

        async def ask() -> bytes | None:
            try:
                async with asyncio.timeout(min(LIST_TIMEOUT_S, self._spec.timeout_s)):
                    return await transport.list_models()
            except TimeoutError:
                return None
            finally:
                await transport.close()

        listed = run_in_background(ask())
        redact = make_key_redactor(self._key)
        return None if listed is None else redact(listed.decode("latin-1")).encode("latin-1")

    def ask_all(self, asks: Iterable[Ask]) -> Iterator[tuple[int, Reply]]:
        """Send the requests; yield each one's reply with its number, as `run_flows`."""
        return self.run_flows(map(ask_once, asks))

    def run_flows(self, flows: Iterable[ChatFlow[T]]) -> Iterator[tuple[int, T]]:
        """Run the flows; yield each one's result with its number, as they end.

        Flows are taken one by one, in another thread, and never more than may run at once before
        their results are handed on; the next one may be long in coming. Closing the iterator
        cancels the requests in flight.

        Raises:
            EndpointRefusedError: key, model or quota are refused, or nothing has worked for a
                while. All results so far have been handed on.
            BudgetSpentError: the budget allows no further request; the same.
        """
        yield from run_flows(
            self._runner,
            lambda: Transport(self._spec, self._address, self._key),
            flows,
            max_concurrency=self._spec.max_concurrency,
        )
