"""Installed packages with plug-ins: the files that an installer would leave in a folder."""

import sys
from pathlib import Path

import pytest

from harness.core.plugins import load_plugin
from tests.builders.files import write

SCORER = """\
from harness.core.scorer import Item, Scorer

def score(item, answer):
    {body}

SCORER = Scorer(score, columns={columns}, bounds={bounds}, description="for tests"{more})
"""


def make_site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which this process finds installed packages."""
    load_plugin.cache_clear()
    site = folder / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    return site


def scorer_source(
    body: str = "return {'words': len(answer.split())}",
    *,
    columns: tuple[str, ...] = ("words",),
    bounds: str = "(0, 100)",
    more: str = "",
) -> str:
    """A module whose SCORER has this body."""
    return SCORER.format(body=body, columns=columns, bounds=bounds, more=more)


def install(
    site: Path,
    module: str,
    source: str,
    *,
    metrics: str = "",
    judges: str = "",
    package: str = "",
    version: str = "1.0",
) -> Path:
    """A module as a package of its own; `metrics` and `judges` are entry points, `name = object`."""
    sys.modules.pop(module, None)  # of another test
    file = write(site / f"{module}.py", source)
    info = site / f"{package or module}-{version}.dist-info"
    info.mkdir()
    write(
        info / "METADATA",
        f"Metadata-Version: 2.1\nName: {package or module}\nVersion: {version}\n",
    )
    groups = {"harness.metrics": metrics, "harness.judges": judges}
    lines = [f"[{group}]\n{entry}\n" for group, entry in groups.items() if entry]
    write(info / "entry_points.txt", "\n".join(lines))
    return file
