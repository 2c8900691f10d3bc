"""The ranking of a study as a table for a paper: Markdown, LaTeX (booktabs) and CSV."""

import csv
import io

from harness.core.sanitize import escape_record
from harness.types.study import StudyArm, StudyResult
from reports.formatting import MINUS, number

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
_CSV_HEAD = (
    "arm", "base", "method", "rows", "seeds", "rank_best", "rank_worst", "groups", "mean", "mean_low", "mean_high",
    "items", "missing", "dropped_at", "trainable_parameters", "peak_memory_bytes", "training_seconds",
    "training_tokens", "training_cost", "problem",
)  # fmt: skip


def paper_markdown(result: StudyResult) -> str:
    """Return the ranking as a Markdown table with its caption."""
    result = escape_record(result)
    lines = ["| Arm | Mean [95 %] | Rank | Groups |", "|---|---|---|---|"]
    lines += [
        f"| {_markdown(arm.name)} | {_mean(arm, '-')} | {_ranks(arm, '-')} | {arm.letters or '-'} |"
        for arm in result.arms
    ]
    return "\n".join([*lines, "", _caption(result, "-"), ""])


def paper_latex(result: StudyResult) -> str:
    """Return the ranking as a LaTeX table; it needs the package booktabs."""
    result = escape_record(result)
    rows = [
        f"{_latex(arm.name)} & {_mean(arm, '--')} & {_ranks(arm, '--')} & {arm.letters or '--'} \\\\"
        for arm in result.arms
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            r"\begin{tabular}{lrrl}",
            r"\toprule",
            r"Arm & Mean [95\,\%] & Rank & Groups \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{_latex(_caption(result, '--'))}}}",
            r"\end{table}",
            "",
        ]
    )


def paper_csv(result: StudyResult) -> str:
    """Return the arms with places and costs as CSV, numbers unrounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_CSV_HEAD)
    for arm in escape_record(result).arms:
        mean = (arm.mean.estimate, arm.mean.low, arm.mean.high) if arm.mean else (None, None, None)
        cost = arm.cost
        writer.writerow(
            (
                arm.name, arm.base, arm.method, arm.rows, len(arm.seeds), arm.rank_best, arm.rank_worst, arm.letters,
                *mean, arm.n_items, arm.n_missing, arm.dropped_at, cost.trainable_parameters,
                cost.peak_memory_bytes, cost.training_seconds, cost.training_tokens, cost.training_cost,
                f" {' '.join(arm.problem.split())}" if arm.problem else "",
            )
        )  # fmt: skip
    return text.getvalue()


def _caption(result: StudyResult, dash: str) -> str:
    seeds = max((len(arm.seeds) for arm in result.arms), default=0)
    trained = f", {seeds} training seeds each" if seeds > 1 else ""
    dropped = "".join(
        f" {arm.name} was dropped after {arm.n_items:,} items."
        for arm in result.arms
        if arm.dropped_at
    )
    return (
        f"Arms by {result.metric} on {result.looks[-1].n_items:,} items{trained}.{dropped} Ranks and groups hold together with "
        f"probability {result.confidence:g}: arms that share a letter are not told apart. Intervals are over items "
        f"and training seeds. {dash}: no result."
    )


def _mean(arm: StudyArm, dash: str) -> str:
    if arm.mean is None:
        return dash
    low, high = number(arm.mean.low, 2), number(arm.mean.high, 2)
    return f"{number(arm.mean.estimate, 2)} [{low}, {high}]".replace(MINUS, "-")


def _ranks(arm: StudyArm, dash: str) -> str:
    if arm.rank_best is None:
        return dash
    if arm.rank_best == arm.rank_worst:
        return str(arm.rank_best)
    return f"{arm.rank_best}{dash}{arm.rank_worst}"


def _markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("_", "\\_")


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
