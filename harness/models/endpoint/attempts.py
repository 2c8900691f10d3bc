"""One request to an endpoint: attempts within a deadline, each rate-limited and paid for."""

import asyncio
import time
from collections.abc import Callable

from pydantic import SecretStr

from harness.config import EndpointSpec
from harness.core.errors import InfrastructureError
from harness.core.retries import MAX_RETRY_AFTER_S, wait_before
from harness.models.endpoint.addresses import Address, suggest_base_url
from harness.models.endpoint.budget import Budget, Spend
from harness.models.endpoint.rate_limit import Throttle, Ticket
from harness.models.endpoint.replies import AttemptResult, Reply, read_reply
from harness.models.endpoint.response_formats import ResponseFormats, format_of
from harness.models.endpoint.secrets import make_key_redactor
from harness.models.endpoint.transport import (
    Ask,
    ConnectionLostError,
    Raw,
    TooLargeError,
    Transport,
    make_body,
)
from harness.models.families import is_other_family

MAX_FAILURES = 8  # failed attempts, not counting 429s, which only the deadline ends

# One attempt that hangs must leave time for another, and a slow answer needs time to arrive.
ATTEMPT_SHARE = 0.5


class EndpointRefusedError(InfrastructureError):
    """The endpoint is down or refuses all requests; answers received before are kept."""


