"""The files that go along: reports and tables, without a word of an item unless `--with-items` is given.

report.html and results.json of a run quote questions and answers. What is published is rendered anew from the
result without them, and without the ids of items; its hashes and its verdict stay those of the run.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.artifacts.csv_export import escape_formula
from harness.artifacts.integrity import TABLES
from harness.artifacts.results_json import RESULTS_FILE, dump_plan, dump_result
from harness.core.errors import HarnessError
from harness.core.files import write_private
from harness.publish.records import Cell, Table
from harness.types import GateDecision, RunResult
from reports.badge import BADGE, render_badge
from reports.explorer import EXPLORER
from reports.html import render_html
from reports.junit import render_junit
from reports.markdown import render_markdown
from reports.write import RUN_FILES

Files = dict[str, bytes | Path]  # by name in the publication: content, or where it is
ITEM_FILES = (*TABLES, EXPLORER)
ITEM_FOLDER = "items"


def reports_without_items(result: RunResult) -> Files:
    """Render the reports of a run without questions, answers and ids of items."""
    public = without_items(result)
    return {
        "report.html": render_html(public).encode(),
        "report.md": render_markdown(public).encode(),
        RESULTS_FILE: dump_result(public),
        "junit.xml": render_junit(public),
        "plan.json": dump_plan(public.plan),
        BADGE: render_badge(public),
    }


def reports_with_items(folder: Path) -> Files:
    """Name the reports, tables and item pages in a run's folder, as they are there.

    Votes and calibrations, which name people, are not among them.

    Raises:
        HarnessError: a report is missing, or a symbolic link stands in its place.
    """
    pages = sorted((folder / ITEM_FOLDER).rglob("*.html"))
    names = [*RUN_FILES, *(name for name in ITEM_FILES if (folder / name).exists()),
             *(str(page.relative_to(folder)) for page in pages)]  # fmt: skip
    for name in names:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise HarnessError(f"{path}: no such file. `harness report {folder}` writes it.")
    return {name: folder / name for name in names}


def table_files(tables: Mapping[str, Table]) -> Files:
    """Write the tables as CSV, each under `tables/`."""
    return {f"tables/{name}.csv": _to_csv(table) for name, table in tables.items()}


def stage_files(files: Files, folder: Path) -> None:
    """Put the files into a folder, from which a client reads them."""
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        write_private(folder / name, data)


def file_sizes(files: Files) -> Iterator[tuple[str, int]]:
    """Yield the name and the number of bytes of each file."""
    for name, content in files.items():
        yield name, len(content) if isinstance(content, bytes) else content.stat().st_size


def without_items(result: RunResult) -> RunResult:
    """Return the result without the questions, answers and ids of items that it quotes."""
    exposures = tuple(e.model_copy(update={"worst": ()}) for e in result.exposures)
    nothing: dict[str, object] = {"examples": (), "critical_examples": (), "exposures": exposures}
    nothing["next_steps"] = ()  # they name items, and pages that stay here
    if result.decision is not None:
        nothing["decision"] = _without_ids(result.decision)
    return result.model_copy(update=nothing)


def _without_ids(decision: GateDecision) -> GateDecision:
    rules = tuple(rule.model_copy(update={"items": ()}) for rule in decision.critical)
    return decision.model_copy(update={"critical": rules})


def _to_csv(table: Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(table.columns)
    writer.writerows([_guarded(cell) for cell in row] for row in table.rows)
    return text.getvalue().encode()


def _guarded(cell: Cell) -> Cell:
    return escape_formula(cell) if isinstance(cell, str) else cell
