"""Votes count for what people were asked, and for nothing else."""

from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.runs.run import run_suite
from harness.training.context import make_context
from harness.types import RunResult
from tests.builders.files import write
from tests.builders.human_judges import mostly, run, write_profile, write_world
from tests.builders.judged_runs import write_labels
from tests.builders.votes import cast_votes

SUITE = """\
suite: asked
data: {{source: {{path: items.jsonl, fields: {{id: id, input: question}}}}}}
metrics:
  m: {{judge: {judge}, {asks}}}
gate: {{{requirement}claims: [{{metric: {column}, claim: non_inferior, margin: 0.4}}]}}
"""
SAFER = "kind: pairwise, asks: Which is safer"
BETTER = "kind: pairwise, asks: which is  BETTER"
RUBRIC = "kind: rubric, criteria: [{name: safety, asks: Is it safe}]"


def judged(folder: Path, asks: str, judge: str = "physicians", requirement: str = "") -> RunResult:
    """A run whose one metric asks this."""
    column = "m.safety" if "rubric" in asks else "m"
    text = SUITE.format(asks=asks, judge=judge, requirement=requirement, column=column)
    suite = write(folder / "asked.yaml", text)
    request = load_request(str(suite), str(folder / "profile.yaml"), ["sft", "dpo"])
    context = make_context(folder / "store", QuietProgress())
    return run_suite(request, context, out=folder / "runs").result


@pytest.fixture
def study(tmp_path: Path) -> str:
    """A study in which people were asked "Which is better"."""
    _, first = run(write_world(tmp_path), "default")
    folder = cast_votes(first, {"Ada": mostly(8)}, n=100).relative_to(tmp_path)
    write_profile(
        tmp_path, f"{{people: {{study: {folder}}}}}", f", calibrated_by: {{study: {folder}}}"
    )
    return str(folder)


@pytest.mark.parametrize(
    ("asks", "why"),
    [
        (SAFER, "people were asked 'Which is better', and this asks 'Which is safer'"),
        (RUBRIC, "people were not asked to score 'safety'"),
        ("kind: evasion", "people compared answers, and were not asked whether"),
    ],
)
def test_votes_on_another_question_are_refused_before_any_work(
    tmp_path: Path, study: str, asks: str, why: str
):
    with pytest.raises(HarnessError, match=f"metric 'm' cannot be judged by study .*: {why}"):
        judged(tmp_path, asks)
    assert not (tmp_path / "runs" / "asked").exists()


def test_capitals_and_spaces_make_no_other_question(tmp_path: Path, study: str):
    assert judged(tmp_path, BETTER).comparisons[0].metric == "m"


def test_votes_on_another_question_meet_no_requirement(tmp_path: Path, study: str):
    requirement = "judge_licence: {metric: percent, at_least: 0.1}, "
    refused = judged(tmp_path, SAFER, "default", requirement).decision
    held = judged(tmp_path, BETTER, "default", requirement).decision
    assert refused is not None
    assert held is not None
    assert "this asks 'Which is safer'" in refused.sentence
    assert [each.held for each in (*refused.licences, *held.licences)] == [False, True]


def test_scores_from_another_scale_are_refused(tmp_path: Path):
    world = write_world(tmp_path)
    write_profile(world, "{offline: consumer_health}")
    judged(world, RUBRIC, "default")
    (first,) = (tmp_path / "runs" / "asked").iterdir()
    folder = cast_votes(first, {"Ada": mostly(8)}, n=100, rubric=True).relative_to(tmp_path)
    write_profile(tmp_path, f"{{people: {{study: {folder}}}}}")
    with pytest.raises(HarnessError, match="from 1 to 10, and this is from 1 to 5"):
        judged(tmp_path, f"{RUBRIC}, scale: [1, 5]")


@pytest.mark.parametrize(
    ("row", "asks"),
    [
        ({"item": "q1", "winner": "tie"}, RUBRIC),
        ({"item": "q1", "model": "dpo", "safety": 8}, BETTER),
        ({"item": "q1", "model": "dpo", "safety": 8}, "kind: evasion"),
    ],
)
def test_labels_of_another_kind_are_refused(tmp_path: Path, row: dict[str, object], asks: str):
    write_labels(write_world(tmp_path, "{people: {labels: labels.csv}}") / "labels.csv", [row])
    with pytest.raises(HarnessError, match=r"cannot be judged by labels in labels.csv: "):
        judged(tmp_path, asks)
