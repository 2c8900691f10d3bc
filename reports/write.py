"""A run folder's reports: report.html, report.md, results.json, junit.xml and plan.json."""

import os
import tempfile
from pathlib import Path

from harness.errors import InfrastructureError
from harness.types import RunResult
from reports.beside import read_beside
from reports.html import render_html
from reports.junit import render_junit
from reports.markdown import render_markdown
from reports.results_json import RESULTS_FILE, dump_plan, dump_result


def write_reports(result: RunResult, folder: Path, *, n_items: int = 0) -> Path:
    """Write all reports, each whole or not at all; returns the path of report.html.

    results.json comes first: the others can be rendered from it again. With `n_items` the report
    links to the pages of so many items, which lie beside it. What people left in the folder is told.

    Raises:
        InfrastructureError: a file could not be written.
    """
    html, beside = folder / "report.html", read_beside(folder, result.run_id)
    write_file(folder / RESULTS_FILE, dump_result(result))
    write_file(folder / "plan.json", dump_plan(result.plan))
    write_file(folder / "junit.xml", render_junit(result))
    write_file(folder / "report.md", render_markdown(result, beside=beside).encode())
    write_file(html, render_html(result, n_items=n_items, beside=beside).encode())
    return html


def write_file(path: Path, content: bytes) -> None:
    """Write one file of a report, whole or not at all.

    Raises:
        InfrastructureError: it could not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise InfrastructureError(
            f"{path}: could not write {len(content):,} bytes: {error.strerror}. "
            "Free some space or mend the folder, then run `harness report` on it."
        ) from error


def _replace(path: Path, content: bytes) -> None:
    """Through a temporary file of mode 0600 beside it: reports may quote patients."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
