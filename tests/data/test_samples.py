import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.config import Source, Take
from harness.core.errors import HarnessError, InfrastructureError
from harness.core.hashing import file_hash
from harness.core.text_files import read_prompt
from harness.data.samples import make_samples
from harness.data.tables import load_rows
from tests.builders.files import write, write_rows

FIELDS = {"id": "id", "input": "question", "reference": "answer"}
ROWS = [{"id": i, "question": f"question {i}", "answer": f"answer {i}"} for i in range(20)]


def refused(path: Path, fields: dict[str, str] = FIELDS) -> str:
    with pytest.raises(HarnessError) as error:
        make_samples(load_rows(Source(path=path.name), path.parent), fields, None)
    return str(error.value)


def test_rows_become_samples_in_their_order(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", ROWS)
    samples = make_samples(load_rows(Source(path=path.name), tmp_path), FIELDS, None)
    assert [s.id for s in samples] == [str(i) for i in range(20)]
    assert samples[3].reference == "answer 3"


def test_a_seeded_subset_is_the_same_every_time_and_keeps_the_order(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", ROWS)
    table = load_rows(Source(path=path.name), tmp_path)
    rows = [s.row for s in make_samples(table, FIELDS, Take(n=5, seed=50))]
    assert rows == [s.row for s in make_samples(table, FIELDS, Take(n=5, seed=50))]
    assert rows == sorted(rows)
    assert rows != [s.row for s in make_samples(table, FIELDS, Take(n=5, seed=51))]


def test_csv_json_and_jsonl_hold_the_same_rows(tmp_path: Path) -> None:
    rows = [{"id": "a", "question": "q, with comma", "answer": "x"}]
    write_rows(tmp_path / "r.jsonl", rows)
    write(tmp_path / "r.json", json.dumps({"a": {"question": "q, with comma", "answer": "x"}}))
    write(tmp_path / "r.csv", 'id,question,answer\na,"q, with comma",x\n')
    tables = [load_rows(Source(path=f"r.{kind}"), tmp_path) for kind in ("jsonl", "json", "csv")]
    assert [table.rows for table in tables] == [rows, rows, rows]


def test_a_context_is_put_before_the_question(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"q": "Does it?", "c": ["One.", "Two."]}])
    table = load_rows(Source(path=path.name), tmp_path)
    (sample,) = make_samples(table, {"input": "q", "context": "c"}, None)
    assert sample.input == "One.\nTwo.\n\nDoes it?"
    assert sample.id == "row-00001"


def test_a_filter_keeps_only_the_rows_that_match(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"q": "x", "split": "train"}, {"q": "y", "split": "test"}])
    table = load_rows(Source(path="a.jsonl", where={"split": "test"}), tmp_path)
    assert [row["q"] for row in table.rows] == ["y"]


def test_a_duplicate_id_names_both_lines(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [ROWS[0], ROWS[1], ROWS[0] | {"question": "other"}])
    assert refused(path) == f"{path.name}:3: the id '0' occurs twice (first on line 1)."


def test_a_number_and_its_text_are_the_same_id(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [ROWS[1], ROWS[2] | {"id": "1"}])
    assert "the id '1' occurs twice" in refused(path)


def test_a_missing_column_gets_a_suggestion(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", ROWS)
    assert "no column 'qestion' for the field 'input'. Did you mean 'question'?" in refused(
        path, {"input": "qestion"}
    )


def test_a_row_without_its_column_names_its_line(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [ROWS[0], {"id": 7, "question": "q"}])
    assert refused(path) == "a.jsonl:2: has no 'answer'."


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert refused(write(tmp_path / "a.jsonl", "\n")) == "a.jsonl: holds no rows."


def test_an_empty_question_is_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [ROWS[0] | {"question": "  "}])
    assert refused(path) == "a.jsonl:1: 'question' is empty."


def test_broken_utf8_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": "\xff"}\n')
    assert refused(path).startswith("a.jsonl:2: not UTF-8 text")


def test_broken_json_names_its_line(tmp_path: Path) -> None:
    assert refused(write(tmp_path / "a.jsonl", '{"id": 1}\n{"id": \n')).startswith("a.jsonl:2: not")


def test_a_csv_row_with_too_many_cells_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,question,answer\n1,a,b,c\n")
    assert "another number of cells" in refused(path)


def test_a_lone_surrogate_becomes_a_visible_mark(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", '{"q": "bad \\ud800 text"}\n')
    (sample,) = make_samples(load_rows(Source(path="a.jsonl"), tmp_path), {"input": "q"}, None)
    assert sample.input == "bad ? text"


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    path = write_rows(tmp_path / "study.jsonl", ROWS)
    url = "https://localhost:9/study.jsonl"
    return Source(url=url, sha256=file_hash(path), local="study.jsonl")


def test_a_pinned_source_is_read_from_the_data_folder(
    pinned: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path))
    assert len(load_rows(pinned, tmp_path).rows) == 20


