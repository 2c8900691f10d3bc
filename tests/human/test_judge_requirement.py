"""A judge decides at a gate only where it is shown to agree with people."""

from pathlib import Path

from harness.types import GateDecision
from tests.builders.human_judges import mostly, run, write_profile, write_world
from tests.builders.votes import Says, cast_votes, steady

REQUIREMENT = "judge_licence: {metric: ac1, at_least: 0.6}"


def decided(tmp_path: Path, annotators: dict[str, Says], extra: str = REQUIREMENT) -> GateDecision:
    _, first = run(write_world(tmp_path), "default")
    study = cast_votes(first, annotators, n=120).relative_to(tmp_path)
    calibrated = f", calibrated_by: {{study: {study}}}"
    write_profile(tmp_path, f"{{people: {{study: {study}}}}}", calibrated)
    result, _ = run(tmp_path, "default", extra, name="checked")
    assert result.decision is not None
    return result.decision


def test_a_judge_that_says_what_people_say_decides(tmp_path: Path):
    decision = decided(tmp_path, {"Ada": steady("candidate")})
    (check,) = decision.licences
    assert (decision.verdict, check.held) == ("pass", True)


def test_the_requirement_is_in_the_report(tmp_path: Path):
    decided(tmp_path, {"Ada": steady("candidate")})
    (folder,) = (tmp_path / "runs" / "checked").iterdir()
    page = (folder / "report.md").read_text()
    assert "### Required agreement of the judge with people" in page
    assert "| yes | 1.00 | 0.9" in page


def test_a_judge_that_does_not_decides_nothing(tmp_path: Path):
    decision = decided(tmp_path, {"Ada": mostly(4)})
    assert decision.verdict == "inconclusive"
    assert "AC1/AC2 of 'offline rules" in decision.sentence
    assert "0.6 is required" in decision.sentence


def test_a_judge_that_always_says_the_same_is_told_to(tmp_path: Path):
    decision = decided(
        tmp_path, {"Ada": mostly(4)}, "judge_licence: {metric: kappa, at_least: 0.6}"
    )
    assert "kappa cannot be estimated on 120 labels" in decision.sentence
    assert "always give the same verdict" in decision.sentence


def test_without_labels_nothing_is_decided(tmp_path: Path):
    result, _ = run(write_world(tmp_path), "default", REQUIREMENT)
    assert result.decision is not None
    assert result.decision.verdict == "inconclusive"
    assert "no people's labels are named for 'default'" in result.decision.sentence
    assert "judge_not_licensed" in {caveat.code for caveat in result.caveats}


def test_the_requirement_is_part_of_the_plan(tmp_path: Path):
    plain, _ = run(write_world(tmp_path), "default")
    asked, _ = run(tmp_path, "default", REQUIREMENT)
    assert plain.plan.hash != asked.plan.hash
    assert asked.plan.gate is not None
    assert asked.plan.gate.judge_licence is not None


def test_people_need_not_meet_the_requirement(tmp_path: Path):
    _, first = run(write_world(tmp_path), "default")
    study = cast_votes(first, {"Ada": mostly(8), "Ben": mostly(8)}, n=120).relative_to(tmp_path)
    write_profile(tmp_path, f"{{people: {{study: {study}}}}}")
    result, _ = run(tmp_path, "physicians", REQUIREMENT, name="people")
    assert result.decision is not None
    assert result.decision.licences == ()


def test_the_lower_bound_counts_and_not_the_estimate(tmp_path: Path):
    decision = decided(
        tmp_path,
        {"Ada": mostly(8)},
        "judge_licence: {metric: percent, at_least: 0.95}",
    )
    (check,) = decision.licences
    assert check.estimate is not None
    assert check.low is not None
    assert check.estimate > check.low
    assert not check.held
