"""Releases over several suites of recorded answers: run, read, decided and reported together."""

import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from harness.artifacts.run_folder import load_run
from harness.cli import app
from harness.core.errors import HarnessError
from harness.runs.regression import bless_run, write_baseline
from tests.builders.files import write
from tests.builders.recorded import SUITE, write_study

REQUIRED = "{suite: suite.yaml, role: required}"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of a study in which dpo is safer than sft, and worse is less safe."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "hard.yaml", SUITE.replace("superior", "superior, margin: 3"))
    write(tmp_path / "open.yaml", SUITE.partition("gate:")[0])
    return write_study(tmp_path, shifts={"sft": 0.0, "dpo": 1.0, "worse": -2.0})


def release(*parts: str, models: str = "sft,dpo") -> Result:
    listed = "".join(f"  - {part}\n" for part in parts)
    write(Path("policy.yaml"), f"release: assistant\nsuites:\n{listed}")
    options = ["--profile", "profile.yaml", "--models", models]
    return CliRunner().invoke(app, ["release", "policy.yaml", *options], catch_exceptions=False)


def run(models: str = "sft,dpo", suite: str = "suite.yaml") -> Path:
    options = ["--profile", "profile.yaml", "--models", models, "--format", "json"]
    done = CliRunner().invoke(app, ["run", suite, *options])
    return Path(json.loads(done.stdout)["folder"])


def decided() -> Mapping[str, str]:
    """The verdict of each test case of the release's junit.xml."""
    cases = ElementTree.parse("runs/releases/assistant/junit.xml").iter("testcase")
    return {case.get("name", ""): case[0].tag if len(case) else "pass" for case in cases}


def test_a_release_passes_where_every_required_suite_passes(world: Path) -> None:
    done = release(REQUIRED, "{suite: hard.yaml, role: shown}")
    assert done.exit_code == 0, done.output
    assert "Every required suite passes (1)." in done.output
    assert decided() == {"release": "pass", "small (required)": "pass", "small (shown)": "skipped"}


def test_a_required_suite_that_fails_fails_the_release(world: Path) -> None:
    assert release(REQUIRED, "{suite: hard.yaml, role: required}").exit_code == 1


def test_finished_runs_are_read_and_linked_to(world: Path) -> None:
    folder = run()
    assert release(f"{{run: {folder}, role: required}}", models="").exit_code == 0
    page = Path("runs/releases/assistant/report.html").read_text()
    assert f'href="../../small/{folder.name}/report.html"' in page


def test_a_suite_that_was_run_before_is_the_same_run_and_try(world: Path) -> None:
    folder = run()
    ledger = Path(".harness/ledger.jsonl").read_text()
    release(REQUIRED)
    assert [path.name for path in Path("runs/small").iterdir()] == [folder.name]
    assert Path(".harness/ledger.jsonl").read_text().count("\n") == ledger.count("\n")


def test_what_is_watched_raises_an_alarm_where_it_is_worse_than_its_baseline(world: Path) -> None:
    better = load_run(run())
    write_baseline(bless_run(better, margins={"rubric.safety": 0.5}), Path("b.json"))
    write(world / "any.yaml", SUITE.replace("superior", "at_least, value: 2"))
    done = release(
        "{suite: any.yaml, role: required}",
        "{suite: suite.yaml, role: watched, baseline: b.json}",
        models="sft,worse",
    )
    assert done.exit_code == 1
    assert "1 regression alarm of 1 watched" in done.output


def test_a_suite_may_be_required_and_watched_and_is_run_once(world: Path) -> None:
    write_baseline(bless_run(load_run(run()), margins={"rubric.safety": 0.5}), Path("b.json"))
    done = release(REQUIRED, "{suite: suite.yaml, role: watched, baseline: b.json}")
    assert done.exit_code == 0, done.output
    assert "1 of 1 required pass" in Path("runs/releases/assistant/report.html").read_text()
    assert len(list(Path("runs/small").iterdir())) == 1


def test_a_run_of_another_checkpoint_is_refused_before_any_suite_is_run(world: Path) -> None:
    runs = run("sft,worse"), run()
    with pytest.raises(HarnessError, match="different models as candidate: 'worse' is"):
        release("{suite: hard.yaml, role: required}", *(f"{{run: {r}, role: shown}}" for r in runs))
    assert len([*Path("runs/small").iterdir()]) == len(runs)


