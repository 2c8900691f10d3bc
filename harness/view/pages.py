"""HTML of the pages, rendered from templates/. Jinja2 escapes every string; invisible characters are shown."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

from harness.artifacts.integrity import NOT_VERIFIED
from harness.artifacts.running import RunningRun
from harness.core.sanitize import escape_invisible, escape_record, one_line
from harness.types import ClaimResult, CriticalResult, RunResult
from harness.view.side_by_side import SideBySide
from harness.view.trends import ItemSet, Trend, changes_of
from harness.view.workspace import RunEntry
from reports.components import LABELS, Mark, TrendChart, TrendPoint, VerdictLabel
from reports.formatting import ABSENT, Column, columns_by_name, count, number, percent
from reports.html import page_environment, source_hash, style_sheet
from reports.human_inputs import read_human_inputs
from reports.view import make_view

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
RUNS_PER_PAGE = 50
PROBLEM = "cannot be read"  # in the place of a verdict
_SECTIONS = {"comparison", "plan"}  # of a report, that the page of a run shows too


class Filter(NamedTuple):
    """What a list of runs is limited to; empty is not limited."""

    suite: str = ""
    model: str = ""
    verdict: str = ""

    @property
    def any(self) -> bool:
        """Return whether the list is limited at all."""
        return any(self)

    def takes(self, entry: RunEntry) -> bool:
        """Return whether a run belongs to the list."""
        return (
            self.suite in ("", _suite_of(entry))
            and (not self.model or self.model in _models_of(entry))
            and self.verdict in ("", _verdict_name(entry))
        )


class Pages:
    """The pages of one output folder, which stands at the head of each."""

    def __init__(self, out: Path) -> None:
        self._out = str(out)

    def runs(
        self,
        entries: Sequence[RunEntry],
        chosen: Filter,
        page: int,
        under_way: Sequence[RunningRun],
    ) -> str:
        """Render one page of the list of runs."""
        taken = [entry for entry in entries if chosen.takes(entry)]
        n_pages = max(1, -(-len(taken) // RUNS_PER_PAGE))
        page = min(max(page, 1), n_pages)
        first = (page - 1) * RUNS_PER_PAGE
        shown = taken[first : first + RUNS_PER_PAGE]
        listed = {
            "rows": [_run_row(entry) for entry in shown],
            "counted": f"{first + 1:,} to {first + len(shown):,} of {count(len(taken), 'run')}, the last first",
            "suites": _values(entries, lambda entry: [_suite_of(entry)]),
            "models": _values(entries, _models_of),
            "verdicts": _values(entries, lambda entry: [_verdict_name(entry)]),
            "chosen": chosen,
            "pages": [
                {"number": n, "here": n == page, "address": _page_address(chosen, n)}
                for n in range(1, n_pages + 1)
            ],
        }
        return self._render("runs.html", "/", list=listed, under_way=under_way)

    def run(self, entry: RunEntry, result: RunResult, files: Sequence[tuple[str, str, str]]) -> str:
        """Render a run that was read whole; `files` are addresses, names and what each is."""
        verified = bool(result.tables)
        return self._render(
            "run.html",
            "",
            view=make_view(result, read_human_inputs(entry.folder, result.run_id)),
            shown=_SECTIONS,
            files=files,
            verified=verified,
            integrity=_VERIFIED if verified else f"Tables {NOT_VERIFIED}.",
            folder=str(entry.folder),
            trends=f"/trends?{urlencode({'suite': result.plan.suite}, errors='replace')}"
            if result.decision
            else "",
        )

    def trends(
        self,
        trends: Sequence[Trend],
        suites: Sequence[str],
        suite: str,
        item_sets: Sequence[ItemSet],
        items: str,
    ) -> str:
        """Render the trends of the claims of one suite."""
        return self._render(
            "trends.html",
            "/trends",
            trends=[_trend(trend) for trend in trends],
            suites=suites,
            suite=suite,
            item_sets=item_sets,
            items=items,
        )

    def compare(self, side: SideBySide) -> str:
        """Render runs side by side."""
        return self._render("compare.html", "", table=_side_table(side))

    def progress(self, under_way: Sequence[RunningRun]) -> str:
        """Render the runs under way."""
        return self._render("progress.html", "/progress", under_way=under_way)

    def message(self, heading: str, text: str, *, address: str = "", link: str = "") -> str:
        """Render a message in the place of a page, with a link to what would work."""
        return self._render(
            "message.html", "", heading=heading, text=text, address=address, link=link
        )

    def entered(self) -> str:
        """Render the page that the link opens, which leads to the list."""
        return self._render("entered.html", "/")

    def _render(self, template: str, here: str, **values: object) -> str:
        from markupsafe import Markup

        return (
            _environment()
            .get_template(template)
            .render(
                here=here,
                out=self._out,
                style=Markup(_style()),  # noqa: S704 - our own file
                script=Markup(_script()),  # noqa: S704 - our own file
                **values,
            )
        )


_VERIFIED = "Verified: the tables of this run are those that it was decided on (their sha256 is that in results.json)."


def policy() -> str:
    """Return the Content-Security-Policy of every page: our style and script, by their hashes."""
    return (
        f"default-src 'none'; style-src '{source_hash(_style())}'; script-src '{source_hash(_script())}'; "
        "connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def run_address(entry: RunEntry) -> str:
    """Return the address of a run's page."""
    return f"/run/{_quoted(entry.suite)}/{_quoted(entry.name)}"


