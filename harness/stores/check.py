"""A workspace looked at as a whole: is every row what was written, how large is it, what is nobody's?"""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from harness.core.store import LEDGER, ROW_VERSION, decode_text, read_row
from harness.models.batch_files import BatchFile
from harness.models.endpoint import Reply
from harness.planning.ledger import read_ledger
from harness.planning.preregistration import read_registrations
from harness.stores.attached import DAMAGED, attach, open_database
from harness.types import FoundPassages, Outcome, PairScore, Record, Response

RECORDS: dict[str, type[BaseModel]] = {
    "response": Response,
    "outcome": Outcome,
    "reply": Reply,
    "batch": BatchFile,
    "passages": FoundPassages,
    "rerank": PairScore,
}
FOLDERS = ("checkpoints", "pairs", "best_of", "references", "models")
# What killed processes leave: files and checkpoints on their way to their places, and merges.
_LEFTOVER = re.compile(r"\..+\.([0-9a-f]{8}|[0-9]+)|\.merge-[0-9a-f]{8}")
LEFT_AFTER_S = 3600.0  # what is younger may be a process's that is at work

UNKNOWN_USE = (
    "Which plan or run a response or an outcome belongs to is not recorded: keys are hashes of what was "
    "asked, and runs of other suites may share them."
)


class KindOfRows(Record):
    """The rows of one kind: bytes of their bodies, days of the first and the last, and what is wrong.

    `damaged` rows are not what was written, `unreadable` ones no record of this version; both are made
    again by a run. `later` ones are of a later version.
    """

    kind: str
    rows: int
    bytes: int
    first: str | None
    last: str | None
    damaged: int
    unreadable: int
    later: int


class StoreCheck(Record):
    """What a workspace holds.

    `problem` is what SQLite finds wrong with the file, `sizes` are bytes of the store and of the folders
    beside it.
    """

    workspace: str
    problem: str
    kinds: tuple[KindOfRows, ...]
    plans: int
    tries: int
    sizes: dict[str, int]
    leftovers: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Return whether every row can be used."""
        return not self.problem and not any(
            kind.damaged or kind.unreadable or kind.later for kind in self.kinds
        )


class BadRow(NamedTuple):
    """A row that no run can use, and whether it is damaged, as against unreadable.

    Its kind and key are bytes, as a damaged row's may be no UTF-8.
    """

    kind: bytes
    key: bytes
    damaged: bool


def check_store(workspace: Path) -> StoreCheck:
    """Check a workspace without its lock; nothing is written.

    Raises:
        HarnessError: there is no store, or the ledger is damaged.
        InfrastructureError: the file cannot be read, or a plan's copy is damaged.
    """
    with closing(open_database()) as connection, attach(connection, workspace):
        (problem,) = connection.execute("PRAGMA file.integrity_check(1)").fetchone()
        bad = [*find_bad_rows(connection)]
        kinds = [_describe_kind(connection, kind, bad) for kind in _kinds(connection)]
    sizes = {name: size_of(workspace / name) for name in FOLDERS if (workspace / name).is_dir()}
    return StoreCheck(
        workspace=str(workspace),
        problem="" if problem == "ok" else problem,
        kinds=tuple(kinds),
        plans=sum(1 for _ in read_registrations(workspace)),
        tries=len(read_ledger(workspace / LEDGER).tries),
        sizes={"store.sqlite": size_of(workspace / "store.sqlite"), **sizes},
        leftovers=tuple(str(path.relative_to(workspace)) for path in find_leftovers(workspace)),
    )


def find_bad_rows(connection: sqlite3.Connection) -> Iterator[BadRow]:
    """Yield the attached rows that no run can use, reading one after another."""
    columns = "CAST(kind AS BLOB), CAST(key AS BLOB), body"
    query = f"SELECT {columns}, {DAMAGED}, version FROM src"  # noqa: S608
    for kind, key, body, damaged, version in connection.execute(query):
        record = RECORDS.get(decode_text(kind))
        if damaged:
            yield BadRow(kind, key, damaged=True)
        elif version <= ROW_VERSION and record is not None and read_row(body, record) is None:
            yield BadRow(kind, key, damaged=False)


def find_leftovers(workspace: Path) -> list[Path]:
    """Return what killed processes have left in a workspace, and no later command reads.

    A linked folder is another workspace's, whose processes may be at work.
    """
    youngest = time.time() - LEFT_AFTER_S
    return sorted(
        path
        for pattern in ("*", "*/*", "models/*/*")
        for path in workspace.glob(pattern)
        if _LEFTOVER.fullmatch(path.name)
        and path.lstat().st_mtime < youngest
        and not _is_linked(path, workspace)
    )


def _is_linked(path: Path, workspace: Path) -> bool:
    """Return whether the path, or a folder on the way to it from the workspace, is a link."""
    return path.resolve() != workspace.resolve() / path.relative_to(workspace)


def _kinds(connection: sqlite3.Connection) -> list[bytes]:
    kinds = "SELECT DISTINCT CAST(kind AS BLOB) FROM src ORDER BY kind"
    return [kind for (kind,) in connection.execute(kinds)]


def _describe_kind(connection: sqlite3.Connection, kind: bytes, bad: list[BadRow]) -> KindOfRows:
    rows, size, first, last, later = connection.execute(
        "SELECT count(*), sum(length(CAST(body AS BLOB))), min(made), max(made), sum(version > ?) "
        "FROM src WHERE kind=CAST(? AS TEXT)",
        (ROW_VERSION, kind),
    ).fetchone()
    of_kind = [row.damaged for row in bad if row.kind == kind]
    return KindOfRows(
        kind=decode_text(kind),
        rows=rows,
        bytes=size,
        first=_day(first),
        last=_day(last),
        damaged=sum(of_kind),
        unreadable=len(of_kind) - sum(of_kind),
        later=later,
    )


def _day(made: int | None) -> str | None:
    return None if made is None else datetime.fromtimestamp(made, UTC).date().isoformat()


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(one.lstat().st_size for one in path.rglob("*") if one.is_file())
