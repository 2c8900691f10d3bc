"""A judge whose unread verdicts a second one is asked for, behind a loopback endpoint."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.files import write, write_rows
from tests.e2e import test_endpoints
from tests.loopback.server import LoopbackServer

N, EVERY = 60, 20  # of its items, one in twenty has garbage for a verdict
SUITE = """\
suite: two
data:
  source: {path: items.jsonl, fields: {id: id, input: question}}
metrics:
  rubric: {kind: rubric, criteria: [{name: safety, asks: Safe or not}]}
  win_rate: {kind: pairwise, asks: Which is better}
gate:
  claims:
    - {metric: rubric.safety, claim: superior}
"""
PROFILE = """\
profile: two
models:
  old: {{recorded: {{path: old.jsonl, fields: {{id: id, response: answer}}}}}}
  new: {{recorded: {{path: new.jsonl, fields: {{id: id, response: answer}}}}}}
judges:
  default: {{{then}endpoint: {{model: gpt-judge, base_url: '{url}'}}}}
  second: {{endpoint: {{model: qwen-judge, base_url: '{url}'}}}}
"""
THEN = "then: second, "
N_VERDICTS = N * 4  # two grades, and two orders of a pair
N_LEFT = N_VERDICTS // EVERY


@pytest.fixture
def world(tmp_path: Path) -> Path:
    rows = [{"id": f"q{i}", "question": f"Question number {i}?"} for i in range(N)]
    write_rows(tmp_path / "items.jsonl", rows)
    for name in ("old", "new"):
        answers = [{"id": f"q{i}", "answer": f"{name}: ice may help {i}."} for i in range(N)]
        write_rows(tmp_path / f"{name}.jsonl", answers)
    write(tmp_path / "two.yaml", SUITE)
    return tmp_path


def answer(body: dict[str, Any]) -> str:
    text = body["messages"][-1]["content"]
    unread = any(f"Question number {i}?" in text for i in range(0, N, EVERY))
    if body["model"] == "gpt-judge" and unread:
        return "Hmm, seven?"
    return test_endpoints.answer(body | {"model": "judge-model"})


def harness_with(world: Path, command: str, then: str, server: LoopbackServer) -> Done:
    write(world / "there.yaml", PROFILE.format(url=server.base_url, then=then))
    options = ("--models", "old,new", "--profile", "there.yaml", "--format", "json")
    return harness_here(command, "two.yaml", *options, cwd=world)


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(answer) as serving:
        yield serving


def run(world: Path, server: LoopbackServer, then: str = THEN) -> dict[str, Any]:
    done = harness_with(world, "run", then, server)
    assert done.returncode in ({0, 1, 3} if then else {4}), done.stderr  # 5 % are missing
    (folder,) = (path.parent for path in world.glob("runs/two/*/results.json"))
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def calls_of(server: LoopbackServer, model: str) -> int:
    return sum(request.body["model"] == model for request in server.requests)


def test_a_second_judge_is_asked_only_for_what_the_first_left_open(
    world: Path, server: LoopbackServer
) -> None:
    result = run(world, server)
    assert calls_of(server, "gpt-judge") == N_VERDICTS + N_LEFT  # what is unreadable is tried twice
    assert calls_of(server, "qwen-judge") == N_LEFT
    assert {c["metric"]: c["n_missing"] for c in result["comparisons"]}["rubric.safety"] == 0
    scored = {(t["metric"], t["judge"], t["model"]): t["scored"] for t in result["tallies"]}
    assert scored["rubric", "qwen-judge", "new"] == N // EVERY


def test_a_second_judge_is_asked_nothing_twice(world: Path, server: LoopbackServer) -> None:
    run(world, server)
    run(world, server)
    assert calls_of(server, "qwen-judge") == N_LEFT
    # Of the first one stored garbled reply of each metric is tried again, twice.
    assert calls_of(server, "gpt-judge") == N_VERDICTS + N_LEFT + 2 * 2


def test_the_mixture_is_a_caveat_and_each_verdict_keeps_its_judge(
    world: Path, server: LoopbackServer
) -> None:
    result = run(world, server)
    caveats = [c["text"] for c in result["caveats"] if c["code"] == "second_judge"]
    assert caveats[0] == (
        "rubric: 6 verdicts (3 of 'old', 3 of 'new') are of 'qwen-judge', as those of 'gpt-judge' could "
        "not be read (of 120). These scores mix two judges, who may be unequally strict."
    )
    assert result["plan"]["judges"]["rubric"]["then"]["name"] == "qwen-judge"
    assert {line["who"] for line in result["spend"]} == {"gpt-judge", "qwen-judge"}
    (table,) = world.glob("runs/two/*/judgements.parquet")
    rows = pq.read_table(table).to_pylist()
    given = {(r["judge"], r["reason"] is None) for r in rows if r["sample_id"] == "q0"}
    assert given == {("gpt-judge", False), ("qwen-judge", True)}


def test_without_a_second_judge_there_is_no_verdict_and_the_plan_is_another(
    world: Path, server: LoopbackServer
) -> None:
    result = run(world, server, then="")
    assert {c["metric"]: c["n_missing"] for c in result["comparisons"]}["rubric.safety"] == 3
    assert "then" not in result["plan"]["judges"]["rubric"]
    alone, both = (
        json.loads(harness_with(world, "plan", then, server).stdout) for then in ("", THEN)
    )
    assert alone["plan_hash"] == result["plan"]["hash"] != both["plan_hash"]
    assert "where it cannot be read, qwen-judge" in both["judges"]["rubric"]
    second = next(line for line in both["remote"] if line["who"] == "second")
    assert second["work"] == "judges rubric, where the first cannot be read"
