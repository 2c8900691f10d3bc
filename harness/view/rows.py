"""What the tables and charts of the pages hold: results as they decided, formatted, and addresses.

Every text is shown on one line, its invisible characters written out.
"""

from collections.abc import Sequence
from urllib.parse import quote

from harness.core.sanitize import escape_invisible, escape_record, one_line
from harness.types import ClaimResult, CriticalResult, RunResult
from harness.view.side_by_side import SideBySide
from harness.view.trends import Trend, changes_of
from harness.view.workspace import RunEntry
from reports.components import LABELS, Mark, TrendChart, TrendPoint, VerdictLabel
from reports.formatting import ABSENT, Column, columns_by_name, count, number, percent

PROBLEM = "cannot be read"  # in the place of a verdict


def run_address(entry: RunEntry) -> str:
    return f"/run/{_quoted(entry.suite)}/{_quoted(entry.name)}"


def file_address(prefix: str, entry: RunEntry, token: str, name: str) -> str:
    return f"{prefix}{_quoted(entry.suite)}/{_quoted(entry.name)}/{token}/{name}"


# --- the list ----------------------------------------------------------------------------------


def run_row(entry: RunEntry) -> dict[str, object]:
    return {
        "key": f"{entry.suite}/{entry.name}".encode(errors="replace").decode(),
        "readable": entry.decided is not None,
        "finished": moment(entry.finished),
        "suite": visible(suite_of(entry)),
        "models": visible(", ".join(models_of(entry))),
        "verdict": _label(entry),
        "claims": _count_claims(entry),
        "problem": visible(entry.problem),
        "name": visible(entry.name),
        "address": run_address(entry),
    }


def _count_claims(entry: RunEntry) -> str:
    """Return how many claims had each verdict, and rules on critical answers: `3 pass, 1 fail`."""
    decision = entry.decided.decision if entry.decided else None
    if decision is None:
        return ""
    claims = _count_verdicts([claim.verdict for claim in decision.claims])
    rules = _count_verdicts([rule.verdict for rule in decision.critical])
    return f"{claims}; critical answers: {rules}" if rules else claims


def _count_verdicts(verdicts: Sequence[str]) -> str:
    words = (w for w in ("pass", "fail", "inconclusive", "not_tested") if w in verdicts)
    return ", ".join(f"{verdicts.count(w)} {w.replace('_', ' ')}" for w in words)


def suite_of(entry: RunEntry) -> str:
    return entry.decided.plan.suite if entry.decided else entry.suite


def models_of(entry: RunEntry) -> tuple[str, ...]:
    return entry.decided.models if entry.decided else ()


def verdict_name(entry: RunEntry) -> str:
    """Return the verdict as the list's filter names it."""
    named = {"none": "no gate", "problem": PROBLEM}
    return named.get(entry.verdict, entry.verdict)


def _label(entry: RunEntry) -> VerdictLabel:
    decision = entry.decided.decision if entry.decided else None
    return LABELS[decision.verdict if decision else "none"]


# --- claims ------------------------------------------------------------------------------------


def _cell(
    result: ClaimResult | CriticalResult | None, column: Column | None
) -> dict[str, object] | None:
    match result:
        case None:
            return None
        case CriticalResult():
            return _rule_cell(result)
        case ClaimResult():
            return _claim_cell(result, column)


def _rule_cell(rule: CriticalResult) -> dict[str, object]:
    """Return how many answers were critical, with the bounds of their share."""
    return {
        "verdict": LABELS[rule.verdict],
        "estimate": f"{rule.n_critical:,} critical",
        "interval": f"(share {percent(rule.lower)} to {percent(rule.upper)})",
        "n": f"{rule.n:,}",
    }


def claim_rows(result: RunResult) -> list[dict[str, object]]:
    """Return the claims of a run with the intervals by which its gate decided."""
    columns = columns_by_name(result.plan)
    claims = result.decision.claims if result.decision else ()
    return [
        {"claim": visible(claim.claim), **_claim_cell(claim, columns.get(claim.metric))}
        for claim in claims
    ]


