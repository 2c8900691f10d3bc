"""Three or more models ranked: tables of the section on preferences."""

from collections.abc import Iterator

from harness.types import RankingTable, RunResult
from reports.components import Table
from reports.formatting import ABSENT, listing, percent, share_with_span, with_span


def strength_tables(result: RunResult) -> Iterator[Table]:
    """Direct win rates first, then Bradley-Terry strengths where they say more."""
    for table in result.strengths:
        if table.every_pair:
            yield _direct(table)
        if table.unidentified is None:
            yield _strengths(table)


def strength_notes(result: RunResult) -> Iterator[str]:
    """Circles, and why there are no strengths."""
    for table in result.strengths:
        if table.unidentified:
            yield f"{table.metric}: no Bradley-Terry strengths, because {table.unidentified}."
        elif not table.every_pair:
            yield (
                f"{table.metric}: models were only compared with the baseline, so their strengths "
                "say what the direct win rates say. `pairs: all` has every pair judged."
            )
        for cycle in table.cycles:
            round_trip = listing([f"{a} beats {b}" for a, b in _steps(cycle.models)])
            sure = "by clear margins" if cycle.shown else "though not all of it is beyond chance"
            yield f"{table.metric}: preferences go round in a circle: {round_trip}, {sure}."
        if table.every_pair and not table.cycles:
            yield f"{table.metric}: no preferences go round in a circle."


def _steps(models: tuple[str, str, str]) -> Iterator[tuple[str, str]]:
    first, second, third = models
    yield from ((first, second), (second, third), (third, first))


def _direct(table: RankingTable) -> Table:
    rows = [
        (
            f"{pair.candidate} against {pair.baseline}",
            share_with_span(pair.win_rate),
            ABSENT if pair.expected is None else percent(pair.expected),
            f"{pair.n:,}",
        )
        for pair in table.pairs
    ]
    return Table(
        f"{table.metric}: every pair",
        ("Pair", "Win rate", "By strengths", "n"),
        "lrrr",
        tuple(rows),
        note="The win rate was seen; by strengths is what one line of models would make of it. "
        "Where the two differ much, no one line holds them all.",
    )


def _strengths(table: RankingTable) -> Table:
    ranked = sorted(
        table.strengths, key=lambda s: -(s.log_strength.estimate if s.log_strength else 0.0)
    )
    rows = [
        (s.model, "0 (the baseline)", ABSENT)
        if s is table.strengths[0]
        else (s.model, with_span(s.log_strength, 2), share_with_span(s.against_baseline))
        for s in ranked
    ]
    return Table(
        f"{table.metric}: Bradley-Terry strengths",
        ("Model", "Log-strength", "Means a win rate against the baseline of"),
        "lrr",
        tuple(rows),
        folded=not table.every_pair,
        note="Ties are half a win. The unit of the intervals is the item (or the cluster of items), "
        "however many verdicts it has.",
    )
