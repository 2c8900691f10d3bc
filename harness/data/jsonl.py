"""Files of generated training rows as JSON Lines, each with a file of statistics.

    pairs.jsonl              one row a line
    pairs.statistics.json    counts of kept and dropped candidates

Used for preference pairs and for the best of several answers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from harness.core.errors import HarnessError
from harness.core.files import write_atomically
from harness.core.json_text import json_lines, read_utf8
from harness.types import KeptStatistics, Record

RowT = TypeVar("RowT", bound=Record)
StatisticsT = TypeVar("StatisticsT", bound=KeptStatistics)


def write_rows_with_stats(path: Path, rows: Sequence[Record], statistics: KeptStatistics) -> None:
    """Write the rows, and then their statistics in a second file."""
    write_atomically(path, "".join(row.model_dump_json() + "\n" for row in rows).encode())
    write_atomically(_statistics_path(path), f"{statistics.model_dump_json(indent=2)}\n".encode())


def load_rows_with_stats(
    path: Path, row: type[RowT], statistics: type[StatisticsT]
) -> tuple[list[RowT], StatisticsT]:
    """Load the rows of a file, and the statistics in the file next to it.

    Raises:
        HarnessError: a file is missing, unreadable or incomplete.
    """
    try:
        lines = json_lines(read_utf8(path))
        stats = statistics.model_validate_json(read_utf8(_statistics_path(path)))
        rows = [row.model_validate_json(line) for _, line in lines]
    except OSError as error:
        raise HarnessError(f"{error.filename}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise HarnessError(f"{path}: cannot be read: {error.errors()[0]['msg']}.") from None
    if len(rows) != stats.kept:
        raise HarnessError(
            f"{path}: holds {len(rows)} rows, but its statistics count {stats.kept}. Remove both "
            "files; the next run makes them again."
        )
    return rows, stats


def _statistics_path(path: Path) -> Path:
    return path.with_suffix(".statistics.json")
