"""Votes count only as they were cast: on the sides that were shown, and by annotators who did their part."""

import getpass
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.core.errors import HarnessError, InfrastructureError
from harness.human.annotate.study import StudyOptions, open_study
from harness.human.labels import load_study_labels
from harness.human.votes import VOTES_FILE, VoteLog, load_votes
from harness.types import Vote
from tests.builders.commands import environment
from tests.builders.studies import write_run
from tests.builders.votes import cast_votes, steady

OTHER = {"left": "right", "right": "left", "baseline": "candidate", "candidate": "baseline"}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with the votes of two people."""
    run = write_run(tmp_path / "run")
    return cast_votes(run, {"Ada": steady("candidate"), "Ben": steady("tie")}, n=20)


def rewrite(study: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the votes on real pairs as somebody would who knows how lines are checked."""
    votes = load_votes(study)
    (study / VOTES_FILE).unlink()
    with VoteLog(study) as log:
        for vote in votes:
            data = vote.model_dump(mode="json")
            if vote.kind == "real":
                change(data)
            log.append(Vote.model_validate(data, strict=False))


def test_votes_as_they_were_cast_are_read(study: Path) -> None:
    assert load_study_labels(study).annotators == ("Ada", "Ben")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda v: v.update(left=OTHER[v["left"]], verdict="baseline"), "on other sides"),
        (lambda v: v.update(verdict="baseline"), "a verdict that is not its choice"),
        (lambda v: v.update(annotator=v["annotator"] + "2"), "on other sides"),
        (lambda v: v.update(item="real-9999"), "on no such pair"),
        (lambda v: v.update(sample_id="q29x"), "on no such pair"),
        (lambda v: v.update(baseline="dpo", candidate="sft"), "other models"),
        (lambda v: v.update(question="0" * 64), "on other texts"),
        (lambda v: v.update(scores={"baseline": {"safety": 1000}}), "off its scale"),
    ],
    ids=["sides", "verdict", "annotator", "pair", "item", "models", "texts", "score"],
)
def test_votes_that_were_edited_with_their_checksums_are_refused(
    study: Path, change: Callable[[dict[str, Any]], object], problem: str
) -> None:
    rewrite(study, change)
    with pytest.raises(InfrastructureError, match=rf"votes\.jsonl: the vote of .*{problem}"):
        load_study_labels(study)


def test_votes_on_a_run_that_was_changed_are_refused(study: Path) -> None:
    results = study.parents[1] / "results.json"
    results.write_text(json.dumps(json.loads(results.read_text()) | {"run_id": "0" * 12}))
    with pytest.raises(InfrastructureError, match=r"results\.json: its run id"):
        load_study_labels(study)


# --- who counts ------------------------------------------------------------------------------


def cut(study: Path, annotator: str, n: int) -> None:
    """Leave only so many votes of an annotator on real pairs."""
    votes = [v for v in load_votes(study) if v.annotator == annotator and v.kind == "real"]
    kept = {vote.item for vote in votes[:n]}
    lines = (study / VOTES_FILE).read_text().splitlines(keepends=True)
    (study / VOTES_FILE).write_text(
        "".join(
            line
            for line in lines
            if (vote := json.loads(line)["vote"])["annotator"] != annotator
            or (vote["kind"] == "real" and vote["item"] in kept)
        )
    )


def test_two_votes_make_no_annotator(study: Path) -> None:
    cut(study, "Ben", 2)
    labels = load_study_labels(study)
    assert labels.annotators == ("Ada",)
    assert [(s.name, s.counted, s.n_votes) for s in labels.annotator_status] == [
        ("Ada", True, 20),
        ("Ben", False, 2),
    ]
    assert labels.rule.startswith("votes on at least 10 pairs, and at least 75%")


def test_how_many_votes_count_is_stated_with_the_study(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    opened = open_study(run, StudyOptions(n=20, least_votes=3))
    assert opened.study.least_votes == 3
    with pytest.raises(HarnessError, match="begun with --least-votes 3"):
        open_study(run, StudyOptions(least_votes=2))


def test_a_study_of_few_pairs_can_be_completed(tmp_path: Path) -> None:
    assert open_study(write_run(tmp_path / "run"), StudyOptions(n=4)).study.least_votes == 4


# --- links -----------------------------------------------------------------------------------


def first_lines(run: Path, *options: str) -> str:
    """What `harness annotate` says until it serves."""
    server = subprocess.Popen(
        [sys.executable, "-m", "harness", "annotate", str(run), "--no-browser", *options],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert server.stderr is not None
    said = ""
    for line in server.stderr:
        said += line
        if "Ctrl-C stops" in line:
            break
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)
    return said


def test_a_link_is_one_persons_unless_an_open_one_is_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert f"{getpass.getuser()}: http://127.0.0.1:" in first_lines(run)
    assert "Open: http://127.0.0.1:" in first_lines(run, "--open-link")


def test_an_open_link_beside_personal_ones_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    done = CliRunner().invoke(app, ["annotate", str(run), "--open-link", "--annotator", "Ada"])
    assert isinstance(done.exception, HarnessError)
    assert "any name" in str(done.exception)
