"""kill -9 at random moments of generation and judging, then the same command again."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.builders.commands import environment, harness
from tests.builders.stored_rows import _scalar, count_rows
from tests.builders.two_checkpoints import RUN, read_results, write_two_checkpoints

pytestmark = pytest.mark.slow

N_ITEMS = 96
N_KILLS = 10


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_two_checkpoints(folder, N_ITEMS)
    return folder


@pytest.fixture(scope="module")
def undisturbed(world: Path) -> str:
    done = harness(*RUN, "--store", "whole", "--out", "whole-runs", cwd=world)
    assert done.returncode in {0, 1, 3}, done.stderr
    return read_results(world / "whole-runs")


def test_a_run_killed_ten_times_ends_as_an_undisturbed_one(world: Path, undisturbed: str) -> None:
    total = count_rows(world / "whole")
    moments = sorted(random.Random(7).sample(range(1, total), N_KILLS))
    kept = 0
    for moment in moments:
        _kill_at(world, moment)
        _watch_for_repeats(world / "killed")
        assert count_rows(world / "killed") >= max(kept, moment)  # nothing committed was lost
        kept = count_rows(world / "killed")
    done = harness(*RUN, "--store", "killed", "--out", "killed-runs", cwd=world)
    assert done.returncode in {0, 1, 3}, done.stderr
    assert read_results(world / "killed-runs") == undisturbed
    assert count_rows(world / "killed") == total
    assert _repeats(world / "killed") == 0  # nothing committed was done twice


def _kill_at(world: Path, moment: int) -> None:
    """Start the run, and kill it when the store holds `moment` rows."""
    command = [sys.executable, "-m", "harness", *RUN, "--store", "killed", "--out", "killed-runs"]
    with subprocess.Popen(
        command, cwd=world, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120
        while count_rows(world / "killed") < moment and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)


def _repeats(store: Path) -> int:
    return _scalar(store, "SELECT count(*) FROM repeats")


def _watch_for_repeats(store: Path) -> None:
    """From now on the file itself notes every row that is written again."""
    connection = sqlite3.connect(store / "store.sqlite", timeout=10)
    with connection:
        connection.executescript(
            "CREATE TABLE IF NOT EXISTS repeats (key TEXT);"
            "CREATE TRIGGER IF NOT EXISTS watch BEFORE INSERT ON rows "
            "WHEN EXISTS (SELECT 1 FROM rows WHERE kind = NEW.kind AND key = NEW.key) "
            "BEGIN INSERT INTO repeats VALUES (NEW.key); END;"
        )
    connection.close()
