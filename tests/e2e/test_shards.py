"""Shards of a run on machines of their own, merged: the results of one run, and no request more."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.core.store import Store
from harness.types import Response
from tests.builders.commands import Done, environment, harness_here
from tests.builders.endpoint_runs import SUITE, answer
from tests.builders.files import write, write_rows
from tests.builders.run_results import read_without_times
from tests.builders.stores import dump_rows
from tests.loopback.server import LoopbackServer

N_ITEMS = 24
N_SHARDS = 3

PROFILE = """\
profile: remote
models:
  old: {{endpoint: {{model: old-model, base_url: '{url}'}}}}
  new: {{endpoint: {{model: new-model, base_url: '{url}'}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}'}}}}
"""
RUN = ("run", "remote.yaml", "--models", "old,new", "--profile", "there.yaml", "--format", "json")


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(answer) as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, server: LoopbackServer) -> Path:
    # Every fourth question is asked twice, and answered and judged once.
    rows = [{"id": f"q{i}", "question": f"Why does my knee {i - i % 4 // 3} hurt?", "answer": "Rest."}
            for i in range(N_ITEMS)]  # fmt: skip
    write_rows(tmp_path / "items.jsonl", rows)
    write(tmp_path / "remote.yaml", SUITE.replace("temperature: 0.7", "temperature: 0.0"))
    write(tmp_path / "there.yaml", PROFILE.format(url=server.base_url))
    return tmp_path


def results(world: Path, runs: str) -> dict[str, Any]:
    return read_without_times(world / runs / "remote")


def shard_command(number: int) -> tuple[str, ...]:
    return (*RUN, "--store", f"stores/{number}", "--shard", f"{number}/{N_SHARDS}")


def start(world: Path, number: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "harness", *shard_command(number)]
    return subprocess.Popen(
        command,
        cwd=world,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_shards(world: Path) -> list[dict[str, Any]]:
    """Run all shards at once; return what each has printed."""
    processes = [start(world, number + 1) for number in range(N_SHARDS)]
    printed = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [3] * N_SHARDS, printed
    return [json.loads(out) for out, _ in printed]


def run_shards_in_turn(world: Path) -> None:
    for number in range(N_SHARDS):
        assert harness_here(*shard_command(number + 1), cwd=world).returncode == 3


def merge(world: Path, into: str = "merged") -> Done:
    stores = [f"stores/{number + 1}" for number in range(N_SHARDS)]
    return harness_here("store", "merge", *stores, "--into", into, "--format", "json", cwd=world)


def test_merged_shards_are_one_run_and_ask_as_much(world: Path, server: LoopbackServer) -> None:
    whole = harness_here(*RUN, "--store", "whole", "--out", "whole-runs", cwd=world)
    assert whole.returncode in {0, 1, 3}, whole.stderr
    n_requests = server.counts.total()
    server.counts.clear()
    printed = run_shards(world)
    assert sum(one["n_items"] for one in printed) == N_ITEMS
    assert {one["verdict"] for one in printed} == {None}
    assert server.counts.total() == n_requests  # nothing twice, over all shards
    assert not (world / "runs").exists()
    assert merge(world).returncode == 0
    decided = harness_here(*RUN, "--store", "merged", "--out", "merged-runs", cwd=world)
    assert decided.returncode == whole.returncode
    assert server.counts.total() == n_requests  # everything was there
    assert results(world, "merged-runs") == results(world, "whole-runs")


def test_a_run_on_some_shards_asks_for_the_others(world: Path, server: LoopbackServer) -> None:
    harness_here(*RUN, "--store", "whole", "--out", "whole-runs", cwd=world)
    n_requests = server.counts.total()
    server.counts.clear()
    process = start(world, 2)
    process.communicate()
    done = harness_here("store", "merge", "stores/2", "--into", "merged", cwd=world)
    assert done.returncode == 0, done.stderr
    harness_here(*RUN, "--store", "merged", "--out", "merged-runs", cwd=world)
    assert server.counts.total() == n_requests
    assert results(world, "merged-runs") == results(world, "whole-runs")


def test_stores_that_overlap_are_merged_row_by_row(world: Path) -> None:
    harness_here(*RUN, "--store", "merged", "--limit", "10", cwd=world)
    run_shards_in_turn(world)
    assert merge(world).returncode == 0
    rows = dump_rows(world / "merged", "kind, key")
    assert merge(world, "again").returncode == 0
    assert dump_rows(world / "again", "kind, key") == rows


def test_a_conflict_of_content_ends_the_merge_with_its_place(world: Path) -> None:
    run_shards_in_turn(world)
    key = next(row[1] for row in dump_rows(world / "stores" / "1") if row[0] == "response")
    with Store(world / "stores" / "1") as first, Store(world / "stores" / "2") as second:
        row = first.get("response", [str(key)], Response)[str(key)]
        second.put("response", {str(key): row.model_copy(update={"text": "Something else."})})
    done = merge(world)
    assert done.returncode == 2
    assert f"stores/1 and stores/2 contradict each other: their rows response {key}" in done.stderr
    assert not (world / "merged" / "store.sqlite").exists()


@pytest.mark.parametrize("shard", ["0/4", "5/4", "a/b"])
def test_a_wrong_shard_is_refused_before_anything_is_asked(
    world: Path, server: LoopbackServer, shard: str
) -> None:
    done = harness_here(*RUN, "--shard", shard, cwd=world)
    assert done.returncode == 2
    assert f"--shard {shard}: write NUMBER/COUNT" in done.stderr
    assert server.counts.total() == 0


@pytest.mark.parametrize("other", [("--batch", "files"), ("--ask-again", "failed")])
def test_what_is_not_done_in_parts_is_refused(world: Path, other: tuple[str, str]) -> None:
    done = harness_here(*RUN, "--shard", "1/2", *other, cwd=world)
    assert done.returncode == 2
    assert f"--shard and {other[0]} do not go together" in done.stderr


def test_a_shard_whose_server_is_dead_ends_as_a_run_does(world: Path) -> None:
    write(world / "there.yaml", PROFILE.format(url="http://127.0.0.1:9"))
    done = harness_here(*RUN, "--shard", "1/2", cwd=world)
    assert done.returncode == 4, done.stderr
