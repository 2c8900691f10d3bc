"""The cost so far, and a limit that no call may exceed.

A call reserves the maximum that it could cost before it starts: a token is at least one byte, and
an answer at most `max_tokens`. Near the limit calls wait for others to settle for less, so that
the limit holds exactly and yet nearly all of it is used.
"""

import asyncio
from typing import NamedTuple

from harness.config import Prices
from harness.core.errors import HarnessError, InfrastructureError


class BudgetSpentError(InfrastructureError):
    """No further call fits into the budget; answers received before are kept."""


class Spend(NamedTuple):
    """The calls, tokens and cost of an endpoint so far.

    Attributes:
        calls: Requests that may have reached the endpoint, failed ones among them. A request
            that found no connection is not counted.
        input_tokens: As the endpoint reported them.
        output_tokens: As the endpoint reported them.
        cost: Computed from the tokens; None without prices.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    currency: str | None


class Budget:
    """A cost limit shared by endpoints; their prices must be in its currency."""

    def __init__(self, max_cost: float, *, currency: str = "USD") -> None:
        self.max_cost = max_cost
        self.currency = currency
        self.spent = 0.0
        self._reserved = 0.0
        self._waiters: list[asyncio.Future[None]] = []

    def check_prices(self, prices: Prices | None, model: str) -> None:
        """Raise `HarnessError` for prices in another currency."""
        if prices is not None and prices.currency != self.currency:
            raise HarnessError(
                f"{model}: its prices are in {prices.currency} and the budget in {self.currency}; "
                "give both in one currency."
            )

    async def reserve(self, cost: float) -> None:
        """Wait until `cost` fits into what is neither spent nor reserved, and reserve it.

        Raises:
            BudgetSpentError: it does not fit, and no call in flight could still free enough.
        """
        while self.spent + self._reserved + cost > self.max_cost:
            if self._reserved == 0:
                raise BudgetSpentError(
                    f"The budget of {self.max_cost:g} {self.currency} is used up: {self.spent:.4f} "
                    f"are spent, and the next call may cost {cost:.4f}. All answers so far are "
                    "kept; raise the limit and run again to continue."
                )
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        self._reserved += cost

    def settle(self, reserved: float, cost: float) -> None:
        """Replace a reservation by what the call cost."""
        # Sums of floats drift; without open calls the reservation must be exactly zero.
        self._reserved = max(0.0, self._reserved - reserved)
        if self._reserved < 1e-12:
            self._reserved = 0.0
        self.spent += cost
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
