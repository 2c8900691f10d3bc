"""Four processes answer with checkpoints, one is killed and repeated: merged, they are one run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.builders.commands import environment, harness
from tests.builders.files import write
from tests.builders.pipelines import make_world
from tests.builders.stored_rows import count_rows
from tests.builders.stores import dump_rows
from tests.builders.two_checkpoints import RUN, read_results, write_two_checkpoints

pytestmark = pytest.mark.slow

N_ITEMS = 200  # four batches of a checkpoint
N_SHARDS = 4


def start(world: Path, number: int) -> "subprocess.Popen[bytes]":
    options = ("--store", f"stores/{number}", "--shard", f"{number}/{N_SHARDS}")
    command = [sys.executable, "-m", "harness", *RUN, *options]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=world, env=environment(), stdout=quiet, stderr=quiet)


def kill_at(process: "subprocess.Popen[bytes]", store: Path, n_rows: int) -> None:
    """Kill the process when the store holds so many rows."""
    deadline = time.monotonic() + 300
    while count_rows(store) < n_rows and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_four_shards_one_of_them_killed_are_one_run_byte_for_byte(tmp_path: Path) -> None:
    write_two_checkpoints(tmp_path, N_ITEMS, "train")
    whole = harness(*RUN, "--store", "whole", "--out", "whole-runs", cwd=tmp_path)
    assert whole.returncode in {0, 1, 3}, whole.stderr
    # Four processes at once, the second of which is killed and then repeated.
    processes = {number: start(tmp_path, number) for number in range(1, N_SHARDS + 1)}
    kill_at(processes.pop(2), tmp_path / "stores" / "2", 40)
    n_kept = count_rows(tmp_path / "stores" / "2")
    assert 40 <= n_kept < count_rows(tmp_path / "whole") / N_SHARDS
    assert {process.wait(500) for process in processes.values()} == {3}
    assert start(tmp_path, 2).wait(500) == 3
    assert not (tmp_path / "runs").exists()
    # Merged, they are the run on one machine.
    stores = [f"stores/{number + 1}" for number in range(N_SHARDS)]
    done = harness("store", "merge", *stores, "--into", "merged", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = dump_rows(tmp_path / "whole", "kind, key, body")
    assert dump_rows(tmp_path / "merged", "kind, key, body") == rows
    decided = harness(*RUN, "--store", "merged", "--out", "merged-runs", cwd=tmp_path)
    assert decided.returncode == whole.returncode
    assert count_rows(tmp_path / "merged") == len(rows)  # nothing was made again
    assert read_results(tmp_path / "merged-runs") == read_results(tmp_path / "whole-runs")


def test_a_checkpoint_that_was_trained_before_is_linked_and_not_trained_again(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    profile = (world / "world.yaml").read_text()
    write(world / "world.yaml", f"{profile}  short: {{recipe: short.yaml}}\n")
    run = ("run", "develop.yaml", "--profile", "world.yaml", "--models", "base,short")
    missing = harness(*run, "--store", "stores/1", "--shard", "1/2", cwd=world)
    assert missing.returncode == 2
    assert "every shard would make its own" in missing.stderr
    assert harness("train", "short.yaml", cwd=world).returncode == 0
    made = list((world / ".harness" / "checkpoints").iterdir())
    for number in (1, 2):
        store = world / "stores" / str(number)
        store.mkdir(parents=True, exist_ok=True)
        (store / "checkpoints").symlink_to(world / ".harness" / "checkpoints")
        done = harness(*run, "--store", str(store), "--shard", f"{number}/2", cwd=world)
        assert done.returncode == 3, done.stderr
    merged = harness("store", "merge", "stores/1", "stores/2", "--into", ".harness", cwd=world)
    assert "not merged, as their names hold their content" in merged.stdout
    n_rows = count_rows(world / ".harness")
    assert harness(*run, cwd=world).returncode in {0, 1, 3}
    assert count_rows(world / ".harness") == n_rows
    assert list((world / ".harness" / "checkpoints").iterdir()) == made
