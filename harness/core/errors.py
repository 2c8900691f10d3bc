"""What can go wrong that the user can act on, and the exit code each kind ends with.

    HarnessError            2   the input is wrong: a suite, a file, an option
    ├── StoreLockedError    2   another process holds this workspace
    └── InfrastructureError 4   the world failed: disk full, store damaged, judge down

Exit codes 0 (gate passed), 1 (gate failed), 3 (inconclusive) and 130 (interrupted)
are not errors and are decided by the command line.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class HarnessError(Exception):
    """The user can fix this: the message says what is wrong, where, and what would work."""

    exit_code: ClassVar[int] = 2


class StoreLockedError(HarnessError):
    """Another process is writing to the same workspace."""


class InfrastructureError(HarnessError):
    """The run could not go on through no fault of the input; what was done is kept."""

    exit_code: ClassVar[int] = 4


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that suggests the closest known word, then lists them all."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    suggestion = f"Did you mean '{close[0]}'? " if close else ""
    return f"{suggestion}Known: {', '.join(names) or 'none'}."