def test_a_changed_pinned_file_is_refused(
    pinned: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path))
    write(tmp_path / "study.jsonl", "{}\n")
    with pytest.raises(HarnessError, match="not the pinned"):
        load_rows(pinned, tmp_path)


def test_without_network_or_data_folder_the_error_says_both_ways(
    pinned: Source, tmp_path: Path
) -> None:
    with pytest.raises(InfrastructureError, match=r"connect to the internet.*HARNESS_DATA_DIR"):
        load_rows(pinned, tmp_path)


def test_a_cached_copy_serves_without_network(pinned: Source, tmp_path: Path) -> None:
    cached = tmp_path / "cache" / str(pinned.sha256)
    cached.parent.mkdir()
    cached.write_bytes((tmp_path / "study.jsonl").read_bytes())
    assert len(load_rows(pinned, tmp_path).rows) == 20


def test_a_cluster_without_a_name_is_refused_with_its_line(tmp_path: Path) -> None:
    """All items without one would be a single cluster, and nearly no evidence."""
    rows = [{**row, "source": "" if i == 4 else f"s{i // 2}"} for i, row in enumerate(ROWS)]
    path = write_rows(tmp_path / "a.jsonl", rows)
    told = refused(path, {**FIELDS, "cluster": "source"})
    assert "a.jsonl:5: 'source' is empty" in told
    assert "a cluster of its own" in told


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "id,question,question,answer\n1,a,b,c\n", "has the column 'question' twice"),
        ("a.csv", "id;question;answer\n1;a;b\n", "separated by ';'; save it with commas"),
        ("a.jsonl", '[{"id": 1}]\n', "If the file is one JSON list, name it .json."),
        ("a.jsonl", '{"id": 1, "question": {"text": "q"}, "answer": "x"}', "is a JSON object"),
    ],
)
def test_a_table_of_another_shape_is_named(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    assert message in refused(write(tmp_path / name, text))


def test_a_cell_may_be_a_whole_document(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"id,question,answer\n1,{'word ' * 40_000},x\n")
    assert len(load_rows(Source(path=path.name), tmp_path).rows[0]["question"]) == 200_000


def test_a_folder_is_no_data_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()
    assert "is a folder" in refused(tmp_path / "a.jsonl")


@pytest.mark.parametrize(("content", "message"), [(b"\xc4", "not UTF-8"), (b" \n", "is empty")])
def test_a_prompt_that_says_nothing_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "p.md").write_bytes(content)
    with pytest.raises(HarnessError, match=message):
        read_prompt("p.md", tmp_path)


def test_a_list_of_references_is_kept_apart(tmp_path: Path) -> None:
    rows = [
        {"q": "a", "r": ["rest", "drink", "rest", None]},
        {"q": "b", "r": ["one"]},
        {"q": "c", "r": "x"},
    ]
    path = write_rows(tmp_path / "a.jsonl", rows)
    samples = make_samples(
        load_rows(Source(path=path.name), tmp_path), {"input": "q", "reference": "r"}, None
    )
    assert [s.acceptable_answers for s in samples] == [("rest", "drink"), ("one",), ("x",)]
    assert [s.reference for s in samples] == ["Any one of these:\n1. rest\n2. drink", "one", "x"]
    assert "references" not in samples[1].model_dump()


def test_rows_with_one_of_several_values_are_kept(tmp_path: Path) -> None:
    rows = [{"q": "1?", "subject": "anatomy"}, {"q": "2?", "subject": "law"}, {"q": "3?", "subject": "virology"}]  # fmt: skip
    write_rows(tmp_path / "i.jsonl", rows)
    source = Source(path="i.jsonl", where_any={"subject": ("anatomy", "virology")})
    assert [row["q"] for row in load_rows(source, tmp_path).rows] == ["1?", "3?"]
    nothing = Source(path="i.jsonl", where_any={"subject": ("art", "music")})
    with pytest.raises(HarnessError, match="none of its 3 rows has subject = art or music"):
        load_rows(nothing, tmp_path)


@pytest.mark.parametrize(("where", "values"), [({}, ()), ({"a": "1"}, ("1", "2"))])
def test_several_values_are_some_and_stated_once(
    where: dict[str, str], values: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError, match=r"names no value|stands under 'where' too"):
        Source(path="i.jsonl", where=where, where_any={"a": values})
