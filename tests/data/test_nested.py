"""Cells inside of cells: MT-Bench's answers stand at `choices[0].turns[0]`."""

import json
from pathlib import Path

import pytest

from harness.config import RecordedAnswers, Source
from harness.core.errors import HarnessError
from harness.data.convert import convert_file, make_options
from harness.data.recorded import RecordedModel, read_responses, recorded_fingerprint
from harness.data.samples import make_samples
from harness.data.tables import Table, load_rows
from tests.builders.files import write, write_rows
from tests.builders.score_tasks import RUBRIC, task

ROWS = [
    {"id": f"q{i}", "meta": {"topic": "knee"}, "choices": [{"turns": [f"first {i}", f"last {i}"]}]}
    for i in range(3)
]


def load(folder: Path, column: str, rows: list[dict[str, object]] = ROWS) -> Table:
    write_rows(folder / "a.jsonl", rows)
    return load_rows(Source(path="a.jsonl", fields={"text": column}), folder)


@pytest.mark.parametrize(
    ("path", "cell"),
    [
        ("choices[0].turns[0]", "first 0"),
        ("choices[0].turns[-1]", "last 0"),
        ("choices[0].turns", ["first 0", "last 0"]),
        ("meta.topic", "knee"),
    ],
)
def test_a_path_leads_into_lists_and_objects(tmp_path: Path, path: str, cell: object) -> None:
    assert load(tmp_path, path).rows[0][path] == cell


def test_a_column_of_that_very_name_comes_first(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"a.b": "column", "a": {"b": "nested"}}]
    assert load(tmp_path, "a.b", rows).rows[0]["a.b"] == "column"


def test_keys_with_dots_are_found_inside_too(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"scores": {"gpt-3.5": {"v1.0": [7]}}}]
    path = "scores.gpt-3.5.v1.0[0]"
    assert load(tmp_path, path, rows).rows[0][path] == 7


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("choices[0].turn[0]", r"Did you mean 'choices\[0\]\.turns'"),
        ("choices[2].turns[0]", r"Known: choices\[0\]"),
        ("choises[0].turns[0]", "Did you mean 'choices'"),
        ("meta.topic.name", "'meta.topic' holds nothing further"),
    ],
)
def test_a_path_that_leads_nowhere_is_named_with_the_nearest(
    tmp_path: Path, path: str, hint: str
) -> None:
    with pytest.raises(HarnessError, match=hint):
        load(tmp_path, path).column(path, "text")


def test_rows_without_the_cell_have_no_value_there(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [*ROWS, {"id": "q3", "choices": []}]
    table = load(tmp_path, "choices[0].turns[0]", rows)
    assert [row.get("choices[0].turns[0]") for row in table.rows][2:] == ["first 2", None]


def test_items_and_their_slices_are_read_from_paths(tmp_path: Path) -> None:
    fields = {"id": "id", "input": "choices[0].turns[0]"}
    write_rows(tmp_path / "a.jsonl", ROWS)
    source = Source(path="a.jsonl", fields=fields, where={"meta.topic": "knee"})
    table = load_rows(source, tmp_path).with_columns(["meta.topic"])
    samples = make_samples(table, fields, None, ["meta.topic"])
    assert [s.input for s in samples] == ["first 0", "first 1", "first 2"]
    assert samples[0].slices == {"meta.topic": "knee"}


def test_recorded_answers_are_read_from_paths_which_are_in_their_fingerprint(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path / "a.jsonl", ROWS)

    def model(turn: int) -> RecordedModel:
        fields = {"id": "id", "response": f"choices[0].turns[{turn}]"}
        return RecordedModel("new", RecordedAnswers(path="a.jsonl", fields=fields), tmp_path)

    assert read_responses(task(RUBRIC), model(1))["q1"].text == "last 1"
    assert recorded_fingerprint(model(0)) != recorded_fingerprint(model(1))


def test_conversions_read_paths(tmp_path: Path) -> None:
    source = write(tmp_path / "a.json", json.dumps(ROWS))
    options = make_options(to="sft", fields="input=choices[0].turns[0],reference=meta.topic")
    convert_file(str(source), tmp_path / "out.jsonl", options)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["input"] for row in rows] == ["first 0", "first 1", "first 2"]


LISTS: list[dict[str, object]] = [
    {"tags": ["level:x", "theme:hedging"], "rubrics": [{"met": True}, {"met": False}, {}]}
]


@pytest.mark.parametrize(
    ("path", "cell"), [("rubrics[].met", [True, False, None]), ("tags[theme:]", "hedging")]
)
def test_a_path_takes_every_part_or_the_one_with_a_beginning(
    tmp_path: Path, path: str, cell: object
) -> None:
    assert load(tmp_path, path, LISTS).rows[0][path] == cell


def test_a_beginning_that_no_part_has_is_no_column(tmp_path: Path) -> None:
    assert "tags[axis:]" not in load(tmp_path, "tags[axis:]", LISTS).rows[0]
