import random

from harness.data.split import hold_out, split_by_question
from harness.data.text import normalise_text

LONG = "my son is eight years old and coughs every single night since we moved into the new flat"
QUESTIONS = [f"What helps against illness number {n}?" for n in range(400)]


def sides_of(questions: list[str], share: float = 0.2, seed: int = 1) -> dict[str, str]:
    sides = split_by_question(questions, eval_share=share, seed=seed).sides
    return dict(zip(questions, sides, strict=True))


def test_a_question_stands_on_one_side_only_however_it_is_written() -> None:
    spelt = [form for q in QUESTIONS for form in (q, q.upper(), f"  {q} ", q.replace("?", " ??"))]
    by_text: dict[str, set[str]] = {}
    for question, side in sides_of(spelt).items():
        by_text.setdefault(normalise_text(question), set()).add(side)
    assert len(by_text) == 400
    assert all(len(sides) == 1 for sides in by_text.values())


def test_the_share_is_about_what_was_asked_for() -> None:
    sides = list(sides_of(QUESTIONS, share=0.2).values())
    assert 55 <= sides.count("eval") <= 105  # 80, and three standard deviations


def test_many_rows_of_one_question_do_not_draw_it_to_one_side() -> None:
    often = [q for q in QUESTIONS for _ in range(10)]
    assert sides_of(often) == sides_of(QUESTIONS)


def test_the_order_of_the_rows_does_not_matter() -> None:
    questions = [*QUESTIONS, LONG, f"{LONG} two weeks ago"]
    shuffled = random.Random(1).sample(questions, len(questions))
    assert sides_of(shuffled) == sides_of(questions)


def test_new_rows_leave_the_old_ones_where_they_are() -> None:
    before = sides_of(QUESTIONS[:200])
    after = sides_of(QUESTIONS)
    assert {q: after[q] for q in before} == before


def test_another_seed_gives_another_split() -> None:
    assert sides_of(QUESTIONS, seed=1) != sides_of(QUESTIONS, seed=2)


def test_near_duplicates_stay_together() -> None:
    for n in range(40):  # by chance, forty pairs are not all on one side each
        first = " ".join(f"{word}{n}" for word in LONG.split())
        second = f"{first} and what can I do"
        assert len(set(sides_of([first, second], share=0.5).values())) == 1
        assert split_by_question([first, second], eval_share=0.5).n_groups == 1


def test_near_duplicates_of_near_duplicates_stay_together() -> None:
    words = [f"word{n}" for n in range(60)]
    chain = [" ".join(words[start : start + 30]) for start in range(0, 30, 5)]
    split = split_by_question(chain, eval_share=0.5)
    assert (split.n_groups, split.largest_group) == (1, 6)


def test_less_than_half_in_common_is_no_near_duplicate() -> None:
    words = [f"word{n}" for n in range(60)]
    texts = [" ".join(words[:30]), " ".join(words[15:45])]  # 8 of 38 n-grams
    assert split_by_question(texts, eval_share=0.5).n_groups == 2


def test_a_large_family_of_near_duplicates_stays_together() -> None:
    family = [f"{LONG} {ending}" for ending in range(50)]
    assert split_by_question(family, eval_share=0.5).n_groups == 1


def test_nothing_to_split_is_an_empty_split() -> None:
    assert split_by_question([], eval_share=0.5).sides == []


def test_rows_that_are_one_side_of_a_split_have_held_out_rows_too():
    questions = [f"What does remedy number {n} do?" for n in range(60)]
    sides = split_by_question(questions, eval_share=0.1).sides
    train = [q for q, side in zip(questions, sides, strict=True) if side == "train"]
    assert hold_out(train, share=0.1).count("eval") == round(0.1 * len(train))


def test_at_least_one_question_is_held_out_and_one_is_not():
    assert sorted(hold_out(["a", "b", "c"], share=0.1)) == ["eval", "train", "train"]
    assert hold_out(["a", "a"], share=0.5) == ["train", "train"]
    assert hold_out(["a", "b"], share=0.0) == ["train", "train"]
    assert hold_out([], share=0.5) == []


def test_near_duplicates_are_held_out_together():
    words = "which of these medicines should my old father take for his heart at night"
    questions = [*(f"question {n}" for n in range(9)), words, f"{words} please", f"{words} now"]
    for seed in range(12):
        assert len(set(hold_out(questions, share=0.3, seed=seed)[9:])) == 1
