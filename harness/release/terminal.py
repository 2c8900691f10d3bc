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
        """Read the next line; None at the end."""

    def begin(self, name: str) -> None:
        """Begin an answer."""

    def say(self, text: str) -> None:
        """Write a piece of the answer."""

    def end(self) -> None:
        """End the answer."""

    def note(self, text: str) -> None:
        """Write a note that the model did not generate."""


class PipeIO:
    """Questions from standard input, a line each; answers to standard output, the rest to error."""

    def read(self) -> str | None:
        """Read the next line; None at the end."""
        return sys.stdin.readline() or None

    def begin(self, name: str) -> None:
        """Write nothing: the output holds answers only."""

    def say(self, text: str) -> None:
        """Write the text as it is, except for what would steer a terminal."""
        print(drop_controls(text), end="", flush=True)  # noqa: T201

    def end(self) -> None:
        """Write an empty line between answers."""
        print("\n", flush=True)  # noqa: T201

    def note(self, text: str) -> None:
        """Write a line to standard error."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show nothing."""
        yield

    def introduce(self, name: str, facts: Sequence[str], note: str) -> None:
        """Write the model's name and facts to standard error."""
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
        """Read what the person writes; None for Ctrl-D."""
        self._console.print()
        try:
            return input(self._prompt)
        except EOFError:
            self._console.print()
            return None

    def begin(self, name: str) -> None:
        """Write a line with the model's name."""
        self._console.print(f"\n[bold green]{name}[/]")
        self._column = 0

    def say(self, text: str) -> None:
        """Write the text, broken between words."""
        out, self._column = wrap(drop_controls(text), self._column, self._console.width)
        print(out, end="", flush=True)  # noqa: T201

    def end(self) -> None:
        """End the line."""
        if self._column:
            self._console.print()
        self._column = 0

    def note(self, text: str) -> None:
        """Write a line in grey."""
        self._console.print(text, style="dim", markup=False)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show that work is in progress."""
        with self._console.status(what):
            yield

    def introduce(self, name: str, facts: Sequence[str], note: str) -> None:
        """Write the model's name and facts."""
        from rich.text import Text

        told = " · ".join(facts)
        self._console.print(Text.assemble((name, "bold green"), f"  {told}"))
        if note:
            self._console.print(Text.assemble(("! ", "yellow"), note))


def wrap(text: str, column: int, width: int) -> tuple[str, int]:
    """Break the text between words, begun at `column`; return it with the column it ends at."""
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
