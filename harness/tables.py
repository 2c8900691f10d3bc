"""A run's tables: scores, judgements and answers, for analysts."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.answers_file import ANSWERS_FILE
from harness.arrow import read_parquet
from harness.judgements_file import read_judgements
from harness.scores_file import read_table

if TYPE_CHECKING:
    import pyarrow as pa

TableName = Literal["scores", "judgements", "answers"]


def read_run_table(folder: Path, name: TableName) -> "pa.Table":
    """One table of the run in `folder`.

    Raises:
        HarnessError: the folder lacks it, or it is damaged.
    """
    match name:
        case "scores":
            return read_table(folder)
        case "judgements":
            return read_judgements(folder)
        case "answers":
            return read_parquet(folder / ANSWERS_FILE)
