"""Choices by likelihood from suite to verdict, beside what the same models say."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from harness.core.errors import HarnessError
from harness.human.annotate.study import StudyOptions, open_study
from tests.builders.commands import harness_here
from tests.builders.files import write, write_rows
from tests.builders.tiny import make_tiny_model

SUITE = """\
suite: likely
data: {source: {path: items.jsonl, fields: {id: id, input: q, choices: options, reference: key}}ANSWERS}
generation: {max_new_tokens: 2, system: system.md, temperature: 0.5}
metrics:
  likeliest: {kind: choice, scoring: likelihood, answer: label}
  said: {kind: choice, answer: label}
gate:
  max_unscored: 0.1
  claims: [{metric: likeliest.acc, claim: non_inferior, margin: 0.4}]
"""
PROFILE = """\
profile: likely
models:
  old: {checkpoint: old}
  new: {checkpoint: new}
  far: {endpoint: {model: m, base_url: 'http://127.0.0.1:9/v1'}}
"""
RUN = ("run", "suite.yaml", "--profile", "profile.yaml", "--format", "json", "--models")


def write_world(folder: Path, *, answers: str = "") -> None:
    """Twenty items, of which the last is longer than the models' context."""
    rows = [
        {"id": f"q{i}", "q": f"Could case {i} be asthma?", "key": "ABC"[i % 3],
         "options": {"A": "see a doctor", "B": "cough", "C": "xyz" * 200 if i == 19 else "night"}}
        for i in range(20)
    ]  # fmt: skip
    write_rows(folder / "items.jsonl", rows)
    write(folder / "system.md", "You are kind.")
    write(folder / "suite.yaml", SUITE.replace("ANSWERS", answers))
    write(folder / "profile.yaml", PROFILE)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("likely")
    write_world(folder)
    for name in ("old", "new"):
        make_tiny_model(folder / name, context=400)
    done = harness_here(*RUN, "old,new", cwd=folder)
    assert done.returncode in (0, 3), done.stderr
    return folder


def run_folder(world: Path) -> Path:
    (folder,) = (world / "runs" / "likely").iterdir()
    return folder


def results(world: Path) -> Any:
    return json.loads((run_folder(world) / "results.json").read_text())


def test_both_numbers_have_columns_of_their_own(world: Path) -> None:
    columns = {score["metric"] for score in results(world)["scores"]}
    assert columns == {"said.readable", "said", "likeliest.acc", "likeliest.acc_norm"}


def test_equal_models_are_equally_right_by_an_exact_test(world: Path) -> None:
    found = {c["metric"]: c for c in results(world)["comparisons"]}["likeliest.acc"]
    assert (found["baseline_mean"], found["n"]) == (found["candidate_mean"], 19)
    assert found["test"]["name"].startswith("McNemar")


def test_an_item_beyond_the_context_is_unscored_with_its_reason(world: Path) -> None:
    rows = pq.read_table(run_folder(world) / "judgements.parquet").to_pylist()
    unscored = [row for row in rows if row["metric"] == "likeliest" and row["reason"]]
    assert {row["sample_id"] for row in unscored} == {"q19"}
    assert all("too long: prompt and option A have " in row["reason"] for row in unscored)


def test_each_way_of_asking_is_a_task_of_its_own(world: Path) -> None:
    tasks = results(world)["plan"]["tasks"]
    assert [task["name"] for task in tasks] == ["items", "items for said"]
    assert [task["system"] for task in tasks] == [None, "You are kind."]
    answers = pq.read_table(run_folder(world) / "answers.parquet").to_pylist()
    assert len({(row["task"], row["sample_id"], row["model"]) for row in answers}) == len(answers)


def test_the_report_tells_numbers_from_answers(world: Path) -> None:
    report = (run_folder(world) / "report.md").read_text()
    assert "log-probabilities of the options, no answer" in report
    assert {flags["task"] for flags in results(world)["hygiene"]} == {"items for said"}


def test_nothing_is_computed_twice(world: Path) -> None:
    before = results(world)
    done = harness_here(*RUN, "old,new", cwd=world)
    assert "answers items" not in done.stderr
    assert results(world)["scores"] == before["scores"]


def test_a_run_can_be_exported(world: Path) -> None:
    done = harness_here("extract", str(run_folder(world)), "--out", "tables", cwd=world)
    assert done.returncode == 0, done.stderr
    assert '{""A"": -' in (world / "tables" / "answers.csv").read_text()


def test_an_endpoint_is_refused_by_the_plan(world: Path) -> None:
    done = harness_here("plan", *RUN[1:4], "--models", "old,far", cwd=world)
    assert done.returncode == 2
    assert "metric 'likeliest': model 'far' is asked at 127.0.0.1:9, and endpoints give no " in done.stderr  # fmt: skip


def test_the_same_numbers_are_not_asked_for_again(tmp_path: Path) -> None:
    write_world(tmp_path, answers=", answers: 2")
    done = harness_here("plan", *RUN[1:4], "--models", "old,new", cwd=tmp_path)
    assert done.returncode == 2
    assert "metric 'likeliest': 'answers: 2' asks again for log-probabilities" in done.stderr


def write_records(folder: Path) -> None:
    """Three models on record: log-probabilities of two, and what the third says."""
    write_world(folder)
    records = {
        "old": '{"A": -1.0, "B": -2.0, "C": -3.0}',
        "new": '{"A": -3.0, "B": -2.0, "C": -1.0}',
        "said": "Answer: B",
    }
    for name, text in records.items():
        write_rows(folder / f"{name}.jsonl", [{"id": f"q{i}", "text": text} for i in range(20)])
    models = "".join(
        f"  {name}: {{recorded: {{path: {name}.jsonl, fields: {{id: id, response: text}}}}}}\n"
        for name in records
    )
    write(folder / "profile.yaml", f"profile: recorded\nmodels:\n{models}")


def test_recorded_log_probabilities_are_scored_and_other_answers_are_not(tmp_path: Path) -> None:
    write_records(tmp_path)
    done = harness_here(*RUN, "old,new", cwd=tmp_path)
    assert done.returncode in (0, 1, 3), done.stderr
    counts = {(s["metric"], s["model"]): s["n"] for s in results(tmp_path)["scores"]}
    assert counts["likeliest.acc", "new"] == 20
    refused = harness_here(*RUN, "old,said", cwd=tmp_path)
    assert refused.returncode == 4
    assert "unreadable: no log-probability of each option (A, B, C), as JSON (20 times)" in refused.stderr  # fmt: skip


def test_people_are_shown_answers_and_no_numbers(world: Path, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="items for said: the two models gave no two different"):
        open_study(run_folder(world), StudyOptions())
    write_records(tmp_path)
    suite = (tmp_path / "suite.yaml").read_text()
    write(tmp_path / "suite.yaml", suite.replace("  said: {kind: choice, answer: label}\n", ""))
    harness_here(*RUN, "old,new", cwd=tmp_path)
    with pytest.raises(HarnessError, match="log-probabilities of options and no answers"):
        open_study(run_folder(tmp_path), StudyOptions())
