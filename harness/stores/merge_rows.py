"""The rows of several stores in one file, read and compared by SQLite row after row.

Rows are keyed by content, so that a row that several stores have is one row. Its place in the order in
which a workspace grew is given anew: by the clocks of the stores, and within a store by its own order.
So what came before a plan in its store still does, and what came before it elsewhere does too.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import HarnessError, InfrastructureError
from harness.core.store import ROW_VERSION, SCHEMA, explain_errors, read_row, row_checksum
from harness.models.batch_files import BatchFile
from harness.planning.preregistration import Registration
from harness.stores.attached import attach, open_database, require_sound
from harness.stores.contents import common_fields, is_same_content

Plans = Mapping[Path, Sequence[Registration]]  # by workspace


class MergedRows(NamedTuple):
    """What the new file holds: `rows` by kind, rows that each workspace added, and contradictions.

    `numbers` are the new places of plans, by workspace and old place.
    """

    rows: dict[str, int]
    added: dict[Path, int]
    contradictions: int
    numbers: dict[tuple[Path, int], int]


def merge_rows(
    target: Path, workspaces: Sequence[Path], plans: Plans, *, first_wins: bool
) -> MergedRows:
    """Write the rows of all workspaces into a new file.

    Args:
        target: The new file.
        workspaces: Where the rows are; the first one's counts where rows are equal.
        plans: The plans of each workspace, which have places among the rows.
        first_wins: Keep the first of rows that contradict each other, instead of an error.

    Raises:
        HarnessError: two workspaces have different rows under one key.
        InfrastructureError: a file is damaged, or the disk is full.
    """
    with closing(open_database(str(target))) as connection, explain_errors(target):
        connection.executescript(SCHEMA)
        _collect_places(connection, workspaces, plans)
        added, contradictions = {}, 0
        for index, workspace in enumerate(workspaces):
            with attach(connection, workspace):
                connection.execute("BEGIN")
                before = _count(connection)
                contradictions += _resolve_differences(
                    connection, workspaces[: index + 1], first_wins=first_wins
                )
                _insert_rows(connection, index)
                _insert_batch_files(connection, workspace)
                added[workspace] = _count(connection) - before
                connection.execute("COMMIT")
        connection.execute(
            "UPDATE counter SET number=(SELECT coalesce(max(place), 0) FROM places), "
            "made=(SELECT coalesce(max(at), 0) FROM places)"
        )
        counts = connection.execute("SELECT kind, count(*) FROM rows GROUP BY kind").fetchall()
        numbers = _places_of(connection, workspaces, plans)
        return MergedRows(dict(counts), added, contradictions, numbers)


# --- the order in which rows and plans were made -----------------------------------------------


def _collect_places(
    connection: sqlite3.Connection, workspaces: Sequence[Path], plans: Plans
) -> None:
    """Make a table of the new place of every old one: `places (source, number, at, place)`."""
    connection.execute("CREATE TEMP TABLE steps (source INTEGER, number INTEGER, at INTEGER)")
    for source, workspace in enumerate(workspaces):
        with attach(connection, workspace):
            require_sound(connection, workspace)
            connection.execute(
                "INSERT INTO steps SELECT ?, number, max(coalesce(made, 0)) FROM src "
                "WHERE number NOT NULL GROUP BY number",
                (source,),
            )
        times = [
            (source, plan.number, int(datetime.fromisoformat(plan.registered).timestamp()))
            for plan in plans[workspace]
            if plan.number
        ]
        connection.executemany("INSERT INTO steps VALUES (?, ?, ?)", times)
    # Where a clock was set back, a store's own order counts.
    connection.execute(
        "CREATE TEMP TABLE places AS SELECT source, number, at, "
        "row_number() OVER (ORDER BY at, source, number) AS place FROM "
        "(SELECT source, number, max(max(at)) OVER (PARTITION BY source ORDER BY number) AS at "
        "FROM steps GROUP BY source, number)"
    )
    connection.execute("CREATE UNIQUE INDEX temp.by_step ON places (source, number)")


def _places_of(
    connection: sqlite3.Connection, workspaces: Sequence[Path], plans: Plans
) -> dict[tuple[Path, int], int]:
    query = "SELECT place FROM places WHERE source=? AND number=?"
    return {
        (workspace, plan.number): connection.execute(query, (source, plan.number)).fetchone()[0]
        for source, workspace in enumerate(workspaces)
        for plan in plans[workspace]
        if plan.number
    }


# --- rows --------------------------------------------------------------------------------------


def _resolve_differences(
    connection: sqlite3.Connection, workspaces: Sequence[Path], *, first_wins: bool
) -> int:
    """Compare the attached rows with those under the same keys; return how many contradict them.

    `workspaces` are those merged so far, the attached one last. What two tell alike of a server stays.

    Raises:
        HarnessError: one contradicts, unless the `first_wins`.
    """
    n, common = 0, []
    for kind, key, mine, other in connection.execute(
        "SELECT kind, key, rows.body, src.body FROM rows JOIN src USING (kind, key) "
        "WHERE rows.body <> src.body AND kind <> 'batch'"
    ):
        if is_same_content(kind, mine, other):
            continue
        body = common_fields(key, mine, other) if kind == "server" else None
        if body is not None:
            common.append((body, row_checksum(kind, key, body), kind, key))
        elif first_wins:
            n += 1
        else:
            raise HarnessError(
                f"{_holder(workspaces[:-1], kind, key)} and {workspaces[-1]} contradict each other: their "
                f"rows {kind} {key} differ, though nothing that was asked does. Leave one of them out and "
                "repeat its shard, or keep the rows of the one that is named first with --first-wins."
            )
    connection.executemany("UPDATE rows SET body=?, sha256=? WHERE kind=? AND key=?", common)
    return n


def _holder(workspaces: Sequence[Path], kind: str, key: str) -> Path:
    """Return the first workspace that has the row."""
    for workspace in workspaces[:-1]:
        with closing(open_database()) as own, attach(own, workspace):
            if own.execute("SELECT 1 FROM src WHERE kind=? AND key=?", (kind, key)).fetchone():
                return workspace
    return workspaces[-1]


def _insert_rows(connection: sqlite3.Connection, source: int) -> None:
    """Insert the attached rows; one that is there gets the earlier place, none being the earliest.

    What a run at work has added since the places were given is left for the next merge.
    """
    connection.execute(
        "INSERT INTO rows (kind, key, body, sha256, version, made, number) "
        "SELECT kind, key, body, sha256, version, made, place FROM src "
        "LEFT JOIN places ON source=? AND places.number=src.number WHERE kind <> 'batch' "
        "AND (src.number IS NULL OR place NOT NULL) "
        "ON CONFLICT (kind, key) DO UPDATE SET "
        "number=min(rows.number, excluded.number), made=min(rows.made, excluded.made)",
        (source,),
    )


def _insert_batch_files(connection: sqlite3.Connection, workspace: Path) -> None:
    """Add the attached records of batch files, which are numbered in each store; each file once.

    Raises:
        InfrastructureError: one cannot be read.
    """
    query = "SELECT body FROM {} WHERE kind='batch' ORDER BY CAST(key AS INTEGER)"
    known = [
        BatchFile.model_validate_json(body) for (body,) in connection.execute(query.format("rows"))
    ]
    place = {(file.path, file.ids): key for key, file in enumerate(known)}
    changed = {}
    for (body,) in connection.execute(query.format("src")):
        file = read_row(body, BatchFile)
        if file is None:
            raise InfrastructureError(
                f"{workspace}: the record of a batch file cannot be read. 'harness store gc --store "
                f"{workspace} --delete' removes it."
            )
        key = place.setdefault((file.path, file.ids), len(place))
        failed = known[key].failed if key < len(known) else {}
        changed[str(key)] = file.model_copy(update={"failed": failed | file.failed})
    bodies = [(key, file.model_dump_json()) for key, file in changed.items()]
    connection.executemany(
        "INSERT OR REPLACE INTO rows (kind, key, body, sha256, version) VALUES ('batch', ?, ?, ?, ?)",
        [(key, body, row_checksum("batch", key, body), ROW_VERSION) for key, body in bodies],
    )


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM rows").fetchone()[0])
