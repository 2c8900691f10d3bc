"""`harness plan` where people judge: what they can show, and what a licence takes, before a run."""

import math
from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.human.annotate.study import StudyOptions, open_study
from harness.human.votes import load_study
from harness.planning.forecast import Forecast, forecast_run
from harness.planning.human import describe_human_claims
from harness.planning.judge_requirement import describe_requirements
from harness.stats.annotator_means import two_way_mean
from harness.stats.power import minimum_detectable_effect
from harness.stats.proportions import wilson_interval
from harness.types import Study
from tests.builders.files import write, write_rows
from tests.builders.human_judges import SUITE, mostly, run, write_profile, write_world
from tests.builders.judged_runs import write_labels
from tests.builders.votes import Says, cast_votes

FOUR = {"Ada": mostly(8), "Ben": mostly(7), "Cleo": mostly(5), "Eve": mostly(8)}
LICENCE = "judge_licence: {metric: percent, at_least: 0.6}"


def plan(folder: Path, judge: str, extra: str = "", models: str = "sft,dpo") -> Forecast:
    suite = write(folder / "plan.yaml", SUITE.format(name="plan", judge=judge, extra=extra))
    request = load_request(str(suite), str(folder / "profile.yaml"), models.split(","))
    return forecast_run(request, folder / "store")


def begin(folder: Path) -> Path:
    """A finished run, and a profile whose people and labels are its study, which is not begun."""
    _, first = run(write_world(folder), "default")
    study = first.relative_to(folder) / "people" / "study"
    write_profile(folder, f"{{people: {{study: {study}}}}}", f", calibrated_by: {{study: {study}}}")
    return first


def told(forecast: Forecast) -> str:
    return "\n".join(
        [*describe_human_claims(forecast.people), *describe_requirements(forecast.licences)]
    )


def judged(folder: Path, says: dict[str, Says], n: int = 120, extra: str = "") -> Forecast:
    cast_votes(begin(folder), says, n=n)
    return plan(folder, "physicians", extra)


def test_votes_show_what_the_two_way_test_shows(tmp_path: Path):
    (found,) = judged(tmp_path, FOUR).people
    votes = [[float(says_win(name, i)) - 0.5 for name in FOUR] for i in drawn(tmp_path)]
    both = two_way_mean([*votes, *[[0.0] * 4] * 13])  # ties where the answers are alike
    shown = minimum_detectable_effect(both.se * 2, 4, alternative="one-sided")
    assert found.detectable == pytest.approx(shown)
    assert (found.n_annotators, found.n_voted, found.n_drawn, found.n_votes) == (4, 120, 120, 480)


def says_win(name: str, i: int) -> bool:
    return i % 10 <= {"Ada": 8, "Ben": 7, "Cleo": 5, "Eve": 8}[name]


def drawn(folder: Path) -> list[int]:
    (run_folder,) = (folder / "runs" / "knees").iterdir()
    study: Study = load_study(run_folder / "people" / "study")
    return [int(item.sample_id[1:]) for item in study.items if item.kind == "real"]


def test_more_annotators_show_more_and_two_show_next_to_nothing(tmp_path: Path):
    (found,) = judged(tmp_path, FOUR).people
    shown = list(found.design.by_annotators.values())
    assert shown[0] is None or shown[0] > 0.3
    assert [x for x in shown if x is not None] == sorted((x for x in shown if x), reverse=True)


def test_items_of_one_source_are_one_item(tmp_path: Path):
    cast_votes(begin(tmp_path), {"Ada": mostly(8)}, n=100)
    (apart,) = plan(tmp_path, "physicians").people
    rows = [{"id": f"q{i}", "question": f"Why {i}?", "source": f"s{i % 10}"} for i in range(160)]
    write_rows(tmp_path / "items.jsonl", rows)
    fields = "fields: {id: id, input: question, cluster: source}"
    suite = SUITE.format(name="plan", judge="physicians", extra="").replace(
        "fields: {id: id, input: question}", fields
    )
    request = load_request(
        str(write(tmp_path / "s.yaml", suite)), str(tmp_path / "profile.yaml"), ["sft", "dpo"]
    )
    (together,) = forecast_run(request, tmp_path / "store").people
    assert apart.detectable is not None
    assert together.detectable is None or together.detectable > 1.5 * apart.detectable


def test_people_are_no_work_and_their_claim_is_forecast_once(tmp_path: Path):
    found = judged(tmp_path, FOUR)
    assert (found.claims, [task.judgements for task in found.tasks]) == ((), [0])
    assert found.plan_hash


def test_items_without_a_vote_and_excluded_annotators_are_told(tmp_path: Path):
    careless: Says = lambda item: "decoy" if item.kind == "attention" else "tie"  # noqa: E731
    shy: Says = lambda item: says_on_half(item.key)  # type: ignore[assignment,return-value] # noqa: E731
    words = told(judged(tmp_path, {"Dan": careless, "Ada": shy}))
    assert "excluded by the rule for annotators: Dan" in words
    assert "60 drawn items have no vote, and count at their worst" in words


def says_on_half(key: str) -> str:
    if key.startswith("attention"):
        return "expected"
    return "cannot_judge" if int(key[-4:]) % 2 else "candidate"


