"""The number of a try on the same items, and the alpha that it has."""

import pytest

from harness.gate.tries import (
    MOST_TRIES,
    count_tries,
    describe_difference,
    find_last_standing,
    merge_records,
    share_of_try,
    stands,
)
from harness.types import ItemSet, Try

ITEMS = {
    "ab": ItemSet(key="ab", hashes=("a", "b")),
    "abc": ItemSet(key="abc", hashes=("a", "b", "c")),
    "cd": ItemSet(key="cd", hashes=("c", "d")),
}


def a_try(candidate: str, second: int = 0, **changes: object) -> Try:
    record = {
        "key": f"{candidate} {changes.get('items', 'ab')} {changes.get('measured', 'm')}",
        "registered": f"2026-01-01T00:00:{second:02}",
        "suite": "s",
        "models": ("base", candidate),
        "baseline": "base",
        "candidates": (candidate,),
        "columns": ("rubric.safety",),
        "items": "ab",
        "n_items": 2,
        "claims": "c",
        "measured": "m",
        "alpha": 0.05,
    }
    return Try.model_validate(record | changes)


def test_the_shares_of_all_tries_sum_to_no_more_than_alpha() -> None:
    assert sum(map(share_of_try, range(1, 100_000))) == pytest.approx(1, abs=1e-4)


def test_the_only_try_has_the_whole_alpha() -> None:
    count = count_tries(a_try("one"), [a_try("one")], ITEMS)
    assert (count.number, count.total, count.level) == (1, 1, 0.05)
    assert count.next_level == 0.05 * share_of_try(2)


def test_each_later_try_has_its_share_and_the_first_no_longer_the_whole() -> None:
    history = [a_try(name, second) for second, name in enumerate(("one", "two", "three"))]
    levels = [count_tries(attempt, history, ITEMS).level for attempt in history]
    assert levels == [0.05 * share_of_try(number) for number in (1, 2, 3)]


def test_the_same_try_again_is_counted_once() -> None:
    history = merge_records([a_try("one"), a_try("two", 1), a_try("one", 2), a_try("two", 3)])
    assert [count_tries(one, history, ITEMS).number for one in history] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"items": "abc", "n_items": 3}, "fewer of the items"),
        ({"measured": "another"}, "another prompt, decoding or judge"),
        ({"claims": "others", "key": "other"}, "other claims"),
        ({"candidates": ("two",), "key": "other"}, "another candidate"),
        ({"columns": ("rubric.safety", "hq"), "key": "other"}, "other answers or verdicts"),
    ],
)
def test_more_items_other_seeds_claims_and_candidates_are_tries(
    changes: dict[str, object], differs: str
) -> None:
    first, second = a_try("one"), a_try("one", 1, **changes)
    count = count_tries(second, [first, second], ITEMS)
    assert count.number == 2
    assert count.earlier[0].differs == differs == describe_difference(second, first)


@pytest.mark.parametrize(
    "changes",
    [
        {"items": "cd"},
        {"baseline": "another"},
        {"columns": ("hq",)},
    ],
)
def test_new_items_another_baseline_and_other_columns_begin_again(
    changes: dict[str, object],
) -> None:
    first, second = a_try("one"), a_try("two", 1, **changes)
    assert count_tries(second, [first, second], ITEMS).level == 0.05


def test_the_first_seed_decides_and_others_cost_nothing() -> None:
    first = a_try("one", verdict="inconclusive")
    again = a_try("one", 1, seed="2", key="seed 2", verdict="pass", stands_to=9)
    other = a_try("two", 2)
    history = [first, again, other]
    count = count_tries(again, history, ITEMS)
    assert count.number == 1
    assert count.first_seed is not None
    assert count.first_seed.differs == "another seed"
    assert not stands(again, count)
    assert [count_tries(one, history, ITEMS).total for one in (first, other)] == [2, 2]
    passed = first.model_copy(update={"verdict": "pass", "stands_to": 9})
    assert stands(again, count_tries(again, [passed, again, other], ITEMS))


def test_a_redeployed_model_of_the_same_name_is_another_try() -> None:
    first = a_try("one", answers=("x", "y"))
    same, other = a_try("one", 1, answers=("x", "")), a_try("one", 2, answers=("x", "z"))
    history = merge_records([first, same, other])
    assert [one.answers for one in history] == [("x", "y"), ("x", "z")]
    assert count_tries(history[1], history, ITEMS).number == 2


def test_what_is_only_shown_beside_it_leaves_the_first_its_alpha_and_takes_a_number() -> None:
    first, shown, later = a_try("one"), a_try("two", 1, seen=True), a_try("three", 2)
    assert count_tries(first, [first, shown], ITEMS).level == 0.05
    decided = [first, a_try("two", 3), shown, later]
    history = merge_records(decided)
    assert not any(one.seen for one in history)
    assert [count_tries(one, history, ITEMS).number for one in history] == [1, 2, 3]


def test_a_merge_is_the_same_in_any_order_and_however_often() -> None:
    begun, ended = a_try("one"), a_try("one", decided="2026-01-02", verdict="pass", stands_to=3)
    elsewhere = a_try("one", 5, decided="2026-01-01", verdict="fail")
    lines = [begun, ended, elsewhere, a_try("two", 1)]
    merged = merge_records(lines)
    assert merge_records([*reversed(lines), *lines]) == merge_records(merged) == merged
    assert [one.verdict for one in merged] == ["pass", None]


def test_a_verdict_at_a_lower_level_leaves_a_pass_what_it_was() -> None:
    passed = a_try("one", decided="2026-01-01", verdict="pass", level=0.05, stands_to=0)
    lower = a_try("one", decided="2026-01-02", verdict="inconclusive", level=0.045)
    assert [one.verdict for one in merge_records([passed, lower])] == ["pass"]
    undone = lower.model_copy(update={"level": 0.05})
    assert [one.verdict for one in merge_records([passed, undone])] == ["inconclusive"]


def test_a_pass_of_the_only_try_may_not_stand_beside_a_second() -> None:
    first, second = a_try("one", verdict="pass", stands_to=0), a_try("two", 1)
    assert stands(first, count_tries(first, [first], ITEMS))
    assert not stands(first, count_tries(first, [first, second], ITEMS))
    clear = first.model_copy(update={"stands_to": 1})
    assert stands(clear, count_tries(clear, [clear, second], ITEMS))


def test_a_pass_stands_to_the_last_number_whose_level_it_reaches() -> None:
    assert find_last_standing(lambda level: level >= 0.0007, 0.05) == 3
    assert find_last_standing(lambda level: level >= 0.046, 0.05) == 0
    assert find_last_standing(lambda level: True, 0.05) == MOST_TRIES
