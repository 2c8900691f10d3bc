"""Metrics that are computed, on recorded answers: from the plan to the report and its tables."""

import csv
import json
from pathlib import Path

import pytest

from tests.builders.commands import Done, harness
from tests.builders.computed_study import COLUMNS, write_doses

OPTIONS = ("--models", "old,new", "--profile", "profile.yaml")


@pytest.fixture(scope="module")
def doses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doses")
    write_doses(folder)
    done = harness("run", "suite.yaml", *OPTIONS, "--format", "json", cwd=folder)
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
    done = harness("extract", "latest", "--out", "tables", cwd=doses)
    assert done.returncode == 0, done.stderr
    text = (doses / "tables" / "scores.csv").read_text(encoding="utf-8-sig")
    rows = csv.DictReader(text.splitlines())
    assert {row["metric"] for row in rows} == set(COLUMNS)
    logs = harness("extract", "latest", "--out", "logs", "--to", "inspect", cwd=doses)
    assert logs.returncode == 0, logs.stderr


def refused(folder: Path, old: str, new: str) -> Done:
    write_doses(folder, n=12)
    text = (folder / "suite.yaml").read_text()
    assert old in text
    (folder / "suite.yaml").write_text(text.replace(old, new))
    return harness("plan", "suite.yaml", *OPTIONS, cwd=folder)


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
