"""How commands tell their outcome: text to read, or JSON."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

import typer

NO_VERDICT = 3


EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": NO_VERDICT}


INFRASTRUCTURE = 4


INTERRUPTED = 130


class Format(StrEnum):
    """How a command tells its outcome."""

    text = "text"
    json = "json"


def emit(output: Format, value: object, lines: Iterable[str]) -> None:
    """Print the value as JSON, or the lines that say the same to people."""
    if output is Format.json:
        print_json(value)
        return
    for line in lines:
        typer.echo(line)


def emit_artifact(output: Format, directory: str, summary: Mapping[str, str]) -> None:
    """Print what was made and where it lies."""
    lines = [f"{key}: {value}" for key, value in summary.items()]
    emit(output, {"path": directory, **summary}, [*lines, directory])


@contextmanager
def exit_if_pending(output: Format) -> Iterator[None]:
    """Work that may end because replies are to come by batch: says which, and exits 3."""
    from harness.models.session import PendingRepliesError, describe_pending

    try:
        yield
        return
    except PendingRepliesError as error:
        awaited = error.awaited
    assert awaited is not None  # the work has written it down
    value = {"exit_code": NO_VERDICT, "verdict": None, **awaited.model_dump(mode="json")}
    emit(output, value, describe_pending(awaited))
    raise typer.Exit(NO_VERDICT)


def print_json(value: object) -> None:
    """Print a value as JSON, which has escapes for what the terminal has no characters for."""
    ascii_only = not sys.stdout.encoding.lower().startswith("utf")
    typer.echo(json.dumps(value, indent=2, ensure_ascii=ascii_only))
