"""`serve:` from the command line: no engine outlives its run, however that ends."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.core.paths import bundle_root
from tests.builders.commands import environment, harness, harness_here
from tests.builders.files import write
from tests.builders.processes import wait_until_none
from tests.builders.tiny import make_tiny_model

RUN = ("run", "small.yaml", "--models", "here,there", "--profile", "local.yaml")
SUITE = """\
suite: small
data: {source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}}
generation: {max_new_tokens: 8}
metrics: {rouge: {kind: rouge}}
"""
PROFILE = """\
profile: local
models:
  here: {{checkpoint: {folder}}}
  there: {{checkpoint: {folder}, serve: transformers}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    folder = make_tiny_model(tmp_path / "weights")
    write(tmp_path / "small.yaml", SUITE)
    write(tmp_path / "local.yaml", PROFILE.format(folder=folder))
    rows = [{"id": f"q{i}", "question": f"Is it {i}?", "answer": "Yes."} for i in range(6)]
    write(tmp_path / "items.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def fake_engine(folder: Path, does: str) -> dict[str, str]:
    """An engine in place of transformers that tells its version and then does something else."""
    program = folder / "engine"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo 9.9 && exit\n{does}\n')
    program.chmod(0o755)
    return {"HARNESS_TRANSFORMERS": str(program)}


def test_an_engine_that_dies_ends_the_run_in_its_own_words(world: Path) -> None:
    env = fake_engine(world, "echo RuntimeError: no kernel image is available; exit 1")
    done = harness_here(*RUN, cwd=world, env=env)
    assert done.returncode == 4
    assert "transformers 9.9, serving" in done.stderr
    assert "RuntimeError: no kernel image is available" in done.stderr
    assert wait_until_none(str(world / "weights"), 2) == []


def test_the_plan_names_the_engine_and_starts_none(world: Path) -> None:
    env = fake_engine(world, "touch started")
    done = harness_here("plan", *RUN[1:], cwd=world, env=env)
    assert "served by transformers 9.9" in " ".join(done.stdout.split())
    assert not (world / "started").exists()


def test_the_plan_says_that_engines_answer_one_after_another(world: Path) -> None:
    env = fake_engine(world, "exit 1")
    alone = harness_here("plan", *RUN[1:], cwd=world, env=env)
    both = harness_here("plan", *RUN[1:], "--serve", "transformers", cwd=world, env=env)
    assert "in turn" not in alone.stdout
    assert "these are answered in turn: here, there" in " ".join(both.stdout.split())


def test_doctor_says_what_would_be_started(world: Path) -> None:
    found = harness_here(
        "doctor", "--profile", "local.yaml", cwd=world, env=fake_engine(world, "exit")
    )
    assert "transformers 9.9 would be started" in " ".join(found.stdout.split())
    missing = {"HARNESS_TRANSFORMERS": "/nowhere/transformers"}
    lost = harness_here("doctor", "--profile", "local.yaml", cwd=world, env=missing)
    assert "/nowhere/transformers is no program" in " ".join(lost.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_engine_outlives_its_run(world: Path, number: signal.Signals) -> None:
    pytest.importorskip("fastapi")
    run = subprocess.Popen(
        [sys.executable, "-m", "harness", *RUN],
        cwd=world,
        env=environment({"PYTHONPATH": str(bundle_root())}),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    while run.poll() is None and not any("Uvicorn running" in log for log in logs(world)):
        time.sleep(0.1)
    run.send_signal(number)
    run.wait(60)
    assert run.returncode == (-9 if number == signal.SIGKILL else 130)
    assert wait_until_none(str(world / "weights"), 15) == []


@pytest.mark.slow
def test_two_bases_are_answered_by_one_engine_after_the_other(world: Path) -> None:
    pytest.importorskip("fastapi")
    other = make_tiny_model(world / "other", seed=1)
    profile = PROFILE.replace("here: {{checkpoint: {folder}}}", "here: {{checkpoint: {other}}}")
    write(world / "local.yaml", profile.format(folder=world / "weights", other=other))
    done = harness(*RUN, "--serve", "transformers", cwd=world)
    assert done.returncode in {0, 1, 3}, done.stderr
    lines = done.stderr.splitlines()
    said = [line.split()[0] for line in lines if line.startswith(("starting", "transformers"))]
    assert said == ["starting", "transformers"] * 2  # each is checked before the next one starts
    assert len(logs(world)) == 2
    assert wait_until_none(str(world), 2) == []


def logs(world: Path) -> list[str]:
    return [path.read_text() for path in world.glob(".harness/servers/*.log")]
