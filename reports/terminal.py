"""The summary printed at the end of a run: verdict, claims, metrics, judges, caveats."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.sanitize import escape_invisible, one_line
from harness.types import RunResult
from reports.components import ClaimLine, Table, VerdictLabel, View
from reports.formatting import DIFFERENCE_HEADS
from reports.pages import pages_beside
from reports.view import make_view

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType

_N_ALERTS_SHOWN = 2

_STYLES = {"pass": "green", "fail": "red", "inconclusive": "yellow", "not_tested": "dim",
           "none": "dim"}  # fmt: skip


def print_summary(result: RunResult, console: "Console", *, report: Path | None = None) -> None:
    """Print the first screen of the report; `report` is the path of the full report."""
    pages = () if report is None else pages_beside(report.parent)
    for part in _parts(make_view(result, pages=pages), report, console):
        console.print(part)


def _parts(view: View, report: Path | None, console: "Console") -> Iterator["RenderableType"]:
    """Yield the parts; every untrusted string is passed as Text, which interprets no markup."""
    from rich.text import Text

    # Verdict and claims.
    yield Text.assemble(_label(view.verdict), "  ", (one_line(view.sentence), "bold"))
    # What to do, before all that explains it.
    if view.next_steps:
        yield _next_steps(view.next_steps)
    for line in view.summary:
        yield Text(one_line(line), style="dim")
    yield Text()
    if view.claims:
        yield _claims(view.claims)
    # Metrics, caveats, and alerts about judges and people.
    for section in view.sections:
        if section.name == "comparison":
            shown = (t for t in section.tables if not t.folded and _INTERVAL in t.head)
            yield from (_metrics(table, console) for table in shown)
    for caveat in view.caveats:
        yield Text.assemble(("! ", "yellow"), one_line(caveat))
    yield from _alerts(view)
    if report is not None:
        yield Text(f"\nReport: {escape_invisible(str(report))}", overflow="fold")


def _next_steps(steps: Sequence[str]) -> "RenderableType":
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=None, show_header=False, pad_edge=False)
    for step in steps:
        grid.add_row(Text("Next:" if step is steps[0] else "", style="bold"), Text(one_line(step)))
    return grid


def _alerts(view: View) -> "Iterator[RenderableType]":
    """Yield the gravest alerts of each section, and the number of further ones."""
    from rich.text import Text

    for section in view.sections:
        for alert in section.alerts[:_N_ALERTS_SHOWN]:
            yield Text.assemble(("! ", "yellow"), one_line(alert))
        if n_more := len(section.alerts[_N_ALERTS_SHOWN:]):
            yield Text(f"  and {n_more} more in the report: {section.title}", style="dim")


def _label(verdict: VerdictLabel) -> tuple[str, str]:
    return f"{verdict.symbol} {verdict.word}", f"bold {_STYLES[verdict.value]}"


def _claims(claims: tuple[ClaimLine, ...]) -> "RenderableType":
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=None, show_header=False, pad_edge=False)
    for claim in claims:
        grid.add_row(
            Text.assemble(_label(claim.verdict)),
            Text(one_line(claim.claim)),
            Text(one_line(" · ".join(claim.numbers)), style="dim"),
        )
    return grid


# Columns for terminals of decreasing width, so that no number is broken across lines: the interval
# goes below its difference, and both models' numbers stay to the last.
_INTERVAL = "95 % CI"
_MEAN = "Mean"
_COLUMN_SETS = (
    ("Metric", "Baseline", "Candidate", "Difference", _INTERVAL, "p", "n"),
    ("Metric", "Baseline", "Candidate", "Difference", _INTERVAL, "n"),
    ("Metric", "Baseline", "Candidate", "Difference", _INTERVAL),
    ("Metric", "Baseline", "Candidate", "Difference"),
)


def _metrics(table: Table, console: "Console") -> "RenderableType":
    """Return the table with as many of its columns as fit the terminal."""
    measured = _measured(table)
    column_sets: tuple[tuple[str, ...], ...] = _COLUMN_SETS
    if measured == _MEAN:
        column_sets = tuple(
            tuple(name for name in names if name in table.head or name == "Difference")
            for names in column_sets
        )
    grids = [
        _grid(table, tuple(measured if name == "Difference" else name for name in names))
        for names in column_sets
    ]
    unbounded = console.options.update(width=10_000)
    widths = [console.measure(grid, options=unbounded).maximum for grid in grids]
    fitting = (grid for grid, width in zip(grids, widths, strict=True) if width <= console.width)
    return next(fitting, None) or _stack(table)


def _measured(table: Table) -> str:
    """Return the head of what is measured: a difference, or the mean of a model alone."""
    return next(name for name in table.head if name in DIFFERENCE_HEADS or name == _MEAN)


def _stack(table: Table) -> "RenderableType":
    """Return the metrics one below the other, each with its numbers and its interval in lines of their own."""
    from rich.console import Group
    from rich.text import Text

    names = tuple(
        name for name in ("Baseline", "Candidate", _measured(table)) if name in table.head
    )

    def cell(row: Sequence[str], name: str) -> str:
        return one_line(row[table.head.index(name)])

    def numbers(row: Sequence[str]) -> str:
        return "  ".join(f"{cell(row, name):>{min(len(name), 10)}}" for name in names)

    lines = [Text(one_line(table.title)), Text(numbers(table.head), style="dim")]
    for row in table.rows:
        lines += [Text(cell(row, "Metric")), Text(numbers(row))]
        lines.append(Text(f"{cell(row, _INTERVAL):>{len(numbers(row))}}"))
    return Group(*lines, Text())


def _grid(table: Table, names: tuple[str, ...]) -> "RenderableType":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(
        box=SIMPLE_HEAD,
        title=Text(one_line(table.title)),
        title_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
        collapse_padding=True,
    )
    indices = [table.head.index(name) for name in names]
    for i in indices:
        justify: JustifyMethod = "right" if table.align[i] == "r" else "left"
        grid.add_column(table.head[i], justify=justify, overflow="fold", no_wrap=i != indices[0])
    below = _INTERVAL in table.head and _INTERVAL not in names
    for row in table.rows:
        cells = {i: one_line(row[i]) for i in indices}
        if below:
            interval = one_line(row[table.head.index(_INTERVAL)])
            cells[table.head.index(_measured(table))] += f"\n{interval}"
        grid.add_row(*(Text(cells[i]) for i in indices))
    return grid
