"""A store's file attached to a connection, to be read as it is: nothing is written or locked there."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.core.errors import HarnessError, InfrastructureError
from harness.core.store import MERGED, ROW_VERSION, decode_text, explain_errors, row_checksum

N_NAMED = 3  # damaged rows in a message
# A condition on rows; a damaged text may be no UTF-8, and is given as bytes.
DAMAGED = "sha256 IS NOT row_checksum(CAST(kind AS BLOB), CAST(key AS BLOB), CAST(body AS BLOB))"


def open_database(path: str = ":memory:") -> sqlite3.Connection:
    """Open a database to which stores can be attached, with the function `row_checksum`."""
    connection = sqlite3.connect(path, uri=True, isolation_level=None)
    connection.text_factory = decode_text
    connection.create_function("row_checksum", 3, _checksum, deterministic=True)
    return connection


def _checksum(kind: bytes, key: bytes, body: bytes) -> str:
    return row_checksum(decode_text(kind), decode_text(key), decode_text(body))


def require_store(workspace: Path) -> Path:
    """Return the path of a workspace's store.

    Raises:
        HarnessError: there is none.
    """
    path = workspace / "store.sqlite"
    if not path.is_file() and not (workspace / MERGED).is_dir():
        raise HarnessError(f"{workspace}: holds no store. Name the folder given as --store.")
    return path


@contextmanager
def attach(connection: sqlite3.Connection, workspace: Path) -> Iterator[None]:
    """Attach a workspace's rows as the view `src`, also of a file of an earlier version.

    A file that no process has open is read without SQLite's own files beside it.

    Raises:
        HarnessError: there is no store, or a merge into it is not finished.
        InfrastructureError: it cannot be read.
    """
    path = require_store(workspace).resolve()  # beside a linked file lie none of SQLite's own
    if (workspace / MERGED).is_dir():
        raise HarnessError(
            f"{workspace}: a merge into it was killed at its end. 'harness store gc --store {workspace}' "
            "finishes it."
        )
    in_use = path.with_name(f"{path.name}-wal").exists()
    options = "mode=ro" if in_use else "mode=ro&immutable=1"
    with explain_errors(path):
        connection.execute("ATTACH ? AS file", (f"{path.as_uri()}?{options}",))
    try:
        with explain_errors(path):
            _make_view(connection, path)
        yield
    except sqlite3.OperationalError:  # such as a full disk, which is no fault of this file
        raise
    except sqlite3.DatabaseError as error:
        with explain_errors(path):
            raise error from None
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("DROP VIEW IF EXISTS temp.src")
        connection.execute("DETACH file")


def _make_view(connection: sqlite3.Connection, path: Path) -> None:
    """Show the attached rows with all columns of this version."""
    present = {row[1] for row in connection.execute("PRAGMA file.table_info(rows)")}
    if not present:
        raise InfrastructureError(
            f"{path}: holds no rows, as where a run was killed at its start. Run that again."
        )
    later = {"version": "1", "made": "NULL", "number": "NULL"}
    columns = [name if name in present else f"{value} AS {name}" for name, value in later.items()]
    connection.execute(
        f"CREATE TEMP VIEW src AS SELECT kind, key, body, sha256, {', '.join(columns)} FROM file.rows"  # noqa: S608
    )


def require_sound(connection: sqlite3.Connection, workspace: Path) -> None:
    """Require that every attached row is what was written, by a version that is known here.

    Raises:
        HarnessError: rows of a later version.
        InfrastructureError: damaged rows.
    """
    later = "SELECT count(*), max(version) FROM src WHERE version > ?"
    n, version = connection.execute(later, (ROW_VERSION,)).fetchone()
    if n:
        raise HarnessError(
            f"{workspace}: {n:,} rows are of version {version}, which a later version of the harness "
            "wrote. Use that one."
        )
    damaged = connection.execute(f"SELECT kind, key FROM src WHERE {DAMAGED}").fetchall()  # noqa: S608
    if damaged:
        named = ", ".join(f"{kind} {key[:12]}" for kind, key in damaged[:N_NAMED])
        more = ", …" if len(damaged) > N_NAMED else ""
        raise InfrastructureError(
            f"{workspace}: {len(damaged):,} rows are damaged ({named}{more}). 'harness store gc --store "
            f"{workspace} --delete' removes them, and the run that made them makes them again."
        )
