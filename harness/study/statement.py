"""What a study states before its first training, kept in the workspace: so a report shows what was stated when.

.harness/studies/NAME.jsonl     a line for every statement under that name, the first one first
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from harness.core.errors import InfrastructureError
from harness.core.files import write_atomically
from harness.core.json_text import read_utf8
from harness.study.grid import Grid
from harness.types import Record


class Statement(Record):
    """A study as it was stated, by its hash, at a time (ISO 8601, UTC)."""

    registered: str
    plan_hash: str


class Stated(NamedTuple):
    """When this study was stated, and the times of other statements under its name."""

    statement: Statement
    others: tuple[str, ...]


def state_study(grid: Grid, workspace: Path) -> Stated:
    """Write the statement, unless it is there; the lock of the workspace must be held.

    Raises:
        InfrastructureError: the file is damaged.
    """
    path = workspace / "studies" / f"{grid.study.study}.jsonl"
    statements = _read(path)
    own = next((one for one in statements if one.plan_hash == grid.stated), None)
    if own is None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        own = Statement(registered=now, plan_hash=grid.stated)
        lines = [one.model_dump_json() for one in [*statements, own]]
        write_atomically(path, ("\n".join(lines) + "\n").encode())
    others = tuple(one.registered for one in statements if one.plan_hash != own.plan_hash)
    return Stated(own, others)


def _read(path: Path) -> list[Statement]:
    if not path.is_file():
        return []
    try:
        return [Statement.model_validate_json(line) for line in read_utf8(path).splitlines()]
    except ValidationError:
        raise InfrastructureError(
            f"{path}: a line is damaged, so that it is not known what was stated before. Restore it."
        ) from None
