"""Input and output of a chat: a terminal with a person, or a pipe."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from harness.core.sanitize import drop_controls


class ChatIO(Protocol):
    """The source of questions and the destination of answers."""

    def read(self) -> str | None:
        """Read the next line; None at the end."""

    def begin_answer(self, name: str) -> None:
        """Begin an answer."""

    def write(self, text: str) -> None:
        """Write a piece of the answer."""

    def end_answer(self) -> None:
        """End the answer."""

    def note(self, text: str) -> None:
        """Write a note that the model did not generate."""


class PipeIO:
    """Questions from lines of standard input, answers to standard output, notes to standard error."""

    def read(self) -> str | None:
        """Read the next line; None at the end."""
        return sys.stdin.readline() or None

    def begin_answer(self, name: str) -> None:
        """Write nothing: the output holds answers only."""

    def write(self, text: str) -> None:
        """Write the text without the control characters that would steer a terminal."""
        print(drop_controls(text), end="", flush=True)  # noqa: T201

    def end_answer(self) -> None:
        """Write an empty line after the answer."""
        print("\n", flush=True)  # noqa: T201

    def note(self, text: str) -> None:
        """Write a line to standard error."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    @contextmanager
    def show_status(self, message: str) -> Iterator[None]:
        """Show nothing."""
        yield

    def introduce(self, name: str, facts: Sequence[str], note: str) -> None:
        """Write the model's name and facts to standard error."""
        self.note(f"{name}: {', '.join(facts)}")
        if note:
            self.note(note)


class TerminalIO:
    """A person at a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console: Console = Console(highlight=False)
        self._prompt = "you > "
        self._column = 0
        with suppress(ImportError):  # line editing and history, if available
            import readline  # noqa: F401

            if self._console.color_system:  # \1 and \2 enclose characters of no width
                self._prompt = "\1\33[1;36m\2you >\1\33[0m\2 "

    def read(self) -> str | None:
        """Read what the person writes; None for Ctrl-D."""
        self._console.print()
        try:
            return input(self._prompt)
        except EOFError:
            self._console.print()
            return None

    def begin_answer(self, name: str) -> None:
        """Write a line with the model's name."""
        self._console.print(f"\n[bold green]{name}[/]")
        self._column = 0

    def write(self, text: str) -> None:
        """Write the text, broken between words."""
        out, self._column = wrap(drop_controls(text), self._column, self._console.width)
        print(out, end="", flush=True)  # noqa: T201

    def end_answer(self) -> None:
        """End the line."""
        if self._column:
            self._console.print()
        self._column = 0

    def note(self, text: str) -> None:
        """Write a line in grey."""
        self._console.print(text, style="dim", markup=False)

    @contextmanager
    def show_status(self, message: str) -> Iterator[None]:
        """Show that work is in progress."""
        with self._console.status(message):
            yield

    def introduce(self, name: str, facts: Sequence[str], note: str) -> None:
        """Write the model's name and facts."""
        from rich.text import Text

        description = " · ".join(facts)
        self._console.print(Text.assemble((name, "bold green"), f"  {description}"))
        if note:
            self._console.print(Text.assemble(("! ", "yellow"), note))


def wrap(text: str, column: int, width: int) -> tuple[str, int]:
    """Wrap the text between words, starting at `column`; return it with the column where it ends."""
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
