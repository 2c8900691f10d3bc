"""People's labels on the statements of answers, and the judge of statements that is held against them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.files import write, write_rows

N_ITEMS, N_STATEMENTS = 60, 4
ANSWER = " ".join(f"This is statement number {n}." for n in range(N_STATEMENTS))
SUITE = """\
suite: answered
data:
  source: {path: items.jsonl, fields: {id: id, input: question}}
metrics:
  grounded: {kind: grounded}
  cited: {kind: citation}
gate:
  judge_licence: {metric: kappa, at_least: 0.6}
  claims: [{metric: grounded, claim: superior}]
"""
RECORDED = "{path: MODEL.jsonl, fields: {id: id, place: n, supported: ok}}"
PROFILE = f"""\
profile: there
models:
  old: {{recorded: {{path: items.jsonl, fields: {{id: id, response: text}}}}}}
  new: {{recorded: {{path: items.jsonl, fields: {{id: id, response: text}}}}}}
judges:
  default:
    recorded:
      grounded: {{old: {RECORDED.replace("MODEL", "old")}, new: {RECORDED.replace("MODEL", "new")}}}
      cited: {{old: {RECORDED.replace("MODEL", "old")}, new: {RECORDED.replace("MODEL", "new")}}}
    calibrated_by: {{labels: labels.csv, drawn: random}}
"""


def judged(model: str, item: int, place: int) -> int:
    """Of four statements the judge finds the first supported, of every second item the next, and of new a third."""
    return int(place < 1 + item % 2 + (model == "new"))


def label_lines(says: Any) -> list[str]:
    return [
        f"q{i},Ada,{model},{place},{says(model, i, place)}"
        for i in range(N_ITEMS)
        for model in ("old", "new")
        for place in range(N_STATEMENTS)
    ]


def run(folder: Path, labels: list[str], column: str = "grounded") -> Done:
    items = [{"id": f"q{i}", "question": "What is it?", "text": ANSWER} for i in range(N_ITEMS)]
    write_rows(folder / "items.jsonl", items)
    for model in ("old", "new"):
        rows = [
            {"id": f"q{i}", "n": place, "ok": judged(model, i, place)}
            for i in range(N_ITEMS)
            for place in range(N_STATEMENTS)
        ]
        write_rows(folder / f"{model}.jsonl", rows)
    write(folder / "labels.csv", "\n".join([f"item,annotator,model,statement,{column}", *labels]))
    write(folder / "suite.yaml", SUITE)
    write(folder / "there.yaml", PROFILE)
    command = ("run", "suite.yaml", "--models", "old,new", "--profile", "there.yaml")
    return harness_here(*command, cwd=folder)


def decision(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(folder.rglob("results.json")).read_text())["decision"]
    return found


def test_a_judge_of_statements_that_says_what_people_say_decides(tmp_path: Path) -> None:
    done = run(tmp_path, label_lines(judged))
    assert done.returncode == 0, done.stderr
    (check,) = decision(tmp_path)["licences"]
    assert check["held"]
    (confirmed,) = decision(tmp_path)["confirmations"]
    assert (confirmed["by_labels"], confirmed["by_judge"]) == (0.25, 0.25)


def test_a_judge_of_statements_whom_people_contradict_passes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, label_lines(lambda model, i, place: int(i % 3 == place)))
    assert done.returncode == 3, done.stderr
    found = decision(tmp_path)
    assert found["verdict"] == "inconclusive"
    assert "The judge is not shown to agree with people" in found["sentence"]


def test_labels_of_one_metric_are_none_of_another(tmp_path: Path) -> None:
    done = run(tmp_path, label_lines(judged), "cited")
    assert done.returncode == 3
    assert "nobody gave a score for 'grounded'" in " ".join(decision(tmp_path)["sentence"].split())


def test_calibrate_holds_the_judge_against_the_share_of_supported_statements(
    tmp_path: Path,
) -> None:
    run(tmp_path, label_lines(lambda model, i, place: int(place < 2)))
    done = harness_here("calibrate", "latest", "--labels", "labels.csv", "--random", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(next(tmp_path.rglob("calibration.json")).read_text())["judges"]
    # The judge's share of an answer is 1/4, 2/4 or 3/4, and people's always 2/4.
    assert found["percent"]["estimate"] == 0.5
    assert found["categories"] == []
    assert (
        "verdicts of people and of the judge"
        not in next(tmp_path.rglob("calibration.md")).read_text()
    )
    assert "confusion matrix" not in done.stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q0,Ada,old,0,2", "grounded 2 of a statement is neither yes nor no"),
        ("q0,Ada,old,,1", "has no 'statement' that it is about"),
        ("q0,Ada,old,1,1", "statement '1' has a score before, of Ada on old and item 'q0'"),
    ],
)
def test_a_label_on_no_statement_or_one_labelled_before_is_refused_with_its_line(
    tmp_path: Path, line: str, message: str
) -> None:
    done = run(tmp_path, ["q0,Ada,old,1,1", line])
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "labels.csv:3" in said
    assert message in said


def test_people_cannot_judge_statements_in_the_place_of_a_judge(tmp_path: Path) -> None:
    run(tmp_path, label_lines(judged))
    people = PROFILE.partition("    recorded:\n")[0] + "    people: {labels: labels.csv}\n"
    write(tmp_path / "there.yaml", people)
    command = ("run", "suite.yaml", "--models", "old,new", "--profile", "there.yaml")
    done = harness_here(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert "takes a verdict on each criterion or statement" in " ".join(done.stderr.split())
