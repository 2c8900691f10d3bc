"""Pairs for Label Studio, and its exports read back."""

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.core.errors import HarnessError
from harness.human.annotate.label_studio import read_label_studio, write_label_studio
from harness.human.annotate.study import OpenStudy, StudyOptions, open_study
from harness.human.votes import load_votes
from tests.builders.damage import damaged
from tests.builders.studies import good, write_run


@pytest.fixture
def opened(tmp_path: Path) -> OpenStudy:
    return open_study(write_run(tmp_path / "run"), StudyOptions(n=10))


def exported(opened: OpenStudy, folder: Path) -> list[dict[str, Any]]:
    """Three labelled tasks and a cancelled one, as Label Studio exports them (JSON)."""
    path = folder / "pairs.json"
    write_label_studio(opened, path)
    tasks = json.loads(path.read_text())[:4]
    results: list[list[dict[str, Any]]] = [
        [{"from_name": "better", "to_name": ["answer_a", "answer_b"], "type": "pairwise",
          "value": {"selected": "left"}}],
        [{"from_name": "better", "type": "pairwise", "value": {"selected": "right"}},
         {"from_name": "comment", "type": "textarea", "value": {"text": ["kinder"]}}],
        [{"from_name": "instead", "type": "choices", "value": {"choices": ["Both unsafe"]}}],
        [],
    ]  # fmt: skip
    for task, result in zip(tasks, results, strict=True):
        task["annotations"] = [
            {"id": 7, "completed_by": {"id": 1, "email": "ada@clinic.example"}, "result": result,
             "was_cancelled": False, "created_at": "2026-11-02T10:15:00.5Z", "lead_time": 31.44}
        ]  # fmt: skip
    return tasks  # type: ignore[no-any-return]


def to_csv(tasks: list[dict[str, Any]], selected: str) -> str:
    """The same as Label Studio's CSV: data columns, a column for each control, and the annotator."""
    out = io.StringIO()
    fields = ["ticket", "better", "instead", "comment", "annotator", "created_at", "lead_time"]
    writer = csv.DictWriter(out, fields)
    writer.writeheader()
    for task in tasks:
        (said,) = task["annotations"]
        values = {part["from_name"]: part["value"] for part in said["result"]}
        side = values.get("better", {}).get("selected", "")
        writer.writerow(
            {
                "ticket": task["data"]["ticket"],
                "better": selected.replace("SIDE", side) if side else "",
                "instead": next(iter(values.get("instead", {}).get("choices", [])), ""),
                "comment": next(iter(values.get("comment", {}).get("text", [])), ""),
                "annotator": said["completed_by"]["email"],
                "created_at": said["created_at"],
                "lead_time": said["lead_time"],
            }
        )
    return out.getvalue()


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def read(opened: OpenStudy, path: Path, content: str) -> tuple[int, int]:
    path.write_text(content)
    found = read_label_studio(opened, path)
    return found.votes.n_added, found.n_without_choice


def test_an_export_becomes_votes(opened: OpenStudy, tmp_path: Path) -> None:
    tasks = exported(opened, tmp_path)
    assert read(opened, tmp_path / "export.json", json.dumps(tasks)) == (3, 1)
    votes = load_votes(opened.folder)
    assert [vote.choice for vote in votes] == ["left", "right", "both_unsafe"]
    assert {vote.annotator for vote in votes} == {"ada@clinic.example"}
    assert (votes[0].seconds, votes[1].comment) == (31.4, "kinder")
    for task, vote in zip(tasks[:2], votes[:2], strict=True):
        chosen = task["data"]["answer_a" if vote.choice == "left" else "answer_b"]
        if vote.kind != "attention":
            assert (vote.verdict == "candidate") == (chosen == good(int(vote.sample_id[1:])))


@pytest.mark.parametrize(
    "selected", ["SIDE", '{"selected": "SIDE"}', '[{"selected": "SIDE"}]', '["SIDE"]']
)
def test_json_and_csv_come_to_the_same_votes(
    opened: OpenStudy, tmp_path: Path, selected: str
) -> None:
    tasks = exported(opened, tmp_path)
    read(opened, tmp_path / "export.json", json.dumps(tasks))
    assert read(opened, tmp_path / "export.csv", to_csv(tasks, selected)) == (0, 1)


