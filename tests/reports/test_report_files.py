"""results.json, plan.json, junit.xml, and how a run folder is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.artifacts.results_json import dump_plan, dump_result, load_result, results_schema
from harness.core.errors import HarnessError, InfrastructureError
from harness.types import RunResult
from reports import render_junit, write_reports
from tests.builders.hostile import PAYLOADS, hostile_run
from tests.builders.results import (
    ALL_RUNS,
    failing_run,
    inconclusive_run,
    passing_run,
    run_without_gate,
)
from tests.builders.sealed import sealed

Run = Callable[[], RunResult]
FILES = ["badge.svg", "junit.xml", "plan.json", "report.html", "report.md", "results.json"]


@pytest.mark.parametrize("run", ALL_RUNS.values(), ids=ALL_RUNS)
def test_all_reports_are_rendered_again_from_results_json_alone(run: Run, tmp_path: Path) -> None:
    write_reports(sealed(run()), tmp_path / "first")
    write_reports(load_result(tmp_path / "first"), tmp_path / "second")
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_the_order_of_mappings_does_not_change_a_byte() -> None:
    result = passing_run()
    turned = dict(reversed(result.environment.items()))
    assert dump_result(result.model_copy(update={"environment": turned})) == dump_result(result)


def test_results_json_is_sorted_utf8_with_a_newline_and_without_items() -> None:
    content = dump_result(passing_run())
    saved = json.loads(content)
    assert content.endswith(b"}\n")
    assert list(saved) == sorted(saved)
    assert "samples" not in saved["plan"]["tasks"][0]


def test_plan_json_has_the_hashes_of_the_items_but_not_the_items() -> None:
    plan = json.loads(dump_plan(passing_run().plan))
    assert plan["tasks"][0]["items_hash"] == "77aa" * 16
    assert "samples" not in plan["tasks"][0]


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_result(passing_run().model_copy(update={"seconds": float("nan")}))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_survives_results_json(payload: str, tmp_path: Path) -> None:
    whole = passing_run()
    result = sealed(whole.model_copy(update={"examples": hostile_run(payload).examples}))
    (tmp_path / "results.json").write_bytes(dump_result(result))
    answers = [example.baseline for example in load_result(tmp_path).examples]
    assert answers == [example.baseline for example in result.examples]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"run_id": NaN}', b"\xff", b"{}"])
def test_a_damaged_results_json_is_an_error_with_a_remedy(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(HarnessError, match="Run `harness run` again"):
        load_result(tmp_path)


def test_a_folder_without_results_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no such file"):
        load_result(tmp_path)


def test_the_schema_describes_what_is_written() -> None:
    schema: dict[str, Any] = results_schema()
    written = json.loads(dump_result(passing_run()))
    assert schema["title"] == "RunResult"
    assert schema["properties"].keys() == written.keys()
    assert "samples" not in schema["$defs"]["Task"]["properties"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_junit_is_well_formed_whatever_the_text(payload: str) -> None:
    suite = ElementTree.fromstring(render_junit(hostile_run(payload)))
    assert len(suite.findall("testcase")) == 4  # the gate, two claims and a rule


def test_an_inconclusive_claim_is_a_failure_in_junit() -> None:
    suite = ElementTree.fromstring(render_junit(inconclusive_run()))
    failures = [failure.get("type") for failure in suite.iter("failure")]
    assert failures == ["inconclusive", "inconclusive"]
    assert suite.get("failures") == "2"


def test_a_failed_claim_fails_its_case_and_the_gates() -> None:
    suite = ElementTree.fromstring(render_junit(failing_run()))
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["gate", "rubric.correctness non-inferior (margin 0.25)"]


def test_claims_that_were_not_needed_are_skipped() -> None:
    result = failing_run()
    assert result.decision
    assert result.plan.gate
    one_is_enough = result.plan.gate.model_copy(update={"require": "any"})
    passed = result.model_copy(
        update={
            "plan": result.plan.model_copy(update={"gate": one_is_enough}),
            "decision": result.decision.model_copy(update={"verdict": "pass"}),
        }
    )
    suite = ElementTree.fromstring(render_junit(passed))
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")


def test_a_run_without_a_gate_is_skipped_in_junit() -> None:
    suite = ElementTree.fromstring(render_junit(run_without_gate()))
    assert (suite.get("tests"), suite.get("skipped")) == ("1", "1")


def test_reports_are_private_and_leave_no_temporary_file(tmp_path: Path) -> None:
    html = write_reports(passing_run(), tmp_path / "runs" / "new")
    assert sorted(path.name for path in html.parent.iterdir()) == FILES
    assert html.stat().st_mode & 0o077 == 0


def test_a_report_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises(InfrastructureError, match=r"taken.*could not write"):
        write_reports(passing_run(), tmp_path / "taken")
