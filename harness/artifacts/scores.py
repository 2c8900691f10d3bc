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

from harness.artifacts.parquet import (
    float_array,
    read_floats,
    read_parquet,
    repeated_string,
    string_array,
    write_parquet,
)
from harness.core.errors import HarnessError
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from harness.stats.annotator_means import Votes
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

    known = list(columns)
    tables = [table for column in known for table in _tables(column)]
    facts = json.dumps([_facts(column) for column in known])
    table = pa.concat_tables(tables).replace_schema_metadata({"columns": facts})
    return write_parquet(table, folder / SCORES_FILE)


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
    table = read_parquet(path)
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
        shared |= {"baseline": column.baseline, "candidate": column.candidate}
        shared["orders"] = list(column.orders)
        if column.votes is not None:
            shared |= {"votes": _listed(column.votes), "first_share": column.first_share}
        return shared
    if column.votes is not None:
        shared["votes"] = {model: _listed(votes) for model, votes in column.votes.items()}
    return shared | {
        "kind": column.kind, "low": column.low, "high": column.high, "models": list(column.scores)
    }  # fmt: skip


def _listed(votes: Votes) -> list[list[float | None]]:
    return [[None if np.isnan(vote) else vote for vote in row] for row in votes.tolist()]


def _votes(listed: list[list[float | None]]) -> Votes:
    rows = [[np.nan if vote is None else vote for vote in row] for row in listed]
    return np.array(rows, dtype=np.float64)


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
    missing = np.isnan(scores)
    kept = [why if gap else None for why, gap in zip(reasons, missing.tolist(), strict=True)]
    return pa.table(
        {
            "metric": repeated_string(column.metric, n),
            "model": repeated_string(model, n),
            "against": repeated_string(against, n),
            "order": repeated_string(order, n),
            "sample_id": string_array(column.sample_ids),
            "cluster": repeated_string(None, n)
            if column.clusters is None
            else string_array(column.clusters.tolist()),
            "score": float_array(scores),
            "reason": string_array(kept) if missing.any() else repeated_string(None, n),
        }
    )


# --- reading ---------------------------------------------------------------------------------


def _columns(table: "pa.Table", facts: Iterable[dict[str, Any]]) -> Iterator[ScoreColumn]:
    """Each column of the parts that `_tables` made of it, in the same order."""
    start = 0
    items = _Items()
    for fact in facts:
        names = ORDERS if "candidate" in fact else fact["models"]
        n = fact["n_items"]
        parts = {name: table.slice(start + i * n, n) for i, name in enumerate(names)}
        start += len(parts) * n
        first = parts[names[0]]
        clusters = first["cluster"]
        shared = {
            "metric": fact["metric"],
            "sample_ids": items.ids_in(first),
            "clusters": None
            if clusters.null_count
            else np.array(clusters.to_pylist(), dtype=np.str_),
            "generation_failed": fact["generation_failed"],
        }
        scores = {name: read_floats(part["score"]) for name, part in parts.items()}
        if "candidate" in fact:
            yield PreferenceColumn(
                baseline=fact["baseline"],
                candidate=fact["candidate"],
                by_order=scores,
                reasons=_either([_reasons(part) for part in parts.values()]),
                votes=_votes(fact["votes"]) if "votes" in fact else None,
                first_share=fact.get("first_share"),
                asked=tuple(fact.get("orders", ())),
                **shared,
            )
        else:
            yield GradeColumn(
                kind=fact["kind"],
                low=fact["low"],
                high=fact["high"],
                scores=scores,
                reasons={name: _reasons(part) for name, part in parts.items()},
                votes={m: _votes(listed) for m, listed in fact["votes"].items()}
                if "votes" in fact
                else None,
                **shared,
            )


class _Items:
    """The ids that the last column had: columns of one task share a million of them."""

    def __init__(self) -> None:
        self._column: pa.ChunkedArray | None = None
        self._ids: tuple[str, ...] = ()

    def ids_in(self, part: "pa.Table") -> tuple[str, ...]:
        column = part["sample_id"]
        if self._column is None or not column.equals(self._column):
            self._column, self._ids = column, tuple(column.to_pylist())
        return self._ids


def _reasons(part: "pa.Table") -> list[str | None]:
    column = part["reason"]
    if column.null_count == len(column):
        return [None] * len(column)
    reasons: list[str | None] = column.to_pylist()
    return reasons


def _either(reasons: Sequence[Sequence[str | None]]) -> list[str | None]:
    """For each item the reason of the order that has one."""
    return [next(filter(None, both), None) for both in zip(*reasons, strict=True)]
