"""What was spent, and the limit that no call may pass.

A call reserves the most that it could cost before it starts: a token is at least one byte, and an
answer at most `max_tokens`. Near the limit calls wait for others to come out cheaper, so that the
limit holds exactly and yet nearly all of it is used.
"""

import asyncio
from typing import NamedTuple

from harness.config import Prices
from harness.core.errors import HarnessError, InfrastructureError


class BudgetSpentError(InfrastructureError):
    """No further call fits into the budget; what was answered is kept."""


class Spend(NamedTuple):
    """What an endpoint was asked for so far.

    `calls` are the requests that may have reached it, failed ones among them; so every request
    that it saw is among them, and one that found no connection is not. Tokens are those the
    endpoint reported; `cost` follows from them, None without prices.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    currency: str | None


class Budget:
    """A limit shared by endpoints; their prices must be in its currency."""

    def __init__(self, max_cost: float, *, currency: str = "USD") -> None:
        self.max_cost = max_cost
        self.currency = currency
        self.spent = 0.0
        self._reserved = 0.0
        self._waiting: list[asyncio.Future[None]] = []

    def check_prices(self, prices: Prices | None, model: str) -> None:
        """Refuse prices in another currency."""
        if prices is not None and prices.currency != self.currency:
            raise HarnessError(
                f"{model}: its prices are in {prices.currency} and the budget in {self.currency}; "
                "give both in one currency."
            )

    async def reserve(self, cost: float) -> None:
        """Return once `cost` fits beside all that is spent and reserved.

        Raises:
            BudgetSpentError: it does not fit, and nothing in flight could still free some.
        """
        while self.spent + self._reserved + cost > self.max_cost:
            if self._reserved == 0:
                raise BudgetSpentError(
                    f"The budget of {self.max_cost:g} {self.currency} is used up: {self.spent:.4f} "
                    f"are spent, and the next call may cost {cost:.4f}. All answers so far are "
                    "kept; raise the limit and run again to go on."
                )
            settled = asyncio.get_running_loop().create_future()
            self._waiting.append(settled)
            await settled
        self._reserved += cost

    def settle(self, reserved: float, cost: float) -> None:
        """Turn a reservation into what the call cost in the end."""
        # Sums of floats drift; with nothing left the reservation must be exactly nothing.
        self._reserved = max(0.0, self._reserved - reserved)
        if self._reserved < 1e-12:
            self._reserved = 0.0
        self.spent += cost
        waiting, self._waiting = self._waiting, []
        for settled in waiting:
            if not settled.done():
                settled.set_result(None)


def price(prices: Prices | None, input_tokens: int, output_tokens: int) -> float:
    """What so many tokens cost; nothing without prices."""
    if prices is None:
        return 0.0
    return (prices.input * input_tokens + prices.output * output_tokens) / 1e6
