"""Use of endpoints: calls, tokens, money and time, counted from their replies.

Everything that a result rests on is counted, whenever it was paid for; so a second run, which
pays nothing, shows the same.
"""

from collections.abc import Iterable, Iterator
from statistics import median

from harness.config import Prices
from harness.types import Exchange, SpendLine

SLOW_S = 30.0  # for one reply; a run's output says so


def spend_line(
    who: str, work: str, exchanges: Iterable[Exchange | None], prices: Prices | None
) -> Iterator[SpendLine]:
    """Yield one line, or none where nothing was sent."""
    used = [exchange for exchange in exchanges if exchange is not None]
    if not used:
        return
    input_tokens = sum(exchange.input_tokens for exchange in used)
    output_tokens = sum(exchange.output_tokens for exchange in used)
    seconds = [exchange.seconds for exchange in used]
    yield SpendLine(
        who=who,
        work=work,
        calls=sum(len(exchange.replies) for exchange in used),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost=prices.cost(input_tokens, output_tokens) if prices else None,
        currency=prices.currency if prices else None,
        median_seconds=median(seconds),
        slowest_seconds=max(seconds),
        tokens_per_second=_rate(output_tokens, sum(seconds)),
    )


def _rate(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if tokens and seconds else None


class Meter:
    """The cost since the start, as the progress line shows it: `0.42 USD`; and the slowest exchange."""

    def __init__(self, prices: Prices | None) -> None:
        self._prices = prices
        self._cost = 0.0
        self._slowest: Exchange | None = None

    def add(self, exchange: Exchange | None) -> None:
        if exchange and (self._slowest is None or exchange.seconds > self._slowest.seconds):
            self._slowest = exchange
        if self._prices is not None and exchange is not None:
            self._cost += self._prices.cost(exchange.input_tokens, exchange.output_tokens)

    def __str__(self) -> str:
        """Return the cost with its currency; empty without prices."""
        return f"{self._cost:.2f} {self._prices.currency}" if self._prices else ""

    def describe_slow(self) -> str | None:
        """Say how long the slowest reply took; None where none was slow."""
        slowest = self._slowest
        if slowest is None or slowest.seconds < SLOW_S:
            return None
        rate = _rate(slowest.output_tokens, slowest.seconds)
        tokens = f": {slowest.output_tokens:,} tokens, {rate:.1f} a second" if rate else ""
        return f"the slowest reply took {slowest.seconds:.0f} s{tokens}"
