"""An endpoint as callers see it: asks in, replies out, and what they cost."""

from collections.abc import Iterable, Iterator

from harness.config import EndpointSpec
from harness.core.hashing import content_hash
from harness.models.endpoint.addresses import Address, find_key, read_address
from harness.models.endpoint.attempts import RequestRunner
from harness.models.endpoint.budget import Budget, Spend
from harness.models.endpoint.dispatch import ask_all
from harness.models.endpoint.replies import Reply
from harness.models.endpoint.transport import Ask, Transport


def fingerprint_endpoint(spec: EndpointSpec, address: Address) -> str:
    """Changes with whatever decides the answers; needs no key."""
    decoding = (spec.temperature, spec.top_p, spec.top_k, spec.seed, spec.max_tokens)
    more = [spec.extra_body] if spec.extra_body else []
    return content_hash(spec.model, address.base_url, *decoding, spec.structured, *more)


class Endpoint:
    """A chat model behind an OpenAI-compatible endpoint.

    `host` is where everything goes; `fingerprint` hashes what decides the answers: model, base
    URL and decoding, but no key. What was learnt of the endpoint's limits lasts as long as this.
    """

    def __init__(self, spec: EndpointSpec, *, budget: Budget | None = None) -> None:
        """Check address and key; nothing is sent yet.

        Raises:
            HarnessError: a base URL that nothing may be sent to, no key, or mixed currencies.
        """
        self._spec = spec
        self._address = read_address(spec.base_url)
        self._key = find_key(spec, self._address)
        if budget:
            budget.check_prices(spec.price_per_million, spec.model)
        self._caller = RequestRunner(spec, self._address, self._key, budget)
        self.host = self._address.host
        self.loopback = self._address.loopback
        self.fingerprint = fingerprint_endpoint(spec, self._address)

    def __repr__(self) -> str:
        return f"Endpoint({self._spec.model!r} at {self.host})"

    @property
    def spend(self) -> Spend:
        """What was asked for so far; may be read while asks are under way."""
        return self._caller.spend

    def ask_all(self, asks: Iterable[Ask | None]) -> Iterator[tuple[int, Reply]]:
        """Each ask's reply with the ask's number, as replies come.

        Asks are taken one by one, in the caller's thread, and never more than may run at once
        before their replies are handed on; so they may depend on earlier replies. None among
        them says that there is nothing to ask just now: say so rather than wait, since replies
        are handed on between two asks. Closing the iterator cancels what is in flight.

        Raises:
            EndpointRefusedError: key, model or quota are refused, or nothing has worked for a
                while. All replies so far have been handed on.
            BudgetSpentError: the budget allows no further call; the same.
        """
        yield from ask_all(
            self._caller,
            lambda: Transport(self._spec, self._address, self._key),
            asks,
            max_concurrency=self._spec.max_concurrency,
        )
