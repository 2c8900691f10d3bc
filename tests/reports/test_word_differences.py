"""Words that differ between two answers: both texts whole, and only what the other lacks marked."""

import pytest

from reports.word_differences import MOST_EQUAL_PAIRS, Differences, mark_differences


def marked(found: Differences) -> tuple[list[str], list[str]]:
    first, second = (
        [part.text for part in parts if part.differs] for parts in (found.first, found.second)
    )
    return first, second


def test_what_one_answer_lacks_is_marked_in_the_other() -> None:
    found = mark_differences("You may run, if it feels good.", "You may not run, if it hurts.")
    assert marked(found) == (["feels good"], ["not", "hurts"])


@pytest.mark.parametrize(
    ("first", "second"),
    [("", "x"), ("  a b", "a  b c\n"), ("同じ言葉です", "同じ言葉だ"), ("a b\r\nc", "a\tb d")],
)
def test_both_texts_stay_whole(first: str, second: str) -> None:
    found = mark_differences(first, second)
    assert "".join(part.text for part in found.first) == first
    assert "".join(part.text for part in found.second) == second


def test_equal_answers_have_no_mark() -> None:
    assert marked(mark_differences("Yes, you may.", "Yes, you may.")) == ([], [])


def test_answers_with_few_words_in_common_are_not_marked_throughout() -> None:
    found = mark_differences("Rest and drink.", "See a doctor today!")
    assert (found.marked, marked(found)) == (False, ([], []))


def test_letters_are_compared_where_no_spaces_part_words() -> None:
    assert marked(mark_differences("我可以跑步吗", "我不可以跑步")) == (["吗"], ["不"])


def test_a_long_answer_with_one_word_changed_is_compared_all_the_same() -> None:
    words = [f"word{i % 40}" for i in range(4_000)]
    assert MOST_EQUAL_PAIRS < 4_000 * 100
    changed = [*words[:2_000], "never", *words[2_001:]]
    assert marked(mark_differences(" ".join(words), " ".join(changed))) == (["word0"], ["never"])
