"""One file of recorded verdicts: its rows by the key that joins them with items, and what its columns mean."""

import json
from pathlib import Path
from typing import Literal, NamedTuple

from harness.config import ChecklistMetric, RecordedVerdicts
from harness.config.checklist import MET
from harness.core.errors import HarnessError, did_you_mean
from harness.data.tables import (
    Row,
    Table,
    find_joined,
    join_key,
    load_rows,
    require_row_number,
    text_of,
)
from harness.data.words import Stated, Words, find_meaning, fold_words
from harness.types import ORDERS, Sample
from judges.recorded_criteria import (
    NO_CRITERION,
    criterion_name,
    is_about_none,
    names_criteria,
    pick_from_list,
    read_criterion,
)

_ROWS_FOR_A_PATTERN = 20  # by chance orders alternate, or change once, in 4 of 2^20 such files


class RecordedFile(NamedTuple):
    """One file of verdicts with its rows by order or criterion, where a column holds it, and by join key."""

    spec: RecordedVerdicts
    table: Table
    rows: dict[str | None, dict[str, Row]]
    words: Words

    @property
    def fingerprint(self) -> str:
        """Return what covers the file's content and the meaning of its columns."""
        meaning = self.spec.model_dump(include={"fields", "where", "join", "order", "values"})
        return f"{self.table.sha256} {json.dumps(meaning, sort_keys=True)}"

    def find_row(self, sample: Sample, order: str | None = None) -> Row | None:
        """Return the item's row, of an order or a criterion where rows are on one; None without any."""
        key = sample.own_id if self.spec.join == "id" else str(sample.row)
        return find_joined(self.rows.get(order, {}), key)

    def find_criterion(self, sample: Sample, metric: ChecklistMetric, place: int) -> Row | None:
        """Return the row of an item's criterion, or that part of the item's row."""
        fields, criteria = self.spec.fields, sample.criteria[metric.list_name]
        name = criterion_name(criteria[place], place, fields)
        row = self.find_row(sample, name) or self.find_row(sample)
        if row is None:
            return None
        if is_about_none(row, fields, len(criteria)):
            raise HarnessError(f"{self.table.origin}: '{fields[MET]}' is no list. {NO_CRITERION}")
        return pick_from_list(row, fields, criteria[place], place, len(criteria))

    def find_column(self, field: str) -> str:
        """Return the column of a field that the metric needs."""
        if field not in self.spec.fields:
            hint = did_you_mean(field, self.spec.fields)
            raise HarnessError(f"{self.table.origin}: 'fields' has no column for '{field}'. {hint}")
        return self.spec.fields[field]

    def find_meaning(self, field: str, row: Row) -> Stated | None:
        """Return what the profile states that a row's word in a field means."""
        column, meanings = self.find_column(field), self.words.get(field)
        return find_meaning(row.get(column), meanings) if meanings else None

    def read_words(self, field: Literal["rationale", "reason"], row: Row) -> str | None:
        """Return the judge's words, or why the row has no verdict, if a column holds them."""
        column = self.spec.fields.get(field)
        return text_of(row.get(column)) or None if column else None


def load_recorded_file(
    spec: RecordedVerdicts, root: Path, tables: dict[str, Table]
) -> RecordedFile:
    """Load a file of verdicts; `tables` has those read so far and gains this one.

    Raises:
        HarnessError: it is missing or unreadable, lacks a column, or has two rows on the same item.
    """
    file = spec.model_dump_json(exclude={"fields", "join", "order", "values"})
    if file not in tables:
        tables[file] = load_rows(spec, root)
    table = tables[file].with_columns(spec.fields.values())
    for field, column in spec.fields.items():
        table.column(column, f"field '{field}'")
    if spec.join == "id" and "id" not in spec.fields:
        raise HarnessError(
            f"{table.origin}: verdicts are joined by id, but 'fields' has no column for 'id'. "
            "Name one, or write 'join: row'."
        )
    if spec.order is not None and "order" in spec.fields:
        raise HarnessError(
            f"{table.origin}: give either 'order', for the whole file, or a column for it in 'fields'."
        )
    words = fold_words(spec.values)
    rows = _rows_by_key(spec, table, words)
    if spec.join == "row" and "row" not in spec.fields:
        _refuse_two_rows_an_item(rows, table)
    return RecordedFile(spec, table, rows, words)


def _refuse_two_rows_an_item(rows: dict[str | None, dict[str, Row]], table: Table) -> None:
    """Refuse rows that hold every item in both orders, which counting rows would join to others."""
    if len(table.rows) < _ROWS_FOR_A_PATTERN or set(rows) != set(ORDERS):
        return
    order_of = {int(key): order for order, keyed in rows.items() for key in keyed}
    orders = [order_of[number] for number in sorted(order_of)]
    half = len(orders) // 2
    in_turn = len(set(orders[::2])) == len(set(orders[1::2])) == 1
    in_blocks = len(set(orders[:half])) == len(set(orders[half:])) == 1
    if in_turn or in_blocks:
        raise HarnessError(
            f"{table.origin}: the two orders of an item stand in rows of their own, so rows cannot be "
            "counted as items. Name the column of the item's row number as the field 'row', or join "
            "by id."
        )


def _rows_by_key(
    spec: RecordedVerdicts, table: Table, words: Words
) -> dict[str | None, dict[str, Row]]:
    rows: dict[str | None, dict[str, Row]] = {}
    column, by_criteria = spec.fields.get(spec.join), names_criteria(spec.fields)
    for number, (line, row) in enumerate(zip(table.lines, table.rows, strict=True)):
        where = f"{table.origin}:{line}"
        key = str(number) if column is None else join_key(row.get(column))
        if not key.strip():
            raise HarnessError(f"{where}: has no '{column}' to join verdicts by.")
        if spec.join == "row":
            require_row_number(key, where)
        if by_criteria:
            part = read_criterion(row, spec.fields, where)
        else:
            part = _read_order(row, spec, words, where)
        of_part = rows.setdefault(part, {})
        if key in of_part:
            first, of = _line_of(of_part[key], table), f" with '{part}'" if part else ""
            hint = f" {NO_CRITERION}" if MET in spec.fields and part is None else ""
            raise HarnessError(
                f"{where}: the {spec.join} '{key}'{of} stands twice (first on line {first}).{hint}"
            )
        of_part[key] = row
    return rows


def _line_of(row: Row, table: Table) -> int:
    """Return the line of one of the table's rows."""
    return next(line for line, other in zip(table.lines, table.rows, strict=True) if other is row)


def _read_order(row: Row, spec: RecordedVerdicts, words: Words, where: str) -> str | None:
    """Read the order in which a row's answers were shown; None where no column holds it."""
    if "order" not in spec.fields:
        return None
    cell = row.get(spec.fields["order"])
    stated = find_meaning(cell, words.get("order", {}))
    order = text_of(cell) if stated is None else stated.text
    if order not in ORDERS:
        raise HarnessError(f"{where}: '{text_of(cell)}' is no order. Known: {', '.join(ORDERS)}.")
    return order
