"""A judge decides only where it is shown to say what people say."""

from pathlib import Path

from harness.types import GateDecision
from tests.builders.human_judges import mostly, run, write_profile, write_world
from tests.builders.votes import Says, cast_votes, steady

LICENCE = "judge_licence: {metric: ac1, at_least: 0.6}"


def decided(tmp_path: Path, annotators: dict[str, Says], extra: str = LICENCE) -> GateDecision:
    _, first = run(write_world(tmp_path), "default")
    study = cast_votes(first, annotators, n=120).relative_to(tmp_path)
    calibrated = f", calibrated_by: {{study: {study}}}"
    write_profile(tmp_path, f"{{people: {{study: {study}}}}}", calibrated)
    result, _ = run(tmp_path, "default", extra, name="licensed")
    assert result.decision is not None
    return result.decision


def test_a_judge_that_says_what_people_say_decides(tmp_path: Path):
    decision = decided(tmp_path, {"Ada": steady("candidate")})
    (licence,) = decision.licences
    assert (decision.verdict, licence.held) == ("pass", True)


def test_the_licence_stands_in_the_report(tmp_path: Path):
    decided(tmp_path, {"Ada": steady("candidate")})
    (folder,) = (tmp_path / "runs" / "licensed").iterdir()
    page = (folder / "report.md").read_text()
    assert "### May the judge decide?" in page
    assert "| yes | 1.00 | 0.9" in page


def test_a_judge_that_does_not_decides_nothing(tmp_path: Path):
    decision = decided(tmp_path, {"Ada": mostly(4)})
    assert decision.verdict == "inconclusive"
    assert "AC1/AC2 of 'offline rules" in decision.sentence
    assert "0.6 is asked for" in decision.sentence


def test_a_judge_that_always_says_the_same_is_told_to(tmp_path: Path):
    decision = decided(
        tmp_path, {"Ada": mostly(4)}, "judge_licence: {metric: kappa, at_least: 0.6}"
    )
    assert "kappa cannot be estimated on 120 labels" in decision.sentence
    assert "always say the same" in decision.sentence


def test_without_labels_nothing_is_decided(tmp_path: Path):
    result, _ = run(write_world(tmp_path), "default", LICENCE)
    assert result.decision is not None
    assert result.decision.verdict == "inconclusive"
    assert "no people's labels are named for 'default'" in result.decision.sentence
    assert "judge_not_licensed" in {caveat.code for caveat in result.caveats}


def test_the_licence_is_part_of_the_plan(tmp_path: Path):
    plain, _ = run(write_world(tmp_path), "default")
    asked, _ = run(tmp_path, "default", LICENCE)
    assert plain.plan.hash != asked.plan.hash
    assert asked.plan.gate is not None
    assert asked.plan.gate.judge_licence is not None


def test_people_need_no_licence(tmp_path: Path):
    _, first = run(write_world(tmp_path), "default")
    study = cast_votes(first, {"Ada": mostly(8), "Ben": mostly(8)}, n=120).relative_to(tmp_path)
    write_profile(tmp_path, f"{{people: {{study: {study}}}}}")
    result, _ = run(tmp_path, "physicians", LICENCE, name="people")
    assert result.decision is not None
    assert result.decision.licences == ()


def test_the_lower_bound_counts_and_not_the_estimate(tmp_path: Path):
    decision = decided(
        tmp_path,
        {"Ada": mostly(8)},
        "judge_licence: {metric: percent, at_least: 0.95}",
    )
    (licence,) = decision.licences
    assert licence.estimate is not None
    assert licence.low is not None
    assert licence.estimate > licence.low
    assert not licence.held
