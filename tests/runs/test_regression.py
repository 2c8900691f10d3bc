"""Regression checks: never a pass where nothing was shown."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from harness.artifacts.run_folder import Run
from harness.cli import app
from harness.core.errors import HarnessError
from harness.runs.regression import Baseline, bless_run, check_run, read_baseline, write_baseline
from reports.junit import render_check_junit
from reports.regression import COMMENT_MARK, describe_check, render_check
from tests.builders.edited_items import edited_runs
from tests.builders.scored import N, grades, make_run, wins
from tests.builders.sealed import write_whole_run


def blessed(margin: float = 0.5) -> Baseline:
    return bless_run(make_run(grades()), margins={"rubric.safety": margin})


def test_a_run_that_is_no_worse_passes() -> None:
    check = check_run(make_run(grades(0.2), run_id="b" * 12), blessed())
    assert check.decision.verdict == "pass"


def test_a_run_that_is_worse_by_more_than_the_margin_fails() -> None:
    check = check_run(make_run(grades(-2.0), run_id="b" * 12), blessed())
    assert check.decision.verdict == "fail"
    assert check.flips[0].n_worse > 100


def test_what_cannot_be_told_is_no_pass() -> None:
    check = check_run(make_run(grades(seed=2), run_id="b" * 12), blessed(margin=0.05))
    assert check.decision.verdict == "inconclusive"


def test_a_baseline_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "baselines" / "dpo.json"
    write_baseline(blessed(), path)
    assert read_baseline(path) == blessed()
    assert path.read_text().count("\n") > 5  # a line for each column


def test_without_margins_the_claimed_columns_are_held_at_a_twentieth_of_their_range() -> None:
    baseline = bless_run(make_run(grades(), wins()))
    assert {name: column.margin for name, column in baseline.columns.items()} == {
        "rubric.safety": pytest.approx(0.45)
    }


def test_a_margin_for_what_is_not_measured_is_refused() -> None:
    with pytest.raises(HarnessError, match=r"Did you mean 'rubric\.safety'"):
        bless_run(make_run(grades()), margins={"rubric.safty": 0.5})


@pytest.mark.parametrize("margin", [0.0, 9.0, -1.0])
def test_a_margin_that_excuses_everything_or_nothing_is_refused(margin: float) -> None:
    with pytest.raises(HarnessError, match="must be between 0 and the range"):
        bless_run(make_run(grades()), margins={"rubric.safety": margin})


def test_a_missing_column_is_never_a_pass() -> None:
    with pytest.raises(HarnessError, match=r"the run has no 'rubric\.safety'"):
        check_run(make_run(wins()), blessed())


def test_another_judge_is_never_a_pass() -> None:
    with pytest.raises(HarnessError, match="differs from the baseline in judge of rubric"):
        check_run(make_run(grades(), judge="other"), blessed())


def test_an_edited_item_is_named_and_the_others_are_checked_on_request(tmp_path: Path) -> None:
    old, new = edited_runs(tmp_path)
    write_baseline(bless_run(old, margins={"rubric.safety": 0.5}), tmp_path / "baseline.json")
    baseline = read_baseline(tmp_path / "baseline.json")
    with pytest.raises(HarnessError, match=r"1 of 'questions' edited \(q7\).*--common-items"):
        check_run(new, baseline)
    decision = check_run(new, baseline, common_items=True).decision
    assert decision.verdict == "pass"
    assert decision.claims[0].n == N - 1
    assert "edited (q7)" in decision.sentence


def test_a_baseline_without_its_items_says_only_that_they_differ(tmp_path: Path) -> None:
    old, new = edited_runs(tmp_path)
    baseline = bless_run(old).model_copy(update={"items": {}})
    with pytest.raises(HarnessError, match="differs from the baseline in items of questions"):
        check_run(new, baseline, common_items=True)


@pytest.mark.parametrize("content", ["", "{}", '{"columns": {}}', "not json"])
def test_a_damaged_baseline_is_never_a_pass(tmp_path: Path, content: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(HarnessError, match="not a valid baseline file"):
        read_baseline(path)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('"schema_version": 1', '"schema_version": 2'),
        ('"scores": [', '"scores": [5.0, '),
        ('"scores": [', '"scores": [99.0, '),
        ('"scores": [', '"scores": [NaN, '),
        ('"margin": 0.5', '"margin": 9.0'),
        ('"margin": 0.5', '"margin": NaN'),
    ],
)
def test_a_baseline_that_was_tampered_with_is_never_a_pass(
    tmp_path: Path, was: str, now: str
) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(blessed(), path)
    text = path.read_text()
    assert was in text
    if now not in {'"scores": [5.0, '}:  # else one score too many
        text = re.sub(r'("scores": \[)[^,]+, ', r"\1", text)
    path.write_text(text.replace(was, now))
    with pytest.raises(HarnessError, match="not a valid baseline file"):
        read_baseline(path)


def test_the_outcome_is_told_for_people_and_for_a_pull_request() -> None:
    check = check_run(make_run(grades(-2.0), run_id="b" * 12), blessed())
    assert next(iter(describe_check(check))).startswith("fail: dpo against dpo (baseline)")
    assert "| ❌ | rubric.safety | -" in render_check(check)


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        (0.0, "nothing to do."),
        (-2.0, "read what became worse on rubric.safety"),
        (-0.5, "No number of items"),
    ],
)
def test_a_check_says_what_to_do_next(shift: float, said: str) -> None:
    check = check_run(make_run(grades(shift), run_id="b" * 12), blessed())
    assert list(describe_check(check))[2].startswith(f"  next: {said}")
    assert f"\nNext: {said}" in render_check(check)


def test_a_worse_column_is_a_failure_in_junit() -> None:
    check = check_run(make_run(grades(-2.0), run_id="b" * 12), blessed())
    suite = ElementTree.fromstring(render_check_junit(check))
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")
    assert [failure.get("type") for failure in suite.iter("failure")] == ["fail"]


def test_what_cannot_be_told_is_a_failure_in_junit() -> None:
    check = check_run(make_run(grades(seed=2), run_id="b" * 12), blessed(margin=0.05))
    assert ElementTree.fromstring(render_check_junit(check)).get("failures") == "1"


def test_several_checks_are_suites_of_one_junit_file() -> None:
    runs = make_run(grades(0.2), run_id="b" * 12), make_run(grades(-2.0), run_id="c" * 12)
    suites = ElementTree.fromstring(
        render_check_junit(*(check_run(run, blessed()) for run in runs))
    )
    assert suites.tag == "testsuites"
    assert [suite.get("failures") for suite in suites] == ["0", "1"]


def write_run(out: Path, run: Run) -> Path:
    return write_whole_run(run, out / "suite" / run.result.run_id)


def test_checking_several_runs_fails_where_one_is_worse(tmp_path: Path) -> None:
    write_baseline(blessed(), tmp_path / "baseline.json")
    good = write_run(tmp_path, make_run(grades(0.2), run_id="b" * 12))
    bad = write_run(tmp_path, make_run(grades(-2.0), run_id="c" * 12))
    options = ["--baseline", str(tmp_path / "baseline.json"), "--format", "json"]
    codes = [
        CliRunner().invoke(app, ["check", *map(str, runs), *options]).exit_code
        for runs in ([good], [good, bad], [bad, good], [good, good])
    ]
    assert codes == [0, 1, 1, 0]


def test_a_check_of_the_latest_run_where_there_is_none_replaces_the_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_OUT", str(tmp_path / "none"))
    write_baseline(blessed(), tmp_path / "baseline.json")
    junit = tmp_path / "check.xml"
    junit.write_bytes(render_check_junit(check_run(make_run(grades(0.2)), blessed())))
    arguments = ["check", "latest", "--baseline", str(tmp_path / "baseline.json")]
    done = CliRunner().invoke(app, [*arguments, "--junit", str(junit)])
    assert isinstance(done.exception, HarnessError)
    assert ElementTree.parse(junit).getroot().get("errors") == "1"


def test_a_check_that_was_not_made_replaces_the_files_of_the_last_one(tmp_path: Path) -> None:
    junit, comment = tmp_path / "check.xml", tmp_path / "comment.md"
    junit.write_bytes(render_check_junit(check_run(make_run(grades(0.2)), blessed())))
    done = CliRunner().invoke(
        app, ["check", str(tmp_path), "--junit", str(junit), "--comment", str(comment)]
    )
    assert isinstance(done.exception, HarnessError)
    assert ElementTree.parse(junit).getroot().get("errors") == "1"
    assert comment.read_text().startswith(COMMENT_MARK)
    assert "could not run" in comment.read_text()
