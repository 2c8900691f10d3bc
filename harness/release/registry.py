"""The registry of promoted checkpoints by name, with their lineage and the alpha spent.

    .harness/models/<name>/promotions.jsonl     one line for each promotion; the last one is current
    .harness/models/<name>/looks.jsonl          every certification, written before its result is seen

Certifying one candidate after another on the same held-out items would pass a lucky one sooner or
later. So each look spends less alpha than the one before, as 6 / (pi^2 t^2), which sums to 1.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from harness.core.errors import HarnessError, did_you_mean
from harness.core.files import write_atomically
from harness.core.json_text import json_lines, read_utf8
from harness.gate.tries import spending_share
from harness.types import Record
from harness.types.training import Look, Promotion

RecordT = TypeVar("RecordT", bound=Record)


class Registry:
    """The promoted checkpoints of one workspace. A writer must hold the lock of the workspace."""

    def __init__(self, workspace: Path) -> None:
        self._folder = workspace / "models"

    def names(self) -> list[str]:
        """List the names that have a promotion."""
        return sorted(path.parent.name for path in self._folder.glob("*/promotions.jsonl"))

    def history(self, name: str) -> list[Promotion]:
        """List all promotions of a name, the first one first.

        Raises:
            HarnessError: the file is damaged.
        """
        return list(_read(self._folder / name / "promotions.jsonl", Promotion))

    def find(self, name: str) -> Promotion:
        """Find the current promotion.

        Raises:
            HarnessError: nothing was promoted to that name; suggests one.
        """
        history = self.history(name)
        if not history:
            raise HarnessError(
                f"no checkpoint was promoted to '{name}'. {did_you_mean(name, self.names())}"
            )
        return history[-1]

    def promote(self, promotion: Promotion) -> None:
        """Make a checkpoint the current promotion of its name."""
        _append(self._folder / promotion.name / "promotions.jsonl", promotion)

    def begin_look(self, name: str, look: Look) -> int:
        """Return the number of this look among those on the same items, counted from 1.

        The look is recorded before any result is seen. The same comparison repeated, for example
        after a kill, counts as the same look, because its result cannot differ.
        """
        path = self._folder / name / "looks.jsonl"
        before = [old for old in _read(path, Look) if old.items_hash == look.items_hash]
        for number, old in enumerate(before, start=1):
            if _comparison(old) == _comparison(look):
                return number
        _append(path, look)
        return len(before) + 1


def alpha_of_look(alpha: float, number: int) -> float:
    """Return the alpha that a look may spend; all looks together spend no more than `alpha`.

    The weights 6 / (pi^2 t^2) sum to 1 (Bonferroni over an endless series of looks).
    """
    return alpha * spending_share(number)


def now() -> str:
    """Return the time in the format of records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _comparison(look: Look) -> tuple[str, str, str]:
    return look.candidate, look.baseline, look.claims


def _read(path: Path, record: type[RecordT]) -> Iterator[RecordT]:
    if not path.is_file():
        return
    try:
        text = read_utf8(path)
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path}: cannot be read: {error}. Restore the file.") from None
    for number, line in json_lines(text):
        try:
            yield record.model_validate_json(line)
        except ValidationError as error:
            raise HarnessError(
                f"{path}:{number}: not a valid {record.__name__.lower()}: "
                f"{error.errors()[0]['msg']}."
            ) from None


def _append(path: Path, record: Record) -> None:
    """Append a line; after a kill the file has the whole line or is unchanged."""
    before = path.read_bytes() if path.is_file() else b""
    write_atomically(path, before + record.model_dump_json().encode() + b"\n")
