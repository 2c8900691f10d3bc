"""The reports of a run folder: report.html, report.md, results.json, junit.xml, plan.json and badge.svg."""

from collections.abc import Iterable
from pathlib import Path

from harness.artifacts.results_json import RESULTS_FILE, dump_plan, dump_result
from harness.core.errors import InfrastructureError
from harness.core.files import write_private
from harness.types import RunResult
from reports.badge import BADGE, render_badge
from reports.explorer import EXPLORER
from reports.html import render_html
from reports.human_inputs import read_human_inputs
from reports.junit import render_junit
from reports.markdown import render_markdown
from reports.pages import pages_beside

RUN_FILES = (RESULTS_FILE, "junit.xml", "report.md", "report.html", EXPLORER, "plan.json", BADGE)


def write_reports(result: RunResult, folder: Path, *, n_items: int = 0) -> Path:
    """Write all reports, each file atomically, and return the path of report.html.

    results.json is written last: where it is, everything of its run is there. With `n_items` the
    report links to the item pages and to explorer.html. Studies and a calibration in the folder are included.

    Raises:
        InfrastructureError: a file could not be written.
    """
    html, human_inputs = folder / "report.html", read_human_inputs(folder, result.run_id)
    write_private(folder / "plan.json", dump_plan(result.plan))
    write_private(folder / "junit.xml", render_junit(result))
    pages = pages_beside(folder) if n_items else ()  # without tables they would be of another run
    markdown = render_markdown(result, human_inputs=human_inputs, pages=pages)
    write_private(folder / "report.md", markdown.encode())
    write_private(folder / BADGE, render_badge(result))
    page = render_html(result, n_items=n_items, human_inputs=human_inputs, pages=pages)
    write_private(html, page.encode())
    write_private(folder / RESULTS_FILE, dump_result(result))
    return html


def remove_reports(folder: Path, names: Iterable[str] = RUN_FILES) -> None:
    """Remove the reports of an earlier run from the folder, results.json first; or other files.

    Raises:
        InfrastructureError: a file could not be removed.
    """
    for name in names:
        path = folder / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise InfrastructureError(f"{path}: cannot be removed: {error.strerror}.") from None