class RequestRunner:
    """Runs an endpoint's requests. Everything but `spend` and `formats` belongs to the background loop."""

    def __init__(
        self, spec: EndpointSpec, address: Address, key: SecretStr | None, budget: Budget | None
    ) -> None:
        self._spec = spec
        self._address = address
        self._redact_key = make_key_redactor(key)
        self._keyless = key is None
        self._budget = budget if spec.price_per_million else None
        self._throttle = Throttle(spec.max_concurrency)
        self.formats = ResponseFormats()
        self._calls = self._input_tokens = self._output_tokens = 0

    @property
    def spend(self) -> Spend:
        """Return the requests, tokens and cost so far."""
        prices = self._spec.price_per_million
        cost = prices.cost(self._input_tokens, self._output_tokens) if prices else None
        currency = prices.currency if prices else None
        return Spend(self._calls, self._input_tokens, self._output_tokens, cost, currency)

    def outage_error(self, n_asks: int, last: Reply) -> EndpointRefusedError:
        """Return the error that ends a run after so many failed requests in a row."""
        return self._refused_error(
            f"{n_asks} requests in a row failed, the last with: {last.detail}"
        )

    async def call(self, transport: Transport, ask: Ask, on_start: Callable[[], None]) -> Reply:
        """Send a request and return its reply; `on_start` is called before the first attempt.

        The deadline starts with the first attempt, not with the wait in the queue before it.

        Raises:
            EndpointRefusedError: the endpoint would refuse every other request as well.
            BudgetSpentError: the request does not fit into the budget.
        """
        ticket = await self._throttle.admit()
        on_start()
        attempts = _Attempts(time.monotonic())
        try:
            async with asyncio.timeout(self._spec.timeout_s):
                await self._run_attempts(transport, ask, ticket, attempts)
        except TimeoutError:
            attempts.give_up(self._spec.timeout_s)
        return self._make_reply(attempts)

    async def _run_attempts(
        self, transport: Transport, ask: Ask, ticket: Ticket, attempts: "_Attempts"
    ) -> None:
        """Try until an attempt is final; `attempts` holds its result."""

        async def send_at_once(other: Ask) -> AttemptResult:
            attempts.count += 1
            again = await self._throttle.admit(retry=True)
            return await self._run_attempt(transport, other, again)

        while True:
            attempts.count += 1
            asked = self.formats.limit(ask)
            result = attempts.last = await self._run_attempt(transport, asked, ticket)
            self.formats.note(asked, result)
            if result.step == "final" or attempts.failures:  # a single 500 is repeated first
                result = attempts.last = await self.formats.settle(asked, result, send_at_once)
            if result.step == "fatal":
                keyless = self._keyless and (result.detail or "").startswith(
                    ("HTTP 401", "HTTP 403")
                )
                hint = " (no key was sent: name its variable in 'api_key_env')" if keyless else ""
                raise self._refused_error(f"refuses all requests: {result.detail}{hint}")
            attempts.failures += result.step == "retry"
            if result.step == "final" or attempts.failures >= MAX_FAILURES:
                return
            wait_s = wait_before(attempts.count, result.wait_s)
            left_s = attempts.started + self._spec.timeout_s - time.monotonic()
            if max(wait_s, result.wait_s or 0.0) >= left_s:
                return  # the deadline would pass before the next attempt
            await asyncio.sleep(wait_s)
            ticket = await self._throttle.admit(retry=True)

    async def _run_attempt(self, transport: Transport, ask: Ask, ticket: Ticket) -> AttemptResult:
        # Reserve the maximum cost, send, settle the actual cost, adapt the rate limit.
        body = make_body(self._spec, self._address, ask, stream=self._is_streamed(ask))
        max_cost, cost = self._max_cost(ask, body), 0.0
        try:
            if self._budget:
                await self._budget.reserve(max_cost)
            try:
                result, cost = await self._send(transport, body, max_cost)
            except asyncio.CancelledError:
                cost = max_cost  # it may have been answered, and billed
                raise
            finally:
                if self._budget:
                    self._budget.settle(max_cost, cost)
            if result.step == "rate_limited":
                self._throttle.refuse(ticket, _cap(result.wait_s))
            elif result.step == "final":
                self._throttle.accept(ticket)
            return result
        finally:
            self._throttle.leave()

    async def _send(
        self, transport: Transport, body: bytes, max_cost: float
    ) -> tuple[AttemptResult, float]:
        """Send one HTTP request; return its result and cost, `max_cost` where that is unknown."""
        self._calls += 1
        limit_s = self._spec.timeout_s * ATTEMPT_SHARE
        try:
            async with asyncio.timeout(limit_s):
                raw = await transport.post(body)
        except TimeoutError:
            return AttemptResult("retry", "timeout", f"no answer within {limit_s:g} s"), max_cost
        except ConnectionLostError as lost:
            if not lost.sent:
                self._calls -= 1
            cost = max_cost if lost.sent else 0.0
            return AttemptResult("retry", "unreachable", str(lost)), cost
        except TooLargeError:
            detail = "the answer was too long to be read"
            return AttemptResult("final", "too_large", detail), max_cost
        result = self._explain_path(self._read(raw), raw.status)
        cost = self._record_tokens(result, max_cost if raw.status == 200 else 0.0)
        return self._refuse_other_family(result), cost

    def _read(self, raw: Raw) -> AttemptResult:
        """Read the answer; the key is redacted first, before anything cuts the text."""
        headers = {name: self._redact_key(value) for name, value in raw.headers.items()}
        body = self._redact_key(raw.body.decode("latin-1")).encode("latin-1")
        return read_reply(raw.status, headers, body)

    def _explain_path(self, result: AttemptResult, status: int) -> AttemptResult:
        """Add the URL that was asked to an answer that a wrong base URL would get."""
        if status not in (404, 405) and result.problem != "garbage":
            return result
        asked = f"asked {self._address.base_url}/chat/completions"
        hint = suggest_base_url(self._address)
        return result._replace(detail=f"{result.detail} ({asked}){hint}")

    def _refuse_other_family(self, result: AttemptResult) -> AttemptResult:
        """Refuse an answer under the name of another family of models than was asked."""
        if not is_other_family(self._spec.answers_as or self._spec.model, result.model or ""):
            return result
        return AttemptResult(
            "fatal",
            detail=f"'{result.model}' answers where '{self._spec.model}' was asked, which is another family of "
            "models. Name the right 'model', or where a gateway gives this name, 'answers_as'",
        )

    def _record_tokens(self, result: AttemptResult, default: float) -> float:
        """Count the tokens; return their cost, or `default` where no usage was reported."""
        if result.input_tokens is None or result.output_tokens is None:
            return default
        self._input_tokens += result.input_tokens
        self._output_tokens += result.output_tokens
        return self._price(result.input_tokens, result.output_tokens)

    def _is_streamed(self, ask: Ask) -> bool:
        """Return whether to close the reply where its object ends: what is closed early reports no cost."""
        free_form = ask.until_object and format_of(ask) != "json_schema"
        return free_form and self._spec.price_per_million is None

    def _max_cost(self, ask: Ask, body: bytes) -> float:
        return self._price(len(body), ask.max_tokens or self._spec.max_tokens)

    def _price(self, input_tokens: int, output_tokens: int) -> float:
        prices = self._spec.price_per_million
        return prices.cost(input_tokens, output_tokens) if prices else 0.0

    def _make_reply(self, attempts: "_Attempts") -> Reply:
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
            model=last.model,
            thoughts=last.thoughts,
        )

    def _refused_error(self, why: str) -> EndpointRefusedError:
        return EndpointRefusedError(
            f"{self._address.host}, model '{self._spec.model}': {why}. All answers so far are "
            "kept; run again to continue."
        )


class _Attempts:
    """The progress of one request."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.count = 0
        self.failures = 0
        self.last: AttemptResult | None = None

    def give_up(self, timeout_s: float) -> None:
        """Record that the deadline has passed; an earlier failure stays the problem."""
        late = f"no answer within {timeout_s:g} s ('timeout_s' of its endpoint)"
        if self.last is None:
            self.last = AttemptResult("final", "timeout", late)
        else:
            self.last = self.last._replace(detail=f"{late}; before that, {self.last.detail}")


def _cap(wait_s: float | None) -> float | None:
    return None if wait_s is None else min(MAX_RETRY_AFTER_S, wait_s)
