"""action.yml: its own shell steps, run by bash with the variables that GitHub sets."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.builders.commands import environment, harness
from tests.builders.recorded import write_study

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
DEFAULTS = {name: str(spec.get("default", "")) for name, spec in ACTION["inputs"].items()}
SMALL = {"suite": "suite.yaml", "profile": "profile.yaml", "models": "sft,dpo"}

GH = """#!/bin/sh
echo "$*" >> "$GH_LOG"
case "$*" in *--paginate*) printf '%s' "$GH_FOUND" ;; esac
"""


class Job(NamedTuple):
    """What became of a job: its exit code, and the files that GitHub reads."""

    code: int
    summary: str
    outputs: dict[str, dict[str, str]]
    temp: Path
    calls: str


def run_action(
    work: Path, inputs: dict[str, str], *, event: str = "push", comment_id: str = ""
) -> Job:
    """Every shell step but the installation, in order; a step that fails skips most of the rest."""
    temp, tools = work / "temp", work / "tools"
    for folder in (temp, tools):
        folder.mkdir(exist_ok=True)
    (tools / "harness").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m harness "$@"\n')
    (tools / "gh").write_text(GH)
    for tool in tools.iterdir():
        tool.chmod(0o755)
    outputs: dict[str, dict[str, str]] = {}
    github = {"event_name": event, "event.pull_request.number": "7", "token": "t"}
    context = {f"inputs.{k}": v for k, v in (DEFAULTS | inputs).items()}
    context |= {f"github.{k}": v for k, v in github.items()}
    code, log = 0, work / "gh.log"
    log.touch()
    for step in STEPS:
        if "run" not in step or step["name"] == "Install":
            continue
        known = context | {
            f"steps.{s}.outputs.{k}": v for s, found in outputs.items() for k, v in found.items()
        }
        if not _holds(step.get("if", "true"), known, failed=code != 0):
            continue
        told = temp / "output"
        told.write_text("")
        path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        variables = {
            "PATH": path, "RUNNER_TEMP": str(temp), "GITHUB_OUTPUT": str(told),
            "GITHUB_STEP_SUMMARY": str(temp / "summary.md"), "GITHUB_REPOSITORY": "o/r",
            "GH_LOG": str(log), "GH_FOUND": comment_id,
        }  # fmt: skip
        own = {name: _filled(value, known) for name, value in step.get("env", {}).items()}
        shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"])
        done = subprocess.run(shell, cwd=work, env=environment(variables | own), check=False)
        outputs[step.get("id", "")] = dict(
            line.partition("=")[::2] for line in told.read_text().splitlines()
        )
        code = code or done.returncode
    summary = temp / "summary.md"
    text = summary.read_text() if summary.exists() else ""
    return Job(code, text, outputs, temp, log.read_text())


def _filled(value: str, known: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ *([^} ]+) *\}\}", lambda found: known.get(found[1], ""), value)


def _holds(condition: str, known: dict[str, str], *, failed: bool) -> bool:
    if failed and "always()" not in condition:
        return False
    text = condition.replace("always()", "True").replace("&&", "and")
    text = re.sub(
        r"\b(?:inputs|steps|github)\.[\w.-]+", lambda found: repr(known.get(found[0], "")), text
    )
    return bool(eval(text, {"true": True}))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose gate passes, and a committed baseline of the run."""
    folder = write_study(
        tmp_path_factory.mktemp("study"), shifts={"sft": 0.0, "dpo": 1.0, "worse": -2.0}
    )
    run = ("run", "suite.yaml", "--profile", "profile.yaml", "--models", "sft,dpo")
    assert harness(*run, cwd=folder).returncode == 0
    (made,) = (folder / "runs" / "small").iterdir()
    assert harness("bless", str(made), "--margin", "rubric.safety=0.5", cwd=folder).returncode == 0
    return folder


@pytest.fixture
def checkout(study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(study, tmp_path / "checkout"))


@pytest.mark.slow
def test_a_candidate_that_is_no_worse_passes(checkout: Path) -> None:
    job = run_action(checkout, SMALL)
    assert job.code == 0
    assert job.outputs["verdict"] == {"verdict": "pass"}
    assert "**Gate: pass.**" in job.summary
    assert "Regression check: pass" in job.summary
    assert 'errors="0"' in (job.temp / "harness-check.xml").read_text()