def file_address(prefix: str, entry: RunEntry, token: str, name: str) -> str:
    """Return the address of one of a run's files."""
    return f"{prefix}{_quoted(entry.suite)}/{_quoted(entry.name)}/{token}/{name}"


# --- the list ----------------------------------------------------------------------------------


def _run_row(entry: RunEntry) -> dict[str, object]:
    return {
        "key": f"{entry.suite}/{entry.name}".encode(errors="replace").decode(),
        "readable": entry.decided is not None,
        "finished": _moment(entry.finished),
        "suite": _visible(_suite_of(entry)),
        "models": _visible(", ".join(_models_of(entry))),
        "verdict": _label(entry),
        "claims": _count_claims(entry),
        "problem": _visible(entry.problem),
        "name": _visible(entry.name),
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


def _values(entries: Sequence[RunEntry], values: Callable[[RunEntry], Sequence[str]]) -> list[str]:
    return sorted({value for entry in entries for value in values(entry)})


def _page_address(chosen: Filter, page: int) -> str:
    fields = {key: value for key, value in chosen._asdict().items() if value}
    return f"/?{urlencode({**fields, 'page': page}, errors='replace')}"


def _suite_of(entry: RunEntry) -> str:
    return entry.decided.plan.suite if entry.decided else entry.suite


def _models_of(entry: RunEntry) -> tuple[str, ...]:
    return entry.decided.models if entry.decided else ()


def _verdict_name(entry: RunEntry) -> str:
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


def _trend(trend: Trend) -> dict[str, object]:
    numbers = {id(run): n for n, run in changes_of(trend.runs)}
    last = trend.runs[-1]
    decided = last.entry.decided
    column = columns_by_name(decided.plan).get(trend.metric) if decided else None
    title = _visible(trend.claim)
    points = tuple(
        TrendPoint(
            label=run.entry.finished[:10],
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
            "finished": _moment(run.entry.finished),
            "models": _visible(", ".join(run.models)),
            "name": _visible(run.entry.name),
            "address": run_address(run.entry),
            **_claim_cell(run.claim, column),
        }
        for run in reversed(trend.runs)
    ]
    changes = [
        {
            "when": _moment(run.entry.finished),
            "name": _visible(run.entry.name),
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


def _side_table(side: SideBySide) -> dict[str, object]:
    columns = [columns_by_name(run.plan) for run in side.runs]
    heads = [
        {
            "address": run_address(entry),
            "name": _visible(entry.name),
            "suite": _visible(_suite_of(entry)),
            "models": _visible(", ".join(_models_of(entry))),
            "finished": _moment(entry.finished),
            "verdict": _label(entry),
        }
        for entry in side.entries
    ]
    rows = [
        {
            "claim": _visible(row.claim),
            "cells": [
                _cell(result, of_run.get(row.metric))
                for result, of_run in zip(row.results, columns, strict=True)
            ],
        }
        for row in side.claims
    ]
    differences = [
        {"field": _visible(row.field), "cells": [_visible(value) for value in row.values]}
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


def _visible(text: str) -> str:
    return one_line(escape_invisible(text))


def _moment(time: str) -> str:
    """Return a time (ISO 8601) to the minute."""
    return _visible(time[:16].replace("T", " "))


def _quoted(name: str) -> str:
    return quote(name, safe="", errors="surrogateescape")


@cache
def _style() -> str:
    return style_sheet() + (TEMPLATES / "view.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    return (TEMPLATES / "progress.js").read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    environment = page_environment(TEMPLATES)
    environment.filters.update(visible=_visible, moment=_moment)
    return environment
