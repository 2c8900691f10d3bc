"""Cells of tables: missing values, numbers, columns, and the keys that rows are joined by."""

import io
from pathlib import Path

import pytest

from harness.config import RecordedAnswers, Source
from harness.core.errors import HarnessError
from harness.data.recorded import RecordedModel, read_responses
from harness.data.samples import make_samples
from harness.data.tables import load_rows, text_of
from harness.types import Response, Sample, Task
from tests.builders.files import write


def rows(path: Path, **spec: object) -> list[dict[str, object]]:
    source = Source.model_validate({"path": path.name, **spec})
    return load_rows(source, path.parent).rows


def answers(path: Path, *ids: str, join: str = "id") -> list[Response]:
    recorded = RecordedAnswers.model_validate(
        {"path": path.name, "join": join, "fields": {"id": "id", "response": "a"}}
    )
    samples = tuple(Sample(id=name, input="q", row=i) for i, name in enumerate(ids))
    task = Task.model_construct(name="t", samples=samples)
    return list(read_responses(task, RecordedModel("m", recorded, path.parent)).values())


@pytest.mark.parametrize("cell", ["NaN", "null"])
def test_nan_in_json_is_a_missing_value(tmp_path: Path, cell: str) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"id": "q1", "a": {cell}, "parts": [{cell}, "x"]}}\n')
    assert rows(path) == [{"id": "q1", "a": None, "parts": [None, "x"]}]
    (answer,) = answers(path, "q1")
    assert (answer.text, answer.finish) == (None, "failed")


def test_nan_is_no_text() -> None:
    assert text_of(float("nan")) == ""


@pytest.mark.parametrize(
    "cell", ["Infinity", "-Infinity", "1e999", '[["x", Infinity]]', '[[{"b": 1}]]']
)
def test_what_is_no_text_is_refused_as_an_answer_and_as_an_input(tmp_path: Path, cell: str) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"id": "q1", "a": {cell}}}\n')
    with pytest.raises(HarnessError, match="not text"):
        answers(path, "q1")
    with pytest.raises(HarnessError, match=r"a.jsonl:1: 'a' .* not text"):
        make_samples(load_rows(Source(path="a.jsonl"), tmp_path), {"input": "a"}, None)


def test_an_error_cell_of_xlsx_is_a_missing_value(tmp_path: Path) -> None:
    path = workbook(tmp_path, ["id", "a"], ["q1", "#N/A"], ["q2", "yes"])
    assert [row["a"] for row in rows(path)] == [None, "yes"]


def test_a_nan_id_is_no_key(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"id": NaN, "a": "x"}\n')
    with pytest.raises(HarnessError, match="has no 'id' to join answers by"):
        answers(path, "nan")


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_the_columns_are_those_of_all_rows(tmp_path: Path, order: slice) -> None:
    lines = ['{"id": "q1", "error": "timeout"}\n', '{"id": "q2", "a": "yes"}\n'][order]
    path = write(tmp_path / "a.jsonl", "".join(lines))
    assert [answer.text for answer in answers(path, "q1", "q2")] == [None, "yes"]
    assert [row["id"] for row in rows(path, where={"a": "yes"})] == ["q2"]


@pytest.mark.parametrize(("written", "asked"), [("7.0", "7"), ("7", "7.0"), ('"a\\ud800"', "a?")])
def test_ids_are_joined_by_meaning(tmp_path: Path, written: str, asked: str) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"id": {written}, "a": "yes"}}\n')
    assert [answer.text for answer in answers(path, asked)] == ["yes"]


def test_an_exact_id_comes_before_another_spelling(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"id": "1.0", "a": "x"}\n{"id": "1", "a": "y"}\n')
    assert [answer.text for answer in answers(path, "1", "1.0")] == ["y", "x"]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("true", "true"), ("true", "True"), ('"TRUE"', "true"), ("1.0", "1"), ("1", "1.0"),
     ("0.50", "0.5"), ('"1.0"', "1"), ("1e3", "1000")],
)  # fmt: skip
def test_where_compares_values(tmp_path: Path, cell: str, value: str) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"k": {cell}}}\n{{"k": "other"}}\n{{"k": false}}\n')
    assert len(rows(path, where={"k": value})) == 1


@pytest.mark.parametrize(
    ("cell", "value"), [('"01"', "1"), ('"1.10"', "1.1"), ("true", "1"), ("NaN", "nan")]
)
def test_where_keeps_other_values_apart(tmp_path: Path, cell: str, value: str) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"k": {cell}}}\n')
    with pytest.raises(HarnessError, match="none of its 1 rows"):
        rows(path, where={"k": value})


def test_a_gap_in_a_table_of_one_column_is_an_empty_cell(tmp_path: Path) -> None:
    text = write(tmp_path / "a.csv", "a\nx\n\nz\n")
    book = workbook(tmp_path, ["a"], ["x"], [None], ["z"])
    assert [row["a"] for row in rows(text)] == ["x", "", "z"]
    assert [row["a"] for row in rows(book)] == ["x", None, "z"]


def test_a_blank_line_between_rows_of_several_cells_is_no_row(tmp_path: Path) -> None:
    assert len(rows(write(tmp_path / "a.csv", "a,b\nx,1\n\nz,2\n"))) == 2


def workbook(folder: Path, *lines: list[object]) -> Path:
    from openpyxl import Workbook

    book = Workbook()
    for line in lines:
        book.active.append(line)
    buffer = io.BytesIO()
    book.save(buffer)
    path = folder / "book.xlsx"
    path.write_bytes(buffer.getvalue())
    return path
