"""What is missing: verdicts that judges did not give, scores that models do not have."""

from collections.abc import Iterator, Mapping, Sequence

from harness.types import Comparison, Coverage, JudgeCounts, RunResult
from reports.components import N_ROWS_SHOWN, Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    Column,
    count,
    estimate_with_span,
    models_compared,
    p_value,
    percent,
)

# --- verdicts --------------------------------------------------------------------------------


def verdicts_in_words(tallies: Sequence[JudgeCounts]) -> Iterator[str]:
    """How many verdicts were asked for and came."""
    asked, scored = sum(t.asked for t in tallies), sum(t.scored for t in tallies)
    abstained = sum(t.abstained for t in tallies)
    if asked and asked == scored:
        yield f"All {asked:,} verdicts that were asked for came."
    elif asked:
        unsure = f"; {count(abstained, 'time')} a judge said that it could not tell"
        yield (
            f"Of {asked:,} verdicts that were asked for, {scored:,} came "
            f"({percent(scored / asked)}){unsure if abstained else ''}."
        )


def tally_table(tallies: Sequence[JudgeCounts]) -> Iterator[Table]:
    """What became of what each judge was asked; folded where all went well."""
    if not tallies:
        return
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
    head = ("Metric", "Judge", "About", "Asked", "Scored", "Could not tell", "No verdict",
            "Why there is none", "Asked again")  # fmt: skip
    clean = all(tally.asked == tally.scored and not tally.asked_again for tally in tallies)
    yield Table(
        "What became of every question",
        head,
        "lllrrrrlr",
        tuple(rows),
        folded=clean or len(rows) > N_ROWS_SHOWN,
        note="A judge that cannot tell says so; a reply that is no verdict is asked for once more.",
    )


def _part(part: int, whole: int) -> str:
    return f"{part:,} ({percent(part / whole)})" if 0 < part < whole else f"{part:,}"


def _reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {n:,}" for reason, n in sorted(reasons.items()) if n) or ABSENT


# --- scores ----------------------------------------------------------------------------------


def scores_in_words(cells: Sequence[Coverage]) -> Iterator[str]:
    """How many scores are missing."""
    n_items, n_scored = sum(c.n_items for c in cells), sum(c.n_scored for c in cells)
    missing = n_items - n_scored
    if missing:
        yield (
            f"{missing:,} of {n_items:,} scores are missing ({percent(missing / n_items)}). "
            "They are counted and bounded, never replaced by a number."
        )
    elif n_items:
        yield f"No score is missing: all {n_items:,} are there."


def coverage_table(cells: Sequence[Coverage], *, told: bool) -> Iterator[Table]:
    """By metric and model; folded where nothing is missing, or tallies have `told` it already."""
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
            _reasons(cell.reasons),
        )
        for cell in cells
    ]
    head = ("Metric", "Model", "Items", "Scored", "No answer", "No verdict", "Reasons")
    clean = all(cell.n_items == cell.n_scored for cell in cells)
    yield Table(
        "Scores by metric and model",
        head,
        "llrrrrl",
        tuple(rows),
        folded=clean or told,
        note="An item that a model left unanswered counts as that model's worst score.",
    )


def bounds_table(result: RunResult, columns: dict[str, Column]) -> Iterator[Table]:
    """Differences with every missing score at its worst and best for the candidate."""
    rows = [
        (
            c.metric,
            models_compared(result.plan, c),
            f"{c.n_missing:,}",
            _unevenness(c),
            columns[c.metric].difference(c.difference.estimate),
            estimate_with_span(c.adverse, columns[c.metric]),
            estimate_with_span(c.favourable, columns[c.metric]),
        )
        for c in result.comparisons
        if c.n_missing
    ]
    if rows:
        head = ("Score", "Models", "Missing", "More for one model", "As scored", "All at worst",
                "All at best")  # fmt: skip
        table = Table(
            "What the missing scores could change",
            head,
            "llrrrrr",
            tuple(rows),
            note="The last two are the difference if every missing score were the worst, or the "
            "best, for the candidate.",
        )
        yield without_empty_columns(table)


def _unevenness(comparison: Comparison) -> str:
    """Whether one model's scores go missing more often; pairs have a score for both or none."""
    for flag in comparison.flags:
        name, _, p = flag.partition(":")
        if name == "missing_unevenly":
            return f"yes, p {p_value(float(p))}"
    return ABSENT if comparison.pairwise else "no sign of it"
