"""scores.parquet: every score of a run, one row for each item, model and column.

    metric          model  against  order            sample_id  cluster  score  reason
    rubric.safety   dpo                              asthma-02  asthma   8.0
    win_rate        dpo    sft      baseline_first   asthma-02  asthma   1.0
    rubric.empathy  dpo                              asthma-03  asthma          refused: ...

A missing score is null and has its reason. For pairs the score is the candidate's: 1 win, 0.5 tie.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import HarnessError, InfrastructureError
from harness.score import GradeColumn, PreferenceColumn, ScoreColumn
from harness.types import ORDERS

if TYPE_CHECKING:
    import pyarrow as pa

SCORES_FILE = "scores.parquet"
_KEYS = ("metric", "model", "against", "order", "sample_id", "cluster", "score", "reason")


def load_arrow() -> None:
    """Import what writing takes."""
    import_module("pyarrow.parquet")


def write_scores(columns: Iterable[ScoreColumn], folder: Path) -> Path:
    """Write the file, whole or not at all.

    Raises:
        InfrastructureError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = list(columns)
    path = folder / SCORES_FILE
    partial = path.with_name(f".{SCORES_FILE}.partial")
    tables = [table for column in known for table in _tables(column)]
    facts = json.dumps([_facts(column) for column in known])
    table = pa.concat_tables(tables).replace_schema_metadata({"columns": facts})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, partial, compression="zstd")
        partial.chmod(0o600)  # reasons may quote a judge, who may quote a patient
        partial.replace(path)
    except OSError as error:
        raise InfrastructureError(f"{path}: could not be written: {error}.") from None
    return path


def read_scores(folder: Path) -> list[ScoreColumn]:
    """The columns as they were scored, in the run's order.

    Raises:
        HarnessError: there is no such file, or it is damaged.
    """
    table = _read_table(folder / SCORES_FILE)
    facts = json.loads(table.schema.metadata[b"columns"])
    return list(_columns(table, facts))


def read_table(folder: Path) -> "pa.Table":
    """The rows as an Arrow table, for analysts."""
    return _read_table(folder / SCORES_FILE).replace_schema_metadata(None)


def _read_table(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise HarnessError(
            f"{path}: no such file. Run `harness run` again with the same suite and models: the "
            "store keeps all answers and verdicts."
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise HarnessError(f"{path}: damaged ({str(error).splitlines()[0]}).") from None
    if tuple(table.column_names) != _KEYS or b"columns" not in (table.schema.metadata or {}):
        raise HarnessError(f"{path}: not the scores of a run.")
    return table


# --- writing ---------------------------------------------------------------------------------


def _facts(column: ScoreColumn) -> dict[str, Any]:
    """What a column is beside its scores."""
    shared = {
        "metric": column.metric,
        "n_items": len(column.sample_ids),
        "generation_failed": column.generation_failed,
    }
    if isinstance(column, PreferenceColumn):
        return shared | {"baseline": column.baseline, "candidate": column.candidate}
    return shared | {
        "kind": column.kind, "low": column.low, "high": column.high, "models": list(column.scores)
    }  # fmt: skip


def _tables(column: ScoreColumn) -> Iterator["pa.Table"]:
    if isinstance(column, PreferenceColumn):
        for order in ORDERS:
            yield _table(
                column, column.candidate, column.baseline, order, column.by_order[order],
                column.reasons,
            )  # fmt: skip
        return
    for model, scores in column.scores.items():
        yield _table(column, model, None, None, scores, column.reasons[model])


def _table(
    column: ScoreColumn,
    model: str,
    against: str | None,
    order: str | None,
    scores: np.ndarray,
    reasons: Sequence[str | None],
) -> "pa.Table":
    import pyarrow as pa

    n = len(column.sample_ids)
    clusters = [None] * n if column.clusters is None else column.clusters.tolist()
    missing = np.isnan(scores)
    kept = [why if gap else None for why, gap in zip(reasons, missing.tolist(), strict=True)]
    return pa.table(
        {
            "metric": _strings([column.metric] * n),
            "model": _strings([model] * n),
            "against": _strings([against] * n),
            "order": _strings([order] * n),
            "sample_id": _strings(column.sample_ids),
            "cluster": _strings(clusters),
            "score": _array(pa.float64(), ~missing, scores.astype(np.float64)),
            "reason": _strings(kept),
        }
    )


# `pa.array` would bring pandas in, which takes longer than everything else here.


def _strings(words: Sequence[str | None]) -> "pa.Array":
    import pyarrow as pa

    data = [(word or "").encode("utf-8", "replace") for word in words]
    ends = np.cumsum([0, *map(len, data)], dtype=np.int64)
    there = np.array([word is not None for word in words], dtype=np.bool)
    return _array(pa.large_string(), there, ends, b"".join(data))


def _array(kind: Any, there: "np.ndarray", *parts: Any) -> "pa.Array":
    """An Arrow array of its buffers, the first of which says what is there."""
    import pyarrow as pa

    marks = np.packbits(there, bitorder="little")
    buffers = [pa.py_buffer(part) for part in (marks, *parts)]
    return pa.Array.from_buffers(kind, there.size, buffers)


# --- reading ---------------------------------------------------------------------------------


def _columns(table: "pa.Table", facts: Iterable[dict[str, Any]]) -> Iterator[ScoreColumn]:
    """Each column of the parts that `_tables` made of it, in the same order."""
    start = 0
    for fact in facts:
        names = ORDERS if "candidate" in fact else fact["models"]
        n = fact["n_items"]
        parts = {name: table.slice(start + i * n, n) for i, name in enumerate(names)}
        start += len(parts) * n
        first = parts[names[0]]
        clusters = first["cluster"].to_pylist()
        shared = {
            "metric": fact["metric"],
            "sample_ids": tuple(first["sample_id"].to_pylist()),
            "clusters": None if None in clusters else np.array(clusters, dtype=np.str_),
            "generation_failed": fact["generation_failed"],
        }
        scores = {name: _floats(part) for name, part in parts.items()}
        if "candidate" in fact:
            yield PreferenceColumn(
                baseline=fact["baseline"],
                candidate=fact["candidate"],
                by_order=scores,
                reasons=_either([part["reason"].to_pylist() for part in parts.values()]),
                **shared,
            )
        else:
            yield GradeColumn(
                kind=fact["kind"],
                low=fact["low"],
                high=fact["high"],
                scores=scores,
                reasons={name: part["reason"].to_pylist() for name, part in parts.items()},
                **shared,
            )


def _floats(part: "pa.Table") -> Any:
    scores = part["score"].to_pylist()
    return np.array([np.nan if score is None else score for score in scores], dtype=np.float64)


def _either(reasons: Sequence[Sequence[str | None]]) -> list[str | None]:
    """For each item the reason of the order that has one."""
    return [next(filter(None, both), None) for both in zip(*reasons, strict=True)]
