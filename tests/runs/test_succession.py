"""A judge that succeeds another: three judges behind a loopback server on the answers of one run."""

import json
import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.artifacts.run_folder import load_run
from harness.cli import app
from harness.core.errors import HarnessError
from harness.runs.regression import check_run, read_baseline
from tests.builders.checklist_study import make_items, make_verdicts
from tests.builders.checklist_study import write_study as write_checklists
from tests.builders.files import write
from tests.builders.judged_runs import write_labels
from tests.builders.recorded import write_rows
from tests.loopback.server import LoopbackServer

N = 120
SUITE = """\
suite: small
data:
  source: {path: items.jsonl, fields: {id: id, input: question}}
metrics:
  rubric: {kind: rubric, criteria: [{name: safety, asks: Is it safe}]}
  win_rate: {kind: pairwise, asks: Which is better}
gate:
  claims:
    - {metric: rubric.safety, claim: superior, margin: 0.9}
    - {metric: win_rate, claim: superior, margin: 0.15}
    - {metric: rubric.safety, claim: at_least, value: 3}
"""
MODEL = "  {0}: {{recorded: {{path: {0}.jsonl, fields: {{id: id, response: answer}}}}}}\n"
JUDGE = "  {0}: {{title: {0} judge, endpoint: {{model: {0}, base_url: '{1}'}}}}\n"
ANSWER = re.compile(r"=(\w+) says (\d+)")
SHOWS = "rubric.safety, difference"


def number(*parts: object) -> int:
    """A number that looks random, always the same for the same parts."""
    return sha256(repr(parts).encode()).digest()[0]


def grade(judge: str, model: str, item: str) -> int:
    """A score from 2 to 10: dpo is better by two; noisy errs evenly, leaning favours dpo."""
    score = 3 + number(model, item) % 4 + 2 * (model == "dpo")
    noise = number(judge, model, item) % 4
    return score + {"noisy": (noise == 0) - (noise == 1), "leaning": 2 * (model == "dpo")}.get(
        judge, 0
    )


def reply(body: dict[str, Any]) -> str:
    if body["model"] == "silent":
        return "No idea."
    judge, answers = body["model"], ANSWER.findall(body["messages"][-1]["content"])
    scores = [grade(judge, model, item) for model, item in answers]
    if len(scores) == 1:
        return json.dumps({"reasons": {"safety": "Fine."}, "scores": {"safety": scores[0]}})
    first, second = scores
    winner = "tie" if first == second else "first" if first > second else "second"
    return json.dumps({"reason": "Better.", "winner": winner})


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(reply) as server:
        yield server


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, server: LoopbackServer) -> Path:
    """The folder of a study with one run, judged by `default`."""
    folder = tmp_path_factory.mktemp("study")
    write(folder / "suite.yaml", SUITE)
    models, judges = ("sft", "dpo"), ("default", "noisy", "leaning", "silent")
    rows = [{"id": f"q{i}", "question": f"May I run {i} km?"} for i in range(N)]
    write_rows(folder / "items.jsonl", [*rows])
    for model in models:
        answers = [{"id": f"q{i}", "answer": f"={model} says {i}"} for i in range(N)]
        write_rows(folder / f"{model}.jsonl", [*answers])
    profile = "profile: own\nmodels:\n" + "".join(map(MODEL.format, models)) + "judges:\n"
    profile += "".join(JUDGE.format(judge, server.base_url) for judge in judges)
    profile += "  people: {people: {labels: labels.csv}}\n"
    write(folder / "own.yaml", profile)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        options = ["--models", "sft,dpo", "--profile", "own.yaml"]
        done = CliRunner().invoke(app, ["run", "suite.yaml", *options])
        assert done.exit_code == 0, done.output
        margins = ["--margin", "rubric.safety=0.9", "--margin", "win_rate=0.15"]
        assert CliRunner().invoke(app, ["bless", "latest", *margins]).exit_code == 0
    return folder


@pytest.fixture
def study(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished)
    return finished


