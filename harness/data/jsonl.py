"""Rows that were made and kept, as JSON Lines, with statistics of what was dropped beside them.

    pairs.jsonl              one row a line
    pairs.statistics.json    what became of all candidates

Preference pairs are kept so, and the best of several answers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from harness.core.errors import HarnessError
from harness.core.files import write_atomically
from harness.types import KeptStatistics, Record

RowT = TypeVar("RowT", bound=Record)


StatisticsT = TypeVar("StatisticsT", bound=KeptStatistics)


def write_rows_with_stats(path: Path, rows: Sequence[Record], statistics: KeptStatistics) -> None:
    """Write the rows, and then their statistics beside them."""
    write_atomically(path, "".join(row.model_dump_json() + "\n" for row in rows).encode())
    write_atomically(_statistics_path(path), f"{statistics.model_dump_json(indent=2)}\n".encode())


def load_rows_with_stats(
    path: Path, row: type[RowT], statistics: type[StatisticsT]
) -> tuple[list[RowT], StatisticsT]:
    """Load the rows of a file, and the statistics in the file next to it.

    Raises:
        HarnessError: missing, unreadable or incomplete.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # U+2028 ends no line of JSON
        told = statistics.model_validate_json(_statistics_path(path).read_bytes())
        rows = [row.model_validate_json(line) for line in lines if line]
    except OSError as error:
        raise HarnessError(f"{error.filename}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise HarnessError(f"{path}: cannot be read: {error.errors()[0]['msg']}.") from None
    if len(rows) != told.kept:
        raise HarnessError(
            f"{path}: holds {len(rows)} rows, but its statistics count {told.kept}. Remove both "
            "files to have them made again."
        )
    return rows, told


def _statistics_path(path: Path) -> Path:
    return path.with_suffix(".statistics.json")