def _claim_cell(claim: ClaimResult, column: Column | None) -> dict[str, object]:
    digits = column.digits if column else 3
    return {
        "verdict": LABELS[claim.verdict],
        "estimate": number(claim.estimate, digits),
        "interval": _interval(claim, digits),
        "n": f"{claim.n:,}",
    }


def _interval(claim: ClaimResult, digits: int) -> str:
    """Return the interval that decided, with its confidence; the one bound in older results."""
    if claim.low is not None and claim.high is not None:
        level = f", {100 * claim.confidence:.3g} %" if claim.confidence else ""
        return f"({number(claim.low, digits)} to {number(claim.high, digits)}{level})"
    if claim.bound is not None:
        return f"(bound {number(claim.bound, digits)})"
    return ABSENT


def trend_values(trend: Trend) -> dict[str, object]:
    numbers = {id(run): n for n, run in changes_of(trend.runs)}
    last = trend.runs[-1]
    decided = last.entry.decided
    column = columns_by_name(decided.plan).get(trend.metric) if decided else None
    title = visible(trend.claim)
    points = tuple(
        TrendPoint(
            label=visible(run.entry.finished[:10]),
            verdict=run.claim.verdict,
            estimate=run.claim.estimate,
            low=run.claim.bound if run.claim.low is None else run.claim.low,
            high=run.claim.bound_high if run.claim.high is None else run.claim.high,
            change=numbers.get(id(run), 0),
        )
        for run in trend.runs
    )
    boundaries = {last.claim.boundary, last.claim.ceiling} - {None}
    marks = tuple(Mark(b, f"boundary {b:g}") for b in boundaries if b is not None)
    rows = [
        {
            "finished": moment(run.entry.finished),
            "models": visible(", ".join(run.models)),
            "name": visible(run.entry.name),
            "address": run_address(run.entry),
            **_claim_cell(run.claim, column),
        }
        for run in reversed(trend.runs)
    ]
    changes = [
        {
            "when": moment(run.entry.finished),
            "name": visible(run.entry.name),
            "address": run_address(run.entry),
            "lines": [escape_record(change) for change in run.changes],
        }
        for _, run in changes_of(trend.runs)
    ]
    return {
        "title": title,
        "chart": TrendChart(title, points, marks),
        "rows": rows,
        "changes": changes,
        "counted": f"{count(len(rows), 'run')}, the last first",
    }


def side_table(side: SideBySide) -> dict[str, object]:
    columns = [columns_by_name(run.plan) for run in side.runs]
    heads = [
        {
            "address": run_address(entry),
            "name": visible(entry.name),
            "suite": visible(suite_of(entry)),
            "models": visible(", ".join(models_of(entry))),
            "finished": moment(entry.finished),
            "verdict": _label(entry),
        }
        for entry in side.entries
    ]
    rows = [
        {
            "claim": visible(row.claim),
            "cells": [
                _cell(result, of_run.get(row.metric))
                for result, of_run in zip(row.results, columns, strict=True)
            ],
        }
        for row in side.claims
    ]
    differences = [
        {"field": visible(row.field), "cells": [visible(value) for value in row.values]}
        for row in side.differences
    ]
    return {"heads": heads, "rows": rows, "differences": differences, "note": _side_note(side)}


def _side_note(side: SideBySide) -> str:
    if side.comparable:
        return (
            "All measured the same, so the estimates may be read beside each other. Whether two candidates differ is "
            "tested item by item by `harness compare RUN RUN`."
        )
    if side.same_items:
        return (
            "All are on the same items, and not measured in the same way: see the differences below before "
            "reading one estimate against another."
        )
    return (
        "They are not on the same items, so a difference between two estimates may be one between their items: "
        "see the differences below."
    )


# --- texts -------------------------------------------------------------------------------------


def visible(text: str) -> str:
    return one_line(escape_invisible(text))


def moment(time: str) -> str:
    """Return a time (ISO 8601) to the minute."""
    return visible(time[:16].replace("T", " "))


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogateescape")