def to_json_min(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same as Label Studio's JSON-MIN: the task's data and the controls in one object."""
    rows = []
    for number, task in enumerate(tasks, start=1):
        (given,) = task["annotations"]
        row = {**task["data"], "id": number, "annotation_id": 100 + number, "annotator": 7}
        row |= {"created_at": given["created_at"], "lead_time": given["lead_time"]}
        for part in given["result"]:
            value = part["value"]
            single = {"choices": value.get("choices", [""])[0], "text": value.get("text", [""])[0]}
            row[part["from_name"]] = next((single[k] for k in single if k in value), [value])
        rows.append(row)
    return rows


def test_json_min_comes_to_the_same_votes(opened: OpenStudy, tmp_path: Path) -> None:
    tasks = exported(opened, tmp_path)
    for task in tasks:
        task["annotations"][0]["completed_by"] = 7
    read(opened, tmp_path / "export.json", json.dumps(tasks))
    assert read(opened, tmp_path / "min.json", json.dumps(to_json_min(tasks))) == (0, 1)
    assert len(load_votes(opened.folder)) == 3


@pytest.mark.parametrize("selected", ["left", {"selected": "left"}, [{"selected": "left"}]])
def test_a_control_of_json_min_is_a_word_or_an_object(
    opened: OpenStudy, tmp_path: Path, selected: object
) -> None:
    rows = to_json_min(exported(opened, tmp_path))[:1]
    rows[0]["better"] = selected
    assert read(opened, tmp_path / "min.json", json.dumps(rows)) == (1, 0)


def test_relations_between_results_are_no_votes(opened: OpenStudy, tmp_path: Path) -> None:
    tasks = exported(opened, tmp_path)
    relation = {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"}
    tasks[0]["annotations"][0]["result"].insert(0, relation)
    assert read(opened, tmp_path / "export.json", json.dumps(tasks)) == (3, 1)


COMMENTS = ["3", "null", "1.0", "[kind]", '["kind"]', '{"dose": 5}', '"quoted"', "[1, 2]", "{}"]


@pytest.mark.parametrize("typed", COMMENTS)
@pytest.mark.parametrize("kind", ["json", "min", "csv"])
def test_a_comment_stays_as_it_was_typed(
    opened: OpenStudy, tmp_path: Path, typed: str, kind: str
) -> None:
    tasks = exported(opened, tmp_path)[1:2]
    tasks[0]["annotations"][0]["result"][1]["value"] = {"text": [typed]}
    if kind == "csv":
        read(opened, tmp_path / "export.csv", to_csv(tasks, "SIDE"))
    else:
        content = to_json_min(tasks) if kind == "min" else tasks
        read(opened, tmp_path / "export.json", json.dumps(content))
    assert [vote.comment for vote in load_votes(opened.folder)] == [typed]


@pytest.mark.parametrize(
    "cell", ['{"text": ["a", "b"]}', '[{"text": ["a", "b"], "type": "TextArea"}]']
)
def test_several_notes_in_one_cell_are_lines(opened: OpenStudy, tmp_path: Path, cell: str) -> None:
    rows = to_json_min(exported(opened, tmp_path)[1:2])
    rows[0]["comment"] = cell
    read(opened, tmp_path / "export.json", json.dumps(rows))
    assert load_votes(opened.folder)[0].comment == "a\nb"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_votes_of_one_annotator_on_a_pair_the_later_one_is_added(
    opened: OpenStudy, tmp_path: Path, order: tuple[int, int]
) -> None:
    first = exported(opened, tmp_path)[:1][0]
    (given,) = first["annotations"]
    side = [{"from_name": "better", "type": "pairwise", "value": {"selected": "right"}}]
    later = given | {"result": side, "created_at": "2026-11-03T10:15:00Z"}
    first["annotations"] = [(given, later)[i] for i in order]
    path = tmp_path / "export.json"
    path.write_text(json.dumps([first]))
    votes = read_label_studio(opened, path).votes
    assert (votes.n_added, votes.n_outdated) == (1, 1)
    assert [vote.choice for vote in load_votes(opened.folder)] == ["right"]
    # Importing the file again adds nothing.
    again = read_label_studio(opened, path).votes
    assert (again.n_added, again.n_duplicate, again.n_outdated) == (0, 1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"annotator": None}, {"created_at": "0001-01-01T00:00:00+14:00"}, {"lead_time": "long"},
        {"created_at": None}, {"ticket": None}, {"ticket": ["x"]},
    ],
)  # fmt: skip
def test_an_odd_row_is_said(opened: OpenStudy, tmp_path: Path, change: dict[str, Any]) -> None:
    rows = to_json_min(exported(opened, tmp_path))[:1]
    with pytest.raises(HarnessError):
        read(opened, tmp_path / "min.json", json.dumps([rows[0] | change]))


def test_cancelled_annotations_do_not_count(opened: OpenStudy, tmp_path: Path) -> None:
    tasks = exported(opened, tmp_path)
    tasks[0]["annotations"][0]["was_cancelled"] = True
    assert read(opened, tmp_path / "export.json", json.dumps(tasks)) == (2, 1)


def test_one_sheet_is_one_annotators(opened: OpenStudy, tmp_path: Path) -> None:
    write_label_studio(opened, tmp_path / "ada.json", "Ada")
    tasks = json.loads((tmp_path / "ada.json").read_text())
    assert tasks != json.loads(json.dumps(exported(opened, tmp_path)))
    with pytest.raises(HarnessError, match="--annotator"):
        read(opened, tmp_path / "x.json", json.dumps(_labelled(tasks)))
    (tmp_path / "x.json").write_text(json.dumps(_labelled(tasks)))
    assert read_label_studio(opened, tmp_path / "x.json", "Ada").votes.n_added == len(tasks)
    assert {vote.annotator for vote in load_votes(opened.folder)} == {"Ada"}


def _labelled(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    result = [{"from_name": "better", "type": "pairwise", "value": {"selected": "left"}}]
    said = {"completed_by": 3, "result": result, "created_at": "2026-11-02T10:15:00Z"}
    return [task | {"annotations": [said]} for task in tasks]


def test_both_formats_hold_the_same_pairs(opened: OpenStudy, tmp_path: Path) -> None:
    write_label_studio(opened, tmp_path / "pairs.json")
    write_label_studio(opened, tmp_path / "pairs.csv")
    rows = rows_of(tmp_path / "pairs.csv")
    assert [{"data": row} for row in rows] == json.loads((tmp_path / "pairs.json").read_text())


def test_the_configuration_names_what_the_pairs_have(opened: OpenStudy, tmp_path: Path) -> None:
    config = ElementTree.parse(write_label_studio(opened, tmp_path / "pairs.json"))
    shown = {tag.get("value", "")[1:] for tag in config.iter("Text")}
    task = json.loads((tmp_path / "pairs.json").read_text())[0]
    assert shown == set(task["data"]) - {"ticket"}


def test_a_spreadsheet_takes_no_answer_for_a_formula(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", texts=(lambda i: f"=cmd|{i}", lambda i: f"@sum({i})"))
    opened = open_study(run, StudyOptions(n=5, attention=0))
    write_label_studio(opened, tmp_path / "pairs.csv")
    for row in rows_of(tmp_path / "pairs.csv"):
        assert row["answer_a"].startswith("'")
        assert row["answer_b"].startswith("'")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"data": {}}]', "[" * 100_000, "null"])
def test_what_is_no_export_is_said(opened: OpenStudy, tmp_path: Path, content: str) -> None:
    with pytest.raises(HarnessError, match="not an export"):
        read(opened, tmp_path / "export.json", content)


def test_other_files_are_refused(opened: OpenStudy, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"\.json or a \.csv"):
        write_label_studio(opened, tmp_path / "pairs.txt")


@pytest.mark.parametrize("kind", ["json", "min"])
def test_no_damage_to_an_export_ends_in_a_traceback(
    opened: OpenStudy, tmp_path: Path, kind: str
) -> None:
    tasks = exported(opened, tmp_path)[1:3]
    path = tmp_path / "export.json"
    for _, content in damaged(tasks if kind == "json" else to_json_min(tasks), every=3):
        path.write_text(json.dumps(content))
        with contextlib.suppress(HarnessError):
            read_label_studio(opened, path)
    assert load_votes(opened.folder)
