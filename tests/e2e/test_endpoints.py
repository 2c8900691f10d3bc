"""Models and judges behind a loopback endpoint, from the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Done, environment, harness_here
from tests.builders.endpoint_runs import N_ITEMS, SUITE, answer
from tests.builders.files import write, write_rows
from tests.loopback.faults import Kind, always, mixed
from tests.loopback.server import LoopbackServer

FAULTS: tuple[Kind, ...] = ("429", "500", "503", "reset", "html", "no_choices", "short_body")

PROFILE = """\
profile: remote
models:
  old: {{endpoint: {{model: old-model, base_url: '{url}'}}}}
  new: {{endpoint: {{model: new-model, base_url: '{url}', price_per_million: {{input: 1, output: 1}}}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}', max_concurrency: 16,
                        price_per_million: {{input: 1, output: 1}}}}}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    rows = [{"id": f"q{i}", "question": f"Why does my knee {i} hurt?", "answer": "Rest may help."}
            for i in range(N_ITEMS)]  # fmt: skip
    write_rows(tmp_path / "items.jsonl", rows)
    write(tmp_path / "remote.yaml", SUITE)
    return tmp_path


def run(world: Path, server: LoopbackServer, *args: str) -> Done:
    write(world / "there.yaml", PROFILE.format(url=server.base_url))
    return harness_here(*command(), *args, cwd=world)


def command(name: str = "run") -> list[str]:
    return [
        name,
        "remote.yaml",
        "--models",
        "old,new",
        "--profile",
        "there.yaml",
        "--format",
        "json",
    ]


def scores(world: Path) -> str:
    (folder,) = (world / "runs" / "remote").iterdir()
    result = json.loads((folder / "results.json").read_text())
    return json.dumps([result["comparisons"], result["coverage"], result["decision"]])


def test_all_metrics_run_end_to_end_and_a_second_run_asks_nothing(world: Path) -> None:
    with LoopbackServer(answer) as server:
        first = run(world, server)
        assert first.returncode in {0, 1, 3}, first.stderr
        # two models answer; two rubrics, two evasion labels and two orders an item
        assert server.counts == {"ok": N_ITEMS * (2 + 2 + 2 + 2)}
        before = scores(world)
        assert run(world, server).returncode == first.returncode
        assert server.counts.total() == N_ITEMS * 8
        assert scores(world) == before


def test_faults_change_no_score_and_become_no_number(world: Path) -> None:
    with LoopbackServer(answer) as server:
        run(world, server)
        undisturbed = scores(world)
    for name in (".harness", "runs"):
        (world / name).rename(world / f"{name}-before")
    with LoopbackServer(answer, fault=mixed(0.2, FAULTS, seed=3)) as server:
        done = run(world, server)
        assert done.returncode in {0, 1, 3}, done.stderr
        assert server.counts.total() > N_ITEMS * 8
    assert scores(world) == undisturbed


def test_a_plan_says_what_would_leave_the_machine_and_cost_and_sends_nothing(world: Path) -> None:
    with LoopbackServer(answer) as server:
        write(world / "there.yaml", PROFILE.format(url=server.base_url))
        done = harness_here("plan", *command()[1:], cwd=world)
        assert done.returncode == 0, done.stderr
        assert server.counts.total() == 0
    lines = {(line["who"], line["work"]): line for line in json.loads(done.stdout)["remote"]}
    assert lines["old", "answers items"]["calls"] == N_ITEMS
    assert lines["old", "answers items"]["cost"] is None
    assert lines["new", "answers items"]["output_tokens"] == 64 * N_ITEMS
    assert lines["default", "judges win_rate"]["calls"] == 2 * N_ITEMS
    rubric = lines["default", "judges rubric"]
    assert rubric["host"].startswith("127.0.0.1:")
    assert rubric["cost"] == pytest.approx((rubric["input_tokens"] + rubric["output_tokens"]) / 1e6)


def test_a_plan_counts_what_the_store_has_and_what_is_left_to_pay(world: Path) -> None:
    with LoopbackServer(answer) as server:
        write(world / "there.yaml", PROFILE.format(url=server.base_url))
        before = planned(world)
        assert [line["stored"] for line in before.values()] == [0] * len(before)
        rubric = before["default", "judges rubric"]
        assert rubric["cost_left"] == pytest.approx(rubric["cost"])
        run(world, server, "--limit", "20")
        n_asked = server.counts.total()
        after = planned(world)
        assert {line["stored"] / line["calls"] for line in after.values()} == {1 / 3}
        rubric = after["default", "judges rubric"]
        assert rubric["cost_left"] == pytest.approx(rubric["cost"] * 2 / 3, rel=0.01)
        text = harness_here(*command("plan")[:-2], cwd=world).stdout
        assert "Left to pay, less what the store has: at most" in text
        run(world, server)
        done = planned(world)
        assert [line["stored"] for line in done.values()] == [c["calls"] for c in done.values()]
        assert done["default", "judges rubric"]["cost_left"] == 0
        assert n_asked == 20 * 8


