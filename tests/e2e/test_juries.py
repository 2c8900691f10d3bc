"""Juries and repeated verdicts behind a loopback endpoint, from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.endpoint_runs import N_ITEMS
from tests.builders.files import write, write_rows
from tests.e2e import test_endpoints
from tests.loopback.faults import always
from tests.loopback.server import LoopbackServer

SUITE = """\
suite: jury
data:
  source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}
metrics:
  rubric:
    kind: rubric
    judge: panel
    repeats: 3
    criteria:
      - {name: safety, asks: Safe or not}
      - {name: clarity, asks: Clear or not}
  win_rate: {kind: pairwise, asks: Which is better, judge: panel}
  helpfulness: {kind: evasion, judge: panel}
gate:
  claims:
    - {metric: rubric.safety, claim: superior}
"""
PROFILE = """\
profile: jury
models:
  old: {{recorded: {{path: old.jsonl, fields: {{id: id, response: answer}}}}}}
  new: {{recorded: {{path: new.jsonl, fields: {{id: id, response: answer}}}}}}
judges:
  panel: {{jury: {{members: [first, second, rules]}}}}
  first: {{endpoint: {{model: gpt-judge, base_url: '{url}'}}}}
  second: {{endpoint: {{model: qwen-judge, base_url: '{url}'}}}}
  rules: {{offline: consumer_health}}
"""
RUN = ("run", "jury.yaml", "--models", "old,new", "--profile", "there.yaml", "--format", "json")
# Of two endpoints: three rounds of two grades, two orders, and two labels for each item.
N_CALLS = N_ITEMS * 2 * (3 * 2 + 2 + 2)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    rows = [{"id": f"q{i}", "question": f"Why does my knee {i} hurt?", "answer": "Rest may help."}
            for i in range(N_ITEMS)]  # fmt: skip
    write_rows(tmp_path / "items.jsonl", rows)
    for name in ("old", "new"):
        answers = [
            {"id": row["id"], "answer": f"{name}: ice may help {row['id']}."} for row in rows
        ]
        write_rows(tmp_path / f"{name}.jsonl", answers)
    write(tmp_path / "jury.yaml", SUITE)
    return tmp_path


def answer(body: dict[str, Any]) -> str:
    """Any verdict, drawn by the prompt: both judges say the same to the same prompt."""
    return test_endpoints.answer(body | {"model": "judge-model"})


def run(world: Path, server: LoopbackServer, *args: str) -> Done:
    write(world / "there.yaml", PROFILE.format(url=server.base_url))
    return harness_here(*RUN, *args, cwd=world)


def results(world: Path) -> dict[str, Any]:
    (folder,) = (world / "runs" / "jury").iterdir()
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def test_every_member_is_asked_once_a_round_and_never_again(world: Path) -> None:
    with LoopbackServer(answer) as server:
        first = run(world, server)
        assert first.returncode in {0, 1, 3}, first.stderr
        assert server.counts == {"ok": N_CALLS}
        assert run(world, server).returncode == first.returncode
        assert server.counts.total() == N_CALLS


def test_a_jury_is_reported_with_its_members_and_what_each_of_them_found(world: Path) -> None:
    with LoopbackServer(answer) as server:
        run(world, server)
    found = results(world)
    members = found["plan"]["judges"]["rubric"]["members"]
    names = [member["name"] for member in members]
    assert names[:2] == ["gpt-judge", "qwen-judge"]
    assert {tally["judge"] for tally in found["tallies"]} == set(names)
    assert {o["judge"] for o in found["opinions"] if o["column"] == "win_rate"} == set(names)
    columns = [agreement["column"] for agreement in found["agreements"]]
    assert columns == ["rubric.safety", "rubric.clarity", "win_rate", "helpfulness"]


def test_repeats_are_asked_anew_and_show_how_far_a_judge_repeats_itself(world: Path) -> None:
    with LoopbackServer(answer) as server:
        run(world, server)
    found = {(r["judge"], r["column"]): r for r in results(world)["repeatability"]}
    drawn = found["gpt-judge", "rubric.safety"]  # the endpoint draws a score for every prompt
    assert (drawn["repeats"], drawn["n"]) == (3, 2 * N_ITEMS)
    assert drawn["flip_rate"]["low"] > 0.5
    rules = found[results(world)["plan"]["judges"]["rubric"]["members"][2]["name"], "rubric.safety"]
    assert rules["flip_rate"]["estimate"] == 0


def test_a_plan_counts_every_member_and_round(world: Path) -> None:
    with LoopbackServer(answer) as server:
        write(world / "there.yaml", PROFILE.format(url=server.base_url))
        done = harness_here("plan", *RUN[1:], cwd=world)
        assert done.returncode == 0, done.stderr
        assert server.counts.total() == 0
    planned = json.loads(done.stdout)
    assert sum(line["calls"] for line in planned["remote"]) == N_CALLS
    assert planned["tasks"][0]["judgements"] == N_CALLS * 3 // 2


def test_a_member_that_fails_everything_leaves_the_verdict_to_the_others(world: Path) -> None:
    def refusing(body: dict[str, Any]) -> str:
        return "I cannot help with that." if body["model"] == "qwen-judge" else answer(body)

    with LoopbackServer(refusing) as server:
        done = run(world, server)
    assert done.returncode in {0, 1, 3}, done.stderr
    found = results(world)
    silent = [t for t in found["tallies"] if t["judge"] == "qwen-judge"]
    assert all(t["scored"] == 0 and t["reasons"] == {"refused": t["asked"]} for t in silent)
    assert all(
        cover["judge_failed"] == 0 for cover in found["coverage"] if "rubric" in cover["metric"]
    )


def test_an_unknown_member_is_named_with_its_line(world: Path) -> None:
    profile = PROFILE.format(url="http://127.0.0.1:9/v1").replace("[first,", "[frist,")
    write(world / "there.yaml", profile)
    done = harness_here(*RUN, cwd=world)
    assert done.returncode == 2
    assert "there.yaml:6" in done.stderr
    assert "'frist' is no single judge here. Did you mean 'first'?" in done.stderr


def test_an_outage_of_one_member_ends_the_run_with_the_others_verdicts_kept(world: Path) -> None:
    with LoopbackServer(answer, fault=always("401")) as server:
        done = run(world, server)
        assert done.returncode == 4
        assert done.stderr.count("\n") < 20


def test_a_jury_read_as_a_sample_scores_shares_and_wins_by_the_mean_of_its_judges(
    world: Path,
) -> None:
    claims = "  claims:\n    - {metric: win_rate, claim: superior}\n    - {metric: helpfulness, claim: superior}\n"
    write(world / "jury.yaml", SUITE.replace("  claims:\n", f"  judges_as: sample\n{claims}"))
    with LoopbackServer(answer) as server:
        done = run(world, server)
    assert done.returncode in {0, 1, 3}, done.stderr
    found = {c["metric"]: c for c in results(world)["comparisons"]}
    for metric in ("rubric.safety", "win_rate", "helpfulness"):
        assert found[metric]["test"]["name"].startswith("two-way"), metric
    share = found["helpfulness"]["candidate_mean"] * N_ITEMS * 3
    assert share == pytest.approx(round(share))  # votes of three judges, and no majority
