"""One ask: attempts within a deadline, each admitted by the throttle and paid from the budget."""

import asyncio
import random
import time
from collections.abc import Callable

from pydantic import SecretStr

from harness.config import EndpointSpec
from harness.core.errors import InfrastructureError
from harness.models.endpoint.addresses import Address
from harness.models.endpoint.budget import Budget, Spend, price
from harness.models.endpoint.rate_limit import Throttle, Ticket
from harness.models.endpoint.replies import AttemptResult, Reply, read_reply
from harness.models.endpoint.secrets import make_key_redactor
from harness.models.endpoint.transport import (
    Ask,
    ConnectionLostError,
    Raw,
    TooLargeError,
    Transport,
    make_body,
)

MAX_FAILURES = 8  # attempts that may fail otherwise than by 429, which only the deadline ends


FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 8.0


MAX_RETRY_AFTER_S = 60.0


# One hung attempt must leave time for another, and a slow answer time to come.
ATTEMPT_SHARE = 0.5


class EndpointRefusedError(InfrastructureError):
    """The endpoint is down or will not serve us; what was answered before is kept."""


class RequestRunner:
    """Makes an endpoint's calls. Everything but `spend` belongs to the background loop."""

    def __init__(
        self, spec: EndpointSpec, address: Address, key: SecretStr | None, budget: Budget | None
    ) -> None:
        self._spec = spec
        self._address = address
        self._blot = make_key_redactor(key)
        self._budget = budget if spec.price_per_million else None
        self._throttle = Throttle(spec.max_concurrency)
        self._calls = self._input_tokens = self._output_tokens = 0

    @property
    def spend(self) -> Spend:
        """What was asked for so far."""
        prices = self._spec.price_per_million
        cost = price(prices, self._input_tokens, self._output_tokens) if prices else None
        currency = prices.currency if prices else None
        return Spend(self._calls, self._input_tokens, self._output_tokens, cost, currency)

    def outage(self, n_asks: int, last: Reply) -> EndpointRefusedError:
        """What to end a run with when nothing has worked for so many asks in a row."""
        return self._refused(f"{n_asks} asks in a row failed, the last with: {last.detail}")

    async def call(self, wire: Transport, ask: Ask, begin: Callable[[], None]) -> Reply:
        """The reply to an ask; `begin` is called when its first attempt may start.

        Waiting for a first turn does not count against the deadline.

        Raises:
            EndpointRefusedError: every other ask would be refused as well.
            BudgetSpentError: it does not fit into the budget.
        """
        body = make_body(self._spec, self._address, ask)
        most = self._most(ask, body)
        ticket = await self._throttle.admit()
        begin()
        attempts = _Attempts(time.monotonic())
        try:
            async with asyncio.timeout(self._spec.timeout_s):
                await self._persist(wire, body, most, ticket, attempts)
        except TimeoutError:
            attempts.give_up(self._spec.timeout_s)
        return self._reply(attempts)

    async def _persist(
        self, wire: Transport, body: bytes, most: float, ticket: Ticket, attempts: "_Attempts"
    ) -> None:
        """Try until an attempt is final; leaves it in `attempts`."""
        while True:
            attempts.count += 1
            reading = attempts.last = await self._attempt(wire, body, most, ticket)
            if reading.step == "stop":
                raise self._refused(f"refuses all asks: {reading.detail}")
            attempts.failures += reading.step == "retry"
            if reading.step == "keep" or attempts.failures >= MAX_FAILURES:
                return
            wait_s = _wait_s(reading, attempts.count)
            left_s = attempts.started + self._spec.timeout_s - time.monotonic()
            if max(wait_s, reading.wait_s or 0.0) >= left_s:
                return  # it would be over by then
            await asyncio.sleep(wait_s)
            ticket = await self._throttle.admit(again=True)

    async def _attempt(
        self, wire: Transport, body: bytes, most: float, ticket: Ticket
    ) -> AttemptResult:
        cost = 0.0
        try:
            if self._budget:
                await self._budget.reserve(most)
            try:
                reading, cost = await self._send(wire, body, most)
            except asyncio.CancelledError:
                cost = most  # it may have been answered, and billed
                raise
            finally:
                if self._budget:
                    self._budget.settle(most, cost)
            if reading.step == "slow_down":
                self._throttle.refuse(ticket, _capped(reading.wait_s))
            elif reading.step == "keep":
                self._throttle.accept(ticket)
            return reading
        finally:
            self._throttle.leave()

    async def _send(self, wire: Transport, body: bytes, most: float) -> tuple[AttemptResult, float]:
        """What one request came to and cost; the most it could where nobody knows."""
        self._calls += 1
        limit_s = self._spec.timeout_s * ATTEMPT_SHARE
        try:
            async with asyncio.timeout(limit_s):
                raw = await wire.post(body)
        except TimeoutError:
            return AttemptResult("retry", "timeout", f"no answer within {limit_s:g} s"), most
        except ConnectionLostError as lost:
            if not lost.sent:
                self._calls -= 1
            return AttemptResult("retry", "unreachable", str(lost)), most if lost.sent else 0.0
        except TooLargeError:
            return AttemptResult("keep", "too_large", "the answer was too long to be read"), most
        reading = self._read(raw)
        return reading, self._bill(reading, most if raw.status == 200 else 0.0)

    def _read(self, raw: Raw) -> AttemptResult:
        """What the answer says; the key goes first, while it is whole."""
        headers = {name: self._blot(value) for name, value in raw.headers.items()}
        body = self._blot(raw.body.decode("latin-1")).encode("latin-1")
        return read_reply(raw.status, headers, body)

    def _bill(self, reading: AttemptResult, otherwise: float) -> float:
        """Count the tokens; their cost, or `otherwise` where the endpoint did not tell them."""
        if reading.input_tokens is None or reading.output_tokens is None:
            return otherwise
        self._input_tokens += reading.input_tokens
        self._output_tokens += reading.output_tokens
        return price(self._spec.price_per_million, reading.input_tokens, reading.output_tokens)

    def _most(self, ask: Ask, body: bytes) -> float:
        tokens = ask.max_tokens or self._spec.max_tokens
        return price(self._spec.price_per_million, len(body), tokens)

    def _reply(self, attempts: "_Attempts") -> Reply:
        last = attempts.last
        assert last is not None
        return Reply(
            text=last.text,
            finish=last.finish,
            refusal=last.refusal,
            input_tokens=last.input_tokens,
            output_tokens=last.output_tokens,
            seconds=time.monotonic() - attempts.started,
            attempts=attempts.count,
            problem=last.problem,
            detail=last.detail,
        )

    def _refused(self, why: str) -> EndpointRefusedError:
        return EndpointRefusedError(
            f"{self._address.host}, model '{self._spec.model}': {why}. All answers so far are "
            "kept; run again to go on."
        )


class _Attempts:
    """How far an ask has come."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.count = 0
        self.failures = 0
        self.last: AttemptResult | None = None

    def give_up(self, timeout_s: float) -> None:
        """The deadline has passed; what failed before it stays the problem."""
        late = f"no answer within {timeout_s:g} s"
        if self.last is None:
            self.last = AttemptResult("keep", "timeout", late)
        else:
            self.last = self.last._replace(detail=f"{late}; before that, {self.last.detail}")


def _wait_s(reading: AttemptResult, attempt: int) -> float:
    """As long as the endpoint says; otherwise full jitter, so that retries do not come together.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    backoff_s = random.uniform(0, min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (attempt - 1)))
    if reading.wait_s is None:
        return backoff_s
    # Those told to wait for the same moment would all come at it.
    return min(MAX_RETRY_AFTER_S, reading.wait_s) + backoff_s / 4


def _capped(wait_s: float | None) -> float | None:
    return None if wait_s is None else min(MAX_RETRY_AFTER_S, wait_s)
