"""One file of recorded verdicts: its rows by the key that joins them with items, and what its columns mean."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from harness.config import RecordedVerdicts
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
    Parts,
    find_parts,
    is_about_none,
    names_parts,
    part_name,
    pick_from_list,
    read_part,
)

_ROWS_FOR_A_PATTERN = 20  # by chance orders alternate, or change once, in 4 of 2^20 such files


class RecordedFile(NamedTuple):
    """One file of verdicts with its rows by order or part, where a column holds it, and by join key."""

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
        """Return the item's row, of an order or a part where rows are on one; None without any."""
        key = sample.own_id if self.spec.join == "id" else str(sample.row)
        return find_joined(self.rows.get(order, {}), key)

    def find_part(
        self, sample: Sample, parts: Parts, texts: Sequence[str], place: int
    ) -> Row | None:
        """Return the row of a criterion or statement among `texts`, or that part of the item's row."""
        fields = self.spec.fields
        row = self.find_row(sample, part_name(texts[place], place, fields, parts))
        row = row or self.find_row(sample)
        if row is None:
            return None
        if is_about_none(row, fields, parts, len(texts)):
            where = f"{self.table.origin}:{_line_of(row, self.table)}"
            raise HarnessError(f"{where}: '{fields[parts.verdict]}' is no list. {parts.no_name}")
        return pick_from_list(row, fields, parts, texts, place)

    def count_listed(self, sample: Sample, parts: Parts, n_parts: int) -> str | None:
        """Describe a list of verdicts in an item's row that has none on one of `n_parts`; None without a list."""
        row = self.find_row(sample)
        listed = row and row.get(self.spec.fields[parts.verdict])
        if row is None or not isinstance(listed, list):
            return None
        where = f"{self.table.origin}:{_line_of(row, self.table)}"
        return f"{where}: has {len(listed)} verdicts, none of which is known to be on this one of {n_parts}"

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
    column, parts = spec.fields.get(spec.join), find_parts(spec.fields)
    for number, (line, row) in enumerate(zip(table.lines, table.rows, strict=True)):
        where = f"{table.origin}:{line}"
        key = str(number) if column is None else join_key(row.get(column))
        if not key.strip():
            raise HarnessError(f"{where}: has no '{column}' to join verdicts by.")
        if spec.join == "row":
            require_row_number(key, where)
        if parts and names_parts(spec.fields):
            part = read_part(row, spec.fields, parts, where)
        else:
            part = _read_order(row, spec, words, where)
        of_part = rows.setdefault(part, {})
        if key in of_part:
            first, of = _line_of(of_part[key], table), f" with '{part}'" if part else ""
            hint = f" {parts.no_name}" if parts and part is None else ""
            raise HarnessError(
                f"{where}: the {spec.join} '{key}'{of} stands twice (first on line {first}).{hint}"
            )
        of_part[key] = row
    return rows


def _line_of(row: Row, table: Table) -> int:
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
