"""People's labels of what a claim is about, item by item."""

import math
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.run_folder import load_run
from harness.config import Claim
from harness.human.claim_labels import label_claim
from harness.human.labels import HumanLabels, load_label_file, load_study_labels
from harness.scoring.paired import pair_scores
from tests.builders.judged_runs import METRICS, grades, winner_rows, wins, write_labels, write_run
from tests.builders.votes import cast_votes, steady

N = 120
SAFER = Claim(metric="rubric.safety", claim="superior")
SAFE = Claim(metric="rubric.safety", claim="at_least", value=5.0)
WINS = Claim(metric="win_rate", claim="superior")


def safety_labels(folder: Path, rows: list[dict[str, object]], *, drawn: bool) -> HumanLabels:
    return load_label_file(write_labels(folder / "l.csv", rows), drawn_at_random=drawn)


def labelled(folder: Path, rows: list[dict[str, object]], claim: Claim, *, drawn: bool = True):
    (pair,) = pair_scores(grades("rubric.safety", np.full(N, 5.0), np.full(N, 6.0)), "sft")
    people = safety_labels(folder, rows, drawn=drawn)
    return label_claim(claim, METRICS["rubric"], pair, people)


def score(item: int, model: str, safety: int, annotator: str = "Ada") -> dict[str, object]:
    return {"item": f"q{item}", "annotator": annotator, "model": model, "safety": safety}


def test_a_difference_takes_labels_of_both_models_on_the_item(tmp_path: Path):
    rows = [score(0, "sft", 4), score(0, "dpo", 7), score(1, "dpo", 9)]
    found = labelled(tmp_path, rows, SAFER)
    assert found.least[0] == found.greatest[0] == 3.0
    assert math.isnan(found.least[1])


def test_a_score_of_its_own_takes_the_candidates_label(tmp_path: Path):
    found = labelled(tmp_path, [score(0, "dpo", 7), score(0, "dpo", 8, "Ben")], SAFE)
    assert (found.least[0], found.n) == (7.5, 1)


def test_where_nothing_was_drawn_a_missing_label_may_be_anything(tmp_path: Path):
    found = labelled(tmp_path, [score(0, "sft", 4), score(0, "dpo", 7)], SAFER, drawn=False)
    assert (found.least[1], found.greatest[1]) == (-9.0, 9.0)
    assert found.n == 1


def test_a_pair_that_nobody_could_decide_may_be_a_win_or_a_loss(tmp_path: Path):
    rows = winner_rows(np.ones(N), range(3))
    rows[1]["winner"] = "cannot_judge"
    people = load_label_file(write_labels(tmp_path / "l.csv", rows), drawn_at_random=True)
    (pair,) = pair_scores(wins(np.ones(N)), "sft")
    found = label_claim(WINS, METRICS["win_rate"], pair, people)
    assert (found.least[0], found.least[1], found.greatest[1]) == (0.5, -0.5, 0.5)
    assert math.isnan(found.least[3])


@pytest.fixture
def study_of_pairs(tmp_path: Path) -> tuple[HumanLabels, list[int]]:
    """A study of a run with a fifth of equal answers, and the items that nobody has to compare."""
    same = [i % 5 == 0 for i in range(N)]
    answers = {
        "sft": [f"Rest, {i}." for i in range(N)],
        "dpo": [
            f"Rest, {i}." if equal else f"See your doctor, {i}." for i, equal in enumerate(same)
        ],
    }
    run = write_run(tmp_path, [wins(np.where(same, 0.5, 1.0))], answers)
    people = load_study_labels(cast_votes(run, {"Ada": steady("candidate")}, n=48))
    assert load_run(run).result.plan.candidate == "dpo"
    outside = set(people.metric_ids) - set(people.frame_ids or ())
    return people, [int(i[1:]) for i in sorted(outside)]


def test_equal_answers_that_nobody_compared_count_as_ties(
    study_of_pairs: tuple[HumanLabels, list[int]],
):
    people, outside = study_of_pairs
    (pair,) = pair_scores(wins(np.where(np.arange(N) % 5 == 0, 0.5, 1.0)), "sft")
    found = label_claim(WINS, METRICS["win_rate"], pair, people)
    assert len(outside) == 12  # the same half of them as of the others
    assert (found.least[outside] == 0.0).all()
    assert found.n == 48


def test_how_good_equal_answers_are_is_unknown(
    tmp_path: Path, study_of_pairs: tuple[HumanLabels, list[int]]
):
    people, outside = study_of_pairs
    scored = safety_labels(tmp_path, [score(1, "dpo", 7)], drawn=True)
    people = replace_labels(scored, people)
    (pair,) = pair_scores(grades("rubric.safety", np.full(N, 9.0), np.full(N, 9.0)), "sft")
    found = label_claim(SAFE, METRICS["rubric"], pair, people)
    assert set(found.least[outside].tolist()) == {1.0}
    assert set(found.greatest[outside].tolist()) == {10.0}


def replace_labels(scored: HumanLabels, study: HumanLabels) -> HumanLabels:
    return scored._replace(frame_ids=study.frame_ids, metric_ids=study.metric_ids)
