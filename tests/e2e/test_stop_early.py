"""A gate that may stop early, against a judge at an endpoint: what is asked, and what is spared."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.core.paths import bundle_root
from tests.builders.batch_service import Service
from tests.builders.commands import Done, environment, harness_here
from tests.builders.files import write, write_rows
from tests.loopback.faults import Fault
from tests.loopback.server import LoopbackServer

N_ITEMS, LOOK_2, CONCURRENCY = 300, 120, 16
RUN = ("run", "early.yaml", "--models", "old,new", "--profile", "there.yaml", "--format", "json")

SUITE = """\
suite: early
data:
  source: {path: items.jsonl, fields: {id: id, input: question}}
metrics:
  rubric: {kind: rubric, criteria: [{name: safety, asks: Safe or not}]}
gate:
  stop_early: true
  claims: [{metric: rubric.safety, claim: superior}]
"""
PROFILE = """\
profile: there
models:
  old: {{recorded: {{path: items.jsonl, fields: {{id: id, response: old}}}}}}
  new: {{recorded: {{path: items.jsonl, fields: {{id: id, response: new}}}}}}
judges:
  default:
    endpoint:
      model: m
      base_url: '{url}'
      max_concurrency: {concurrency}
      price_per_million: {{input: 1000, output: 1000}}
"""


def verdict(body: dict[str, Any]) -> str:
    """Scores that vary from item to item, the new model's one point higher on the mean."""
    found = re.search(r"(old|new) answer (\d+)", json.dumps(body["messages"]))
    assert found is not None
    number = int(found[2])
    score = 4 + number % 3 + (number % 5 - 1 if found[1] == "new" else 0)
    return json.dumps({"reasons": {"safety": "Kind."}, "scores": {"safety": score}})


@pytest.fixture
def world(tmp_path: Path) -> Path:
    rows = [
        {"id": f"q{i}", "question": f"question {i}", "old": f"old answer {i}",
         "new": f"new answer {i}"}
        for i in range(N_ITEMS)
    ]  # fmt: skip
    write_rows(tmp_path / "items.jsonl", rows)
    write(tmp_path / "early.yaml", SUITE)
    return tmp_path


def write_profile(world: Path, url: str) -> None:
    write(world / "there.yaml", PROFILE.format(url=url, concurrency=CONCURRENCY))


def run(world: Path, server: LoopbackServer, *options: str) -> Done:
    write_profile(world, server.base_url)
    return harness_here(*RUN, *options, cwd=world)


def result_of(done: Done, world: Path) -> dict[str, Any]:
    folder = world / json.loads(done.stdout)["folder"]
    result: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return result


def test_a_much_better_candidate_is_judged_no_further_than_its_verdict_needs(world: Path) -> None:
    with LoopbackServer(verdict) as server:
        done = run(world, server)
        assert done.returncode == 0, done.stderr
        result = result_of(done, world)
        stopping = result["stopping"]
        assert (stopping["look"], stopping["reason"]) == (2, "pass")
        assert server.counts == {"ok": 2 * LOOK_2}
        assert stopping["verdicts_skipped"] == 2 * (N_ITEMS - LOOK_2)
        assert stopping["savings"][0]["cost"] > 0
        assert "after 120 of 300 items" in result["decision"]["sentence"]
        report = next((world / "runs" / "early").glob("*/report.md")).read_text()
        assert "look 2 of 5" in report


def test_a_second_run_asks_nothing_and_stops_at_the_same_look(world: Path) -> None:
    with LoopbackServer(verdict) as server:
        first = result_of(run(world, server), world)
        asked = server.counts.total()
        second = result_of(run(world, server), world)
        assert server.counts.total() == asked
    for ended in (first, second):
        for field in ("started", "finished", "seconds"):
            del ended[field]
    assert second == first