def test_one_annotator_speaks_for_nobody_else_and_leanings_are_assumed(tmp_path: Path):
    forecast = judged(tmp_path, {"Ada": mostly(8)})
    assert forecast.people[0].assumed == ("annotators",)
    assert "for this person alone" in told(forecast)


def test_before_a_study_the_command_that_begins_one_is_told(tmp_path: Path):
    first = begin(tmp_path)
    forecast = plan(tmp_path, "physicians")
    (found,) = forecast.people
    assert found.begin == f"harness annotate {first} --n {found.n_drawn}"
    assert found.assumed == ("items", "annotators")
    assert (forecast.plan_hash, forecast.judges) == ("", {"win_rate": "nobody has voted yet"})


def test_a_study_without_votes_is_forecast_with_its_own_pairs(tmp_path: Path):
    open_study(begin(tmp_path), StudyOptions(n=40))
    (found,) = plan(tmp_path, "physicians").people
    assert (found.n_drawn, found.design.n_items, found.begin) == (40, 40, None)


def test_a_run_that_is_not_there_is_named(tmp_path: Path):
    write_profile(write_world(tmp_path), "{people: {study: runs/lost/people/study}}")
    with pytest.raises(HarnessError, match="runs/lost: no such folder"):
        plan(tmp_path, "physicians")


def test_votes_on_the_models_the_other_way_round_are_told(tmp_path: Path):
    cast_votes(begin(tmp_path), FOUR, n=100)
    with pytest.raises(HarnessError, match="people compared sft with dpo, in this order"):
        plan(tmp_path, "physicians", models="dpo,sft")


def test_scores_are_forecast_on_their_own_scale(tmp_path: Path):
    write_world(tmp_path, "{people: {labels: scores.csv}}")
    rows = [
        {"item": f"q{i}", "annotator": name, "model": m, "safety": 4 + lean + (i + k) % 3 + up}
        for i in range(110)
        for k, (name, lean) in enumerate((("Ada", 0), ("Ben", 0), ("Cleo", 1)))
        for m, up in (("sft", 0), ("dpo", (i + k) % 2))
    ]
    write_labels(tmp_path / "scores.csv", rows)
    head = SUITE.format(name="s", judge="physicians", extra="").partition("metrics:")[0]
    suite = head + (
        "metrics:\n  r: {kind: rubric, judge: physicians, criteria: [{name: safety, asks: Safe}]}\n"
        "gate: {claims: [{metric: r.composite, claim: non_inferior, margin: 1}]}\n"
    )
    request = load_request(
        str(write(tmp_path / "s.yaml", suite)), str(tmp_path / "profile.yaml"), ["sft", "dpo"]
    )
    (found,) = forecast_run(request, tmp_path / "store").people
    assert (found.n_annotators, found.n_voted, found.n_votes) == (3, 110, 330)
    assert found.design.sd_annotators < 0.1  # who scores both models higher does not lean


# --- licences --------------------------------------------------------------------------------


def test_full_agreement_on_fewer_labels_shows_too_little(tmp_path: Path):
    cast_votes(begin(tmp_path), {"Ada": mostly(8)}, n=100)
    (found,) = plan(tmp_path, "default", LICENCE).licences
    assert found.least is not None
    shown = [wilson_interval(n, n).low >= 0.6 for n in (found.least - 1, found.least)]
    assert shown == [False, True]
    assert (found.n_labels, found.why, found.ceiling) == (100, None, None)


def test_annotators_who_agree_less_than_asked_for_are_told(tmp_path: Path):
    cast_votes(begin(tmp_path), {"Ada": mostly(8), "Ben": mostly(1)}, n=100)
    (found,) = plan(tmp_path, "default", LICENCE).licences
    assert found.n_at_ceiling is None
    words = told(plan(tmp_path, "default", LICENCE))
    assert "does not reach the bound with any number of labels" in words


def test_a_judge_as_good_as_a_person_takes_so_many_labels(tmp_path: Path):
    cast_votes(begin(tmp_path), {"Ada": mostly(8), "Ben": mostly(7)}, n=100)
    (found,) = plan(tmp_path, "default", LICENCE).licences
    assert found.ceiling is not None
    below = found.ceiling.estimate - found.ceiling.low
    assert found.n_at_ceiling == math.ceil(100 * (below / (found.ceiling.estimate - 0.6)) ** 2)


def test_without_labels_it_says_how_many_to_draw(tmp_path: Path):
    begin(tmp_path)
    forecast = plan(tmp_path, "default", LICENCE)
    (found,) = forecast.licences
    assert found.why is not None
    assert "nobody has voted on this run" in found.why
    assert f"harness annotate RUN --n {found.n_close}" in told(forecast)
    assert forecast.plan_hash == ""


def test_a_judge_for_whom_nobody_is_named_is_told(tmp_path: Path):
    write_profile(write_world(tmp_path), "{offline: consumer_health}")
    (found,) = plan(tmp_path, "default", LICENCE).licences
    assert found.why == "nobody's labels are named ('calibrated_by' in profile 'recorded')"


def test_people_need_no_licence(tmp_path: Path):
    assert judged(tmp_path, FOUR, extra=LICENCE).licences == ()
