"""scores.csv, judgements.csv and answers.csv: a run's tables for spreadsheets.

A spreadsheet takes a cell that starts with `=`, `+`, `-`, `@`, a tab or a line break for a formula,
and texts here were written by models. Such a text gets an apostrophe in front (OWASP, "CSV
injection"); numbers stay as they are. The Parquet tables hold every text as it was.
"""

import csv
import os
from pathlib import Path
from typing import NamedTuple, get_args

from harness.artifacts.run_folder import TableName, read_run_table
from harness.core.errors import InfrastructureError

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_ROWS_AT_ONCE = 50_000


class CsvFile(NamedTuple):
    """A file that was written: its rows, and how many texts got an apostrophe."""

    path: Path
    n_rows: int
    n_guarded: int


def write_csv_files(run: Path, out: Path) -> list[CsvFile]:
    """One CSV file for each table of the run in `run`, readable by their owner alone.

    Raises:
        HarnessError: the run lacks a table, or it is damaged.
        InfrastructureError: a file cannot be written.
    """
    tables = {name: read_run_table(run, name) for name in get_args(TableName)}
    written = []
    for name, table in tables.items():
        path = out / f"{name}.csv"
        try:
            out.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                writer, n_guarded = csv.writer(file), 0
                writer.writerow([guarded(column) for column in table.column_names])
                for part in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
                    for row in zip(*(column.to_pylist() for column in part.columns), strict=True):
                        cells = [guarded(c) if isinstance(c, str) else c for c in row]
                        n_guarded += sum(a is not b for a, b in zip(cells, row, strict=True))
                        writer.writerow(cells)
        except OSError as error:
            raise InfrastructureError(f"{path}: cannot be written: {error.strerror}.") from None
        written.append(CsvFile(path, table.num_rows, n_guarded))
    return written


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    return f"'{text}" if text.startswith(_FORMULA) else text
