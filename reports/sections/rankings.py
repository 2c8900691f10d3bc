"""Rankings of three or more models: tables for the section on preferences."""

from collections.abc import Iterator

from harness.types import RankingTable, RunResult
from reports.components import Table
from reports.formatting import ABSENT, join_names, percent, share_with_interval, with_interval


def ranking_tables(result: RunResult) -> Iterator[Table]:
    """Yield direct win rates if every pair was judged, then Bradley-Terry strengths."""
    for table in result.strengths:
        if table.every_pair:
            yield _win_rate_table(table)
        if table.unidentified is None:
            yield _strength_table(table)


def ranking_notes(result: RunResult) -> Iterator[str]:
    """Yield notes on cyclic preferences, and on why strengths are missing."""
    for table in result.strengths:
        # Whether there are strengths.
        if table.unidentified:
            yield f"{table.metric}: no Bradley-Terry strengths, because {table.unidentified}."
        elif not table.every_pair:
            yield (
                f"{table.metric}: models were only compared with the baseline, so the strengths "
                "contain no more than the direct win rates. `pairs: all` in the suite judges every "
                "pair."
            )
        unvaried = [s.model for s in table.strengths if s.log_strength is None]
        if unvaried and not table.unidentified:
            yield (
                f"{table.metric}: the strength of {join_names(unvaried)} has no interval, because its "
                "outcomes do not vary."
            )
        # Cycles.
        for cycle in table.cycles:
            wins = join_names([f"{a} beats {b}" for a, b in _cycle_wins(cycle.models)])
            evidence = (
                "each beyond chance" if cycle.shown else "but not each of these is beyond chance"
            )
            yield f"{table.metric}: preferences are cyclic: {wins}, {evidence}."
        if table.every_pair and not table.cycles:
            yield f"{table.metric}: preferences are not cyclic."


def _cycle_wins(models: tuple[str, str, str]) -> Iterator[tuple[str, str]]:
    first, second, third = models
    yield from ((first, second), (second, third), (third, first))


def _win_rate_table(table: RankingTable) -> Table:
    rows = [
        (
            f"{pair.candidate} against {pair.baseline}",
            share_with_interval(pair.win_rate),
            ABSENT if pair.expected is None else percent(pair.expected),
            f"{pair.n:,}",
        )
        for pair in table.pairs
    ]
    return Table(
        f"{table.metric}: every pair",
        ("Pair", "Win rate", "Predicted win rate", "n"),
        "lrrr",
        tuple(rows),
        note="The win rate is observed; the predicted win rate follows from the Bradley-Terry "
        "strengths. Where the two differ much, no single ranking describes the models well.",
    )


def _strength_table(table: RankingTable) -> Table:
    ranked = sorted(
        table.strengths, key=lambda s: -(s.log_strength.estimate if s.log_strength else 0.0)
    )
    rows = [
        (s.model, "0 (the baseline)", ABSENT)
        if s is table.strengths[0]
        else (s.model, with_interval(s.log_strength, 2), share_with_interval(s.against_baseline))
        for s in ranked
    ]
    return Table(
        f"{table.metric}: Bradley-Terry strengths",
        ("Model", "Log-strength", "Implied win rate against the baseline"),
        "lrr",
        tuple(rows),
        folded=not table.every_pair,
        note="A tie counts as half a win. The unit of the intervals is the item (or the cluster of "
        "items), regardless of its number of verdicts.",
    )
