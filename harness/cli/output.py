"""Output of commands: text or JSON, and exit codes."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from harness.types import RunResult

NO_VERDICT = 3
EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": NO_VERDICT}
INFRASTRUCTURE = 4
INTERRUPTED = 130


class Format(StrEnum):
    """The output format of a command."""

    text = "text"
    json = "json"


def emit(output: Format, value: object, lines: Iterable[str]) -> None:
    """Print the value as JSON, or the lines with the same content as text."""
    if output is Format.json:
        print_json(value)
        return
    for line in lines:
        typer.echo(line)


def emit_artifact(output: Format, directory: str, summary: Mapping[str, str]) -> None:
    """Print the path of a new artifact and its summary."""
    lines = [f"{key}: {value}" for key, value in summary.items()]
    emit(output, {"path": directory, **summary}, [*lines, directory])


def say(*lines: str) -> None:
    """Print lines on standard error, with invisible characters written out."""
    from harness.core.sanitize import escape_invisible

    for line in lines:
        typer.echo(escape_invisible(line), err=True)


def say_unverified(result: "RunResult", run: Path) -> None:
    """Say of a run without hashes of its tables that it could not be verified."""
    from harness.artifacts.integrity import NOT_VERIFIED

    if not result.tables:
        typer.echo(f"harness: {run}: {NOT_VERIFIED}.", err=True)


@contextmanager
def exit_if_pending(output: Format) -> Iterator[None]:
    """Exit with 3 if the work cannot continue before batch replies arrive, and list the files."""
    from harness.models.session import PendingRepliesError
    from reports.batches import describe_pending

    try:
        yield
        return
    except PendingRepliesError as error:
        pending = error.pending
    assert pending is not None  # set by the work that wrote the batch files
    value = {"exit_code": NO_VERDICT, "verdict": None, **pending.model_dump(mode="json")}
    emit(output, value, describe_pending(pending))
    raise typer.Exit(NO_VERDICT)


def print_json(value: object) -> None:
    """Print a value as JSON; characters that the terminal cannot show are escaped."""
    ascii_only = not sys.stdout.encoding.lower().startswith("utf")
    typer.echo(json.dumps(value, indent=2, ensure_ascii=ascii_only))
