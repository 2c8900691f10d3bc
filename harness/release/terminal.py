"""What a dialogue is read from and shown on: a terminal with a person before it, or a pipe."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from harness.core.sanitize import drop_controls


class ChatIO(Protocol):
    """Where questions come from and answers go to."""

    def read(self) -> str | None:
        """The next line; None at the end."""

    def begin(self, name: str) -> None:
        """An answer begins."""

    def say(self, text: str) -> None:
        """A piece of it."""

    def end(self) -> None:
        """It is over."""

    def note(self, text: str) -> None:
        """Something that the model did not say."""


class PipeIO:
    """Questions from standard input, a line each; answers to standard output, the rest to error."""

    def read(self) -> str | None:
        """The next line; None at the end."""
        return sys.stdin.readline() or None

    def begin(self, name: str) -> None:
        """Nothing: answers stand alone."""

    def say(self, text: str) -> None:
        """The text as it is, but for what would steer a terminal."""
        print(drop_controls(text), end="", flush=True)  # noqa: T201

    def end(self) -> None:
        """An empty line between answers."""
        print("\n", flush=True)  # noqa: T201

    def note(self, text: str) -> None:
        """A line on standard error."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Nothing to see."""
        yield

    def introduce(self, name: str, facts: Sequence[str], note: str) -> None:
        """Who answers, and what must be known of it."""
        self.note(f"{name}: {', '.join(facts)}")
        if note:
            self.note(note)


class TerminalIO:
    """A person who reads and writes."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console: Console = Console(highlight=False)
        self._prompt = "you > "
        self._column = 0
        with suppress(ImportError):  # line editing and history, where the system has them
            import readline  # noqa: F401

            if self._console.color_system:  # \1 and \2 tell it what takes no room
                self._prompt = "\1\33[1;36m\2you >\1\33[0m\2 "

    def read(self) -> str | None:
        """What the person writes; None for Ctrl-D."""
        self._console.print()
        try:
            return input(self._prompt)
        except EOFError:
            self._console.print()
            return None

    def begin(self, name: str) -> None:
        """A line with the model's name."""
        self._console.print(f"\n[bold green]{name}[/]")
        self._column = 0

    def say(self, text: str) -> None:
        """The text, broken between words."""
        out, self._column = wrap(drop_controls(text), self._column, self._console.width)
        print(out, end="", flush=True)  # noqa: T201

    def end(self) -> None:
        """The end of the line."""
        if self._column:
            self._console.print()
        self._column = 0

    def note(self, text: str) -> None:
        """A line in grey."""
        self._console.print(text, style="dim", markup=False)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A sign that something is being done."""
        with self._console.status(what):
            yield

    def introduce(self, name: str, facts: Sequence[str], note: str) -> None:
        """Who answers, and what must be known of it."""
        from rich.text import Text

        told = " · ".join(facts)
        self._console.print(Text.assemble((name, "bold green"), f"  {told}"))
        if note:
            self._console.print(Text.assemble(("! ", "yellow"), note))


def wrap(text: str, column: int, width: int) -> tuple[str, int]:
    """The text with line breaks between words, begun at `column`, and the column it ends at."""
    from rich.cells import cell_len

    out: list[str] = []
    for part in re.findall(r"\n|[^\S\n]+|\S+", text):
        if part == "\n":
            out.append(part)
            column = 0
            continue
        if column + cell_len(part) > width and column:
            out.append("\n")
            column = 0
            if part.isspace():
                continue
        out.append(part)
        column += cell_len(part)
    return "".join(out), column
