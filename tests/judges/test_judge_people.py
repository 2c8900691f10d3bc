"""`judge: people` in a suite, from recorded answers to a verdict at the gate."""

import json
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.run_folder import load_run
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.runs.run import run_suite
from harness.scoring.columns import PreferenceColumn
from harness.training.context import make_context
from harness.types import RunResult
from tests.builders.files import write, write_rows
from tests.builders.human_judges import SUITE, N, mostly, run, write_profile, write_world
from tests.builders.judged_runs import write_labels
from tests.builders.votes import Says, cast_votes, steady


def judged_by(
    folder: Path, annotators: dict[str, Says], n: int = 120, extra: str = ""
) -> tuple[RunResult, Path]:
    """A first run, a study of it, and the run that these people judge."""
    _, first = run(write_world(folder), "default")
    study = cast_votes(first, annotators, n=n)
    write_profile(folder, f"{{people: {{study: {study.relative_to(folder)}}}}}")
    return run(folder, "physicians", extra, name="knees_people")


def test_people_pass_a_candidate(tmp_path: Path):
    result, _ = judged_by(
        tmp_path, {"Ada": mostly(8), "Ben": mostly(8), "Cleo": mostly(7), "Eve": mostly(8)}
    )
    assert result.decision is not None
    assert result.decision.verdict == "pass"


def test_items_with_the_same_answer_are_ties_in_proportion(tmp_path: Path):
    """Of 160 items 144 differ, of which 120 are drawn, and so 13 of the 16 others count."""
    result, _ = judged_by(tmp_path, {"Ada": steady("candidate"), "Ben": steady("candidate")})
    (comparison,) = result.comparisons
    assert (comparison.n, comparison.n_missing) == (133, 0)
    assert comparison.pairwise is not None
    assert (comparison.pairwise.wins, comparison.pairwise.ties) == (120, 13)
    tally = {line.judge: line.asked for line in result.tallies}
    assert tally == {"Ada": 120, "Ben": 120}


def test_annotators_widen_the_interval_and_the_gate_sees_it(tmp_path: Path):
    for_it, against = steady("candidate"), mostly(0)
    result, _ = judged_by(tmp_path, {"Ada": for_it, "Ben": for_it, "Cleo": against})
    (comparison,) = result.comparisons
    assert comparison.test.name.startswith("two-way")
    assert comparison.difference.low == 0.0
    assert result.decision is not None
    assert result.decision.verdict == "inconclusive"


def test_one_annotator_is_told_to_speak_for_nobody_else(tmp_path: Path):
    result, _ = judged_by(tmp_path, {"Ada": mostly(8)})
    assert "one_annotator" in {caveat.code for caveat in result.caveats}


def test_who_was_excluded_stands_in_the_plan(tmp_path: Path):
    careless: Says = lambda item: "decoy" if item.kind == "attention" else "baseline"  # noqa: E731
    result, _ = judged_by(tmp_path, {"Ada": mostly(8), "Dan": careless})
    assert "excluded by the rule for annotators: Dan" in result.plan.judges["win_rate"].nature


def test_agreement_and_opinions_are_the_annotators(tmp_path: Path):
    result, _ = judged_by(tmp_path, {"Ada": mostly(8), "Ben": mostly(4)})
    (agreement,) = result.agreements
    assert (agreement.judges, agreement.n) == (("Ada", "Ben"), 120)
    assert {opinion.judge for opinion in result.opinions} == {"Ada", "Ben"}


def test_votes_come_back_from_the_scores_file(tmp_path: Path):
    result, folder = judged_by(tmp_path, {"Ada": mostly(8), "Ben": mostly(4)})
    loaded = load_run(folder)
    (column,) = loaded.columns
    assert isinstance(column, PreferenceColumn)
    assert column.votes is not None
    assert column.votes.shape == (133, 2)
    assert not np.isnan(column.votes).any()
    decided = loaded.decide()
    assert decided is not None
    assert result.decision is not None
    assert decided.claims[0].bound == pytest.approx(result.decision.claims[0].bound)


def test_votes_on_other_answers_do_not_count(tmp_path: Path):
    _, first = run(write_world(tmp_path), "default")
    study = cast_votes(first, {"Ada": steady("candidate")}, n=120)
    rows = [json.loads(line) for line in (tmp_path / "dpo.jsonl").read_text().splitlines()]
    write_rows(tmp_path / "dpo.jsonl", [r | {"text": r["text"] + " Now."} for r in rows])
    write_profile(tmp_path, f"{{people: {{study: {study.relative_to(tmp_path)}}}}}")
    with pytest.raises(HarnessError, match="people judged other answers"):
        run(tmp_path, "physicians", name="other")


