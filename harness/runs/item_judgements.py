"""The judgements of a run's items, read from their table, and how far apart several judges' values are."""

import json
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.artifacts.judgements import VALUE, read_judgements
from harness.artifacts.parquet import iter_rows
from harness.scoring.columns import WIN
from reports.items import ItemJudgement

NO_VERDICT = "none"  # shown in place of a verdict that could not be read
WINNER = "winner"  # in place of a verdict key, of preferences

JudgementsById = dict[str, list[ItemJudgement]]  # by sample id
Spreads = Mapping[
    tuple[str, str], Mapping[str, float]
]  # by metric and sample id, then by verdict key


class JudgedItems(NamedTuple):
    """The judgements of a run by metric and item, and how far apart its judges' values are."""

    judgements: Mapping[str, JudgementsById]
    spreads: Spreads


def read_item_judgements(
    folder: Path, *, shown: Container[str] | None = None
) -> Mapping[str, JudgementsById]:
    """Read the judges' verdicts and explanations, by metric and item; with `shown`, only these items.

    Raises:
        HarnessError: the run's judgements are missing or damaged.
    """
    return read_judged_items(folder, shown=shown).judgements


def read_judged_items(
    folder: Path, *, shown: Container[str] | None = None, pooled: Container[str] = ()
) -> JudgedItems:
    """Read judgements with the spread of the judges' values on the same answer or ordered pair.

    Only each judge's first round counts, as in the report's agreement of judges. On the metrics that are `pooled`
    people judge, who see a pair once, each in an order of their own.

    Raises:
        HarnessError: the run's judgements are missing or damaged.
    """
    table = read_judgements(folder)
    keys = [name for name in table.column_names if name.startswith(VALUE)]
    judgements: defaultdict[str, JudgementsById] = defaultdict(lambda: defaultdict(list))
    given: defaultdict[tuple[str, str], defaultdict[tuple[str, ...], list[float]]]
    given = defaultdict(lambda: defaultdict(list))
    for row in iter_rows(table, shown):
        judgement = _judgement(row, keys)
        judgements[judgement.metric][row["sample_id"]].append(judgement)
        if judgement.round == 0 and row["reason"] is None:
            order = "" if judgement.metric in pooled else judgement.order or ""
            subject = judgement.model, judgement.against or "", order
            for key, value in _values(row, keys):
                given[judgement.metric, row["sample_id"]][key, *subject].append(value)
    return JudgedItems(judgements, {place: _spreads(of_item) for place, of_item in given.items()})


def _spreads(given: Mapping[tuple[str, ...], Sequence[float]]) -> dict[str, float]:
    """Return by verdict key how far apart several judges' values of the same subject are, at most."""
    spreads: dict[str, float] = {}
    for (key, *_), values in given.items():
        if len(values) > 1:
            spreads[key] = max(spreads.get(key, 0.0), max(values) - min(values))
    return spreads


def _values(row: Mapping[str, object], keys: Sequence[str]) -> Iterator[tuple[str, float]]:
    if row["winner"] is not None:
        yield WINNER, WIN[str(row["winner"])]
    for key in keys:
        value = row[key]
        if isinstance(value, float):
            yield key.removeprefix(VALUE), value


def _judgement(row: Mapping[str, object], keys: Sequence[str]) -> ItemJudgement:
    number = int(str(row["round"]))
    subject, against, order = str(row["model"]), row["against"], row["order"]
    if against is not None:
        subject = f"{subject} against {against}, {str(order).replace('_', ' ')}"
    return ItemJudgement(
        judge=f"{row['judge']}{f', round {number + 1}' if number else ''}",
        metric=str(row["metric"]),
        subject=subject,
        verdict=_verdict(row, keys),
        explanation=str(row["reason"] or row["rationale"] or ""),
        model=str(row["model"]),
        against=None if against is None else str(against),
        order=None if order is None else str(order),
        round=number,
        replies=tuple(json.loads(str(row["replies"]))) if row.get("replies") else None,
        prompt=None if row.get("prompt") is None else str(row["prompt"]),
    )


def _verdict(row: Mapping[str, object], keys: Sequence[str]) -> str:
    if row["reason"] is not None:
        return NO_VERDICT
    if row["winner"] is not None:
        return {"tie": "tie", "candidate": str(row["model"])}.get(
            str(row["winner"]), str(row["against"])
        )
    if row["label"] is not None:
        return str(row["label"])
    values = [(key.removeprefix(VALUE), row[key]) for key in keys if row[key] is not None]
    return ", ".join(f"{key} {value:g}" for key, value in values)
