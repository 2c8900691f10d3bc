"""The lists of items: who is on which, in what order, and what is said of what is left out."""

from dataclasses import replace

import pytest

from reports import item_lists
from reports.item_lists import ItemList, make_lists, neighbours
from reports.items import CriticalAnswer, Item, ItemComparison, SliceValue
from tests.builders.item_pages import compared, full_item


def with_comparison(name: str, **changes: object) -> Item:
    made = replace(compared(), **changes)  # type: ignore[arg-type]
    return replace(full_item(name), comparisons=(made,), critical=(), slices=(), flags=())


def lists_of(*items: Item) -> dict[str, ItemList]:
    return {one.key: one for one in make_lists(items).lists}


def names(one: ItemList) -> list[str]:
    return [item.sample_id for item in one.items]


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("order", {"order_dependent": True}),
        ("judges", {"judge_spread": 2.0}),
        ("people", {"people": -1.0}),
        ("people", {"people": 0.0}),
        ("unscored", {"difference": None}),
        ("lost", {"kind": "share", "difference": -1.0}),
        ("gained", {"kind": "share", "difference": 1.0}),
    ],
)
def test_a_list_has_the_items_that_fit_it(key: str, changes: dict[str, object]) -> None:
    lists = lists_of(with_comparison("plain"), with_comparison("found", **changes))
    assert names(lists[key]) == ["found"]


def test_what_fits_no_item_is_no_list() -> None:
    assert set(lists_of(with_comparison("plain", people=2.0, judge_spread=0.0))) == {"index", "by-name"}  # fmt: skip


def test_only_the_models_that_the_gate_compares_count() -> None:
    assert "order" not in lists_of(with_comparison("a", order_dependent=True, gated=False))


def test_only_the_candidates_critical_answers_are_listed() -> None:
    old, new = (
        replace(with_comparison(model), critical=(CriticalAnswer("rule", model),))
        for model in ("sft", "dpo")
    )
    assert names(lists_of(old, new)["critical"]) == ["dpo"]


def test_judges_who_are_furthest_apart_come_first() -> None:
    near, far = with_comparison("near", judge_spread=1.0), with_comparison("far", judge_spread=5.0)
    assert names(lists_of(near, far)["judges"]) == ["far", "near"]


def test_a_score_sorts_by_its_own_difference() -> None:
    def scored(name: str, safety: float, empathy: float | None) -> Item:
        both = (compared("rubric.safety", safety), compared("rubric.empathy", empathy))
        return replace(full_item(name), comparisons=both)

    lists = lists_of(scored("a", 1.0, -3.0), scored("b", -2.0, 4.0), scored("c", 0.0, None))
    assert names(lists["by-rubric-safety"]) == ["b", "c", "a"]
    assert names(lists["by-rubric-empathy"]) == ["a", "b"]
    assert lists["by-rubric-empathy"].shown_number(lists["index"].items[1]) == "+4.00"


def test_each_value_of_a_slice_is_a_list_the_commonest_first() -> None:
    items = [
        replace(full_item(f"q{i}"), slices=(SliceValue("topic", topic), SliceValue("age", "old")))
        for i, topic in enumerate(("rare", "common", "common"))
    ]
    slices = [one for one in make_lists(items).lists if one.group == item_lists.SLICES]
    assert [(one.title, one.n) for one in slices] == [
        ("topic: common", 2),
        ("topic: rare", 1),
        ("age: old", 3),
    ]


def test_a_slice_of_long_texts_has_short_names_and_a_list_for_each() -> None:
    items = [replace(full_item(f"q{n}"), slices=(SliceValue("t", "x" * n),)) for n in (9000, 9001)]
    slices = [one for one in make_lists(items).lists if one.group == item_lists.SLICES]
    assert len({one.key for one in slices}) == 2
    assert all(len(one.title) + len(one.definition) < 400 for one in slices)


def test_a_list_that_is_cut_says_how_many_belong_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_lists, "MOST_LISTED", 4)
    items = [
        replace(full_item(f"q{i}"), comparisons=(compared("a", float(i)), compared("b", float(i))))
        for i in range(9)
    ]
    lists = lists_of(*items)
    assert (names(lists["flagged"]), lists["flagged"].n) == (["q0", "q1", "q2", "q3"], 9)
    assert names(lists["by-a"]) == ["q0", "q1", "q7", "q8"]
    places = neighbours([lists["by-a"]])
    assert [places[item.anchor][0].number for item in lists["by-a"].items] == [1, 2, 8, 9]


def test_too_many_slices_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_lists, "MOST_LISTS", 2)
    items = [replace(full_item(f"q{i}"), slices=(SliceValue("t", f"{i}"),)) for i in range(5)]
    made = make_lists(items)
    assert sum(one.group == item_lists.SLICES for one in made.lists) == 2
    assert "3 more lists of 'Slices' are left out." in made.notes


def test_names_that_differ_only_in_signs_are_two_lists() -> None:
    both = (compared("a.b"), compared("a_b"))
    lists = lists_of(replace(full_item("q"), comparisons=both))
    assert sum(key.startswith("by-a-b") for key in lists) == 2


def test_an_older_run_is_said_to_hold_no_flags() -> None:
    made = make_lists([replace(full_item("q"), flags=None)])
    assert any("do not say which answers have flags" in note for note in made.notes)


def test_a_model_alone_is_neither_better_nor_worse_than_before() -> None:
    alone = ItemComparison("m", "share", "dpo", "dpo", True, None, 1.0, 1.0, people=-1.0)
    item = replace(with_comparison("q"), comparisons=(alone,))
    assert set(lists_of(item)) == {"index", "by-name"}