def test_scores_in_a_file_decide_claims_on_a_rubric(tmp_path: Path):
    write_world(tmp_path, "{people: {labels: scores.csv}}")
    rng = np.random.default_rng(1)
    rows = [
        {"item": f"q{i}", "annotator": name, "model": m, "safety": good + int(rng.integers(0, 2))}
        for i in range(N)
        for name in ("Ada", "Ben", "Cleo")
        for m, good in (("sft", 4), ("dpo", 7))
    ]
    write_labels(tmp_path / "scores.csv", rows)
    rubric = (
        "metrics:\n  rubric: {kind: rubric, judge: physicians, "
        "criteria: [{name: safety, asks: Is it safe}]}\ngate:\n"
        "  claims: [{metric: rubric.safety, claim: superior, margin: 2}]\n"
    )
    head = SUITE.format(name="scored", judge="physicians", extra="").partition("metrics:")[0]
    suite = write(tmp_path / "scored.yaml", head + rubric)
    request = load_request(str(suite), str(tmp_path / "profile.yaml"), ["sft", "dpo"])
    done = run_suite(
        request, make_context(tmp_path / "store", QuietProgress()), out=tmp_path / "runs"
    ).result
    assert done.decision is not None
    assert done.decision.verdict == "pass"
    safety = next(c for c in done.comparisons if c.metric == "rubric.safety")
    assert safety.test.name.startswith("two-way")
    assert safety.difference.estimate == pytest.approx(3, abs=0.2)


def test_votes_on_the_models_the_other_way_round_do_not_count(tmp_path: Path):
    _, first = run(write_world(tmp_path), "default")
    study = cast_votes(first, {"Ada": steady("candidate")}, n=120)
    write_profile(tmp_path, f"{{people: {{study: {study.relative_to(tmp_path)}}}}}")
    suite = write(tmp_path / "s.yaml", SUITE.format(name="s", judge="physicians", extra=""))
    request = load_request(str(suite), str(tmp_path / "profile.yaml"), ["dpo", "sft"])
    done = run_suite(
        request, make_context(tmp_path / "store", QuietProgress()), out=tmp_path / "runs"
    ).result
    assert done.decision is not None
    assert done.decision.verdict == "inconclusive"
    assert done.comparisons[0].n_missing == 120


def test_a_study_refuses_a_third_model(tmp_path: Path):
    write_world(tmp_path, "{people: {study: people/study}}")
    text = (tmp_path / "profile.yaml").read_text()
    write(tmp_path / "profile.yaml", text.replace("judges:", "  ppo: {recipe: x.yaml}\njudges:"))
    suite = write(tmp_path / "three.yaml", SUITE.format(name="three", judge="physicians", extra=""))
    with pytest.raises(HarnessError, match="people compared two models"):
        load_request(str(suite), str(tmp_path / "profile.yaml"), ["sft", "dpo", "ppo"])


def test_a_gate_that_stops_early_refuses_people(tmp_path: Path):
    with pytest.raises(HarnessError, match="'stop_early' saves verdicts"):
        judged_by(tmp_path, {"Ada": mostly(8)}, extra="stop_early: true")


@pytest.mark.parametrize("judge", ["physicians", "default"])
def test_a_score_off_the_scale_is_refused_before_anything_is_judged(judge: str, tmp_path: Path):
    """Also of labels that only calibrate the judge."""
    write_world(tmp_path)
    calibrated = ", calibrated_by: {labels: scores.csv, drawn: random}"
    write_profile(tmp_path, "{people: {labels: scores.csv}}", calibrated)
    write_labels(tmp_path / "scores.csv", [{"item": "q1", "model": "dpo", "helpful": 3}])
    suite = write(
        tmp_path / "scored.yaml",
        "suite: scored\ndata: {source: {path: items.jsonl, fields: {id: id, input: question}}}\n"
        f"metrics:\n  hq: {{kind: evasion, judge: {judge}}}\n",
    )
    request = load_request(str(suite), str(tmp_path / "profile.yaml"), ["sft", "dpo"])
    context = make_context(tmp_path / "store", QuietProgress())
    with pytest.raises(HarnessError, match=r"scores\.csv:2: helpful 3 .* 'hq'"):
        run_suite(request, context, out=tmp_path / "runs")
