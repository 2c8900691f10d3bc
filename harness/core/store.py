"""The workspace: responses and judgements, stored by content so that no request is paid twice.

One SQLite file (write-ahead log, one writer). A row's key is the hash of everything that could
change its content; its body carries a checksum, because SQLite does not notice a flipped bit.
A killed process loses no committed row, and the kernel frees its lock.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from harness.core.env import env_positive_float
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.files import make_folder, refuse_link, write_atomically
from harness.core.locks import FolderLock

RecordT = TypeVar("RecordT", bound=BaseModel)
Made = TypeVar("Made")
Kind = Literal["response", "outcome", "reply", "batch", "server", "passages", "rerank"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    kind   TEXT NOT NULL,
    key    TEXT NOT NULL,
    body   TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    made    INTEGER,
    number  INTEGER,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (
    number INTEGER NOT NULL,
    made   INTEGER NOT NULL
);
INSERT INTO counter SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM counter);
"""

# Raise it when a record's fields change their meaning. A row of a later version is read where its
# known fields still make a record; otherwise it is left out.
ROW_VERSION = 1
# The columns that files of earlier versions lack.
_LATER_COLUMNS = {
    "version": "INTEGER NOT NULL DEFAULT 1",
    "made": "INTEGER",
    "number": "INTEGER",
}

LEDGER = "ledger.jsonl"  # the file of tries beside the store
MERGED = ".merged"  # the folder of a merge's files on their way to their places
_BESIDE = ("-wal", "-shm", "-journal")  # how SQLite names the files beside its own
_LOOKUP_SIZE = 500  # keys in one query; SQLite takes at least 999 parameters


class Count(NamedTuple):
    """One step of a workspace's counter.

    `made` is now, in seconds since 1970, and `latest` the latest such time of all steps before: it
    is larger where the clock was set back.
    """

    made: int
    number: int
    latest: int


