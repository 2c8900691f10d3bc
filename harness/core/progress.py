"""Progress of long work: a live display in a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from rich.progress import TaskID


class Stage(NamedTuple):
    """A part of the work, and its maximal number of steps."""

    name: str
    total: int


class Progress(Protocol):
    """A display of stages, each with a number of steps."""

    def log(self, line: str) -> None:
        """Show a line of text."""

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Show that `stage` has done so many of its steps; `note` adds, for example, the cost so far."""


class LookProgress:
    """A progress display that adds the number of the look to the name of each stage."""

    def __init__(self, progress: Progress, look: int, looks: int) -> None:
        self._progress = progress
        self._suffix = f", look {look} of {looks}"

    def log(self, line: str) -> None:
        self._progress.log(line)

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Pass the stage on under a name with its look."""
        self._progress.advance(stage + self._suffix, done, total, note)


class QuietProgress:
    """A progress display that shows nothing, for tests and libraries."""

    def log(self, line: str) -> None:
        """Ignore the line."""

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Ignore the stage."""


class PlainProgress:
    """Lines on standard error, at most one every five seconds and stage, for logs and CI."""

    def __init__(self) -> None:
        self._logged_at: dict[str, float] = {}

    def log(self, line: str) -> None:
        """Print the line at once."""
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Print a line when a stage starts or ends, and every five seconds between."""
        now = time.monotonic()
        if done >= total:
            now = math.inf  # the last line of this stage
        if stage not in self._logged_at or now - self._logged_at[stage] >= 5:
            self._logged_at[stage] = now
            self.log(f"{stage}: {done}/{total}{', ' if note else ''}{note}")


class RichProgress:
    """A live bar for each stage, with rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
        )
        self._stages: dict[str, TaskID] = {}

    def __enter__(self) -> "RichProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def log(self, line: str) -> None:
        """Print the line above the bars."""
        self._bars.console.print(line, markup=False, highlight=False)

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Move the stage's bar, adding it at the first call."""
        if stage not in self._stages:
            self._stages[stage] = self._bars.add_task(stage, total=total, note=note)
        self._bars.update(self._stages[stage], completed=done, total=total, note=note)


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Show bars if standard error is a terminal, and plain lines otherwise."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    with RichProgress() as progress:
        yield progress