@pytest.mark.parametrize(
    ("models", "message"),
    [("dpo,sft", "has 'dpo' as candidate, and --models names 'sft'"),
     ("worse,dpo", "has 'sft' as baseline, and --models names 'worse'"),
     ("sft", "has 'dpo' as candidate, and --models names 'sft'")],
)  # fmt: skip
def test_finished_runs_of_other_models_than_those_named_are_refused(
    world: Path, models: str, message: str
) -> None:
    finished = f"{{run: {run()}, role: required}}"
    with pytest.raises(HarnessError, match=message):
        release(finished, models=models)
    assert release(finished).exit_code == 0


def test_a_run_that_is_missing_leaves_no_pass_and_its_own_words(world: Path) -> None:
    done = release(REQUIRED, "{run: runs/small/gone, role: required}")
    assert done.exit_code == 3
    assert "runs/small/gone (required) has no result" in done.output
    assert "no such file" in Path("runs/releases/assistant/report.md").read_text()
    assert decided()["runs/small/gone (required)"] == "error"


def test_a_run_whose_files_were_changed_ends_with_4(world: Path) -> None:
    folder = run()
    text = (folder / "results.json").read_text()
    (folder / "results.json").write_text(text.replace('"verdict": "fail"', '"verdict": "pass"'))
    (folder / "scores.parquet").write_bytes(b"changed")
    done = release(f"{{run: {folder}, role: required}}")
    assert done.exit_code == 4
    assert decided()["release"] == "failure"


def test_a_check_that_is_refused_leaves_no_pass(world: Path) -> None:
    write_baseline(bless_run(load_run(run()), margins={"rubric.safety": 0.5}), Path("b.json"))
    write(world / "other.yaml", SUITE.replace("Is it safe", "Is it harmless"))
    done = release(REQUIRED, "{suite: other.yaml, role: watched, baseline: b.json}")
    assert done.exit_code == 3
    assert "the run differs from the baseline in" in done.output


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            ["{suite: suite.yaml, role: told}"],
            "policy.yaml:3: .*'told' is unknown. Known: required, shown",
        ),
        (["{suite: suite.yaml, role: shown}"], "no suite is 'required'"),
        (["{role: required}"], "name either a 'suite' to run or a finished 'run'"),
        ([REQUIRED, REQUIRED], "policy.yaml:4: .*'suite.yaml' is named twice as required"),
        ([REQUIRED, "{suite: hard.yaml, role: watched}"], "what is watched needs a 'baseline'"),
        (["{suite: a.yaml, role: required, baseline: b.json}"], "only what is watched has"),
        ([REQUIRED, "{suite: hrd.yaml, role: shown}"], "hrd.yaml: no such suite"),
        ([REQUIRED, "{suite: hard.yaml, role: watched, baseline: c.json}"], "c.json: no such file"),
        (["{suite: open.yaml, role: required}"], "'open.yaml' has no gate"),
    ],
)
def test_a_mistake_in_a_policy_is_found_before_anything_is_run(
    world: Path, parts: list[str], words: str
) -> None:
    with pytest.raises(HarnessError, match=words):
        release(*parts)
    assert not Path("runs/small").exists()


def test_a_suite_needs_models_and_a_policy_is_no_suite(world: Path) -> None:
    with pytest.raises(HarnessError, match="name its models, baseline first, with --models"):
        release(REQUIRED, models="")
    with pytest.raises(HarnessError, match="is a suite, and a release is needed here"):
        CliRunner().invoke(app, ["release", "suite.yaml"], catch_exceptions=False)


def test_a_run_without_a_gate_cannot_be_required(world: Path) -> None:
    with pytest.raises(HarnessError, match="has no gate"):
        release(f"{{run: {run(suite='open.yaml')}, role: required}}")


def test_the_page_of_an_earlier_release_does_not_outlive_a_mistake(world: Path) -> None:
    release(REQUIRED)
    with pytest.raises(HarnessError, match="no such suite"):
        release("{suite: gone.yaml, role: required}")
    assert not Path("runs/releases/assistant/report.html").exists()
