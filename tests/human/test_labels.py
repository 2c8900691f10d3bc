"""Votes and labels, read once for every use."""

from pathlib import Path

import numpy as np
import pytest

from harness.config import Criterion, EvasionMetric, Metric, RubricMetric
from harness.core.errors import HarnessError
from harness.human.labels import load_label_file, load_study_labels
from harness.human.question_match import require_scores_on_scale
from harness.human.summary import summarise_labels
from harness.types import HumanSummary
from tests.builders.judged_runs import wins, write_labels, write_run
from tests.builders.votes import Says, cast_votes, steady


def found(tmp_path: Path, **annotators: Says) -> HumanSummary:
    run = write_run(tmp_path, [wins(np.ones(80))])
    return summarise_labels(load_study_labels(cast_votes(run, annotators)), "sft", "dpo")


def test_two_annotators_who_disagree_come_to_a_half(tmp_path: Path):
    counted = found(tmp_path, Ada=steady("candidate"), Ben=steady("baseline"))
    (mean,) = counted.means
    assert (mean.mean.estimate, mean.n_items, mean.n_votes) == (0.5, 60, 120)
    assert (counted.wins, counted.losses) == (60, 60)
    assert mean.mean.high - mean.mean.low > mean.of_items.high - mean.of_items.low


def test_whoever_fails_the_rule_is_named_and_does_not_count(tmp_path: Path):
    careless: Says = lambda item: "decoy" if item.kind == "attention" else "baseline"  # noqa: E731
    counted = found(tmp_path, Ada=steady("candidate"), Dan=careless)
    dan = next(each for each in counted.annotators if each.name == "Dan")
    assert (dan.counted, dan.n_votes, dan.n_attentive) == (False, 60, 0)
    assert counted.means[0].mean.estimate == 1.0
    assert counted.means[0].n_annotators == 1


def test_both_unsafe_is_a_tie_and_cannot_judge_is_no_vote(tmp_path: Path):
    counted = found(tmp_path, Ada=steady("both_unsafe"), Ben=steady("cannot_judge"))
    assert (counted.ties, counted.undecided, counted.means[0].n_votes) == (60, 60, 60)
    assert (counted.unsafe, len(counted.unsafe_items)) == (60, 60)


def test_repeats_tell_whether_an_annotator_agrees_with_themselves(tmp_path: Path):
    wavering: Says = lambda item: {  # noqa: E731
        "attention": "expected", "repeat": "tie", "real": "candidate",
    }[item.kind]  # fmt: skip
    counted = found(tmp_path, Ada=steady("candidate"), Ben=wavering)
    assert counted.same_again is not None
    assert (counted.n_again, counted.same_again.estimate) == (12, 0.5)


def test_unanimous_votes_are_no_certainty(tmp_path: Path):
    (mean,) = found(tmp_path, Ada=steady("candidate"), Ben=steady("candidate")).means
    assert mean.mean.estimate == 1.0
    assert mean.mean.low < 1.0


def test_labels_in_a_file_are_people(tmp_path: Path):
    rows = [
        {"item": "q1", "annotator": "Ada", "winner": "candidate"},
        {"item": "q1", "annotator": "Ben", "winner": "tie"},
        {"item": "q2", "annotator": "Ada", "winner": "cannot_judge"},
    ]
    people = load_label_file(write_labels(tmp_path / "labels.csv", rows))
    assert people.annotators == ("Ada", "Ben")
    said = {(label.sample_id, label.annotator): label.winner for label in people.labels}
    assert said == {("q1", "Ada"): "candidate", ("q1", "Ben"): "tie", ("q2", "Ada"): None}
    assert not people.random


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "q1", "winner": "tie"}], "no column 'item'"),
        ([{"item": "q1", "winner": "left"}], "'left' is no winner"),
        ([{"item": "q1", "winner": "tie"}] * 2, "has judged item 'q1' before"),
        ([{"item": "q1", "model": "sft", "safety": "good"}], "safety 'good' is no number"),
        ([{"item": "q1", "comment": "x"}], "neither a column 'winner'"),
    ],
)
def test_a_row_that_is_no_label_is_refused(
    rows: list[dict[str, object]], message: str, tmp_path: Path
):
    with pytest.raises(HarnessError, match=message):
        load_label_file(write_labels(tmp_path / "labels.csv", rows))


RUBRIC = RubricMetric(kind="rubric", criteria=(Criterion(name="safety", asks="Safe?"),))
YES_OR_NO = EvasionMetric(kind="evasion")


@pytest.mark.parametrize(
    ("key", "cell", "metric"),
    [
        ("safety", "99", RUBRIC),
        ("safety", "0", RUBRIC),
        ("safety", "7.5", RUBRIC),
        ("safety", "-3", RUBRIC),
        ("helpful", "2", YES_OR_NO),
        ("helpful", "0.5", YES_OR_NO),
    ],
)
def test_a_score_off_the_scale_is_refused_with_its_line(
    key: str, cell: str, metric: Metric, tmp_path: Path
):
    rows = [{"item": "q0", "model": "sft", key: 1}, {"item": "q1", "model": "sft", key: cell}]
    people = load_label_file(write_labels(tmp_path / "labels.csv", rows))
    with pytest.raises(HarnessError, match=rf"labels\.csv:3: {key} {cell} .* not on the scale"):
        require_scores_on_scale({"metric": metric}, people)


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e999", "nan"])
def test_a_score_that_is_no_number_is_refused_with_its_line(cell: str, tmp_path: Path):
    rows = [{"item": "q0", "model": "sft", "safety": cell}]
    with pytest.raises(HarnessError, match=r"labels\.csv:2: .*is no number"):
        load_label_file(write_labels(tmp_path / "labels.csv", rows))


def test_an_empty_cell_is_no_score(tmp_path: Path):
    rows = [{"item": "q0", "model": "sft", "safety": ""}]
    (label,) = load_label_file(write_labels(tmp_path / "labels.csv", rows)).labels
    assert label.scores == {"sft": {}}


def test_scores_that_answer_no_metric_need_no_scale(tmp_path: Path):
    rows = [
        {"item": f"q{i}", "annotator": name, "model": "sft", "minutes": minutes}
        for name in ("Ada", "Ben")
        for i, minutes in enumerate((0.5, 7.25, 1e9))
    ]
    people = load_label_file(write_labels(tmp_path / "labels.csv", rows))
    (agreement,) = summarise_labels(people, "sft", "dpo").agreements
    assert agreement.percent is not None
    assert agreement.percent.estimate == 1.0
