"""Verdicts of a judge that people's labels on the same answers do not confirm."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.run_folder import load_run
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.human.calibration import calibrate_run
from harness.human.labels import load_label_file
from harness.runs.run import run_suite
from harness.stats.judge_correction import corrected_lower_bound
from harness.training.context import make_context
from harness.types import GateDecision, RunResult
from tests.builders.commands import harness_here
from tests.builders.files import write, write_rows
from tests.builders.judged_runs import write_labels
from tests.builders.public_labels import xstest

SUITE = """\
suite: refusals
data: {{source: {{path: items.jsonl, fields: {{id: id, input: question}}}}}}
metrics:
  helpful: {{kind: evasion}}
gate:
  {requirement}
  claims: [{{metric: helpful, claim: {claim}}}]
"""
PROFILE = """\
profile: recorded
models:
  old: {recorded: {path: old.jsonl, fields: {id: id, response: text}}}
  new: {recorded: {path: new.jsonl, fields: {id: id, response: text}}}
judges:
  default:
    title: the judge
    calibrated_by: {labels: labels.csv, drawn: random}
    recorded:
      helpful:
        old: {path: old.jsonl, fields: {id: id, helpful: judged}}
        new: {path: new.jsonl, fields: {id: id, helpful: judged}}
"""
LICENSED = "judge_licence: {metric: kappa, at_least: 0.6}"


def run(
    folder: Path,
    judged: dict[str, list[int]],
    people: dict[str, list[int]],
    *,
    requirement: str = LICENSED,
    claim: str = "superior",
) -> tuple[RunResult, Path]:
    """Run recorded verdicts of two models, with people's labels of the first items."""
    n = len(judged["old"])
    write_rows(folder / "items.jsonl", [{"id": f"q{i}", "question": f"Why {i}?"} for i in range(n)])
    for model, verdicts in judged.items():
        rows = [
            {"id": f"q{i}", "text": f"{model} {i}.", "judged": bool(v)}
            for i, v in enumerate(verdicts)
        ]
        write_rows(folder / f"{model}.jsonl", rows)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "model", "helpful"])
        for model, labels in people.items():
            writer.writerows((f"q{i}", model, label) for i, label in enumerate(labels))
    suite = write(folder / "refusals.yaml", SUITE.format(requirement=requirement, claim=claim))
    profile = write(folder / "profile.yaml", PROFILE)
    request = load_request(str(suite), str(profile), ["old", "new"])
    done = run_suite(request, make_context(folder / "store", QuietProgress()), out=folder / "runs")
    return done.result, done.folder


def run_again(folder: Path) -> GateDecision:
    """Run the suite that lies in the folder, with the labels as they are now."""
    names = str(folder / "refusals.yaml"), str(folder / "profile.yaml")
    request = load_request(*names, ["old", "new"])
    context = make_context(folder / "store", QuietProgress())
    decision = run_suite(request, context, out=folder / "again").result.decision
    assert decision is not None
    return decision


# Of 200 answers each, people find 120 helpful of the old model and 110 of the new one. The judge agrees
# on the old model's, and also accepts 40 of the new one's that people reject.
PEOPLE = {"old": [1] * 120 + [0] * 80, "new": [1] * 110 + [0] * 90}
LENIENT_TO_NEW = {"old": [1] * 120 + [0] * 80, "new": [1] * 150 + [0] * 50}


def test_a_judge_lenient_to_the_candidate_passes_nothing_although_it_agrees(tmp_path: Path):
    decision = run(tmp_path, LENIENT_TO_NEW, PEOPLE)[0].decision
    assert decision is not None
    (check,), (confirmation,) = decision.licences, decision.confirmations
    assert check.held
    assert (confirmation.judged, confirmation.corrected) == ("pass", "fail")
    assert (decision.verdict, decision.claims[0].verdict) == ("inconclusive", "inconclusive")
    assert "+0.150 on 200 items" in decision.sentence
    assert "it is -0.050" in decision.sentence


def test_agreement_and_bias_are_in_the_report_by_model(tmp_path: Path):
    result, folder = run(tmp_path, LENIENT_TO_NEW, PEOPLE)
    assert result.decision is not None
    (check,) = result.decision.licences
    agreed = {line.model: line.percent.estimate for line in check.models if line.percent}
    assert agreed == {"old": 1.0, "new": 0.8}
    biases = {bias.what: bias.judge - bias.people for bias in check.biases}
    assert biases["new minus old"] == pytest.approx(0.2)
    page = (folder / "report.md").read_text()
    assert "### Agreement by model" in page
    assert "| helpful | new minus old | 0.150 | -0.050 |" in page.replace("\N{MINUS SIGN}", "-")


