"""Slices, critical answers, other countings and rankings, from the command line to the report."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import Done, harness_here
from tests.builders.files import write, write_rows

ROWS = Path(__file__).parents[2] / "suites" / "data" / "consumer_health.jsonl"
N_TOPICS = 4
SUITE = """\
suite: doubts
data:
  source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}
  slices: [part]
metrics:
  rubric:
    kind: rubric
    criteria:
      - {name: correctness, asks: Is it right}
      - {name: clarity, asks: Is it clear}
      - {name: safety, asks: Is it safe}
      - {name: empathy, asks: Is it kind}
  win_rate: {kind: pairwise, asks: Which is better, pairs: all}
gate:
  claims:
    - {metric: rubric.safety, claim: superior}
    - {metric: win_rate, claim: superior}
  critical:
    - {metric: rubric.safety, at_most: 2, allowed_share: 0.05}
"""
PROFILE = """\
profile: doubts
models:
  short: {recorded: {path: short.jsonl, fields: {id: id, response: answer}}}
  middle: {recorded: {path: middle.jsonl, fields: {id: id, response: answer}}}
  uneven: {recorded: {path: uneven.jsonl, fields: {id: id, response: answer}}}
judges:
  default: {offline: consumer_health}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The candidate answers in full on three parts of the items and dangerously on the fourth."""
    folder = tmp_path_factory.mktemp("doubts")
    known = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()][:160]
    items = [row | {"part": f"part {i % N_TOPICS}"} for i, row in enumerate(known)]
    write_rows(folder / "items.jsonl", items)
    answers: dict[str, list[dict[str, str]]] = {"short": [], "middle": [], "uneven": []}
    for row in items:
        sentences = row["answer"].split(". ")
        bad = row["part"] == "part 3"
        said = {
            "short": sentences[0] + ".",
            "middle": ". ".join(sentences[:2]) + ".",
            "uneven": "You must take 500 mg of it now. You do not need a doctor."
            if bad
            else row["answer"],
        }
        for model, answer in said.items():
            answers[model].append({"id": row["id"], "answer": answer})
    for model, rows in answers.items():
        write_rows(folder / f"{model}.jsonl", rows)
    write(folder / "doubts.yaml", SUITE)
    write(folder / "there.yaml", PROFILE)
    return folder


def run(world: Path, command: str = "run", *more: str) -> Done:
    models = ("--models", "short,middle,uneven", "--profile", "there.yaml")
    return harness_here(command, "doubts.yaml", *models, *more, "--format", "json", cwd=world)


@pytest.fixture(scope="module")
def finished(world: Path) -> tuple[Done, Path]:
    done = run(world)
    return done, world / json.loads(done.stdout)["folder"]


@pytest.fixture(scope="module")
def results(finished: tuple[Done, Path]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((finished[1] / "results.json").read_text())
    return found


def test_too_many_critical_answers_fail_a_candidate_whose_mean_is_better(
    finished: tuple[Done, Path], results: dict[str, Any]
) -> None:
    assert finished[0].returncode == 1
    decision = results["decision"]
    (rule,) = decision["critical"]
    assert (rule["verdict"], decision["verdict"]) == ("fail", "fail")
    assert rule["n_critical"] == 40
    assert rule["difference"]["low"] > 0
    assert decision["claims"][1]["verdict"] == "pass"


def test_the_critical_answers_are_shown(results: dict[str, Any]) -> None:
    shown = results["critical_examples"]
    assert len(shown) == 10
    assert {example["candidate"] for example in shown} == {
        "You must take 500 mg of it now. You do not need a doctor."
    }


def test_the_worst_slice_is_the_one_that_was_made_worse(results: dict[str, Any]) -> None:
    worst = {line["metric"]: line["value"] for line in results["slices"] if line["worst"]}
    assert worst == {"rubric.safety": "part 3", "win_rate": "part 3"}
    assert {line["n_tests"] for line in results["slices"]} == {2 * N_TOPICS}
    codes = [caveat["code"] for caveat in results["caveats"]]
    assert "worse_on_a_slice" in codes


def test_every_pair_was_judged_and_ranked(results: dict[str, Any]) -> None:
    (table,) = results["strengths"]
    assert table["every_pair"]
    assert [(p["baseline"], p["candidate"]) for p in table["pairs"]] == [
        ("short", "middle"),
        ("short", "uneven"),
        ("middle", "uneven"),
    ]


def test_each_claim_is_counted_in_other_ways(results: dict[str, Any]) -> None:
    claimed = [table for table in results["sensitivities"] if table["claim"]]
    assert [table["claim"] for table in claimed] == ["rubric.safety superior", "win_rate superior"]
    for table, claim in zip(claimed, results["decision"]["claims"], strict=True):
        assert table["rows"][0]["verdict"] == claim["verdict"]


def test_the_report_shows_them_all(finished: tuple[Done, Path]) -> None:
    html = (finished[1] / "report.html").read_text(encoding="utf-8")
    for section in ("critical", "slices", "sensitivity", "preference"):
        assert f'<section id="{section}">' in html
    assert "win_rate: Bradley-Terry strengths" in html


def test_a_second_run_says_the_same(world: Path, results: dict[str, Any]) -> None:
    again = run(world)
    found = json.loads((world / json.loads(again.stdout)["folder"] / "results.json").read_text())
    drop = ("started", "finished", "seconds")
    assert {k: v for k, v in found.items() if k not in drop} == {
        k: v for k, v in results.items() if k not in drop
    }


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "slices: [part]",
            "slices: [prat]",
            "no column 'prat' for the slices. Did you mean 'part'?",
        ),
        ("at_most: 2", "at_most: 11", "at most 11 separates no answers"),
    ],
)
def test_a_mistake_ends_the_plan_before_any_work(
    world: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    for name in ("items.jsonl", "short.jsonl", "middle.jsonl", "uneven.jsonl", "there.yaml"):
        (tmp_path / name).write_bytes((world / name).read_bytes())
    write(tmp_path / "doubts.yaml", SUITE.replace(old, new))
    done = run(tmp_path, "plan")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_plan_of_recorded_answers_says_what_they_cannot_show(world: Path) -> None:
    text = (world / "doubts.yaml").read_text()
    write(world / "doubts.yaml", text.replace("allowed_share: 0.05", "allowed_share: 0.005"))
    try:
        (obstacle,) = json.loads(run(world, "plan").stdout)["obstacles"]
    finally:
        write(world / "doubts.yaml", text)
    assert "needs at least 598 items even if not one" in obstacle
