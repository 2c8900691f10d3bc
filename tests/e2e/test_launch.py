"""`harness train --launch` as a user meets it: however it ends, no process is left behind."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders.commands import environment, harness
from tests.builders.files import write
from tests.builders.pipelines import LOOP, PROFILE, make_world
from trainers.checkpoint import load_manifest

MARK = "TEST_LAUNCH_MARK"  # in the environment of every process that belongs to a test


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex


def marked(mark: str) -> list[int]:
    """The processes of one test that are alive."""
    wanted = f"{MARK}={mark}".encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if wanted in _read(path)]  # fmt: skip


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # ended meanwhile, or another user's
        return b""


@pytest.fixture
def running(tmp_path: Path, mark: str) -> Iterator["subprocess.Popen[str]"]:
    """A launched run that has made its first step."""
    command = [sys.executable, "-m", "harness", "train", "tiny/sft.yaml", "--launch", "two_cpu"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment({MARK: mark}), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("sft: 1/")
        assert len(marked(mark)) >= 4  # this command, accelerate, and two that train
        yield process
        process.kill()


def all_ended(mark: str, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not marked(mark)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are counted in /proc")
def test_ctrl_c_ends_every_process(
    running: "subprocess.Popen[str]", mark: str, tmp_path: Path
) -> None:
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert all_ended(mark, 30)
    assert not list((tmp_path / ".harness" / "checkpoints").glob("tiny_sft-*"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are counted in /proc")
def test_killing_the_command_ends_every_process(
    running: "subprocess.Popen[str]", mark: str
) -> None:
    os.kill(running.pid, signal.SIGKILL)
    running.wait(60)
    assert all_ended(mark, 30)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiny/sft.yaml", "--launch", "two_cpus"), "Did you mean 'two_cpu'"),
        (("tiny/base.yaml", "--launch", "two_cpu"), "is pre-trained by one process"),
        (("tiny/grpo.yaml", "--launch", "two_cpu"), "cannot be launched in several processes"),
    ],
)
def test_what_cannot_be_launched_is_said_before_any_work(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = harness("train", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not (tmp_path / ".harness").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "loop"])
def test_what_a_run_or_a_loop_trains_is_launched_too(tmp_path: Path, command: str) -> None:
    world = make_world(tmp_path)
    write(world / "world.yaml", PROFILE + "  sft: {recipe: short.yaml}\n")
    write(world / "loop.yaml", LOOP.replace("RECIPES", "short.yaml").replace("LOSERS", "keep"))
    what = {
        "run": ("develop.yaml", "--profile", "world.yaml", "--models", "base,sft"),
        "loop": ("loop.yaml",),
    }[command]
    done = harness(command, *what, "--launch", "two_cpu", cwd=world)
    assert done.returncode == 0, done.stderr
    (made,) = (world / ".harness" / "checkpoints").glob("short-*")
    assert load_manifest(made).facts["processes"].startswith("2, with 2 rows")