def test_the_command_ends_as_inconclusive(tmp_path: Path):
    run(tmp_path, LENIENT_TO_NEW, PEOPLE)
    names = ("refusals.yaml", "--profile", "profile.yaml", "--models", "old,new")
    done = harness_here("run", *names, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "People's labels do not confirm the judge" in " ".join(done.stdout.split())


def test_a_verdict_that_labels_confirm_is_given(tmp_path: Path):
    better = {"old": [1] * 100 + [0] * 100, "new": [1] * 150 + [0] * 50}
    decision = run(tmp_path, better, better)[0].decision
    assert decision is not None
    assert decision.verdict == "pass"
    assert decision.confirmations[0].confirmed


def test_labels_on_part_of_the_items_confirm_a_large_difference(tmp_path: Path):
    better = {"old": [1, 0, 0, 0] * 100, "new": [1, 1, 1, 0] * 100}
    some = {model: labels[:120] for model, labels in better.items()}
    decision = run(tmp_path, better, some)[0].decision
    assert decision is not None
    assert decision.verdict == "pass"
    assert decision.confirmations[0].n_labels == 120


def test_a_refutation_by_a_lenient_judge_is_withdrawn_too(tmp_path: Path):
    swapped = {"old": LENIENT_TO_NEW["new"], "new": LENIENT_TO_NEW["old"]}
    people = {"old": PEOPLE["new"], "new": PEOPLE["old"]}
    decision = run(tmp_path, swapped, people)[0].decision
    assert decision is not None
    assert decision.confirmations[0].judged == "fail"
    assert decision.verdict == "inconclusive"


def test_without_a_requirement_the_report_begins_with_the_contradiction(tmp_path: Path):
    result, folder = run(tmp_path, LENIENT_TO_NEW, PEOPLE, requirement="")
    assert result.decision is not None
    assert result.decision.verdict == "pass"
    assert result.caveats[0].code == "not_confirmed_by_people"
    assert "corrected by people's labels on 200 of them" in (folder / "report.md").read_text()


def test_labels_that_come_after_the_run_are_held_against_its_claims(tmp_path: Path):
    _, folder = run(tmp_path, LENIENT_TO_NEW, PEOPLE, requirement="")
    people = load_label_file(tmp_path / "labels.csv", drawn_at_random=True)
    (confirmation,) = calibrate_run(load_run(folder), people).confirmations
    assert not confirmation.confirmed


RULE = "critical: [{metric: helpful, at_most: 0, allowed_share: 0.4}]"


@pytest.mark.parametrize(
    ("requirement", "verdict"), [(LICENSED, "inconclusive"), ("", "pass")], ids=["required", "not"]
)
def test_a_rule_that_only_the_judge_keeps_leaves_no_pass(
    tmp_path: Path, requirement: str, verdict: str
):
    """The judge finds 50 of 200 answers unhelpful, people 110: more than the 40 % allowed."""
    people = {"old": [1] * 10 + [0] * 190, "new": [1] * 90 + [0] * 110}
    judged = {"old": [1] * 40 + [0] * 160, "new": [1] * 150 + [0] * 50}
    required = requirement.replace("0.6", "0.3")
    result, _ = run(tmp_path, judged, people, requirement=f"{required}\n  {RULE}")
    assert result.decision is not None
    assert result.decision.verdict == verdict
    (caveat,) = [c.text for c in result.caveats if c.code == "rule_broken_by_people"]
    assert "by the judge 50 of 200 do, but people score 110 of 200 labelled ones" in caveat


def test_a_rule_that_labels_do_not_show_broken_stands(tmp_path: Path):
    better = {"old": [1] * 100 + [0] * 100, "new": [1] * 150 + [0] * 50}
    result, _ = run(tmp_path, better, better, requirement=f"{LICENSED}\n  {RULE}")
    assert result.decision is not None
    assert result.decision.verdict == "pass"


CORRECTED = "decide_on: corrected"


def test_a_gate_on_corrected_scores_decides_what_people_would(tmp_path: Path):
    """The judge finds the new model better; the labels, on three in four items, find it worse."""
    some = {model: labels[20:180] for model, labels in PEOPLE.items()}
    judged = {model: verdicts[20:180] + verdicts[:20] for model, verdicts in LENIENT_TO_NEW.items()}
    result, folder = run(tmp_path, judged, some, requirement=CORRECTED)
    assert result.decision is not None
    (claim,) = result.decision.claims
    assert (result.decision.verdict, claim.verdict) == ("fail", "fail")
    assert claim.estimate < 0
    assert result.caveats == () or result.caveats[0].code != "not_confirmed_by_people"
    assert "corrected by people's labels (PPI++)" in (folder / "report.md").read_text()


def test_too_few_labels_decide_nothing_on_corrected_scores(tmp_path: Path):
    better = {"old": [1, 0, 0, 0] * 100, "new": [1, 1, 1, 1] * 100}
    some = {model: labels[:99] for model, labels in better.items()}
    decision = run(tmp_path, better, some, requirement=CORRECTED)[0].decision
    assert decision is not None
    assert decision.verdict == "inconclusive"
    assert "fewer than 100 decide nothing" in decision.claims[0].why


def test_a_gate_on_corrected_scores_names_what_its_labels_lack(tmp_path: Path):
    run(tmp_path, PEOPLE, PEOPLE)
    profile = (tmp_path / "profile.yaml").read_text().replace(", drawn: random", "")
    write(tmp_path / "profile.yaml", profile.replace("labels.csv", "fewer.csv"))
    rows = (tmp_path / "labels.csv").read_text().splitlines()
    (tmp_path / "fewer.csv").write_text("\n".join(rows[:-2]))
    write(tmp_path / "refusals.yaml", SUITE.format(requirement=CORRECTED, claim="superior"))
    request = load_request(
        str(tmp_path / "refusals.yaml"), str(tmp_path / "profile.yaml"), ["old", "new"]
    )
    done = run_suite(request, make_context(tmp_path / "store", QuietProgress()), out=tmp_path)
    assert done.result.decision is not None
    assert "not stated to be a random sample" in done.result.decision.claims[0].why


def test_corrected_scores_do_not_go_with_looks(tmp_path: Path):
    with pytest.raises(HarnessError, match="labels are compared once"):
        run(
            tmp_path,
            PEOPLE,
            PEOPLE,
            requirement=CORRECTED + ", stop_early: true".replace(", ", "\n  "),
        )


def test_labels_of_each_model_on_other_items_confirm_no_difference(tmp_path: Path):
    better = {"old": [1] * 100 + [0] * 100, "new": [1] * 150 + [0] * 50}
    run(tmp_path, better, better)
    subjects = [(i, "old" if i % 2 else "new") for i in range(200)]
    rows = [{"item": f"q{i}", "model": m, "helpful": better[m][i]} for i, m in subjects]
    write_labels(tmp_path / "labels.csv", rows)
    decision = run_again(tmp_path)
    assert decision.verdict == "inconclusive"
    assert "labels of both models" in decision.sentence


def test_a_run_that_stopped_early_is_confirmed_at_the_level_of_its_look(tmp_path: Path):
    better = {"old": [1, 0, 0, 0] * 100, "new": [1, 1, 1, 0] * 100}
    result, _ = run(tmp_path, better, better, requirement=f"{LICENSED}\n  stop_early: true")
    assert result.decision is not None
    assert result.stopping is not None
    (confirmation,) = result.decision.confirmations
    n = confirmation.n
    at_half = corrected_lower_bound(
        np.tile([0.0, 1.0], n // 2), np.zeros(n), np.empty(0), least=-1.0, alpha=0.05
    )
    assert result.stopping.early
    assert confirmation.low < at_half - 0.05  # at the level of the look, far below alpha


def test_an_ordered_gate_on_corrected_scores_does_not_begin_with_the_judges_order(tmp_path: Path):
    """The judge leaves the first claim open; the labels show both."""
    better = {"old": [1, 0, 0, 0] * 100, "new": [1, 1, 1, 0] * 100}
    undecided = {"old": [0, 1] * 200, "new": [1, 0] * 200}
    claims = "superior}, {metric: helpful, claim: at_least, value: 0.6"
    requirement = f"{CORRECTED}\n  require: ordered"
    decision = run(tmp_path, undecided, better, requirement=requirement, claim=claims)[0].decision
    assert decision is not None
    assert [claim.verdict for claim in decision.claims] == ["pass", "pass"]


@pytest.mark.data
@pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set")
@pytest.mark.parametrize("judge", ["string match", "offline rules"])
def test_the_people_who_license_a_judge_also_bound_what_it_may_find(tmp_path: Path, judge: str):
    """By people Mistral complies with .440 more of XSTest's prompts; these judges find .51 and more."""
    completions = xstest()
    half = len(completions) // 2
    by_model = {"old": completions[:half], "new": completions[half:]}

    def complies(label: str | None) -> int:
        return int(label == "1_full_compliance")

    judged = {name: [complies(c.given[judge]) for c in cs] for name, cs in by_model.items()}
    people = {name: [complies(c.people) for c in cs] for name, cs in by_model.items()}
    decision = run(tmp_path, judged, people, claim="superior, margin: 0.46")[0].decision
    assert decision is not None
    (check,), (confirmation,) = decision.licences, decision.confirmations
    assert check.held
    assert confirmation.judged == "pass"
    assert confirmation.estimate == pytest.approx(0.440, abs=5e-4)
    assert decision.verdict == "inconclusive"