def planned(world: Path) -> dict[tuple[str, str], dict[str, Any]]:
    done = harness_here(*command("plan"), cwd=world)
    assert done.returncode == 0, done.stderr
    return {(line["who"], line["work"]): line for line in json.loads(done.stdout)["remote"]}


def test_answers_asked_anew_make_another_run_and_leave_the_report_of_the_old(world: Path) -> None:
    with LoopbackServer(answer) as server:
        assert run(world, server).returncode in {0, 1, 3}
        (old,) = (world / "runs" / "remote").iterdir()
        before = (old / "results.json").read_bytes()
        anew = run(world, server, "--ask-again", "answers", "--model", "new")
        assert anew.returncode in {0, 1, 3}, anew.stderr
        new = json.loads(anew.stdout)["folder"]
        assert json.loads(run(world, server).stdout)["folder"] == new
    assert Path(new).name != old.name
    assert (old / "results.json").read_bytes() == before


def test_what_was_asked_once_more_stands_in_the_spend_table(world: Path) -> None:
    with LoopbackServer(answer, models={}) as server:
        run(world, server)
        run(world, server)
        n_asked = server.counts.total()
    (folder,) = (world / "runs" / "remote").iterdir()
    lines = json.loads((folder / "results.json").read_text())["spend"]
    (probes,) = [line for line in lines if line["work"] == "stored replies asked once more"]
    assert (probes["calls"], probes["cost"] is None) == (3, False)
    assert sum(line["calls"] for line in lines) == n_asked == N_ITEMS * 8 + 3


def test_a_refused_key_ends_the_run_at_once_with_exit_4(world: Path) -> None:
    with LoopbackServer(answer, fault=always("401")) as server:
        done = run(world, server)
        assert done.returncode == 4
        assert server.counts.total() < 100
        assert "401" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_spent_budget_ends_the_run_and_a_larger_one_goes_on(world: Path) -> None:
    with LoopbackServer(answer) as server:
        stopped = run(world, server, "--max-cost", "0.01")
        assert stopped.returncode == 4
        assert "budget" in stopped.stderr
        paid = server.counts.total()
        assert 0 < paid < N_ITEMS * 8
        done = run(world, server)
        assert done.returncode in {0, 1, 3}, done.stderr
        assert server.counts.total() == N_ITEMS * 8  # nothing was paid for twice


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_keeps_what_was_answered(world: Path, ending: signal.Signals) -> None:
    with LoopbackServer(answer, latency_s=0.05) as server:
        write(world / "there.yaml", PROFILE.format(url=server.base_url))
        with subprocess.Popen(
            [sys.executable, "-m", "harness", *command()],
            cwd=world, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            while server.counts.total() < N_ITEMS * 4 and process.poll() is None:
                time.sleep(0.01)
            in_flight = server.in_flight
            os.kill(process.pid, ending)
            _, said = process.communicate(timeout=20)
        if ending != signal.SIGKILL:
            assert process.returncode == 130, said
            assert "the same command continues from there" in said
        asked = server.counts.total()
        done = run(world, server)
        assert done.returncode in {0, 1, 3}, done.stderr
        asked_twice = server.counts.total() - N_ITEMS * 8
        assert asked_twice <= in_flight + 48, (asked, asked_twice)


def test_what_was_spent_so_far_stands_in_the_progress(world: Path) -> None:
    with LoopbackServer(answer) as server:
        done = run(world, server)
    last = {line.partition(":")[0]: line for line in done.stderr.splitlines()}
    assert last["new answers items"].endswith(" USD")
    assert last["judge win_rate"].endswith(" USD")
    assert not last["old answers items"].endswith(" USD")  # no price was given


def test_a_model_with_a_seed_of_its_own_is_compared_with_itself(world: Path) -> None:
    profile = PROFILE.replace("  new: {{endpoint: {{model: new-model", "  old_again: {{seed: 2, endpoint: {{model: old-model")  # fmt: skip
    seeds: set[tuple[str, int]] = set()

    def noted(body: dict[str, Any]) -> str:
        seeds.add((body["model"], body.get("seed", 0)))
        return answer(body)

    with LoopbackServer(noted) as server:
        write(world / "there.yaml", profile.format(url=server.base_url))
        models = ["old,old_again" if word == "old,new" else word for word in command()]
        done = harness_here(*models, cwd=world)
    assert done.returncode in {0, 1, 3}, done.stderr
    assert {seed for model, seed in seeds if model == "old-model"} == {1, 2}


def test_a_judge_that_nobody_can_read_is_quoted(world: Path) -> None:
    with LoopbackServer(lambda _: "I would rather not say.") as server:
        done = run(world, server)
    assert done.returncode == 4
    assert "For example, 'judge-model' replied: I would rather not say." in done.stderr


def test_a_judge_of_protected_items_is_not_quoted(world: Path) -> None:
    (suite,) = [path for path in world.glob("*.yaml") if "path: items.jsonl," in path.read_text()]
    write(suite, suite.read_text().replace("path: items.jsonl,", "path: items.jsonl, phi: true,"))
    with LoopbackServer(lambda _: "I would rather not say.") as server:
        done = run(world, server)
    assert done.returncode == 4
    assert "has a score for both" in done.stderr
    assert "rather not say" not in done.stderr
