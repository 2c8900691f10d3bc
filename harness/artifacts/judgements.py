"""judgements.parquet: all replies of all judges in a run, one row for each requested verdict.

    metric    sample_id  model  against  order           judge  round  winner     value.safety  label
    rubric    asthma-02  dpo                             large  0                 8.0
    win_rate  asthma-02  dpo    sft      baseline_first  large  0      candidate

`value.<key>` are the numbers of a grade, one column for each key that occurs. A verdict that could
not be read has nulls and its reason. Tokens and seconds are sums over all attempts of a request. Where models have
several training seeds, `seed` is that of the judged answers. Where a language model was asked, `replies` is a JSON list of
its replies, word for word and the last the one that counts, and `prompt` the `hash_prompt` of what it was sent.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.artifacts.parquet import (
    float_array,
    int_array,
    read_parquet,
    string_array,
    write_parquet,
)
from harness.core.errors import HarnessError
from harness.types import Exchange, Grade
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

    judged = [(part, judgement) for part in rounds for judgement in part.judgements]
    judgements = [judgement for _, judgement in judged]
    grades = [j if isinstance(j, Grade) else None for j in judgements]
    pairs = [None if isinstance(j, Grade) else j for j in judgements]
    exchanges = [j.exchange for j in judgements]
    # The order of the columns is that of the file.
    columns = {
        "metric": string_array([j.metric for j in judgements]),
        "sample_id": string_array([j.sample_id for j in judgements]),
        "model": string_array(
            [j.model if isinstance(j, Grade) else j.candidate for j in judgements]
        ),
        "against": string_array([pair.baseline if pair else None for pair in pairs]),
        "order": string_array([pair.order if pair else None for pair in pairs]),
        "judge": string_array([part.judge.name for part, _ in judged]),
        "winner": string_array([pair.winner if pair else None for pair in pairs]),
        "label": string_array([grade.label if grade else None for grade in grades]),
        "reason": string_array([j.reason for j in judgements]),
        "rationale": string_array([j.rationale for j in judgements]),
        "round": int_array([part.round for part, _ in judged]),
        "input_tokens": int_array([e.input_tokens if e else None for e in exchanges]),
        "output_tokens": int_array([e.output_tokens if e else None for e in exchanges]),
    }
    if seeds:
        columns["seed"] = int_array([seeds.get(j.sample_id) for j in judgements])
    if any(exchanges):
        columns["replies"] = string_array([_as_json(e) for e in exchanges])
        columns["prompt"] = string_array([(e.prompt or None) if e else None for e in exchanges])
    columns["seconds"] = _float_column([e.seconds if e else None for e in exchanges])
    values = [(grade.values or {}) if grade else {} for grade in grades]
    for key in dict.fromkeys(key for of_verdict in values for key in of_verdict):
        columns[VALUE + key] = _float_column([of_verdict.get(key) for of_verdict in values])
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


def _as_json(exchange: Exchange | None) -> str | None:
    return None if exchange is None else json.dumps(exchange.replies, ensure_ascii=False)


def _float_column(values: Sequence[float | None]) -> "pa.Array":
    return float_array(np.array([np.nan if v is None else v for v in values], dtype=np.float64))
