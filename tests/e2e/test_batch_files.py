"""Batch files from the command line: rounds of writing, a service that answers, collecting."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from harness.core.store import Store
from tests.builders.batch_service import (
    N_ITEMS,
    SUITE,
    Service,
    answer,
    collect,
    new_files,
    refused,
)
from tests.builders.commands import Done, environment, harness_here
from tests.builders.files import write, write_rows
from tests.loopback.faults import script
from tests.loopback.server import LoopbackServer

KEY = "sk-no-text-holds-this"

PROFILE = """\
profile: remote
models:
  old: {{endpoint: {{model: old-model, base_url: '{url}', api_key_env: NO_SUCH_KEY}}}}
  new: {{recorded: {{path: new.jsonl, fields: {{id: id, response: text}}}}}}
judges:
  default: {{endpoint: {{model: judge-model, base_url: '{url}', api_key_env: NO_SUCH_KEY,
                        price_per_million: {{input: 1, output: 1}}}}}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    rows = [{"id": f"q{i}", "question": f"Why does my knee {i} hurt?", "answer": "Rest may help."}
            for i in range(N_ITEMS)]  # fmt: skip
    write_rows(tmp_path / "items.jsonl", rows)
    write_rows(tmp_path / "new.jsonl", [{"id": r["id"], "text": "See a doctor."} for r in rows])
    write(tmp_path / "remote.yaml", SUITE.format(phi=""))
    return tmp_path


def run(world: Path, server: LoopbackServer, *args: str, text: str = "json", key: str = "") -> Done:
    write(world / "there.yaml", PROFILE.format(url=server.base_url))
    options = ["--models", "old,new", "--profile", "there.yaml", "--format", text]
    env = environment({"NO_SUCH_KEY": key} if key else None)
    return harness_here("run", "remote.yaml", *options, *args, cwd=world, env=env)


def waits(done: Done) -> bool:
    """Whether the run ended without a verdict, which exit code 3 alone does not say."""
    return done.returncode == 3 and "files" in json.loads(done.stdout)


def play_round(world: Path, service: Service, done: Done) -> list[str]:
    """Answer and collect what a run has written; the names of its files."""
    files = new_files(done)
    answered = [service.answer_file(world / f, world / f"{f}.results") for f in files]
    assert collect(world, *answered).returncode == 0
    return files


def play_rounds(world: Path, server: LoopbackServer) -> list[list[str]]:
    """The files of each round until there is a verdict."""
    service, rounds = Service(server), []
    while waits(done := run(world, server, "--batch", "batch")):
        rounds.append(play_round(world, service, done))
    assert done.returncode in {0, 1, 3}, done.stderr
    assert server.counts.total() == service.n_posted  # nobody else has asked
    return rounds


def conclusions(world: Path) -> dict[str, Any]:
    (folder,) = (world / "runs" / "remote").iterdir()
    result = json.loads((folder / "results.json").read_text())
    spent = ("who", "work", "calls", "input_tokens", "output_tokens", "cost")
    found = {key: result[key] for key in ("comparisons", "scores", "coverage", "decision")}
    return found | {"spend": [[line[key] for key in spent] for line in result["spend"]]}


def set_aside(world: Path) -> None:
    for name in (".harness", "runs"):
        (world / name).rename(world / f"{name}-before")


def test_a_verdict_by_batch_equals_a_live_one_and_is_stored_under_the_same_key(
    world: Path,
) -> None:
    with LoopbackServer(answer) as server:
        assert run(world, server, key=KEY).returncode in {0, 1, 3}
        live = conclusions(world)
        set_aside(world)
        n_live = server.counts.total()
        server.counts.clear()
        rounds = play_rounds(world, server)
        assert len(rounds) == 2  # the models' answers first, then the judge's verdicts on them
        assert server.counts.total() == n_live  # nothing twice
        assert conclusions(world) == live
        assert run(world, server, key=KEY).returncode in {0, 1, 3}
        assert server.counts.total() == n_live  # a live run takes what came by batch
        with_keys = [p for p in (world / "batch").iterdir() if KEY in p.read_text()]
        assert with_keys == []


def test_an_unreadable_verdict_is_asked_once_more_in_a_further_round(world: Path) -> None:
    def mumbling(body: dict[str, Any]) -> str:
        first = body["messages"][-1]["content"].endswith("and nothing else.")
        verdict = answer(body)
        unlucky = sha256(verdict.encode()).digest()[0] % 4 == 0
        return "well" if body["model"] == "judge-model" and first and unlucky else verdict

    with LoopbackServer(mumbling) as server:
        assert run(world, server, key=KEY).returncode in {0, 1, 3}
        live = conclusions(world)
        set_aside(world)
        server.counts.clear()
        rounds = play_rounds(world, server)
        assert len(rounds) == 3
        assert conclusions(world) == live
    judged = [line for line in live["spend"] if line[0] == "judge-model"]
    assert sum(line[2] for line in judged) > 4 * N_ITEMS  # some were asked twice


def test_what_failed_is_asked_again_and_only_that(world: Path) -> None:
    with LoopbackServer(answer, fault=script("429", None, "500")) as server:
        service = Service(server)
        [*files] = new_files(run(world, server, "--batch", "batch"))
        answered = [service.answer_file(world / f, world / f"{f}.results") for f in files]
        done = collect(world, *answered)
        assert done.returncode == 4
        said = json.loads(done.stdout)
        assert {f["kind"]: f["n"] for f in said["failed"]} == {"HTTP 429": 1, "HTTP 500": 1}
        assert said["reopened"] == 2
        again = run(world, server, "--batch", "batch")
        failed = {line["custom_id"] for p in answered for line in read(p) if refused(line)}
        asked = {line["custom_id"] for f in new_files(again) for line in read(world / f)}
        assert failed <= asked
        assert not asked & {line["custom_id"] for f in files for line in read(world / f)} - failed


def test_an_awaited_question_is_not_asked_again_in_any_way(world: Path) -> None:
    with LoopbackServer(answer) as server:
        first = run(world, server, "--batch", "batch")
        for again in (
            run(world, server, "--batch", "batch"),
            run(world, server, "--batch", "fresh"),
            run(world, server, key=KEY),
        ):
            assert new_files(again) == []
            assert json.loads(again.stdout)["questions"] == json.loads(first.stdout)["questions"]
        assert server.counts.total() == 0
        for file in new_files(first):
            (world / file).unlink()
        lost = run(world, server, "--batch", "batch")
        assert json.loads(lost.stdout)["repeated"] == json.loads(first.stdout)["questions"]


def test_a_batch_that_could_cost_more_is_refused_before_a_file_is_written(world: Path) -> None:
    with LoopbackServer(answer) as server:
        done = run(world, server, "--batch", "batch", "--max-cost", "0.001")
    assert done.returncode == 4
    assert "may cost up to" in done.stderr
    assert list((world / "batch").iterdir()) == []


def test_protected_data_needs_leave_for_files_too(world: Path) -> None:
    write(world / "remote.yaml", SUITE.format(phi=", phi: true"))
    with LoopbackServer(answer) as server:
        refused = run(world, server, "--batch", "batch")
        assert refused.returncode == 2
        assert "--allow-remote-phi" in refused.stderr
        assert not (world / "batch").exists()
        assert new_files(run(world, server, "--batch", "batch", "--allow-remote-phi"))


def test_the_terminal_says_what_waits_where_and_what_to_do_next(world: Path) -> None:
    with LoopbackServer(answer) as server:
        done = run(world, server, "--batch", "batch", text="text")
        name = f"batch/127.0.0.1-{server.port}-judge-model-1.jsonl"
    assert done.stdout.startswith(
        f"No verdict yet: waiting for the replies to {2 * N_ITEMS} requests.\n"
    )
    assert f"  {name}: {N_ITEMS} requests, at most 0." in done.stdout
    assert "harness batch collect" in done.stdout
    assert "Traceback" not in done.stderr


def test_collecting_what_is_not_ours_exits_4(world: Path) -> None:
    line = {"custom_id": "someone's", "response": {"status_code": 200, "body": {}}, "error": None}
    write_rows(world / "other.jsonl", [line])
    done = collect(world, world / "other.jsonl")
    assert done.returncode == 2
    assert ".harness: holds no store" in done.stderr
    with Store(world / ".harness"):
        pass
    done = collect(world, world / "other.jsonl", text="text")
    assert done.returncode == 4
    assert done.stdout == "0 new replies, 1 of other requests\n"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
