"""What long work says while it runs: a live display in a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from rich.progress import TaskID


class Stage(NamedTuple):
    """A part of the work, and its number of steps at most."""

    name: str
    total: int


class Progress(Protocol):
    """Stages with a number of steps; told as they advance."""

    def say(self, line: str) -> None:
        """One line of news."""

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """`stage` has done so many of so many steps; `note` says what that took so far."""


class LookProgress:
    """Another display, told of stages in one of several looks at the items."""

    def __init__(self, progress: Progress, look: int, looks: int) -> None:
        self._progress = progress
        self._named = f", look {look} of {looks}"

    def say(self, line: str) -> None:
        """The line as it is."""
        self._progress.say(line)

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """The stage under the name of its look."""
        self._progress.advance(stage + self._named, done, total, note)


class QuietProgress:
    """Says nothing; for tests and libraries."""

    def say(self, line: str) -> None:
        """Nothing."""

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Nothing."""


class PlainProgress:
    """Lines on standard error, at most one every five seconds and stage, for logs and CI."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def say(self, line: str) -> None:
        """The line at once."""
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """A line when a stage starts or ends, and now and then between."""
        now = time.monotonic()
        if done >= total:
            now = math.inf  # the last line of this stage
        if stage not in self._said or now - self._said[stage] >= 5:
            self._said[stage] = now
            self.say(f"{stage}: {done}/{total}{', ' if note else ''}{note}")


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

    def say(self, line: str) -> None:
        """The line above the bars."""
        self._bars.console.print(line, markup=False, highlight=False)

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Move the stage's bar, adding it at the first call."""
        if stage not in self._stages:
            self._stages[stage] = self._bars.add_task(stage, total=total, note=note)
        self._bars.update(self._stages[stage], completed=done, total=total, note=note)


@contextmanager
def show_progress() -> Iterator[Progress]:
    """The display that fits where standard error goes."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    with RichProgress() as progress:
        yield progress