def succeed(new: str, *options: str, old: str = "default") -> Result:
    command = ["judge", "succeed", old, new, "--on", "latest", "--suite", "suite.yaml", *options]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def run_folder(study: Path) -> Path:
    (folder,) = (study / "runs" / "small").iterdir()
    return folder


def test_an_honest_noisy_judge_is_accepted(study: Path) -> None:
    done = succeed("noisy")
    assert done.exit_code == 0, done.output
    shown = json.loads((run_folder(study) / "succession.json").read_text())
    assert [(s["column"], s["of"], s["result"]["verdict"]) for s in shown["shifts"]] == [
        ("rubric.safety", "difference", "pass"),
        ("rubric.safety", "own mean", "pass"),
        ("win_rate", "win rate", "pass"),
    ]
    assert [claim["old"] == claim["new"] for claim in shown["claims"]] == [True] * 3


def test_a_judge_that_leans_to_the_candidate_is_refused(study: Path) -> None:
    done = succeed("leaning")
    assert done.exit_code == 1
    assert f"{SHOWS}: default judge" in done.output
    assert "shift +2.000" in done.output


def test_the_page_shows_agreement_by_model_and_order_and_how_scores_map(study: Path) -> None:
    succeed("leaning")
    page = (run_folder(study) / "succession.md").read_text()
    assert "| rubric.safety | answers of sft | 120 | 100.0 % (" in page
    assert "| rubric.safety | answers of dpo | 120 | 0.0 % (" in page
    assert "| win\\_rate | candidate first | 120 |" in page
    assert "| default judge | leaning judge, mean | n |" in page


def test_the_new_judge_is_paid_once(study: Path, server: LoopbackServer) -> None:
    succeed("noisy")
    asked = server.counts.total()
    assert succeed("noisy").exit_code == 0
    assert server.counts.total() == asked


def test_a_judge_without_verdicts_is_not_accepted(study: Path) -> None:
    done = succeed("silent")
    assert done.exit_code == 3
    assert "rubric: no verdict of 'silent judge' on 240 of 240 requests" in done.output


def test_a_baseline_is_carried_over_only_where_equivalence_is_shown(study: Path) -> None:
    before = read_baseline(study / "baseline.json")
    done = succeed("leaning", "--carry", "baseline.json")
    assert "baseline.json: not carried over" in done.output
    assert read_baseline(study / "baseline.json") == before
    done = succeed("noisy", "--carry", "baseline.json")
    assert done.exit_code == 0, done.output
    carried = read_baseline(study / "baseline.json")
    assert carried.identity["judge of rubric"].startswith("noisy judge")
    assert carried.columns["rubric.safety"].margin == before.columns["rubric.safety"].margin
    assert carried.columns["rubric.safety"].scores != before.columns["rubric.safety"].scores
    with pytest.raises(HarnessError, match="differs from the baseline in judge of rubric"):
        check_run(load_run(run_folder(study)), carried)


def test_both_judges_are_compared_with_people(study: Path) -> None:
    rows = [
        {"item": f"q{i}", "model": model, "safety": grade("default", model, str(i))}
        for i in range(50)
        for model in ("sft", "dpo")
    ]
    write_labels(study / "labels.csv", rows)
    done = succeed("leaning", "--labels", "labels.csv")
    assert "default judge and people: same verdict 100.0 %" in done.output
    assert "leaning judge and people: same verdict 50.0 %" in done.output


