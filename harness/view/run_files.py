"""Which files of a run are served, and what they may do in a browser.

A run's pages are ours, but a workspace may hold a run from elsewhere, whose pages are anybody's. So each
comes with a policy of our own beside that which it states itself: `sandbox` gives it an origin of
its own, where there is no cookie and no page of ours that it could read, and nothing may be fetched. Scripts
run in explorer.html alone. A link between two files has no cookie then, as it comes from another origin: the
address holds a token that opens the files of this one run.
"""

import re
from pathlib import Path
from typing import NamedTuple

FILES = "/files/"  # the beginning of their addresses

_PAGES = {
    "report.html": "Report",
    "items/index.html": "All items",
    "explorer.html": "Explorer",
    "calibration.html": "Calibration of the judges",
    "succession.html": "Succession of a judge",
}
_TEXTS = {
    "report.md": "Report as Markdown",
    "results.json": "Result as JSON",
    "plan.json": "Plan as JSON",
    "junit.xml": "JUnit",
}
_SCRIPTED = "explorer.html"
_ITEM_PAGE = re.compile(r"items/([\w-][\w.-]*/)*[\w-][\w.-]*\.html", re.ASCII)

_ASKS_NOTHING = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_SANDBOX = f"sandbox; {_ASKS_NOTHING}"
# Its own policy names the hash of its script. It saves files, and asks before unsaved notes are left.
_SANDBOX_WITH_SCRIPT = f"sandbox allow-scripts allow-downloads allow-modals; script-src 'unsafe-inline'; {_ASKS_NOTHING}"


class RunFile(NamedTuple):
    """A file that may be served: its path, its type, and the headers of the reply."""

    path: Path
    media_type: str
    headers: dict[str, str]


def list_files(folder: Path) -> list[tuple[str, str]]:
    """Return the names of the files to link to that a run has, each with what it is."""
    shown = {**_PAGES, **_TEXTS}
    return [(name, what) for name, what in shown.items() if _inside(folder, name) is not None]


def find_file(folder: Path, name: str) -> RunFile | None:
    """Return a file of the run in `folder` that may be served; None for any other name."""
    is_page = name in _PAGES or _ITEM_PAGE.fullmatch(name) is not None
    if not is_page and name not in _TEXTS:
        return None
    path = _inside(folder, name)
    if path is None:
        return None
    policy = _SANDBOX_WITH_SCRIPT if name == _SCRIPTED else _SANDBOX
    headers = {
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        # A browser refuses a page in a sandbox that also asks for a window group of its own.
        "cross-origin-opener-policy": "unsafe-none",
    }
    return RunFile(path, "text/html" if is_page else "text/plain", headers)


def _inside(folder: Path, name: str) -> Path | None:
    """Return the path of a regular file in a folder to which no link leads; None if there is none."""
    try:
        path = (folder / name).resolve(strict=True)
        inside = path == folder.resolve(strict=True) / name and path.is_file()
    except (OSError, ValueError):
        return None
    return path if inside else None
