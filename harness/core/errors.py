"""Errors that the user can act on, and the exit code of each kind.

    HarnessError            2   the input is wrong: a suite, a file, an option
    ├── StoreLockedError    2   another process holds this workspace
    └── InfrastructureError 4   something around the run failed: disk full, store damaged, judge down

Exit codes 0 (gate passed), 1 (gate failed), 3 (inconclusive) and 130 (interrupted)
are not errors and are decided by the command line.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar


class HarnessError(Exception):
    """A mistake that the user can fix; the message names it, its place and what would work."""

    exit_code: ClassVar[int] = 2


class StoreLockedError(HarnessError):
    """Another process is writing to the same workspace."""


class InfrastructureError(HarnessError):
    """A failure that the input did not cause; finished work is kept."""

    exit_code: ClassVar[int] = 4


def nearest_file(path: Path) -> str:
    """Suggest the file of the same folder whose name is closest; empty if none is."""
    try:
        names = [file.name for file in path.parent.iterdir() if file.name != path.name]
    except OSError:
        return ""
    close = get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f" Did you mean '{path.with_name(close[0])}'?" if close else ""


def first_line(error: Exception) -> str:
    """Return the first line of a library's error, whose others are advice on the library."""
    return str(error).strip().partition("\n")[0]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the closest known word, then list all of them."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    suggestion = f"Did you mean '{close[0]}'? " if close else ""
    return f"{suggestion}Known: {', '.join(names) or 'none'}."
