"""Recorded answers of a model, read from a file and joined to the items."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.config import RecordedAnswers
from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash
from harness.core.sanitize import to_valid_utf8
from harness.data.conversations import question_key
from harness.data.hygiene import system_of_rendered_prompt
from harness.data.recorded_passages import read_passages
from harness.data.tables import (
    Row,
    Table,
    find_joined,
    is_missing,
    load_rows,
    no_text_reason,
    require_row_number,
    source_sha256,
    spellings,
    text_of,
)
from harness.types import Response, Sample, Task
from harness.types.samples import RECORDED_FAILURE

Join = Literal["id", "input", "row"]
ANSWER_FIELDS = {"id", "input", "row", "response", "prompt", "failure", "passages"}


@dataclass(frozen=True)
class RecordedModel:
    """A model whose answers are in a file; `keys` are those by which the rows read so far are joined to items."""

    name: str
    recorded: RecordedAnswers
    root: Path
    keys: set[str] = dataclasses.field(default_factory=set, repr=False, compare=False)


def read_responses(task: Task, model: RecordedModel) -> dict[str, Response]:
    """Read the recorded responses to the task's samples, by sample id.

    Raises:
        HarnessError: a column is missing, or an item has no answer or two.
    """
    table = load_rows(model.recorded, model.root)
    fields = model.recorded.fields
    _check_answer_fields(table, fields, model)
    rows = _rows_by_join(table, model)
    model.keys.update(rows)
    return {s.id: _recorded_response(s, rows, table, model) for s in task.samples}


def count_unfitting(keys: Iterable[str], samples: Iterable[Sample], join: Join) -> int:
    """Count the keys of recorded rows that join them to none of the samples."""
    fitting = {key for sample in samples for key in _keys_of(sample, join)}
    left = [key for key in keys if key not in fitting]
    if left:  # few, or a whole file whose numbers are written in another way
        fitting = {spelling for key in fitting for spelling in spellings(key)}
    return sum(key not in fitting for key in left)


def _keys_of(sample: Sample, join: Join) -> Iterator[str]:
    """Yield the keys by which a recorded row may be joined to a sample, the first one first."""
    match join:
        case "id":
            yield sample.own_id
        case "row":
            yield str(sample.row)
        case "input":
            yield sample.transcript
            yield sample.own_question  # recorded without the options in it


def recorded_fingerprint(model: RecordedModel) -> str:
    """Hash the file's content and the columns that are read from it."""
    recorded, sha256 = model.recorded, source_sha256(model.recorded, model.root)
    several = [recorded.where_any] if recorded.where_any else []
    return content_hash(sha256, recorded.fields, recorded.where, *several)


def _check_answer_fields(table: Table, fields: dict[str, str], model: RecordedModel) -> None:
    for field, column in fields.items():
        if field not in ANSWER_FIELDS:
            hint = did_you_mean(field, ANSWER_FIELDS)
            raise HarnessError(f"model '{model.name}': field '{field}' is unknown. {hint}")
        table.column(column, f"{field} of model '{model.name}'")
    needed = {"response"} | ({model.recorded.join} - {"row"})
    for field in sorted(needed - fields.keys()):
        raise HarnessError(f"model '{model.name}': 'fields' must name the column of '{field}'.")


def _rows_by_join(table: Table, model: RecordedModel) -> dict[str, Row]:
    join = model.recorded.join
    if join == "row" and "row" not in model.recorded.fields:
        return {str(number): row for number, row in enumerate(table.rows)}
    rows: dict[str, Row] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        column = model.recorded.fields[join]
        if is_missing(row.get(column)):
            raise HarnessError(f"{table.origin}:{line}: has no '{column}' to join answers by.")
        key = question_key(row, column, f"{table.origin}:{line}")
        if join == "row":
            require_row_number(key, f"{table.origin}:{line}")
        if key in rows:
            raise HarnessError(f"{table.origin}:{line}: a second answer with the same {join}.")
        rows[key] = row
    return rows


def _recorded_response(
    sample: Sample, rows: dict[str, Row], table: Table, model: RecordedModel
) -> Response:
    keys = _keys_of(sample, model.recorded.join)
    row = next(filter(None, (find_joined(rows, key) for key in keys)), None)
    if row is None:
        raise HarnessError(
            f"{table.origin}: has no answer of '{model.name}' to item '{sample.id}' "
            f"(joined by {model.recorded.join}). Models are compared only on the same items."
        )
    fields = model.recorded.fields
    value = row.get(fields["response"])
    problem = no_text_reason(value)
    if problem:
        raise HarnessError(
            f"{table.origin}: the answer of '{model.name}' to item '{sample.id}' {problem}. Name the "
            "column that holds the text."
        )
    missing, reason = is_missing(value), "the record holds no answer"
    if "failure" in fields and (failure := text_of(row.get(fields["failure"])).strip()):
        # Whatever text there is, it is not the model's answer.
        missing, reason = True, f"{RECORDED_FAILURE}: {failure}"
    prompt = text_of(row.get(fields["prompt"])) if "prompt" in fields else ""
    return Response(
        sample_id=sample.id,
        model=model.name,
        text=None if missing else to_valid_utf8(text_of(value)),
        finish="failed" if missing else "recorded",
        reason=reason if missing else None,
        system=system_of_rendered_prompt(prompt),
        passages=read_passages(row.get(fields["passages"]), f"{table.origin}, item '{sample.id}'")
        if "passages" in fields
        else None,
    )
