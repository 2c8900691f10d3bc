"""Agreement of a judge with people: the majority, strict and lenient counting, and by model."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.run_folder import load_run
from harness.human.calibration import calibrate_run
from harness.human.judge_agreement import common_labels
from harness.human.labels import load_label_file
from harness.types import JudgeAgainstPeople
from reports.calibration import calibration_markdown
from reports.calibration_text import describe_calibration
from tests.builders.judged_runs import grades, winner_rows, wins, write_labels, write_run
from tests.builders.public_labels import llmbar

NONE = np.nan


@pytest.mark.parametrize(
    ("votes", "common"),
    [
        ((0.5, 0.5, 1.0), 0.5),  # their mean is above a half
        ((1.0, 0.0, 0.0), 0.0),
        ((1.0, 0.0, NONE), NONE),
        ((1.0, 0.5, 0.0), NONE),
        ((1.0, 2.0, NONE), NONE),  # their mean is 1.5
        ((2.0, 3.0, NONE), NONE),  # their mean is 2.5
        ((2.0, 2.0, 9.0), 2.0),  # their mean is 4.3
        ((7.0, NONE, NONE), 7.0),
        ((NONE, NONE, NONE), NONE),
    ],
)
def test_people_commonly_say_what_most_of_them_say(votes: Sequence[float], common: float):
    np.testing.assert_equal(common_labels(np.array([votes])), [common])


def judged_pairs(
    folder: Path,
    *pairs: tuple[float, float],
    people: Sequence[float],
    also: Sequence[float] | None = None,
) -> JudgeAgainstPeople:
    """A judge's win scores in both orders, with the labels of one annotator or of two."""
    first, second = np.array(pairs).T
    run = write_run(folder, [wins(first, second)])
    everything = range(len(pairs))
    rows = winner_rows(np.array(people), everything)
    if also is not None:
        rows += winner_rows(np.array(also), everything, annotator="Ben")
    labels = load_label_file(write_labels(folder / "labels.csv", rows))
    (judge,) = calibrate_run(load_run(run), labels).judges
    return judge


def test_items_without_a_majority_are_counted(tmp_path: Path):
    judge = judged_pairs(tmp_path, *[(1, 1)] * 10, people=[1] * 10, also=[0] * 3 + [1] * 7)
    assert (judge.n, judge.undecided) == (7, 3)


def test_a_pair_that_depends_on_the_order_agrees_with_no_tie(tmp_path: Path):
    judge = judged_pairs(tmp_path, *[(1, 0)] * 6, *[(0.5, 0.5)] * 4, people=[0.5] * 10)
    assert judge.strict is not None
    assert judge.strict.percent is not None
    assert judge.percent is not None
    assert (judge.percent.estimate, judge.strict.percent.estimate) == (1.0, 0.4)
    assert judge.strict.n_by_order == 6


def test_a_win_in_one_order_and_a_tie_in_the_other_is_no_win(tmp_path: Path):
    judge = judged_pairs(tmp_path, *[(1, 0.5)] * 5, *[(1, 1)] * 5, people=[1] * 10)
    assert judge.strict is not None
    assert judge.strict.percent is not None
    assert judge.strict.percent.estimate == 0.5


def test_strict_and_lenient_are_one_where_both_orders_are_alike(tmp_path: Path):
    judge = judged_pairs(
        tmp_path, *[(1, 1)] * 5, *[(0, 0)] * 5, *[(0.5, 0.5)] * 3, people=[1] * 4 + [0] * 9
    )
    assert judge.strict is not None
    strict = judge.strict.percent, judge.strict.kappa, judge.strict.ac1
    assert strict == (judge.percent, judge.kappa, judge.ac1)


def test_one_order_has_no_strict_counting(tmp_path: Path):
    assert judged_pairs(tmp_path, *[(1, NONE)] * 9, people=[1] * 9).strict is None


def test_agreement_is_averaged_over_the_orders(tmp_path: Path):
    judge = judged_pairs(tmp_path, *[(1, 0)] * 4, *[(1, 1)] * 4, people=[1] * 8)
    assert judge.over_orders is not None
    assert judge.over_orders.estimate == 0.75


def test_agreement_and_bias_are_by_model(tmp_path: Path):
    people = np.tile([0.0, 1.0], 30)
    run = write_run(tmp_path, [grades("hq", people, np.ones(60))])
    rows = [
        {"item": f"q{i}", "model": model, "helpful": int(people[i])}
        for i in range(60)
        for model in ("sft", "dpo")
    ]
    calibration = calibrate_run(
        load_run(run), load_label_file(write_labels(tmp_path / "labels.csv", rows))
    )
    (judge,) = calibration.judges
    shares = {line.model: line.percent.estimate for line in judge.models if line.percent}
    assert shares == {"sft": 1.0, "dpo": 0.5}
    biases = {bias.what: bias.judge - bias.people for bias in judge.all_biases}
    assert biases == {"score of sft": 0.0, "score of dpo": 0.5, "dpo minus sft": 0.5}
    assert "on the answers of dpo: same verdict 50" in "\n".join(describe_calibration(calibration))
    assert "Agreement by model" in calibration_markdown(calibration)


def test_a_score_between_two_points_equals_neither(tmp_path: Path):
    judged = np.array([1.5, 2.5, 3.0, 7.5] * 5)
    run = write_run(tmp_path, [grades("rubric.safety", judged, judged)])
    people = [1, 2, 3, 8] * 5
    rows = [{"item": f"q{i}", "model": "dpo", "safety": people[i]} for i in range(20)]
    labels = load_label_file(write_labels(tmp_path / "labels.csv", rows))
    (judge,) = calibrate_run(load_run(run), labels).judges
    assert judge.percent is not None
    assert judge.percent.estimate == 0.25
    assert sum(map(sum, judge.confusion)) == 20


def test_every_pair_of_annotators_has_a_kappa(tmp_path: Path):
    run = write_run(tmp_path, [wins(np.ones(40))])
    ada, cleo = np.tile([1.0, 0.0], 20), np.tile([1.0, 1.0, 0.0, 0.0], 10)
    rows = [
        row
        for name, said in (("Ada", ada), ("Ben", ada), ("Cleo", cleo))
        for row in winner_rows(said, range(40), annotator=name)
    ]
    labels = load_label_file(write_labels(tmp_path / "labels.csv", rows))
    (agreement,) = calibrate_run(load_run(run), labels).people.agreements
    kappas = {pair.judges: pair.kappa for pair in agreement.pairs}
    assert list(kappas) == [("Ada", "Ben"), ("Ada", "Cleo"), ("Ben", "Cleo")]
    assert kappas["Ada", "Cleo"] is not None
    assert kappas["Ada", "Cleo"].estimate == pytest.approx(0.0)


@pytest.mark.data
@pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set")
def test_strict_agreement_with_llmbar_is_the_share_of_pairs_right_in_both_orders(tmp_path: Path):
    for judge in llmbar():
        orders = judge.second_shown_last - 1, judge.second_shown_first - 1
        gold = judge.gold - 1
        run = write_run(tmp_path, [wins(*orders)])
        rows = winner_rows(gold, range(gold.size))
        labels = load_label_file(write_labels(tmp_path / "gold.csv", rows))
        (found,) = calibrate_run(load_run(run), labels).judges
        read = ~np.isnan(orders).any(axis=0)
        right = np.array([order == gold for order in orders])[:, read]
        assert found.strict is not None
        assert found.strict.percent is not None
        assert found.over_orders is not None
        assert found.strict.percent.estimate == pytest.approx(right.all(axis=0).mean())
        assert found.over_orders.estimate == pytest.approx(right.mean())