class Store:
    """Rows by content key. Open it with `with`, which holds the workspace's lock."""

    def __init__(self, workspace: Path, *, wait_s: float = 0.0) -> None:
        self.workspace = workspace
        self._wait_s = wait_s
        self.path = workspace / "store.sqlite"
        self._lock = FolderLock(
            workspace, advice="Wait for it (--wait SECONDS), or give another --store."
        )
        self._access = threading.RLock()

    def __enter__(self) -> "Store":
        """Take the lock and open the file.

        Raises:
            HarnessError: the workspace cannot be written.
            StoreLockedError: another process holds it.
            InfrastructureError: the file is damaged.
        """
        make_writable(self.workspace)
        self._lock.take(self._wait_s)
        try:
            # Generation and judging write from their own threads, one at a time.
            with self._explain_errors():
                finish_merge(self.workspace)
                for ending in ("", *_BESIDE):
                    refuse_link(self.path.with_name(f"{self.path.name}{ending}"))
                self._connection = sqlite3.connect(
                    self.path, isolation_level=None, check_same_thread=False
                )
                self._connection.text_factory = decode_text
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=NORMAL")
                self._limit_pages()
                self._connection.executescript(SCHEMA)
                self._add_columns()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file and free the lock; a thread that is writing may finish its commit."""
        with self._access:
            self._connection.close()
        self._lock.release()

    def get(self, kind: Kind, keys: Iterable[str], record: type[RecordT]) -> dict[str, RecordT]:
        """Return the stored rows by key.

        A row that is damaged, or of a version that cannot be read, is left out and made again.
        """
        with self._access, self._explain_errors():
            return _select(self._connection, kind, keys, record)

    def dates(self, kind: Kind, keys: Iterable[str]) -> list[int]:
        """Return when the rows were made, in seconds since 1970; rows of earlier versions lack it."""
        all_keys = list(keys)
        dates: list[int] = []
        with self._access, self._explain_errors():
            for start in range(0, len(all_keys), _LOOKUP_SIZE):
                chunk = all_keys[start : start + _LOOKUP_SIZE]
                marks = ",".join("?" * len(chunk))
                query = f"SELECT made FROM rows WHERE made NOT NULL AND kind=? AND key IN ({marks})"  # noqa: S608
                dates += [int(made) for (made,) in self._connection.execute(query, (kind, *chunk))]
        return dates

    def numbers(self, kind: Kind, keys: Iterable[str]) -> list[int]:
        """Return the rows' places in the order in which the workspace grew, whatever its clock said.

        Rows of earlier versions have none, and count as 0: before everything that has one.
        """
        all_keys = list(keys)
        numbers: list[int] = []
        with self._access, self._explain_errors():
            for start in range(0, len(all_keys), _LOOKUP_SIZE):
                chunk = all_keys[start : start + _LOOKUP_SIZE]
                marks = ",".join("?" * len(chunk))
                query = f"SELECT number FROM rows WHERE kind=? AND key IN ({marks})"  # noqa: S608
                numbers += [n or 0 for (n,) in self._connection.execute(query, (kind, *chunk))]
        return numbers

    def next_number(self, above: int = 0) -> "Count":
        """Take the next number of the workspace's counter, which also counts commits of rows.

        Args:
            above: A number that was given before; the next is larger also in a new store.
        """
        with self._access, self._explain_errors():
            return self._commit(lambda: self._count(above))

    def remove(self, kind: Kind | bytes, keys: Iterable[str | bytes]) -> None:
        """Remove these rows together, so that they are made again; bytes name those that are no UTF-8."""
        doomed = [(kind, key) for key in keys]
        delete = "DELETE FROM rows WHERE kind=CAST(? AS TEXT) AND key=CAST(? AS TEXT)"
        with self._access, self._explain_errors():
            self._commit(lambda: self._connection.executemany(delete, doomed))

    def put(self, kind: Kind, records: Mapping[str, BaseModel]) -> None:
        """Commit these rows together: after a crash all of them are stored, or none.

        Safe to call from several threads.

        Raises:
            InfrastructureError: the disk is full or the file is damaged; earlier rows are kept.
        """
        rows = [(key, record.model_dump_json()) for key, record in records.items()]
        if not rows:
            return

        def insert() -> None:
            count = self._count()
            self._connection.executemany(
                "INSERT OR REPLACE INTO rows (kind, key, body, sha256, version, made, number) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (kind, key, body, row_checksum(kind, key, body), ROW_VERSION, *count[:2])
                    for key, body in rows
                ],
            )

        with self._access, self._explain_errors():
            self._commit(insert)

    def compact(self) -> None:
        """Give the space of removed rows back to the disk."""
        with self._access, self._explain_errors():
            self._connection.execute("VACUUM")

    def count(self, kind: Kind) -> int:
        """Return the number of rows of a kind."""
        return len(self.keys(kind))

    def keys(self, kind: Kind) -> list[str]:
        """Return the keys of all rows of a kind."""
        with self._access, self._explain_errors():
            rows = self._connection.execute("SELECT key FROM rows WHERE kind=?", (kind,))
            return [key for (key,) in rows]

    def _count(self, above: int = 0) -> "Count":
        """Advance the counter within a transaction."""
        number, latest = self._connection.execute("SELECT number, made FROM counter").fetchone()
        count = Count(int(time.time()), max(number, above) + 1, latest)
        self._connection.execute(
            "UPDATE counter SET number=?, made=?", (count.number, max(count.made, latest))
        )
        return count

    def _commit(self, change: Callable[[], Made]) -> Made:
        """Commit what `change` does together, or none of it.

        A context manager would not do: Ctrl-C may come between its body and its end, and leave the
        transaction open to other threads.
        """
        self._roll_back()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            made = change()
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return made

    def _roll_back(self) -> None:
        """Undo a transaction that is open, such as one whose end was interrupted."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _add_columns(self) -> None:
        """Add what a file of an earlier version lacks."""
        present = {row[1] for row in self._connection.execute("PRAGMA table_info(rows)")}
        for name, kind in _LATER_COLUMNS.items():
            if name not in present:
                self._connection.execute(f"ALTER TABLE rows ADD COLUMN {name} {kind}")

    def _explain_errors(self) -> AbstractContextManager[None]:
        return explain_errors(self.path)

    def _limit_pages(self) -> None:
        """Limit the file's size to a quota (HARNESS_STORE_MAX_MB)."""
        limit = env_positive_float("HARNESS_STORE_MAX_MB")
        if limit is not None:
            (page,) = self._connection.execute("PRAGMA page_size").fetchone()
            pages = max(1, int(limit * 1e6 / page))
            self._connection.execute(f"PRAGMA max_page_count={pages}")


@contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Raise SQLite's errors about a store's file with its path and advice.

    Raises:
        InfrastructureError: the disk is full, the file is damaged, or something else failed.
    """
    try:
        yield
    except sqlite3.Error as error:
        advice = {
            "SQLITE_FULL": "The disk is full. Everything committed is kept: free some space "
            "and run the same command again.",
            "SQLITE_CORRUPT": "The file is damaged. Move it away and run again; recorded "
            "reports are not affected.",
            "SQLITE_NOTADB": "The file is damaged or not a store. Move it away and run again.",
        }.get(getattr(error, "sqlite_errorname", ""), "Everything committed is kept.")
        raise InfrastructureError(f"{path}: {error}. {advice}") from error


@contextmanager
def open_to_read(workspace: Path) -> Iterator[sqlite3.Connection | None]:
    """Yield a connection to a workspace's rows without its lock; None where there are none yet.

    Nothing is written, and a run that holds the lock goes on.

    Raises:
        InfrastructureError: the file is damaged.
    """
    path = workspace / "store.sqlite"
    if not path.is_file():
        yield None
        return
    address = f"{path.resolve().as_uri()}?mode=ro"
    with explain_errors(path), closing(sqlite3.connect(address, uri=True)) as connection:
        connection.text_factory = decode_text
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name='rows'").fetchone()
        yield connection if made else None


def read_rows(
    workspace: Path, kind: Kind, keys: Iterable[str], record: type[RecordT]
) -> dict[str, RecordT]:
    """Return stored rows by key, as `open_to_read`; none where there is no store."""
    with open_to_read(workspace) as connection:
        return {} if connection is None else _select(connection, kind, keys, record)


def _select(
    connection: sqlite3.Connection, kind: Kind, keys: Iterable[str], record: type[RecordT]
) -> dict[str, RecordT]:
    all_keys = list(keys)
    records: dict[str, RecordT] = {}
    for start in range(0, len(all_keys), _LOOKUP_SIZE):
        chunk = all_keys[start : start + _LOOKUP_SIZE]
        marks = ",".join("?" * len(chunk))
        query = f"SELECT key, body, sha256 FROM rows WHERE kind=? AND key IN ({marks})"  # noqa: S608
        for key, body, sha256 in connection.execute(query, (kind, *chunk)):
            if row_checksum(kind, key, body) == sha256:
                row = read_row(body, record)
                if row is not None:
                    records[key] = row
    return records


def finish_merge(workspace: Path) -> None:
    """Move the files of a finished merge to their places, also of one that was killed while it did so.

    The holder of the workspace's lock calls it.
    """
    staged = workspace / MERGED
    if not staged.is_dir() or staged.is_symlink():
        return
    if (staged / "store.sqlite").is_file():  # what the old log holds is in the new file
        for ending in _BESIDE:
            (workspace / f"store.sqlite{ending}").unlink(missing_ok=True)
    for file in sorted(path for path in staged.rglob("*") if path.is_file()):
        target = workspace / file.relative_to(staged)
        make_folder(target.parent)
        file.replace(target)
    shutil.rmtree(staged)


def make_writable(folder: Path) -> None:
    """Create the folder and check that it can be written, before any work is done.

    Raises:
        HarnessError: it cannot be written; names the folder and the reason.
    """
    if folder.exists() and not folder.is_dir():
        raise HarnessError(f"{folder}: is no folder. Name a folder, which may be a new one.")
    probe = folder / f".probe-{os.getpid()}"
    try:
        make_folder(folder)
        write_atomically(probe, b"probe")
        probe.unlink()
    except OSError as error:
        raise HarnessError(f"{folder}: cannot be written: {error.strerror}.") from None


def decode_text(text: bytes) -> str:
    """Decode a stored text. What is no UTF-8 was damaged, which its row's checksum tells."""
    return text.decode("utf-8", "replace")


def row_checksum(kind: str, key: str, body: str) -> str:
    """Return the sha256 that a row's body carries."""
    return hashlib.sha256(f"{kind}\n{key}\n{body}".encode()).hexdigest()


def read_row(body: str, record: type[RecordT]) -> RecordT | None:
    """Return the record of a row, without fields that only a later version knows; None if unreadable."""
    try:
        return record.model_validate_json(body)
    except ValidationError as error:
        unknown = [detail for detail in error.errors() if detail["type"] == "extra_forbidden"]
        if not unknown or len(unknown) < error.error_count():
            return None
    try:
        data = json.loads(body)
        for detail in unknown:
            *path, name = detail["loc"]
            place = data
            for part in path:
                place = place[part]
            del place[name]
        return record.model_validate_json(json.dumps(data))
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
