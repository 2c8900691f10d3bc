"""Metrics that are computed, on recorded answers: from the plan to the report and its tables."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.computed_study import COLUMNS, write_choices, write_doses
from tests.loopback.server import LoopbackServer

OPTIONS = ("--models", "old,new", "--profile", "profile.yaml")


@pytest.fixture(scope="module")
def doses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doses")
    write_doses(folder)
    done = harness_here("run", "suite.yaml", *OPTIONS, "--format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def result(folder: Path) -> dict:
    return json.loads(next(folder.rglob("results.json")).read_text())


def test_every_rule_has_its_column_and_decides_a_claim(doses: Path) -> None:
    found = result(doses)
    means = {(s["metric"], s["model"]): s["mean"]["estimate"] for s in found["scores"]}
    assert {metric for metric, _ in means} == set(COLUMNS)
    assert means["short", "new"] == 1 - 1 / 120  # the empty answer is not short
    assert means["form", "new"] == pytest.approx(1 / 120)
    assert means["equal", "new"] == pytest.approx(118 / 120)
    assert found["decision"]["verdict"] == "pass"


def test_shares_are_tested_exactly_and_f1_is_not(doses: Path) -> None:
    tests = {c["metric"]: c["test"]["name"] for c in result(doses)["comparisons"]}
    assert tests["dose"] == "McNemar mid-p"
    assert tests["overlap"].startswith("paired sign-flip")


def test_an_ambiguous_number_is_a_gap_in_its_own_words(doses: Path) -> None:
    coverage = {(c["metric"], c["model"]): c for c in result(doses)["coverage"]}
    assert coverage["dose", "old"]["reasons"] == {"ambiguous": 1}
    report = next(doses.rglob("report.md")).read_text()
    assert "'5-10' is not one number with the decimal mark '.'" in report
    assert "no opinion" in report


def test_scores_can_be_extracted(doses: Path) -> None:
    done = harness_here("extract", "latest", "--out", "tables", cwd=doses)
    assert done.returncode == 0, done.stderr
    text = (doses / "tables" / "scores.csv").read_text(encoding="utf-8-sig")
    rows = csv.DictReader(text.splitlines())
    assert {row["metric"] for row in rows} == set(COLUMNS)
    logs = harness_here("extract", "latest", "--out", "logs", "--to", "inspect", cwd=doses)
    assert logs.returncode == 0, logs.stderr


def refused(folder: Path, old: str, new: str) -> Done:
    write_doses(folder, n=12)
    text = (folder / "suite.yaml").read_text()
    assert old in text
    (folder / "suite.yaml").write_text(text.replace(old, new))
    return harness_here("plan", "suite.yaml", *OPTIONS, cwd=folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (", reference: answer", "", "metric 'equal' needs a reference, but item 'q0' (and 11 more) has none"),
        ("reference: answer", "reference: drug", "metric 'dose' needs a reference, but item 'q0' (and 11 more) has 'a', which is not one number"),
    ],
)  # fmt: skip
def test_an_item_without_a_usable_reference_is_refused_by_the_plan(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    done = refused(tmp_path, old, new)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


# --- choices ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def choices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("choices")
    write_choices(folder)
    done = harness_here("run", "suite.yaml", *OPTIONS, "--format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_accuracy_and_readable_answers_stand_side_by_side(choices: Path) -> None:
    means = {(s["metric"], s["model"]): s["mean"]["estimate"] for s in result(choices)["scores"]}
    assert means["accuracy", "new"] == means["accuracy.readable", "new"] == 1
    assert means["accuracy.readable", "old"] == pytest.approx(0.8)
    assert means["accuracy", "old"] == pytest.approx(64 / 120)


def test_choices_are_tested_as_pairs_and_unlike_forms_are_a_caveat(choices: Path) -> None:
    found = result(choices)
    assert {c["test"]["name"] for c in found["comparisons"]} == {"McNemar mid-p"}
    caveats = {caveat["code"]: caveat["text"] for caveat in found["caveats"]}
    assert "'new' states an option on 100.0% of the items and 'old' on 80.0%" in caveats["unlike_readable"]  # fmt: skip


def test_a_question_with_options_is_another_prompt_than_the_question(choices: Path) -> None:
    tasks = result(choices)["plan"]["tasks"]
    assert [list(task["metrics"]) for task in tasks] == [["accuracy"], ["short"]]
    assert tasks[0]["items_hash"] != tasks[1]["items_hash"]


def test_another_order_of_the_options_is_another_plan(choices: Path, tmp_path: Path) -> None:
    write_choices(tmp_path)
    suite = tmp_path / "suite.yaml"
    suite.write_text(suite.read_text().replace("shuffle: true", "shuffle: true, shuffle_seed: 2"))
    done = harness_here("run", "suite.yaml", *OPTIONS, "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert result(tmp_path)["plan"]["hash"] != result(choices)["plan"]["hash"]
    assert result(tmp_path)["scores"] == result(choices)["scores"]  # they chose by the texts


def test_an_item_without_its_right_option_is_refused_by_the_plan(tmp_path: Path) -> None:
    write_choices(tmp_path, n=30)
    suite = tmp_path / "suite.yaml"
    suite.write_text(suite.read_text().replace("answer: label", "answer: text"))
    done = harness_here("plan", "suite.yaml", *OPTIONS, cwd=tmp_path)
    assert done.returncode == 2
    assert "item 'q0' (and 29 more) has the reference 'A', which is the text of none" in done.stderr
    assert "state 'answer: label'" in done.stderr


def test_a_model_behind_an_endpoint_is_shown_the_options_and_chooses_by_letter(
    tmp_path: Path,
) -> None:
    write_choices(tmp_path, n=40)

    def choose(body: dict[str, Any]) -> str:
        prompt = body["messages"][-1]["content"]
        number = int(re.findall(r"case (\d+)\?", prompt)[0])
        letters = dict(re.findall(r"^([A-C])\) drug ([abc])", prompt, re.MULTILINE))
        if not letters:
            return "no options were shown"
        by_text = {text: letter for letter, text in letters.items()}
        shift = 1 if body["model"] == "old" and number % 4 == 0 else 0
        return f"Let me think about A, B and C.\n\nAnswer: {by_text['abc'[(number + shift) % 3]]}"

    with LoopbackServer(choose) as server:
        ask = f"base_url: '{server.base_url}'"
        (tmp_path / "profile.yaml").write_text(
            f"profile: there\nmodels:\n  old: {{endpoint: {{model: old, {ask}}}}}\n"
            f"  new: {{endpoint: {{model: new, {ask}}}}}\n"
        )
        suite = tmp_path / "suite.yaml"
        suite.write_text(suite.read_text().replace("value: 0.9", "value: 0.8"))
        done = harness_here("run", "suite.yaml", *OPTIONS, "--format", "json", cwd=tmp_path)
    assert done.returncode in (0, 1, 3), done.stderr
    means = {(s["metric"], s["model"]): s["mean"]["estimate"] for s in result(tmp_path)["scores"]}
    assert means["accuracy", "new"] == 1
    assert means["accuracy", "old"] == 0.75
    assert means["accuracy.readable", "old"] == 1
    assert server.counts["ok"] == 2 * 2 * 40  # with the options, and for the other metric without
