"""`annotate --after STUDY`: which pairs to label next, what they will tell, and labels of two draws together."""

import json
from pathlib import Path

import numpy as np
import pytest

from harness.config import Claim
from harness.core.errors import HarnessError
from harness.human.annotate.study import StudyOptions, open_study
from harness.human.claim_labels import label_claim
from harness.human.labels import load_study_labels
from harness.scoring.paired import pair_scores
from tests.builders.commands import harness
from tests.builders.human_judges import mostly, run, write_profile, write_world
from tests.builders.judged_runs import METRICS, wins, write_run
from tests.builders.votes import cast_votes, steady

N = 200
WON = np.where(np.arange(N) % 4 == 0, 1.0, 0.5)
WINS = Claim(metric="win_rate", claim="superior")


def first_study(folder: Path, n: int = 60, **options: object) -> Path:
    write_run(folder, [wins(WON)])
    cast_votes(folder, {"Ada": steady("candidate")}, n=n, **options)
    return folder


def real(study: object) -> set[str]:
    return {item.sample_id for item in study.items if item.kind == "real"}  # type: ignore[attr-defined]


def test_the_next_pairs_have_no_label_and_are_about_as_many_as_asked_for(tmp_path: Path) -> None:
    folder = first_study(tmp_path)
    earlier = load_study_labels(folder / "people/study")
    options = StudyOptions(name="next", n=50, informative=True, after="study")
    study = open_study(folder, options).study
    assert real(study).isdisjoint(earlier.sampled_ids)
    assert abs(len(real(study)) - 50) < 12
    assert set(study.carried) == set(earlier.sampled_ids)
    assert study.chances["q0"] > study.chances["q1"]  # the judge finds a winner on q0


@pytest.mark.parametrize("informative", [False, True])
def test_labels_of_both_draws_count_by_the_chance_to_be_in_either(tmp_path: Path, *, informative: bool) -> None:  # fmt: skip
    folder = first_study(tmp_path, informative=informative)
    both = cast_votes(folder, {"Ben": steady("tie")}, n=50, name="next", after="study")
    people = load_study_labels(both)
    assert people.annotators == ("Ada", "Ben")
    (pair,) = pair_scores(wins(WON), "sft")
    labels = label_claim(WINS, METRICS["win_rate"], pair, people)
    assert labels.n == len(people.sampled_ids) > 100
    first, second = (open_study(folder, StudyOptions(name=n)).study for n in ("study", "next"))
    p = first.chances.get("q1", 60 / N)
    assert labels.chances is not None
    assert labels.chances[1] == pytest.approx(1 - (1 - p) * (1 - second.chances["q1"]))


def test_an_unfinished_second_study_has_smaller_chances(tmp_path: Path) -> None:
    folder = first_study(tmp_path)
    both = cast_votes(folder, {"Ben": steady("tie")}, n=50, name="next", after="study")
    votes = (both / "votes.jsonl").read_text().splitlines(keepends=True)
    whole = load_study_labels(both)
    (both / "votes.jsonl").write_text("".join(votes[: len(votes) // 2]))
    half = load_study_labels(both)
    assert whole.chances is not None
    assert half.chances is not None
    assert 60 / N < half.chances["q1"] < whole.chances["q1"]


def test_a_study_without_votes_or_with_another_question_has_nothing_after_it(
    tmp_path: Path,
) -> None:
    folder = write_run(tmp_path, [wins(WON)])
    open_study(folder, StudyOptions(n=10))
    with pytest.raises(HarnessError, match="has no votes that count"):
        open_study(folder, StudyOptions(name="next", after="study"))
    with pytest.raises(HarnessError, match="no such file"):
        open_study(folder, StudyOptions(name="next", after="nobody"))


def test_the_sheet_is_written_with_what_its_labels_will_tell_and_both_correct_a_claim(tmp_path: Path) -> None:  # fmt: skip
    _, first = run(write_world(tmp_path), "default")
    cast_votes(first, {"Ada": mostly(8)}, n=40)
    done = harness("annotate", str(first), "--study", "next", "--after", "study", "--n", "30",
                   "--to-label-studio", "sheet.json", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "win_rate: corrected by 40 labels it is known to ±" in done.stderr
    assert "drawn at random after the 40 that have labels in study 'study'" in done.stderr
    sheet = json.loads((tmp_path / "sheet.json").read_text())
    assert len(sheet) >= 25
    cast_votes(first, {"Ada": mostly(8)}, n=30, name="next", after="study")
    study = (first / "people/next").relative_to(tmp_path)
    write_profile(tmp_path, "{offline: consumer_health}", f", calibrated_by: {{study: {study}}}")
    result, _ = run(tmp_path, "default", "decide_on: corrected", name="corrected")
    assert result.decision is not None
    (found,) = result.decision.confirmations
    assert found.n_labels >= 65
    assert found.estimate == pytest.approx(0.9 * 8 / 9 + 0.1 * 0.5, abs=0.06)