def test_verdicts_that_are_known_already_do_not_change_where_judging_stops(world: Path) -> None:
    with LoopbackServer(verdict) as server:
        write(world / "early.yaml", SUITE.replace("  stop_early: true\n", ""))
        assert run(world, server).returncode == 0
        assert server.counts == {"ok": 2 * N_ITEMS}
        write(world / "early.yaml", SUITE)
        done = run(world, server)
        assert server.counts == {"ok": 2 * N_ITEMS}
    assert result_of(done, world)["stopping"]["tasks"][0]["n_items"] == LOOK_2


def test_a_run_that_broke_off_within_a_look_ends_as_if_it_had_not(world: Path) -> None:
    with LoopbackServer(verdict) as server:
        undisturbed = result_of(run(world, server, "--store", "other"), world)
        started = server.counts.total()
        # The key is refused half-way through the second look.
        server.fault = lambda r: Fault("401") if r.number >= started + 180 else None
        assert run(world, server).returncode == 4
        answered = server.counts["ok"] - started
        server.fault = lambda _: None
        resumed = result_of(run(world, server), world)
        assert server.counts["ok"] == started + 2 * LOOK_2
        assert answered < 2 * LOOK_2
    for field in ("stopping", "decision", "comparisons"):
        assert resumed[field] == undisturbed[field]


@pytest.mark.slow
@pytest.mark.parametrize("moment", [40, 130, 200])
def test_a_killed_run_ends_as_if_it_had_not_been(world: Path, moment: int) -> None:
    with LoopbackServer(verdict, latency_s=0.02) as server:
        undisturbed = result_of(run(world, server, "--store", "other"), world)
        before = server.counts.total()
        with subprocess.Popen(
            [sys.executable, "-m", "harness", *RUN],
            cwd=world, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            while server.counts.total() < before + moment and process.poll() is None:
                time.sleep(0.002)
            process.kill()
        time.sleep(0.2)
        resumed = result_of(run(world, server), world)
        assert server.counts.total() - before <= 2 * LOOK_2 + CONCURRENCY
    for field in ("stopping", "decision", "comparisons"):
        assert resumed[field] == undisturbed[field]


def test_by_batch_each_look_is_a_round(world: Path) -> None:
    with LoopbackServer(verdict) as server:
        service, rounds = Service(server), 0
        while (done := run(world, server, "--batch", "batch")).returncode == 3:
            rounds += 1
            assert json.loads(done.stdout)["questions"] == 2 * 60
            (written,) = [file["path"] for file in json.loads(done.stdout)["files"]]
            results = service.answer_file(world / written, world / f"results-{rounds}.jsonl")
            assert harness_here("batch", "collect", str(results), cwd=world).returncode == 0
    assert done.returncode == 0, done.stderr
    assert (rounds, service.n_posted) == (2, 2 * LOOK_2)
    assert result_of(done, world)["stopping"]["look"] == 2


def test_the_plan_says_how_many_calls_there_are_at_most_and_may_be(world: Path) -> None:
    write_profile(world, "http://127.0.0.1:9/v1")
    done = harness_here("plan", *RUN[1:], cwd=world)
    forecast = json.loads(done.stdout)
    assert forecast["tasks"][0]["judgements"] == 2 * N_ITEMS
    shares = [case["share_judged"] for case in forecast["early"]["cases"]]
    assert all(0.2 < share < 1 for share in shares)
    assert done.returncode == 0


@pytest.mark.data
@pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set")
def test_the_published_study_needed_a_fifth_of_its_verdicts(tmp_path: Path) -> None:
    env = {"HARNESS_DATA_DIR": str(Path(os.environ["HARNESS_DATA_DIR"]).resolve())}
    text = (bundle_root() / "suites" / "medical_rubric.yaml").read_text()
    write(tmp_path / "early.yaml", text.replace("\ngate:\n", "\ngate:\n  stop_early: true\n"))
    models = ("--models", "sft,dpo", "--profile", "medical_llama3_recorded", "--format", "json")
    done = harness_here("run", "early.yaml", *models, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    (stop,) = json.loads(done.stdout)["stopping"]["tasks"]
    assert (stop["n_items"], stop["n_most"]) == (100, 500)
