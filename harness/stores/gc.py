"""What a store no longer needs: found, and removed if that is wanted.

Rows that no run can use, and what killed processes left. Whether a plan or run refers to a row is not
recorded, so that a row that can be used goes by its age alone. So does a reply by batch whose file is not
known any more: a run finds it by its request.
"""

import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, get_args

from harness.core.store import Store, decode_text
from harness.models.batch_files import BatchFile
from harness.stores.attached import attach, open_database, require_store
from harness.stores.check import find_bad_rows, find_leftovers, size_of
from harness.types import Record

DAY_S = 86_400.0
Aged = Literal[
    "response", "outcome", "reply", "passages", "rerank"
]  # the kinds of rows that go by age


class Garbage(Record):
    """What is removed, or would be: rows by reason, files, and the bytes of both.

    `undated` rows, of earlier versions, are kept whatever their age.
    """

    bad: int
    old: int
    undated: int
    leftovers: tuple[str, ...]
    bytes: int
    deleted: bool


def collect_garbage(
    workspace: Path, *, older_than_days: float | None, delete: bool, wait_s: float = 0.0
) -> Garbage:
    """Find what a workspace no longer needs, under its lock, and remove it if `delete` says so.

    Answers, verdicts, replies, passages and their scores made more than `older_than_days` ago count as needed no longer; plans,
    tries, batch files and what is known of servers do not age.

    Raises:
        HarnessError: there is no store.
        StoreLockedError: a run works in it.
        InfrastructureError: the file is damaged as a whole.
    """
    require_store(workspace)
    with Store(workspace, wait_s=wait_s) as store:
        with closing(open_database()) as connection, attach(connection, workspace):
            connection.execute("CREATE TEMP TABLE doomed (kind, key, why, PRIMARY KEY (kind, key))")
            _mark(connection, older_than_days)
            doomed = "SELECT CAST(kind AS BLOB), CAST(key AS BLOB) FROM doomed"
            rows = connection.execute(doomed).fetchall()
            counts = dict(connection.execute("SELECT why, count(*) FROM doomed GROUP BY why"))
            (size,) = connection.execute(
                "SELECT coalesce(sum(length(CAST(body AS BLOB))), 0) FROM src "
                "JOIN doomed USING (kind, key)"
            ).fetchone()
            (undated,) = connection.execute(
                "SELECT count(*) FROM src WHERE made IS NULL"
            ).fetchone()
        leftovers = find_leftovers(workspace)
        size += sum(map(size_of, leftovers))
        if delete:
            _remove(store, rows)
            for path in leftovers:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Garbage(
        bad=counts.get("bad", 0),
        old=counts.get("old", 0),
        undated=undated if older_than_days is not None else 0,
        leftovers=tuple(str(path.relative_to(workspace)) for path in leftovers),
        bytes=size,
        deleted=delete,
    )


def _remove(store: Store, rows: Sequence[tuple[bytes, bytes]]) -> None:
    """Remove rows; records of batch files are numbered without a gap, and are emptied instead."""
    for kind in {kind for kind, _ in rows}:
        keys = [key for of, key in rows if of == kind]
        if kind == b"batch":
            store.put("batch", dict.fromkeys(map(decode_text, keys), BatchFile(path="", ids=())))
        else:
            store.remove(kind, keys)
    store.compact()


def _mark(connection: sqlite3.Connection, older_than_days: float | None) -> None:
    """List in `doomed` the attached rows that go, each with the first reason."""
    insert = "INSERT OR IGNORE INTO doomed VALUES (CAST(? AS TEXT), CAST(? AS TEXT), ?)"
    connection.executemany(
        insert, [(row.kind, row.key, "bad") for row in find_bad_rows(connection)]
    )
    if older_than_days is not None:
        kinds = ", ".join(f"'{kind}'" for kind in get_args(Aged))
        connection.execute(
            f"INSERT OR IGNORE INTO doomed SELECT kind, key, 'old' FROM src WHERE made < ? AND kind IN ({kinds})",  # noqa: S608
            (time.time() - older_than_days * DAY_S,),
        )
