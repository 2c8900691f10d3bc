"""Promoted checkpoints: which one stands for a name, where it came from, and what was risked.

    .harness/models/<name>/promotions.jsonl     one line for each promotion, the last one stands
    .harness/models/<name>/looks.jsonl          every certification, written before its result is seen

Certifying one candidate after another on the same held-out items would let a lucky one through
sooner or later. So each look spends less than the one before, as 6 / (pi^2 t^2), which sums to 1.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from harness.core.errors import HarnessError, did_you_mean
from harness.core.files import write_atomically
from harness.types import Record
from harness.types.training import Look, Promotion

RecordT = TypeVar("RecordT", bound=Record)


class Registry:
    """The promoted checkpoints of one workspace. Its workspace's lock is held by who writes."""

    def __init__(self, workspace: Path) -> None:
        self._folder = workspace / "models"

    def names(self) -> list[str]:
        """List the names that something was ever promoted to."""
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
        """Let a checkpoint stand for the promotion's name."""
        _append(self._folder / promotion.name / "promotions.jsonl", promotion)

    def begin_look(self, name: str, look: Look) -> int:
        """Return the number of this look among those on the same items, counted from 1.

        It is written down before anything is seen. The same question asked again, as after a
        kill, is the same look: its answer cannot differ.
        """
        path = self._folder / name / "looks.jsonl"
        before = [old for old in _read(path, Look) if old.items_hash == look.items_hash]
        for number, old in enumerate(before, start=1):
            if _question(old) == _question(look):
                return number
        _append(path, look)
        return len(before) + 1


def alpha_of_look(alpha: float, number: int) -> float:
    """Return the alpha that a look may spend; all looks together spend no more than `alpha`.

    The weights 6 / (pi^2 t^2) sum to 1 (Bonferroni over an endless series of looks).
    """
    return alpha * 6 / (math.pi * number) ** 2


def describe_promotions(promotions: Sequence[Promotion]) -> Iterator[str]:
    """Describe the current promotion of each name, a line each."""
    if not promotions:
        yield "Nothing was promoted yet; `harness loop` promotes what it certifies."
    for p in promotions:
        yield f"{p.name}.{p.number}  {p.lineage[0].recipe}  {p.when}  {p.checkpoint}"


def describe_promotion(promotion: Promotion) -> Iterator[str]:
    """Describe one promotion with its lineage, in lines."""
    p = promotion
    yield f"{p.name}.{p.number}  {p.when}"
    yield f"  {p.sentence}"
    yield f"  certified by {p.certified_by} against {p.beaten}: look {p.look}, alpha {p.alpha:.4f}"
    yield f"  report {p.report}"
    for ancestor in p.lineage:
        yield f"  {ancestor.recipe} ({ancestor.method}, {ancestor.fingerprint[:12]})  {ancestor.source}"


def now() -> str:
    """Return the time in the format of records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _question(look: Look) -> tuple[str, str, str]:
    return look.candidate, look.baseline, look.claims


def _read(path: Path, record: type[RecordT]) -> Iterator[RecordT]:
    if not path.is_file():
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            yield record.model_validate_json(line)
        except ValidationError as error:
            raise HarnessError(
                f"{path}:{number}: is no {record.__name__.lower()}: {error.errors()[0]['msg']}."
            ) from None


def _append(path: Path, record: Record) -> None:
    """Add a line; a kill leaves the file as it was, or with the whole line."""
    before = path.read_bytes() if path.is_file() else b""
    write_atomically(path, before + record.model_dump_json().encode() + b"\n")
