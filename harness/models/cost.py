"""What asking endpoints took: calls, tokens, money and time, counted from what they replied.

Counted over everything that a result rests on, whenever it was paid for; so a second run, which
pays nothing, shows the same.
"""

from collections.abc import Iterable, Iterator
from statistics import median

from harness.config import Prices
from harness.types import Exchange, SpendLine


def spend_line(
    who: str, work: str, exchanges: Iterable[Exchange | None], prices: Prices | None
) -> Iterator[SpendLine]:
    """One line, or none where nobody was asked."""
    asked = [exchange for exchange in exchanges if exchange is not None]
    if not asked:
        return
    input_tokens = sum(exchange.input_tokens for exchange in asked)
    output_tokens = sum(exchange.output_tokens for exchange in asked)
    seconds = [exchange.seconds for exchange in asked]
    yield SpendLine(
        who=who,
        work=work,
        calls=sum(len(exchange.replies) for exchange in asked),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost=price(prices, input_tokens, output_tokens) if prices else None,
        currency=prices.currency if prices else None,
        median_seconds=median(seconds),
        slowest_seconds=max(seconds),
    )


class Meter:
    """What was paid since the start, as the progress line shows it: `0.42 USD`."""

    def __init__(self, prices: Prices | None) -> None:
        self._prices = prices
        self._cost = 0.0

    def add(self, exchange: Exchange | None) -> None:
        """Count what was asked just now."""
        if self._prices is not None and exchange is not None:
            self._cost += price(self._prices, exchange.input_tokens, exchange.output_tokens)

    def __str__(self) -> str:
        """Nothing where nothing is paid."""
        return f"{self._cost:.2f} {self._prices.currency}" if self._prices else ""


def price(prices: Prices, input_tokens: float, output_tokens: float) -> float:
    """What so many tokens cost."""
    return (prices.input * input_tokens + prices.output * output_tokens) / 1e6
