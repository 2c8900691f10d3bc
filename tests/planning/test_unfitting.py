"""Recorded rows that fit no item of a run are counted where the run is planned, and where it is reported."""

import json
from pathlib import Path

import pytest

from harness.artifacts.results_json import load_result
from tests.builders.commands import harness_here
from tests.builders.recorded import write_study

OPTIONS = ("suite.yaml", "--profile", "profile.yaml", "--models", "old,new", "--format", "json")
SAID = [
    "2 of 152 recorded answers of 'new' fit no item of this run and are not used (joined by id).",
    "rubric: recorded verdicts on 1 of 151 items in graded_new.jsonl fit no item of this run and are not used.",
]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with rows of another data set in its files."""
    folder = write_study(tmp_path, shifts={"old": 0, "new": 1})
    for name, rows in {
        "new": [{"id": "zz-1", "answer": "?"}, {"id": "zz-2", "answer": "?"}],
        "graded_new": [{"id": "zz-1", "safety": 1, "why": "?"}],
    }.items():
        with (folder / f"{name}.jsonl").open("a") as file:
            file.writelines(f"{json.dumps(row)}\n" for row in rows)
    return folder


def test_a_plan_warns_of_them(study: Path) -> None:
    plan = json.loads(harness_here("plan", *OPTIONS, cwd=study).stdout)
    assert plan["unfitting"] == SAID
    said = harness_here("plan", *OPTIONS[:-2], cwd=study).stdout
    assert "WARNING: 2 of 152 recorded answers of 'new'" in said


def test_a_run_has_a_caveat_on_each_file(study: Path) -> None:
    said = json.loads(harness_here("run", *OPTIONS, cwd=study).stdout)
    caveats = load_result(study / said["folder"]).caveats
    assert [caveat.text for caveat in caveats if caveat.code == "fits_no_item"] == SAID


def test_the_first_items_of_a_data_set_leave_rows_by_intention(study: Path) -> None:
    plan = json.loads(harness_here("plan", *OPTIONS, "--limit", "100", cwd=study).stdout)
    assert plan["unfitting"] == []
