"""scores.csv, judgements.csv and answers.csv: a run's tables for spreadsheets.

A spreadsheet reads a cell that starts with `=`, `+`, `-`, `@`, a tab or a line break as a formula,
and models wrote these texts. Such a text gets an apostrophe in front (OWASP, "CSV injection");
numbers stay as they are. The Parquet tables hold every text unchanged.

The items' own columns (`item.NAME`) stand in all three files, so that a spreadsheet can be sorted by them.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, get_args

from harness.artifacts.answers import ITEM
from harness.artifacts.parquet import string_array
from harness.artifacts.results_json import load_result
from harness.artifacts.run_folder import TableName, read_run_table
from harness.config import metric_of
from harness.core.errors import InfrastructureError
from harness.core.files import replace_file

if TYPE_CHECKING:
    import pyarrow as pa

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_ROWS_AT_ONCE = 50_000


class CsvFile(NamedTuple):
    """A file that was written: its rows, and how many texts got an apostrophe."""

    path: Path
    n_rows: int
    n_escaped: int


def write_csv_files(run: Path, out: Path) -> list[CsvFile]:
    """Write one CSV file for each table of a run, readable by its owner only.

    Raises:
        HarnessError: the run lacks a table, or it is damaged.
        InfrastructureError: a file cannot be written.
    """
    # Read all tables first, so that a damaged one is reported before a file is written.
    load_result(run)
    tables = {name: read_run_table(run, name) for name in get_args(TableName)}
    tables = _with_item_columns(tables, run)
    written = []
    for name, table in tables.items():
        path = out / f"{name}.csv"
        try:
            with replace_file(path) as raw, _as_text(raw) as file:
                writer, n_escaped = csv.writer(file), 0
                writer.writerow([escape_formula(column) for column in table.column_names])
                for part in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
                    for row in zip(*(column.to_pylist() for column in part.columns), strict=True):
                        cells = [escape_formula(c) if isinstance(c, str) else c for c in row]
                        n_escaped += sum(a is not b for a, b in zip(cells, row, strict=True))
                        writer.writerow(cells)
        except OSError as error:
            raise InfrastructureError(f"{path}: cannot be written: {error.strerror}.") from None
        written.append(CsvFile(path, table.num_rows, n_escaped))
    return written


def _with_item_columns(
    tables: dict[TableName, "pa.Table"], run: Path
) -> dict[TableName, "pa.Table"]:
    """Add the items' own columns to the scores and judgements, which are by metric and item."""
    answers = tables["answers"]
    names = [name for name in answers.column_names if name.startswith(ITEM)]
    if not names:
        return tables
    plan = load_result(run).plan
    task_of = {metric: task.name for task in plan.tasks for metric in task.metrics}
    keys = zip(answers["task"].to_pylist(), answers["sample_id"].to_pylist(), strict=True)
    row_of = {key: row for row, key in enumerate(keys)}
    own = {name: answers[name].to_pylist() for name in names}

    def join(table: "pa.Table") -> "pa.Table":
        items = zip(table["metric"].to_pylist(), table["sample_id"].to_pylist(), strict=True)
        rows = [row_of.get((task_of.get(metric_of(metric)), item)) for metric, item in items]
        for name, values in own.items():
            cells = [None if row is None else values[row] for row in rows]
            table = table.append_column(name, string_array(cells))
        return table

    return {name: table if name == "answers" else join(table) for name, table in tables.items()}


@contextmanager
def _as_text(raw: BinaryIO) -> Iterator[io.TextIOWrapper]:
    """Write text with a byte order mark, without which spreadsheets take UTF-8 for another code."""
    file = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    yield file
    file.flush()
    file.detach()


def escape_formula(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would read as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
