"""Studies whose items are drawn with known unequal chances: drawn, read, corrected, and refused."""

from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.run_folder import load_run
from harness.config import Claim
from harness.core.errors import HarnessError
from harness.human.annotate.study import StudyOptions, open_study
from harness.human.calibration import calibrate_run
from harness.human.claim_labels import label_claim
from harness.human.labels import load_study_labels
from harness.scoring.paired import pair_scores
from tests.builders.commands import harness_here
from tests.builders.human_judges import mostly, run, write_profile, write_world
from tests.builders.judged_runs import METRICS, grades, wins, write_run
from tests.builders.votes import cast_votes, steady

N = 200
CLEAR = np.arange(N) % 4 == 0  # items on which the judge finds a winner; the others are ties
WON = np.where(CLEAR, 1.0, 0.5)


def test_pairs_that_the_judge_decides_are_drawn_more_often(tmp_path: Path):
    study = open_study(write_run(tmp_path, [wins(WON)]), StudyOptions(n=40, informative=True)).study
    drawn = [int(item.sample_id[1:]) for item in study.items if item.kind == "real"]
    assert len(set(drawn)) == 40
    assert np.mean([CLEAR[i] for i in drawn]) > 0.5
    assert set(study.chances) == {f"q{i}" for i in range(N)}
    assert sum(study.chances.values()) == pytest.approx(40)
    assert study.chances["q0"] == pytest.approx(0.1 + 0.4)
    assert study.chances["q1"] == pytest.approx(0.1)


def test_a_pair_whose_winner_hangs_on_the_order_tells_most(tmp_path: Path):
    column = wins(np.where(CLEAR, 1.0, 0.5), np.where(CLEAR, 0.0, 0.5))
    study = open_study(write_run(tmp_path, [column]), StudyOptions(n=40, informative=True)).study
    assert study.chances["q0"] > study.chances["q1"]


def test_an_equal_draw_is_as_it_was(tmp_path: Path):
    folder = write_run(tmp_path, [wins(WON)])
    assert open_study(folder, StudyOptions(n=40)).study.chances == {}
    with pytest.raises(HarnessError, match="--informative"):
        open_study(folder, StudyOptions(informative=True))


def test_without_a_judge_nothing_shows_where_labels_tell(tmp_path: Path):
    folder = write_run(tmp_path, [grades("hq", np.ones(N), np.ones(N))])
    (folder / "scores.parquet").unlink()
    with pytest.raises(HarnessError):
        open_study(folder, StudyOptions(n=40, informative=True))


def test_such_labels_are_no_random_sample_and_say_so(tmp_path: Path):
    folder = write_run(tmp_path, [wins(WON)])
    study = cast_votes(folder, {"Ada": steady("candidate")}, n=60, informative=True)
    people = load_study_labels(study)
    assert (people.random, people.chances is None) == (False, False)
    assert "known unequal chances" in people.sampling
    found = calibrate_run(load_run(folder), people)
    assert found.corrected == ()
    assert found.refused is not None
    assert "weights" in found.refused


def drawn_world(folder: Path) -> str:
    """A finished run with an informative study of it; returns the study's path in the folder."""
    _, first = run(write_world(folder), "default")
    study = cast_votes(first, {"Ada": mostly(8)}, n=120, informative=True)
    return str(study.relative_to(folder))


def test_a_gate_decides_on_scores_corrected_with_weights(tmp_path: Path):
    """The judge prefers the candidate wherever answers differ; people do in eight of nine cases."""
    study = drawn_world(tmp_path)
    write_profile(tmp_path, "{offline: consumer_health}", f", calibrated_by: {{study: {study}}}")
    result, _ = run(tmp_path, "default", "decide_on: corrected", name="corrected")
    assert result.decision is not None
    (found,) = result.decision.confirmations
    assert found.n_labels == 120
    assert found.estimate == pytest.approx(0.9 * 8 / 9 + 0.1 * 0.5, abs=0.04)
    assert result.decision.verdict == "pass"


def test_they_show_no_agreement(tmp_path: Path):
    study = drawn_world(tmp_path)
    write_profile(tmp_path, "{offline: consumer_health}", f", calibrated_by: {{study: {study}}}")
    requirement = "judge_licence: {metric: percent, at_least: 0.1}"
    result, _ = run(tmp_path, "default", requirement, name="licensed")
    assert result.decision is not None
    assert result.decision.verdict == "inconclusive"
    assert "unequal chances" in result.decision.sentence


def test_they_are_no_judge(tmp_path: Path):
    study = drawn_world(tmp_path)
    write_profile(tmp_path, f"{{people: {{study: {study}}}}}")
    with pytest.raises(HarnessError, match="unequal chances"):
        run(tmp_path, "physicians", name="people")


def test_an_unfinished_study_has_smaller_chances(tmp_path: Path):
    folder = write_run(tmp_path, [wins(WON)])
    people = load_study_labels(
        cast_votes(folder, {"Ada": steady("candidate")}, n=60, informative=True)
    )
    half = people._replace(labels=people.labels[:30])
    (pair,) = pair_scores(wins(WON), "sft")
    claim = Claim(metric="win_rate", claim="superior")
    done, part = (label_claim(claim, METRICS["win_rate"], pair, p) for p in (people, half))
    assert done.chances is not None
    assert part.chances is not None
    assert part.chances == pytest.approx(done.chances / 2)


def test_the_command_line_draws_them(tmp_path: Path):
    write_run(tmp_path / "run", [wins(WON)])
    page = str(tmp_path / "ada.html")
    done = harness_here(
        "annotate", "run", "--informative", "--n", "30", "--annotator", "Ada", "--offline", page,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"chances"' in (tmp_path / "run/people/study/study.json").read_text()
