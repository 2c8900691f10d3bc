"""A run folder's reports: report.html, report.md, results.json, junit.xml and plan.json."""

from pathlib import Path

from harness.artifacts.results_json import RESULTS_FILE, dump_plan, dump_result
from harness.core.files import write_private
from harness.types import RunResult
from reports.html import render_html
from reports.human_inputs import read_beside
from reports.junit import render_junit
from reports.markdown import render_markdown


def write_reports(result: RunResult, folder: Path, *, n_items: int = 0) -> Path:
    """Write all reports, each whole or not at all; returns the path of report.html.

    results.json comes first: the others can be rendered from it again. With `n_items` the report
    links to the pages of so many items, which lie beside it. What people left in the folder is told.

    Raises:
        InfrastructureError: a file could not be written.
    """
    html, beside = folder / "report.html", read_beside(folder, result.run_id)
    write_private(folder / RESULTS_FILE, dump_result(result))
    write_private(folder / "plan.json", dump_plan(result.plan))
    write_private(folder / "junit.xml", render_junit(result))
    write_private(folder / "report.md", render_markdown(result, beside=beside).encode())
    write_private(html, render_html(result, n_items=n_items, beside=beside).encode())
    return html
