"""Run comparisons and regression checks as text for a terminal and Markdown for a pull request."""

from collections.abc import Iterable, Iterator

from harness.gate.advice import describe_items_needed
from harness.types import Check, ClaimResult, Comparison, Flips, RunComparison
from reports.formatting import count, number, p_value, with_interval
from reports.markdown import escape

N_ITEMS_SHOWN = 3  # in each direction
COMMENT_MARK = "<!-- alignment-harness: regression check -->"  # by which a bot finds its comment


def describe_comparison(comparison: RunComparison) -> Iterator[str]:
    """Describe the new run against the old one: a line for each column, then changed items."""
    yield f"{comparison.new} against {comparison.old}"
    for c in comparison.comparisons:
        yield (
            f"  {c.metric}: {number(c.baseline_mean, 3)} -> {number(c.candidate_mean, 3)}, "
            f"{_difference(c)}, "
            f"p {p_value(c.test.p_value)}, n {c.n:,}"
        )
    yield from _describe_changes(comparison.flips)
    yield from (f"  {note}" for note in (*comparison.skipped, *comparison.notes))


def _difference(comparison: Comparison) -> str:
    """Return the difference with its interval; a win rate is its own and has no sign."""
    d = comparison.difference
    if comparison.null:
        return f"win rate {with_interval(d, 3)}"
    return f"difference {d.estimate:+.3f} ({d.low:+.3f} to {d.high:+.3f})"


def describe_check(check: Check) -> Iterator[str]:
    """Describe the verdict, each column's result, and the changed items."""
    yield f"{check.decision.verdict}: {check.decision.sentence}"
    yield from (f"  {_describe_claim(claim)}" for claim in check.decision.claims)
    yield f"  next: {_next_step(check)}"
    yield from _describe_changes(check.flips)
    yield from (f"  {note}" for note in check.notes)


def _next_step(check: Check) -> str:
    """Say which items to read, or what would settle a column; that there is nothing to do, too."""
    decision = check.decision
    if decision.verdict == "pass":
        return "nothing to do."
    alike = [claim for claim in decision.claims if claim.verdict == decision.verdict]
    if not alike:
        return "read the notes below."
    claim = alike[0]
    if decision.verdict == "inconclusive":
        return describe_items_needed(claim)
    worse = next((changes for changes in check.flips if changes.metric == claim.metric), None)
    named = ", ".join(item.sample_id for item in worse.worse[:N_ITEMS_SHOWN]) if worse else ""
    return f"read what became worse on {claim.metric}{f': {named}' if named else ''}."


def render_check(check: Check) -> str:
    """Return the check in Markdown, for a pull request's comment or a CI server's summary."""
    symbols = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "not_tested": "⚪"}
    decision = check.decision
    rows = [
        f"| {symbols[c.verdict]} | {escape(c.metric)} | {c.estimate:+.3f} | {_bound(c)} | "
        f"{c.boundary:+.3f} | {c.n:,} | {escape(c.why)} |"
        for c in decision.claims
    ]
    remarks = (*_describe_changes(check.flips), *check.notes)
    changes = [f"- {escape(line.strip())}" for line in remarks]
    return "\n".join(
        [
            f"## {symbols[decision.verdict]} Regression check: {decision.verdict}",
            "",
            escape(decision.sentence),
            "",
            f"Next: {escape(_next_step(check))}",
            "",
            "| | column | difference | bound | must exceed | n | reason |",
            "|---|---|---:|---:|---:|---:|---|",
            *rows,
            "",
            *changes,
            "",
        ]
    )


def render_failed_check(problem: str) -> str:
    """Return Markdown for a check that could not run; it is not a pass."""
    return f"## ❌ Regression check: could not run\n\n{escape(problem)}\n"


def render_comment(markdown: str) -> str:
    """Return a pull request's comment, with the mark by which it is found and replaced."""
    return f"{COMMENT_MARK}\n{markdown}"


def _describe_claim(claim: ClaimResult) -> str:
    return (
        f"{claim.verdict}: {claim.metric} {claim.estimate:+.3f}, bound {_bound(claim)}, "
        f"must exceed {claim.boundary:+.3f} (n {claim.n:,}): {claim.why}"
    )


def _bound(claim: ClaimResult) -> str:
    return "none" if claim.bound is None else f"{claim.bound:+.3f}"


def _describe_changes(flips: Iterable[Flips]) -> Iterator[str]:
    for changes in flips:
        if not changes.n_better and not changes.n_worse:
            continue
        better = count(changes.n_better, "item")
        yield f"  {changes.metric}: {better} better, {changes.n_worse:,} worse"
        for item in (*changes.worse[:N_ITEMS_SHOWN], *changes.better[:N_ITEMS_SHOWN]):
            yield f"    {item.sample_id}: {item.before:g} -> {item.after:g}"
