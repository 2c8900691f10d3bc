"""A run folder's reports: report.html, report.md, results.json, junit.xml and plan.json."""

import os
import tempfile
from pathlib import Path

from harness.errors import InfrastructureError
from harness.types import RunResult
from reports.html import render_html
from reports.junit import render_junit
from reports.markdown import render_markdown
from reports.results_json import RESULTS_FILE, dump_plan, dump_result


def write_reports(result: RunResult, folder: Path) -> Path:
    """Write all reports, each whole or not at all; returns the path of report.html.

    results.json comes first: the others can be rendered from it again.

    Raises:
        InfrastructureError: a file could not be written.
    """
    html = folder / "report.html"
    _write(folder / RESULTS_FILE, dump_result(result))
    _write(folder / "plan.json", dump_plan(result.plan))
    _write(folder / "junit.xml", render_junit(result))
    _write(folder / "report.md", render_markdown(result).encode())
    _write(html, render_html(result).encode())
    return html


def _write(path: Path, content: bytes) -> None:
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
