"""A run, sent to each destination in turn; what has arrived is known, also where one of them failed."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from harness.artifacts.run_folder import load_run
from harness.core.errors import HarnessError, InfrastructureError, did_you_mean
from harness.core.sanitize import printable_line
from harness.publish.files import (
    Files,
    file_sizes,
    reports_with_items,
    reports_without_items,
    stage_files,
    table_files,
)
from harness.publish.guard import hide_secrets, require_no_secrets, require_publishable
from harness.publish.records import Publication, make_publication
from harness.publish.to_hub import HUB
from harness.publish.to_mlflow import MLFLOW
from harness.publish.to_trackio import TRACKIO
from harness.publish.to_wandb import WANDB
from harness.publish.tool import Destination, Tool, require_client
from harness.types import Record

TOOLS = {tool.name: tool for tool in (MLFLOW, WANDB, TRACKIO, HUB)}
_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "BUILD_SOURCEVERSION")  # as CI servers name theirs


class Prepared(NamedTuple):
    """A publication with its files and destinations, of which nothing was sent yet."""

    publication: Publication
    files: Files
    destinations: tuple[tuple[Tool, Destination], ...]
    with_items: bool


class Sent(Record):
    """What became of one destination: what has arrived there, and its problem if it is not all."""

    tool: str
    where: str
    arrived: tuple[str, ...]
    problem: str = ""
    exit_code: int = 0


def prepare(
    folder: Path,
    names: Sequence[str],
    *,
    project: str | None = None,
    uri: str | None = None,
    with_items: bool = False,
    allow_remote_phi: bool = False,
) -> Prepared:
    """Read the run, and find out what would go where. Nothing is sent.

    Raises:
        HarnessError: no such tool, a missing client or option, or texts that must not leave.
        InfrastructureError: a file of the run is not the one that the run wrote.
    """
    tools = [_find_tool(name) for name in dict.fromkeys(names)]
    if not tools:
        raise HarnessError(f"--to: name a tool. {did_you_mean('', TOOLS)}")
    if uri is not None and len(tools) > 1:
        raise HarnessError(
            "--uri is for one tool. For several, set each one's own variable: MLFLOW_TRACKING_URI, "
            "WANDB_BASE_URL, TRACKIO_SERVER_URL, HF_ENDPOINT."
        )
    result = load_run(folder).result
    require_publishable(result.plan, with_items=with_items, allow_remote_phi=allow_remote_phi)
    publication = make_publication(result, find_commit(folder))
    reports = reports_with_items(folder) if with_items else reports_without_items(result)
    files = reports | table_files(publication.tables)
    require_no_secrets(publication, files)
    destinations = tuple((tool, tool.resolve(publication, project, uri)) for tool in tools)
    for tool in tools:
        require_client(tool)
    return Prepared(publication, files, destinations, with_items)


def send(prepared: Prepared) -> Iterator[Sent]:
    """Send to each destination, and yield what became of it; a failure does not stop the others."""
    with TemporaryDirectory() as folder:
        stage_files(prepared.files, Path(folder))
        for tool, destination in prepared.destinations:
            yield _send_to(tool, destination, prepared.publication, Path(folder))


def find_commit(folder: Path) -> str | None:
    """Return the commit of the checkout that publishes: the CI server's, or git's; None if unknown."""
    for name in _COMMITS:
        if commit := os.environ.get(name):
            return commit
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def describe_plan(prepared: Prepared) -> Iterator[str]:
    """Describe what goes where."""
    publication = prepared.publication
    yield f"run {publication.run_id} of {publication.suite}: {publication.verdict}"
    for tool, destination in prepared.destinations:
        yield f"to {tool.name}: {destination.where}"
    yield (
        f"  {len(publication.metrics)} metrics, {len(publication.lineage)} facts of lineage, "
        f"{len(publication.tags)} tags"
    )
    yield from (f"  {name} ({size:,} bytes)" for name, size in file_sizes(prepared.files))
    if not prepared.with_items:
        yield "  without questions, answers, judges' words and ids of items (--with-items adds them)"


def summarise(prepared: Prepared) -> dict[str, object]:
    """Return what goes where as JSON."""
    publication = prepared.publication
    return {
        "run_id": publication.run_id,
        "verdict": publication.verdict,
        "to": {tool.name: destination.where for tool, destination in prepared.destinations},
        "metrics": dict(publication.metrics),
        "lineage": dict(publication.lineage),
        "tags": dict(publication.tags),
        "files": dict(file_sizes(prepared.files)),
        "with_items": prepared.with_items,
    }


def describe_sent(sent: Sent) -> Iterator[str]:
    """Describe what has arrived at one destination, and what has not."""
    arrived = "; ".join(sent.arrived)
    if sent.exit_code == HarnessError.exit_code:  # the message says what would work
        yield f"{sent.problem}. {f'Arrived: {arrived}.' if arrived else 'Nothing was sent there.'}"
    elif sent.problem:
        yield f"{sent.tool}: {sent.problem}. Arrived: {arrived or 'nothing'}. The same command completes it."
    else:
        yield f"{sent.tool}: {arrived}"


def _find_tool(name: str) -> Tool:
    if name not in TOOLS:
        raise HarnessError(f"--to {name}: no such tool. {did_you_mean(name, TOOLS)}")
    return TOOLS[name]


def _send_to(tool: Tool, to: Destination, publication: Publication, folder: Path) -> Sent:
    arrived: list[str] = []
    problem, code = "", 0
    try:
        with redirect_stdout(sys.stderr):  # clients talk, and the output may be JSON
            for what in tool.send(publication, folder, to):
                arrived.append(what)
    except HarnessError as error:
        problem, code = str(error).rstrip("."), error.exit_code
    except Exception as error:  # noqa: BLE001 - clients raise errors of all kinds
        problem, code = f"{type(error).__name__}: {error}", InfrastructureError.exit_code
    return Sent(
        tool=tool.name,
        where=to.where,
        arrived=tuple(arrived),
        problem=printable_line(hide_secrets(problem)),
        exit_code=code,
    )
