"""Missing data: verdicts that judges did not give, and scores that models do not have."""

from collections.abc import Iterator, Mapping, Sequence

from harness.types import Comparison, Coverage, JudgeCounts, RunResult
from harness.types.judgements import rank_reasons
from reports.components import N_ROWS_SHOWN, Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    Column,
    count,
    difference_with_interval,
    models_compared,
    p_value,
    percent,
)

N_REASONS_SHOWN = 5  # a file of verdicts in unknown words has as many reasons as it has words

# --- verdicts --------------------------------------------------------------------------------


def describe_verdicts(tallies: Sequence[JudgeCounts]) -> Iterator[str]:
    """Describe how many of the requested verdicts the judges gave."""
    n_asked, n_scored = sum(t.asked for t in tallies), sum(t.scored for t in tallies)
    n_abstained = sum(t.abstained for t in tallies)
    if n_asked and n_asked == n_scored:
        yield f"The judges gave all {n_asked:,} requested verdicts."
    elif n_asked:
        abstentions = f" and abstained {count(n_abstained, 'time')}" if n_abstained else ""
        yield (
            f"The judges gave {n_scored:,} of {n_asked:,} requested verdicts "
            f"({percent(n_scored / n_asked)}){abstentions}."
        )


def tally_table(tallies: Sequence[JudgeCounts]) -> Iterator[Table]:
    """Yield the outcomes of each judge's requests; folded if every request got a verdict."""
    if not tallies:
        return
    # Rows: one for each metric, judge and model.
    rows = [
        (
            tally.metric,
            tally.judge,
            tally.model,
            f"{tally.asked:,}",
            _part(tally.scored, tally.asked),
            _part(tally.abstained, tally.asked),
            _part(tally.asked - tally.scored - tally.abstained, tally.asked),
            _reasons(tally.reasons),
            _part(tally.asked_again, tally.asked),
        )
        for tally in tallies
    ]
    head = ("Metric", "Judge", "Model", "Requested", "Verdicts", "Abstained", "No verdict",
            "Reasons", "Retried")  # fmt: skip
    complete = all(tally.asked == tally.scored and not tally.asked_again for tally in tallies)
    yield Table(
        "Verdicts by judge and model",
        head,
        "lllrrrrlr",
        tuple(rows),
        folded=complete or len(rows) > N_ROWS_SHOWN,
        note="A judge can abstain if it cannot decide. A reply that cannot be read as a verdict is "
        "requested once more.",
    )


def _part(part: int, total: int) -> str:
    return f"{part:,} ({percent(part / total)})" if 0 < part < total else f"{part:,}"


def _reasons(reasons: Mapping[str, int]) -> str:
    """List the reasons with their counts, commonest first, and those that say least last."""
    ranked = rank_reasons(reasons)
    listed = [f"{reason}: {reasons[reason]:,}" for reason in ranked[:N_REASONS_SHOWN]]
    others = ranked[N_REASONS_SHOWN:]
    if others:
        n = sum(reasons[reason] for reason in others)
        listed.append(f"{count(len(others), 'other reason')}: {n:,}")
    return ", ".join(listed) or ABSENT


# --- scores ----------------------------------------------------------------------------------


def describe_scores(cells: Sequence[Coverage]) -> Iterator[str]:
    """Describe how many scores are missing."""
    n_items, n_scored = sum(c.n_items for c in cells), sum(c.n_scored for c in cells)
    n_missing = n_items - n_scored
    if n_missing:
        yield (
            f"{n_missing:,} of {n_items:,} scores are missing ({percent(n_missing / n_items)}). "
            "Missing scores are counted and bounded, never imputed."
        )
    elif n_items:
        yield f"No score is missing ({n_items:,} scores)."


def coverage_table(cells: Sequence[Coverage], *, has_tallies: bool) -> Iterator[Table]:
    """Yield the coverage by metric and model; folded if complete, or if there are tallies."""
    if not cells:
        return
    rows = [
        (
            cell.metric,
            cell.model,
            f"{cell.n_items:,}",
            _part(cell.n_scored, cell.n_items),
            f"{cell.generation_failed:,}",
            f"{cell.judge_failed:,}",
            f"{cell.request_failed:,}",
            _reasons(cell.reasons),
        )
        for cell in cells
    ]
    head = ("Metric", "Model", "Items", "Scored", "No answer", "No verdict", "Failed requests",
            "Reasons")  # fmt: skip
    complete = all(cell.n_items == cell.n_scored for cell in cells)
    yield Table(
        "Scores by metric and model",
        head,
        "llrrrrrl",
        tuple(rows),
        folded=complete or has_tallies,
        note="An item without an answer counts as the model's worst score. An item whose request "
        "failed has no score, like an item without a verdict.",
    )


def bounds_table(result: RunResult, columns: dict[str, Column]) -> Iterator[Table]:
    """Yield the differences with every missing score at its worst and best for the candidate."""
    rows = [
        (
            c.metric,
            models_compared(result.plan, c),
            f"{c.n_missing:,}",
            _imbalance(c),
            columns[c.metric].difference(c.difference.estimate),
            difference_with_interval(c.adverse, columns[c.metric]),
            difference_with_interval(c.favourable, columns[c.metric]),
        )
        for c in result.comparisons
        if c.n_missing
    ]
    if rows:
        head = ("Score", "Models", "Missing", "Missing unevenly", "Observed items",
                "All missing at worst", "All missing at best")  # fmt: skip
        table = Table(
            "Possible effect of missing scores",
            head,
            "llrrrrr",
            tuple(rows),
            note="The last two columns give the difference if every missing score had the worst, or "
            "the best, value for the candidate. Missing unevenly: whether one model's scores are "
            "missing more often than the other's.",
        )
        yield without_empty_columns(table)


def _imbalance(comparison: Comparison) -> str:
    """Return whether one model's scores are missing more often; a dash for pairwise metrics.

    A pair has a score for both models or for none.
    """
    for flag in comparison.flags:
        name, _, p = flag.partition(":")
        if name == "missing_unevenly":
            return f"yes, p {p_value(float(p))}"
    return ABSENT if comparison.pairwise else "not shown"
