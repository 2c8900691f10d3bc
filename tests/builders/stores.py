"""Workspaces with rows, plans and tries."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from harness.core.store import Kind, Store
from harness.types import Exchange, Outcome, Record, Response


def response(text: str, *, sample: str = "q1", seconds: float = 1.0) -> Response:
    """Make an endpoint's answer."""
    exchange = Exchange(replies=(text,), input_tokens=1, output_tokens=1, seconds=seconds)
    return Response(sample_id=sample, model="m", text=text, finish="stop", exchange=exchange)


def outcome(reason: str) -> Outcome:
    """Make a judge's outcome."""
    return Outcome(winner="first", rationale=reason)


def write_store(folder: Path, rows: Mapping[Kind, Mapping[str, Record]]) -> Path:
    """Write rows into a workspace's store; return the workspace."""
    with Store(folder) as store:
        for kind, records in rows.items():
            store.put(kind, records)
    return folder


def dump_rows(folder: Path, columns: str = "kind, key, body") -> list[tuple[object, ...]]:
    """Return columns of all rows, in the order of their keys."""
    connection = sqlite3.connect(folder / "store.sqlite")
    try:
        return connection.execute(f"SELECT {columns} FROM rows ORDER BY kind, key").fetchall()
    finally:
        connection.close()


def change_rows(folder: Path, statement: str, *values: object) -> None:
    """Change a workspace's rows behind the store's back."""
    connection = sqlite3.connect(folder / "store.sqlite")
    with connection:
        connection.execute(statement, values)
    connection.close()
