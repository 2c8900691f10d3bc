"""The ledger of tries in words: one paragraph for each, by time."""

from collections.abc import Iterable, Iterator, Sequence

from harness.gate.tries import describe_models
from harness.types import Try, TryCount


def describe_ledger(entries: Sequence[tuple[Try, TryCount, bool]]) -> Iterator[str]:
    """Describe tries with their counts, and whether their pass stands."""
    if not entries:
        yield "No tries yet: `harness run` registers one for each comparison that a gate decides."
    for attempt, count, standing in entries:
        yield (
            f"{attempt.registered[:16].replace('T', ' ')}  {describe_models(attempt.models)}: "
            f"{_describe_outcome(attempt, count, standing)}"
        )
        yield (
            f"  {attempt.suite}: {', '.join(attempt.columns)} on {attempt.n_items:,} items; "
            f"try {count.number} of {count.total}, {attempt.key}"
        )


def describe_lapsed(lapsed: Iterable[tuple[Try, TryCount]]) -> Iterator[str]:
    """Describe passes that a merge has left without the level that they need."""
    for attempt, count in lapsed:
        yield (
            f"The pass of {describe_models(attempt.models)} ({attempt.registered[:10]}) no longer "
            f"stands: it is now try {count.number} of {count.total}, which has {count.level:.2g}."
        )


def _describe_outcome(attempt: Try, count: TryCount, standing: bool) -> str:
    if attempt.seen:
        return f"shown beside another, not decided; it would have {count.level:.2g}"
    if attempt.verdict is None:
        return f"not ended; it has {count.level:.2g} of alpha {attempt.alpha:g}"
    at = f"{attempt.verdict} at {attempt.level:.2g}"
    if attempt.verdict == "pass" and not standing:
        return f"{at}, which no longer stands: it now has {count.level:.2g}"
    return at