@pytest.mark.slow
def test_a_worse_candidate_fails_though_its_gate_is_not_asked(checkout: Path) -> None:
    job = run_action(checkout, SMALL | {"models": "sft,worse", "gate": "false"})
    assert job.code == 1
    assert job.outputs["verdict"] == {"verdict": "no pass"}
    assert "Regression check: fail" in job.summary


@pytest.mark.slow
def test_a_failed_gate_fails_the_job(checkout: Path) -> None:
    job = run_action(checkout, SMALL | {"models": "dpo,sft", "baseline": ""})
    assert job.code == 1


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, '{"columns": {}}'])
def test_a_baseline_that_cannot_be_read_is_no_pass(checkout: Path, content: str | None) -> None:
    (checkout / "baseline.json").unlink()
    if content is not None:
        (checkout / "baseline.json").write_text(content)
    job = run_action(checkout, SMALL)
    assert job.code == 2
    assert job.outputs["verdict"] == {"verdict": "no pass"}
    assert "<error" in (job.temp / "harness-check.xml").read_text()
    assert "Regression check: could not run" in job.summary


@pytest.mark.slow
def test_a_suite_that_is_not_there_is_no_pass(checkout: Path) -> None:
    assert run_action(checkout, SMALL | {"suite": "other.yaml"}).code == 2


@pytest.mark.slow
def test_inputs_are_never_code(checkout: Path) -> None:
    hostile = '$(touch hacked); `touch hacked`; "; touch hacked; #'
    job = run_action(checkout, SMALL | {"suite": hostile, "models": hostile, "max-cost": hostile})
    assert job.code == 2
    assert not (checkout / "hacked").exists()


def test_no_expression_stands_in_a_shell_step() -> None:
    for step in STEPS:
        assert "${{" not in step.get("run", "")


@pytest.mark.slow
def test_a_first_comment_is_made_and_a_later_one_replaces_it(checkout: Path) -> None:
    asked = SMALL | {"comment": "true"}
    made = run_action(checkout, asked, event="pull_request")
    assert "--method POST repos/o/r/issues/7/comments" in made.calls
    replaced = run_action(checkout, asked, event="pull_request", comment_id="12\n13")
    assert "--method PATCH repos/o/r/issues/comments/12 -F" in replaced.calls
    body = (replaced.temp / "harness-comment.md").read_text()
    mark = body.splitlines()[0]
    assert mark in str(next(s for s in STEPS if "Comment" in s.get("name", ""))["run"])


@pytest.mark.slow
def test_a_push_gets_no_comment(checkout: Path) -> None:
    assert run_action(checkout, SMALL | {"comment": "true"}).calls == ""


def test_every_action_that_it_uses_has_a_version() -> None:
    for step in STEPS:
        assert re.fullmatch(r"actions/[a-z-]+@v[0-9]+", step.get("uses", "actions/x@v1"))


@pytest.mark.slow
def test_committed_answers_and_verdicts_are_refused(checkout: Path) -> None:
    harness("run", "suite.yaml", "--profile", "profile.yaml", "--models", "sft,dpo", cwd=checkout)
    for command in (("init", "-q"), ("add", "--force", ".harness/store.sqlite")):
        subprocess.run(("git", *command), cwd=checkout, check=True)
    job = run_action(checkout, SMALL | {"comment": "true"}, event="pull_request", comment_id="12")
    assert job.code == 2
    assert job.outputs["verdict"] == {"verdict": "no pass"}
    assert "PATCH" in job.calls  # an earlier pass is replaced
    assert "could not run" in (job.temp / "harness-comment.md").read_text()


@pytest.mark.slow
def test_nothing_is_imported_from_the_checkout(checkout: Path) -> None:
    for name in ("json.py", "pip/__main__.py", "re.py"):
        path = checkout / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(checkout / 'hacked')!r}, 'w')\n")
    assert run_action(checkout, SMALL).code == 0
    assert not (checkout / "hacked").exists()


def test_every_python_of_a_step_is_isolated() -> None:
    for step in STEPS:
        assert not re.search(r"\bpython3? (?!-I )", step.get("run", ""))
