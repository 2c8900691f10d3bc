"""Comparisons of runs and checks against a baseline, for a terminal and for a pull request."""

from collections.abc import Iterable, Iterator

from harness.types import Check, ClaimResult, Flips, RunComparison
from reports.formatting import number, p_value
from reports.markdown import escape

SHOWN = 3  # items named each way


COMMENT_MARK = "<!-- alignment-harness: regression check -->"  # by which a bot finds its comment


def describe_comparison(found: RunComparison) -> Iterator[str]:
    """The new run against the old one, a line for each column and the items that moved."""
    yield f"{found.new} against {found.old}"
    for c in found.comparisons:
        d = c.difference
        yield (
            f"  {c.metric}: {number(c.baseline_mean, 3)} -> {number(c.candidate_mean, 3)}, "
            f"difference {d.estimate:+.3f} ({d.low:+.3f} to {d.high:+.3f}), "
            f"p {p_value(c.test.p_value)}, n {c.n:,}"
        )
    yield from _flip_lines(found.flips)
    yield from (f"  {why}" for why in (*found.skipped, *found.notes))


def describe_check(check: Check) -> Iterator[str]:
    """The verdict, each column's, and the items that moved."""
    yield f"{check.decision.verdict}: {check.decision.sentence}"
    yield from (f"  {_claim_words(claim)}" for claim in check.decision.claims)
    yield from _flip_lines(check.flips)


def render_check(check: Check) -> str:
    """The check in Markdown, for a pull request's comment or a CI server's summary."""
    symbols = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "not_tested": "⚪"}
    decision = check.decision
    rows = [
        f"| {symbols[c.verdict]} | {escape(c.metric)} | {c.estimate:+.3f} | {_bound(c)} | "
        f"{c.boundary:+.3f} | {c.n:,} | {escape(c.why)} |"
        for c in decision.claims
    ]
    flips = [f"- {escape(line.strip())}" for line in _flip_lines(check.flips)]
    return "\n".join(
        [
            f"## {symbols[decision.verdict]} Regression check: {decision.verdict}",
            "",
            escape(decision.sentence),
            "",
            "| | column | difference | bound | must stay above | n | why |",
            "|---|---|---:|---:|---:|---:|---|",
            *rows,
            "",
            *flips,
            "",
        ]
    )


def render_unchecked(problem: str) -> str:
    """The same for a check that could not be made: it says so, and is no pass."""
    return f"## ❌ Regression check: not made\n\n{escape(problem)}\n"


def render_comment(markdown: str) -> str:
    """The text as a pull request's comment, with the mark by which it is found and replaced."""
    return f"{COMMENT_MARK}\n{markdown}"


def _claim_words(claim: ClaimResult) -> str:
    return (
        f"{claim.verdict}: {claim.metric} {claim.estimate:+.3f}, bound {_bound(claim)}, "
        f"must stay above {claim.boundary:+.3f} (n {claim.n:,}): {claim.why}"
    )


def _bound(claim: ClaimResult) -> str:
    return "none" if claim.bound is None else f"{claim.bound:+.3f}"


def _flip_lines(flips: Iterable[Flips]) -> Iterator[str]:
    for found in flips:
        if not found.n_better and not found.n_worse:
            continue
        yield f"  {found.metric}: {found.n_better:,} items better, {found.n_worse:,} worse"
        for flip in (*found.worse[:SHOWN], *found.better[:SHOWN]):
            yield f"    {flip.sample_id}: {flip.before:g} -> {flip.after:g}"