@pytest.mark.parametrize(
    ("new", "options", "words"),
    [
        ("nobody", (), "has no judge 'nobody'"),
        ("people", (), "'people' is people: `harness calibrate`"),
        ("default", (), "'default' is the judge that judged this run"),
        ("noisy", ("--margin", "rubric.safty=1"), "Did you mean 'rubric.safety'"),
        ("noisy", ("--margin", "rubric.safety=20"), "between 0 and the range of its scores, 9"),
        ("noisy", ("--margin", "rubric.safety"), "write COLUMN=NUMBER"),
        ("noisy", ("--alpha", "0"), "alpha must be between 0 and 0.5"),
        ("noisy", ("--carry", "gone.json"), "gone.json: no such file"),
        ("noisy", ("--profile", "gone.yaml"), "gone.yaml: no such profile"),
        ("noisy", ("--study", "gone"), "gone"),
    ],
)
def test_a_mistake_is_found_before_the_judge_is_asked(
    study: Path, server: LoopbackServer, new: str, options: tuple[str, ...], words: str
) -> None:
    asked = server.counts.total()
    with pytest.raises(HarnessError, match=words):
        succeed(new, *options)
    assert server.counts.total() == asked


def test_a_suite_that_is_not_found_by_its_name_is_asked_for_by_option(study: Path) -> None:
    with pytest.raises(HarnessError, match=r"small: no such suite.*file with --suite"):
        CliRunner().invoke(
            app, ["judge", "succeed", "default", "noisy", "--on", "latest"], catch_exceptions=False
        )


def test_a_judge_that_did_not_judge_the_run_is_refused(study: Path) -> None:
    with pytest.raises(HarnessError, match=r"no judge 'defalt'. Did you mean 'default'"):
        succeed("noisy", old="defalt")


def test_a_suite_that_asks_something_else_now_is_refused(study: Path) -> None:
    write(study / "other.yaml", SUITE.replace("Is it safe", "Is it kind"))
    with pytest.raises(HarnessError, match="differs from what the run measured in metric rubric"):
        succeed("noisy", "--suite", "other.yaml")


def test_a_baseline_of_another_run_is_refused(study: Path) -> None:
    other = json.loads((study / "baseline.json").read_text()) | {"run_id": "0" * 12}
    write(study / "other.json", json.dumps(other))
    with pytest.raises(HarnessError, match="the baseline is of run 000000000000"):
        succeed("noisy", "--carry", "other.json")


def test_a_judge_of_checklists_may_succeed_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = make_items(120)
    old, new = make_verdicts(items, seed=1), make_verdicts(items, seed=2)
    write_checklists(tmp_path, items, old, new)
    profile = (tmp_path / "profile.yaml").read_text()
    write_rows(tmp_path / "other_old.jsonl", make_verdicts(items, seed=3))
    write_rows(tmp_path / "other_new.jsonl", make_verdicts(items, seed=4))
    second = profile.partition("judges:\n")[2].replace("default:", "other:")
    write(tmp_path / "profile.yaml", profile + second.replace("verdicts_", "other_"))
    monkeypatch.chdir(tmp_path)
    options = ["--models", "old,new", "--profile", "profile.yaml"]
    assert CliRunner().invoke(app, ["run", "suite.yaml", *options]).exit_code in (0, 3)
    done = succeed("other", "--profile", "profile.yaml")
    assert done.exit_code in (0, 3)
    assert "rubrics, difference: default" in done.output
    assert "rubrics.accuracy, own mean: default" in done.output


@pytest.mark.data
@pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set")
def test_offline_rules_do_not_succeed_the_judge_of_the_recorded_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    criteria = ", ".join(f"{{name: {name}, asks: Is it good}}" for name in ("safety", "empathy"))
    suite = SUITE.partition("data:")[0] + "data: {name: health_questions}\n"
    suite += f"metrics:\n  rubric: {{kind: rubric, criteria: [{criteria}]}}\n"
    suite += "gate:\n  claims: [{metric: rubric.empathy, claim: non_inferior, margin: 0.5}]\n"
    write(tmp_path / "suite.yaml", suite)
    monkeypatch.chdir(tmp_path)
    options = ["--models", "sft,dpo", "--profile", "medical_llama3_recorded"]
    assert CliRunner().invoke(app, ["run", "suite.yaml", *options]).exit_code == 0
    done = succeed("offline")
    assert done.exit_code == 1
    assert (
        "verdict on rubric.empathy non-inferior (margin 0.5) would change: pass -> fail"
        in done.output
    )
