"""scores.parquet: every score of a run, one row for each item, model and column.

    metric          model  against  order            sample_id  cluster  score  reason
    rubric.safety   dpo                              asthma-02  asthma   8.0
    win_rate        dpo    sft      baseline_first   asthma-02  asthma   1.0
    rubric.empathy  dpo                              asthma-03  asthma          refused: ...

A missing score is null and has a reason. For pairs the score is the candidate's: 1 win, 0.5 tie.
Where a model has several training seeds, a last column holds the `seed` of the sample.
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
from harness.core.errors import HarnessError, InfrastructureError
from harness.scoring.columns import (
    GradeColumn,
    Limits,
    PreferenceColumn,
    ScoreColumn,
    Seeds,
    judged_orders,
)
from harness.stats.annotator_means import Votes
from harness.stats.vectors import Vector
from harness.types import ORDERS
from harness.types.judgements import telling_reasons

if TYPE_CHECKING:
    import pyarrow as pa

SCORES_FILE = "scores.parquet"
_KEYS = ("metric", "model", "against", "order", "sample_id", "cluster", "score", "reason")


def load_arrow() -> None:
    """Import pyarrow ahead of time, which takes a while."""
    import_module("pyarrow.parquet")


def write_scores(columns: Iterable[ScoreColumn], folder: Path) -> Path:
    """Write the file, whole or not at all.

    Raises:
        InfrastructureError: it cannot be written.
    """
    import pyarrow as pa

    columns = list(columns)
    tables = [table for column in columns for table in _column_tables(column)]
    metadata = json.dumps([_column_metadata(column) for column in columns])
    table = pa.concat_tables(tables)
    if table["seed"].null_count == len(table):
        table = table.drop_columns(["seed"])
    table = table.replace_schema_metadata({"columns": metadata})
    return write_parquet(table, folder / SCORES_FILE)


def read_scores(folder: Path) -> list[ScoreColumn]:
    """Read the score columns, in the run's order.

    Raises:
        HarnessError: there is no such file, or it is damaged.
        InfrastructureError: its rows are not those that its own list of columns states.
    """
    path = folder / SCORES_FILE
    table = _load_table(path)
    try:
        return list(_split_columns(table, json.loads(table.schema.metadata[b"columns"])))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InfrastructureError(
            f"{path}: its rows are not those of its columns ({error}). Run `harness run` again with the "
            "same suite and models: the store keeps all answers."
        ) from None


def read_table(folder: Path) -> "pa.Table":
    """Read the rows as an Arrow table, for analysts."""
    return _load_table(folder / SCORES_FILE).replace_schema_metadata(None)


def _load_table(path: Path) -> "pa.Table":
    table = read_parquet(path)
    if tuple(table.column_names) not in (_KEYS, (*_KEYS, "seed")) or b"columns" not in (
        table.schema.metadata or {}
    ):
        raise HarnessError(f"{path}: not the scores of a run.")
    return table


# --- writing ---------------------------------------------------------------------------------


def _column_metadata(column: ScoreColumn) -> dict[str, Any]:
    """Return all facts of a column but its scores, for the metadata of the file."""
    shared = {
        "metric": column.metric,
        "n_items": len(column.sample_ids),
        "generation_failed": column.generation_failed,
    }
    if isinstance(column, PreferenceColumn):
        shared |= {"baseline": column.baseline, "candidate": column.candidate}
        shared["orders"] = list(column.orders)
        if column.votes is not None:
            shared |= {"votes": _votes_to_lists(column.votes), "first_share": column.first_share}
        return shared
    if column.votes is not None:
        shared["votes"] = {model: _votes_to_lists(votes) for model, votes in column.votes.items()}
    if column.limits is not None:
        shared["limits"] = {model: _limits_of_gaps(column, model) for model in column.scores}
    if column.seeds:
        shared["seeded"] = list(column.seeds)
    return shared | {
        "kind": column.kind, "low": column.low, "high": column.high, "models": list(column.scores)
    }  # fmt: skip


def _limits_of_gaps(column: GradeColumn, model: str) -> list[list[float]]:
    """Return the least and the greatest score of each item without one, in their order."""
    gaps = np.isnan(column.scores[model])
    return np.array(column.limits_of(model))[:, gaps].T.tolist()  # type: ignore[no-any-return]


def _limits_from_gaps(scores: Vector, of_gaps: list[list[float]]) -> Limits:
    least, greatest = scores.copy(), scores.copy()
    gaps = np.isnan(scores)
    least[gaps], greatest[gaps] = np.array(of_gaps, dtype=np.float64).reshape(-1, 2).T
    return least, greatest


def _votes_to_lists(votes: Votes) -> list[list[float | None]]:
    return [[None if np.isnan(vote) else vote for vote in row] for row in votes.tolist()]


def _votes_from_lists(rows: list[list[float | None]]) -> Votes:
    votes = [[np.nan if vote is None else vote for vote in row] for row in rows]
    return np.array(votes, dtype=np.float64)


def _column_tables(column: ScoreColumn) -> Iterator["pa.Table"]:
    if isinstance(column, PreferenceColumn):
        for order in ORDERS:
            yield _scores_table(
                column, column.candidate, column.baseline, order, column.by_order[order],
                column.order_reasons.get(order, column.reasons),
            )  # fmt: skip
        return
    for model, scores in column.scores.items():
        yield _scores_table(column, model, None, None, scores, column.reasons[model])


def _scores_table(
    column: ScoreColumn,
    model: str,
    against: str | None,
    order: str | None,
    scores: np.ndarray,
    reasons: Sequence[str | None],
) -> "pa.Table":
    import pyarrow as pa

    n, seeds = len(column.sample_ids), _seeds_of(column)
    missing = np.isnan(scores)
    # A reason counts only where the score is missing.
    gap_reasons = [
        reason if gap else None for reason, gap in zip(reasons, missing.tolist(), strict=True)
    ]
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
            "reason": string_array(gap_reasons) if missing.any() else repeated_string(None, n),
            "seed": pa.nulls(n, pa.int64()) if seeds is None else pa.array(seeds),
        }
    )


def _seeds_of(column: ScoreColumn) -> Seeds | None:
    if isinstance(column, PreferenceColumn):
        return column.seeds
    return next(iter(column.seeds.values()), None)


# --- reading ---------------------------------------------------------------------------------


def _split_columns(table: "pa.Table", columns: Iterable[dict[str, Any]]) -> Iterator[ScoreColumn]:
    """Rebuild each column from the rows that `_column_tables` made of it, in the same order."""
    start = 0
    shared_ids = _SharedIds()
    for metadata in columns:
        # Slice the column's rows: one part for each order of a pair, or for each model.
        names = ORDERS if "candidate" in metadata else metadata["models"]
        n = metadata["n_items"]
        parts = {name: table.slice(start + i * n, n) for i, name in enumerate(names)}
        start += len(parts) * n
        for name, part in parts.items():
            _require_own_rows(part, metadata, name)
        first = parts[names[0]]
        if not all(part["sample_id"].equals(first["sample_id"]) for part in parts.values()):
            raise ValueError(f"{metadata['metric']}: its models have different items")
        clusters = first["cluster"]
        shared = {
            "metric": metadata["metric"],
            "sample_ids": shared_ids.ids_of(first),
            "clusters": None
            if clusters.null_count
            else np.array(clusters.to_pylist(), dtype=np.str_),
            "generation_failed": metadata["generation_failed"],
        }
        # Make a column of pairs, or of grades.
        scores = {name: read_floats(part["score"]) for name, part in parts.items()}
        seeds = _read_seeds(first)
        if "candidate" in metadata:
            asked_orders = tuple(metadata.get("orders", ()))
            order_reasons = {o: _reasons(parts[o]) for o in asked_orders or judged_orders(scores)}
            yield PreferenceColumn(
                baseline=metadata["baseline"],
                candidate=metadata["candidate"],
                by_order=scores,
                reasons=telling_reasons([*order_reasons.values()]),
                order_reasons=order_reasons,
                votes=_votes_from_lists(metadata["votes"]) if "votes" in metadata else None,
                first_share=metadata.get("first_share"),
                asked_orders=asked_orders,
                seeds=seeds,
                **shared,
            )
        else:
            yield GradeColumn(
                kind=metadata["kind"],
                low=metadata["low"],
                high=metadata["high"],
                scores=scores,
                reasons={name: _reasons(part) for name, part in parts.items()},
                votes={model: _votes_from_lists(rows) for model, rows in metadata["votes"].items()}
                if "votes" in metadata
                else None,
                limits={m: _limits_from_gaps(scores[m], of) for m, of in metadata["limits"].items()}
                if "limits" in metadata
                else None,
                seeds={} if seeds is None else dict.fromkeys(metadata["seeded"], seeds),
                **shared,
            )
    if start != table.num_rows:
        raise ValueError(f"{table.num_rows:,} rows, and its columns have {start:,}")


def _read_seeds(part: "pa.Table") -> Seeds | None:
    if "seed" not in part.column_names or part["seed"].null_count:
        return None
    seeds: Seeds = part["seed"].to_numpy()
    return seeds


def _require_own_rows(part: "pa.Table", metadata: dict[str, Any], name: str) -> None:
    """Raise ValueError unless the rows are of the column, model and order that they are read as."""
    import pyarrow as pa

    pair = "candidate" in metadata
    expected = {
        "metric": metadata["metric"],
        "model": metadata["candidate"] if pair else name,
        "against": metadata["baseline"] if pair else None,
        "order": name if pair else None,
    }
    for key, text in expected.items():
        column = repeated_string(text, metadata["n_items"])
        if not part[key].equals(pa.chunked_array([column])):
            raise ValueError(f"{metadata['metric']}: the {key} of its rows is not '{text}'")


class _SharedIds:
    """The sample ids of the last column: the columns of a task share one tuple of a million ids."""

    def __init__(self) -> None:
        self._column: pa.ChunkedArray | None = None
        self._ids: tuple[str, ...] = ()

    def ids_of(self, part: "pa.Table") -> tuple[str, ...]:
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
