"""Rows of a workspace's store."""

import sqlite3
from pathlib import Path


def count_rows(store: Path) -> int:
    return _scalar(store, "SELECT count(*) FROM rows")


def _scalar(store: Path, query: str) -> int:
    path = store / "store.sqlite"
    if not path.is_file():
        return 0
    connection = sqlite3.connect(path, timeout=10)
    try:
        (number,) = connection.execute(query).fetchone()
        return int(number)
    except sqlite3.OperationalError:
        return 0  # the table is not there yet
    finally:
        connection.close()


def read_bodies(store: Path, kind: str) -> dict[str, str]:
    """The rows of a kind by key; none where there is no store yet."""
    path = store / "store.sqlite"
    if not path.is_file():
        return {}
    connection = sqlite3.connect(path, timeout=10)
    try:
        return dict(connection.execute("SELECT key, body FROM rows WHERE kind=?", (kind,)))
    except sqlite3.OperationalError:
        return {}  # the table is not there yet
    finally:
        connection.close()
