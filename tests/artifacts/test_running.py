"""Runs under way are seen by those who look on, and dead ones as dead."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.artifacts import running
from harness.artifacts.running import RUNNING, announce_run, running_runs
from harness.core.progress import QuietProgress
from tests.builders.results import passing_run

KILLED = """
import os, signal, sys
from pathlib import Path
from harness.artifacts.running import announce_run
from harness.core.progress import QuietProgress
from tests.builders.results import passing_run
with announce_run(passing_run().plan, Path(sys.argv[1]), QuietProgress()) as progress:
    progress.advance("answers of sft", 3, 120)
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Lines(QuietProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)


def test_a_run_is_seen_with_its_stages_until_it_ends(tmp_path: Path) -> None:
    with announce_run(passing_run().plan, tmp_path, QuietProgress()) as progress:
        progress.advance("answers of sft", 3, 120, "0.02 USD")
        (run,) = running_runs(tmp_path)
        assert run.alive
        assert run.progress.models == ("sft", "dpo")
        assert [(s.name, s.done, s.total, s.note) for s in run.progress.stages] == [
            ("answers of sft", 3, 120, "0.02 USD")
        ]
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_ends_by_an_error_is_no_longer_seen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="odd"), announce_run(
        passing_run().plan, tmp_path, QuietProgress()
    ):  # fmt: skip
        raise ValueError("odd")
    assert running_runs(tmp_path) == []


def test_stages_are_written_when_they_begin_and_end_and_seldom_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    monkeypatch.setattr(running._ProgressFile, "write", lambda self: writes.append(1))
    with announce_run(passing_run().plan, tmp_path, QuietProgress()) as progress:
        for done in range(1, 1001):
            progress.advance("answers of sft", done, 1000)
    assert 3 <= len(writes) < 20


def test_a_killed_run_is_seen_to_be_dead_until_the_next_one_begins(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (dead,) = running_runs(tmp_path)
    assert not dead.alive
    assert dead.progress.stages[0].done == 3
    with announce_run(passing_run().plan, tmp_path, QuietProgress()):
        assert [run.alive for run in running_runs(tmp_path)] == [True]
    assert running_runs(tmp_path) == []


def test_a_run_goes_on_where_its_progress_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / RUNNING).write_text("a file in the way")
    shown = Lines()
    with announce_run(passing_run().plan, tmp_path, shown) as progress:
        progress.advance("answers of sft", 1, 2)
    assert "does not see this run" in shown.lines[0]


def test_what_is_no_progress_of_ours_is_left_out_and_left_alone(tmp_path: Path) -> None:
    for name, content in (("a", "{"), ("b", "[" * 100_000), ("c", '{"suite": 1}')):
        folder = tmp_path / RUNNING / name
        folder.mkdir(parents=True)
        (folder / "progress.json").write_text(content)
        (folder / "lock").touch()
    assert running_runs(tmp_path) == []
    with announce_run(passing_run().plan, tmp_path, QuietProgress()):
        assert len(running_runs(tmp_path)) == 1
    assert len(list((tmp_path / RUNNING).iterdir())) == 3


def test_a_pipe_in_the_place_of_a_lock_is_not_waited_for(tmp_path: Path) -> None:
    with announce_run(passing_run().plan, tmp_path, QuietProgress()):
        (folder,) = (tmp_path / RUNNING).iterdir()
        (folder / "lock").unlink()
        os.mkfifo(folder / "lock")
        assert [run.alive for run in running_runs(tmp_path)] == [False]
