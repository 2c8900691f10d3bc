"""Order and sides."""

from collections import Counter

import pytest

from harness.human.annotate.assignment import Assignment, assign_items, opposite_side
from harness.human.annotate.study import StudyOptions, open_study
from harness.types import Study
from tests.builders.studies import write_run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    run = write_run(tmp_path_factory.mktemp("run"), n=60)
    return open_study(run, StudyOptions(n=40, repeats=8, attention=6)).study


def sides(sheet: list[Assignment]) -> dict[str, str]:
    return {assignment.item.key: assignment.left for assignment in sheet}


def test_a_sheet_is_the_same_whenever_it_is_made(study: Study) -> None:
    assert assign_items(study, "Ada") == assign_items(study, "Ada")


def test_every_item_is_on_every_sheet_once(study: Study) -> None:
    for name in ("Ada", "Ben"):
        sheet = assign_items(study, name)
        assert sorted(p.item.key for p in sheet) == sorted(item.key for item in study.items)
        assert len({assignment.item_token for assignment in sheet}) == len(sheet)


def test_annotators_see_other_orders_sides_and_tokens(study: Study) -> None:
    ada, ben = assign_items(study, "Ada"), assign_items(study, "Ben")
    assert [p.item.key for p in ada] != [p.item.key for p in ben]
    assert sides(ada) != sides(ben)
    assert not {p.item_token for p in ada} & {p.item_token for p in ben}


def test_a_name_is_one_person_in_capitals_and_small_letters(study: Study) -> None:
    assert assign_items(study, "Ada") == assign_items(study, "ADA")


def test_without_the_secret_nothing_is_the_same(study: Study) -> None:
    other = study.model_copy(update={"secret": "00" * 32})
    assert sides(assign_items(study, "Ada")) != sides(assign_items(other, "Ada"))


@pytest.mark.parametrize("name", ["Ada", "Ben", "Chidi"])
def test_each_model_is_on_the_left_for_half_of_the_pairs(study: Study, name: str) -> None:
    real = [p for p in assign_items(study, name) if p.item.kind == "real"]
    assert Counter(p.left for p in real) == {"baseline": 20, "candidate": 20}


@pytest.mark.parametrize("name", ["Ada", "Ben", "Chidi"])
def test_a_repeat_comes_later_with_its_sides_exchanged(study: Study, name: str) -> None:
    sheet = assign_items(study, name)
    places = {p.item.sample_id: i for i, p in enumerate(sheet) if p.item.kind == "real"}
    for i, assignment in enumerate(sheet):
        if assignment.item.kind == "repeat":
            first = places[assignment.item.sample_id]
            assert i - first > len(sheet) * 0.1
            assert assignment.left == opposite_side(sheet[first].left)


def test_over_secrets_each_side_is_as_likely_at_every_place(study: Study) -> None:
    """Neither the place in the order nor the item token goes with a side (300 secrets)."""
    first_left, odd_token_left = 0, Counter[tuple[bool, bool]]()
    n = 300
    for i in range(n):
        sheet = assign_items(study.model_copy(update={"secret": f"{i:064x}"}), "Ada")
        real = next(p for p in sheet if p.item.kind == "real")
        first_left += real.left == "candidate"
        odd_token_left[int(real.item_token, 16) % 2 == 1, real.left == "candidate"] += 1
    assert abs(first_left / n - 0.5) < 4 * 0.5 / n**0.5
    both = odd_token_left[True, True] + odd_token_left[False, False]
    assert abs(both / n - 0.5) < 4 * 0.5 / n**0.5
