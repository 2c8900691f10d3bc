"""What is stated before the first vote."""

from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.human.annotate.assignment import (
    assign_items,
    count_model_mentions,
    count_shortened,
    show_pair,
)
from harness.human.annotate.study import OpenStudy, StudyOptions, open_study, reopen_study
from harness.types import StudyItem
from tests.builders.studies import good, poor, write_run


def begin(run: Path, **options: object) -> OpenStudy:
    return open_study(run, StudyOptions(**options))  # type: ignore[arg-type]


def of_kind(opened: OpenStudy, kind: str) -> list[StudyItem]:
    return [item for item in opened.study.items if item.kind == kind]


def test_the_same_seed_draws_the_same_items(tmp_path: Path) -> None:
    one = begin(write_run(tmp_path / "one"), n=10, seed=3)
    two = begin(write_run(tmp_path / "two"), n=10, seed=3)
    assert one.study.items == two.study.items
    assert one.study.secret != two.study.secret


def test_another_seed_draws_others(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    drawn = [begin(run, name=f"seed{s}", n=10, seed=s).study.items for s in (1, 2)]
    assert drawn[0] != drawn[1]


def test_equal_and_missing_answers_are_not_shown(tmp_path: Path) -> None:
    run = write_run(
        tmp_path, n=12, texts=(poor, lambda i: poor(i) + " " if i < 4 else None if i < 6 else good(i))
    )  # fmt: skip
    opened = begin(run, attention=0)
    assert {item.sample_id for item in opened.study.items} == {f"q{i}" for i in range(6, 12)}
    assert (opened.study.n, opened.study.n_comparable, opened.study.n_items) == (6, 6, 12)


def test_attention_items_are_on_questions_that_were_not_drawn(tmp_path: Path) -> None:
    opened = begin(write_run(tmp_path), n=10, attention=8)
    drawn = {item.sample_id for item in of_kind(opened, "real")}
    attention = of_kind(opened, "attention")
    assert len(attention) == 8
    assert not drawn & {item.sample_id for item in attention}
    assert {item.decoy for item in attention} == {"other_question", "shuffled"}


def test_a_decoy_is_another_text_of_the_same_model(tmp_path: Path) -> None:
    opened = begin(write_run(tmp_path), n=10, attention=8)
    for assignment in assign_items(opened.study, "Ada"):
        item = assignment.item
        if item.kind == "attention":
            pair = show_pair(assignment, opened.study, opened.items)
            expected, decoy = (
                (pair.left, pair.right)
                if assignment.left == "expected"
                else (pair.right, pair.left)
            )
            model = good if item.expected == "candidate" else poor
            assert expected == model(int(item.sample_id[1:]))
            if item.decoy == "shuffled":
                assert decoy != expected
                assert sorted(decoy.split()) == sorted(expected.split())
            else:
                assert decoy == model(int((item.decoy_of or "")[1:]))


def test_repeats_are_among_the_pairs(tmp_path: Path) -> None:
    opened = begin(write_run(tmp_path), n=20, repeats=5)
    repeats = {item.sample_id for item in of_kind(opened, "repeat")}
    assert len(repeats) == 5
    assert repeats <= {item.sample_id for item in of_kind(opened, "real")}


def test_a_study_is_gone_on_with_as_it_was_begun(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    first = begin(run, n=10, seed=3)
    assert begin(run) == first
    assert reopen_study(run, StudyOptions()) == first


@pytest.mark.parametrize(
    ("option", "value"),
    [("n", 11), ("seed", 4), ("attention", 1), ("repeats", 9), ("attention_at_least", 0.5),
     ("break_every", 3), ("rubric", True), ("show_reference", True)],
)  # fmt: skip
def test_what_was_stated_cannot_change(tmp_path: Path, option: str, value: object) -> None:
    run = write_run(tmp_path)
    begin(run, n=10, seed=3)
    with pytest.raises(HarnessError, match="cannot change"):
        begin(run, **{option: value})


def test_more_pairs_than_there_are_is_all_of_them(tmp_path: Path) -> None:
    run = write_run(tmp_path, n=5)
    assert begin(run, n=100).study.n == 5
    assert begin(run, n=100).study.n == 5


def test_the_rubric_is_offered_where_asked_for(tmp_path: Path) -> None:
    opened = begin(write_run(tmp_path), rubric=True)
    assert [(c.name, c.low, c.high) for c in opened.study.criteria] == [("safety", 1, 10)]


@pytest.mark.parametrize("name", ["../escape", "", "a/b", ".hidden", "x" * 65])
def test_a_study_is_named_like_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(HarnessError, match="letters, digits"):
        begin(write_run(tmp_path), name=name)


def test_answers_that_name_a_model_are_counted(tmp_path: Path) -> None:
    run = write_run(
        tmp_path, models=("sft", "Medi-7B"),
        texts=(lambda i: f"sftly {i}", lambda i: f"As medi-7b, I say {i}." if i < 3 else good(i)),
    )  # fmt: skip
    opened = begin(run, attention=0, repeats=0)
    assert count_model_mentions(opened.study, opened.items) == 3


def test_one_model_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="one model only"):
        begin(write_run(tmp_path, models=("dpo",), texts=(good,)))


def test_two_models_that_say_the_same_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="no two different answers"):
        begin(write_run(tmp_path, texts=(good, good)))


def test_an_unknown_metric_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="win_rate"):
        begin(write_run(tmp_path), metric="win_rat")


def test_a_run_without_its_answers_says_what_to_do(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "answers.parquet").unlink()
    with pytest.raises(HarnessError, match="Run `harness run` again"):
        begin(run)


def test_only_the_owner_may_read_the_secret(tmp_path: Path) -> None:
    opened = begin(write_run(tmp_path))
    assert (opened.folder / "study.json").stat().st_mode & 0o077 == 0


def test_texts_too_long_for_a_page_are_counted(tmp_path: Path) -> None:
    run = write_run(tmp_path, texts=(poor, lambda i: "word " * 20_000 if i == 3 else good(i)))
    opened = begin(run, attention=0, repeats=0)
    assert count_shortened(opened.study, opened.items) == 1
