"""Text on a conversion of training data."""

from harness.data.convert import ConversionSummary
from harness.data.convert.converter import N_LISTED


def describe_conversion(summary: ConversionSummary) -> list[str]:
    """Describe the source, the kept and dropped rows, and the written records."""
    # The source and its rows.
    lines = [
        f"source: {summary.source} (sha256 {summary.sha256[:12]})",
        f"format: {summary.format}",
        f"rows: {summary.rows}",
        f"kept: {summary.kept}",
        f"dropped: {summary.rows - summary.kept}",
    ]
    for reason, n in summary.dropped.items():
        rows = [d.row for d in summary.dropped_rows if d.reason == reason]
        more = ", …" if n > N_LISTED else ""
        lines.append(f"  {reason}: {n} (rows {', '.join(rows[:N_LISTED])}{more})")
    lines += [f"written: {name}, {n} records" for name, n in summary.records.items()]
    # The written records.
    mean_words = f"{summary.words_answer:.0f}"
    if summary.words_rejected is not None:
        mean_words += f" chosen, {summary.words_rejected:.0f} rejected"
    lines.append(f"mean words of an answer: {mean_words}")
    if summary.own_system:
        lines.append(f"records with their own system prompt: {summary.own_system}")
    if summary.multi_turn:
        lines.append(f"records with several turns: {summary.multi_turn}")
    if summary.split:
        lines.append(
            f"split by question: {summary.split.n_groups} groups, the largest with "
            f"{summary.split.largest_group} records"
        )
    reader = {"questions": "a suite", "corpus": "a model's retrieval"}
    return [*lines, f"in {reader.get(summary.options.to, 'a recipe')}: {summary.recipe}"]
