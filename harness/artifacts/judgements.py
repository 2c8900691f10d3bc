"""judgements.parquet: all replies of all judges in a run, one row for each requested verdict.

    metric    sample_id  model  against  order           judge  round  winner     value.safety  label
    rubric    asthma-02  dpo                             large  0                 8.0
    win_rate  asthma-02  dpo    sft      baseline_first  large  0      candidate

`value.<key>` are the numbers of a grade, one column for each key that occurs. A verdict that could
not be read has nulls and its reason. Tokens and seconds are sums over all attempts of a request. Where models have
several training seeds, `seed` is that of the judged answers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.artifacts.parquet import (
    float_array,
    int_array,
    read_parquet,
    string_array,
    write_parquet,
)
from harness.core.errors import HarnessError
from harness.types import Grade, Judgement
from harness.types.judgements import JudgeRound

if TYPE_CHECKING:
    import pyarrow as pa

JUDGEMENTS_FILE = "judgements.parquet"
VALUE = "value."

_TEXTS = (
    "metric", "sample_id", "model", "against", "order", "judge", "winner", "label", "reason",
    "rationale",
)  # fmt: skip

_COUNTS = ("round", "input_tokens", "output_tokens")


def write_judgements(
    rounds: Iterable[JudgeRound], folder: Path, seeds: Mapping[str, int] | None = None
) -> Path:
    """Write the file, whole or not at all; `seeds` are the training seeds by sample id, if there are several.

    Raises:
        InfrastructureError: it cannot be written.
    """
    import pyarrow as pa

    rows = [row for judge_round in rounds for row in _verdict_rows(judge_round)]
    columns = {name: string_array([row[name] for row in rows]) for name in _TEXTS}
    columns |= {name: int_array([row[name] for row in rows]) for name in _COUNTS}
    if seeds:
        columns["seed"] = int_array([seeds.get(row["sample_id"]) for row in rows])
    columns["seconds"] = _float_column([row["seconds"] for row in rows])
    for key in dict.fromkeys(key for row in rows for key in row["values"]):
        columns[VALUE + key] = _float_column([row["values"].get(key) for row in rows])
    return write_parquet(pa.table(columns), folder / JUDGEMENTS_FILE)


def read_judgements(folder: Path) -> "pa.Table":
    """Read the rows as an Arrow table.

    Raises:
        HarnessError: there is no such file, or it is damaged.
    """
    path = folder / JUDGEMENTS_FILE
    table = read_parquet(path)
    if not {*_TEXTS, *_COUNTS, "seconds"} <= set(table.column_names):
        raise HarnessError(f"{path}: not the judgements of a run.")
    return table


def _verdict_rows(judge_round: JudgeRound) -> Iterator[dict[str, Any]]:
    for judgement in judge_round.judgements:
        exchange = judgement.exchange
        yield {
            "metric": judgement.metric,
            "sample_id": judgement.sample_id,
            "judge": judge_round.judge.name,
            "round": judge_round.round,
            "reason": judgement.reason,
            "rationale": judgement.rationale,
            "input_tokens": exchange.input_tokens if exchange else None,
            "output_tokens": exchange.output_tokens if exchange else None,
            "seconds": exchange.seconds if exchange else None,
        } | _verdict_fields(judgement)


def _verdict_fields(judgement: Judgement) -> dict[str, Any]:
    if isinstance(judgement, Grade):
        return {
            "model": judgement.model, "against": None, "order": None, "winner": None,
            "label": judgement.label, "values": judgement.values or {},
        }  # fmt: skip
    return {
        "model": judgement.candidate, "against": judgement.baseline, "order": judgement.order,
        "winner": judgement.winner, "label": None, "values": {},
    }  # fmt: skip


def _float_column(values: Sequence[float | None]) -> "pa.Array":
    return float_array(np.array([np.nan if v is None else v for v in values], dtype=np.float64))
