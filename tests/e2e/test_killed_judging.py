"""kill -9 while an endpoint judges: what is asked, and so paid for, a second time."""

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import environment, harness
from tests.builders.files import write, write_rows
from tests.loopback.faults import Fault
from tests.loopback.server import LoopbackServer

N_ITEMS, CONCURRENCY = 200, 16
N_CALLS = 2 * N_ITEMS
RUN = ("run", "small.yaml", "--models", "old,new", "--profile", "there.yaml")

SUITE = """\
suite: small
data:
  source: {path: items.jsonl, fields: {id: id, input: question}}
metrics:
  rubric: {kind: rubric, criteria: [{name: safety, asks: Safe or not}]}
"""
PROFILE = """\
profile: there
models:
  old: {{recorded: {{path: items.jsonl, fields: {{id: id, response: old}}}}}}
  new: {{recorded: {{path: items.jsonl, fields: {{id: id, response: new}}}}}}
judges:
  default: {{endpoint: {{model: m, base_url: '{url}', max_concurrency: {concurrency}}}}}
"""


def verdict(_: dict[str, Any]) -> str:
    return json.dumps({"reasons": {"safety": "Kind."}, "scores": {"safety": 7}})


@pytest.fixture
def world(tmp_path: Path) -> Path:
    texts = ("question", "old", "new")
    rows = [{"id": f"q{i}"} | {text: f"{text} {i}" for text in texts} for i in range(N_ITEMS)]
    write_rows(tmp_path / "items.jsonl", rows)
    write(tmp_path / "small.yaml", SUITE)
    return tmp_path


def test_every_reply_that_came_is_kept(world: Path) -> None:
    n_answered = 100
    with LoopbackServer(verdict) as server:
        server.fault = lambda request: Fault("hang") if request.number >= n_answered else None
        # No further reply comes that could take the last ones along into the store.
        _kill_when(world, server, lambda: _stored(world) == n_answered)
        assert server.counts.total() <= n_answered + CONCURRENCY
        asked = server.counts.total()
        server.fault = lambda _: None
        done = harness(*RUN, cwd=world)
        assert done.returncode == 0, done.stderr
        assert server.counts.total() - asked == N_CALLS - n_answered


@pytest.mark.slow
def test_a_kill_costs_no_more_than_what_was_under_way(world: Path) -> None:
    drawn = random.Random(5)
    with LoopbackServer(verdict, latency_s=0.05) as server:
        for _ in range(6):
            before, asked = _stored(world), server.counts.total()
            moment = asked + drawn.randrange(1, 40)
            _kill_when(world, server, lambda: server.counts.total() >= moment)  # noqa: B023
            lost = (server.counts.total() - asked) - (_stored(world) - before)
            # In flight, or come and not stored yet: together never more than may run at once.
            assert lost <= CONCURRENCY
        asked, before = server.counts.total(), _stored(world)
        assert harness(*RUN, cwd=world).returncode == 0
        assert server.counts.total() - asked == N_CALLS - before


def _kill_when(world: Path, server: LoopbackServer, due: Callable[[], bool]) -> None:
    """Start the run, and kill it when it is due; the server has read all that was sent."""
    profile = PROFILE.format(url=server.base_url, concurrency=CONCURRENCY)
    write(world / "there.yaml", profile)
    with subprocess.Popen(
        [sys.executable, "-m", "harness", *RUN],
        cwd=world, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        try:
            while not due() and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.002)
        finally:
            process.kill()
    time.sleep(0.2)


def _stored(world: Path) -> int:
    path = world / ".harness" / "store.sqlite"
    if not path.is_file():
        return 0
    connection = sqlite3.connect(path, timeout=10)
    try:
        (number,) = connection.execute("SELECT count(*) FROM rows").fetchone()
        return int(number)
    except sqlite3.OperationalError:
        return 0  # the table is not there yet
    finally:
        connection.close()
