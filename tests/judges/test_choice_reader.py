"""Published ways of stating a choice, and the ways in which an answer states none."""

import time

import pytest

from judges.choice_reader import read_choice

DRUGS = {"A": "ibuprofen", "B": "furosemide", "C": "aspirin", "D": "none of the above"}
WORDS = {"A": "yes", "B": "no", "C": "maybe"}


def read(answer: str, choices: dict[str, str] = DRUGS, *, lettered: bool = True) -> str | None:
    return read_choice(answer, choices, lettered=lettered).label


@pytest.mark.parametrize(
    "answer",
    ["B", "(B)", "B.", "B)", "[B]", "b", "**B**", "\uff22", "> B", "B) furosemide", "(B) furosemide",
     "B. furosemide", "B: furosemide", "B - furosemide", "furosemide", "Furosemide.", "furosemide (B)",
     "Answer: B", "answer: b", "**Answer:** B", "**Answer: B**", "Answer:\nB", "# Answer\n\nB", "Answer B",
     "Option B", "Final Answer: (B) furosemide", "Answer: furosemide", "Answer: B (furosemide)",
     "The answer is (B).", "The answer is B", "The answer is B, furosemide.", "The answer is most likely B.",
     "The correct answer is **B) furosemide**, because A is wrong.", "The best choice is furosemide, since it",
     "The answer is B. A is an NSAID.", "Answer: B. A and C are NSAIDs.", "Answer: B) a loop diuretic",
     "B is the correct answer.", "Option B is correct, as it acts on the loop.", "I'd go with option B",
     "B because it is a loop diuretic", "B) furosemide is a diuretic.", "B\n\nA and C are NSAIDs.",
     r"\boxed{B}", r"The answer is $\boxed{\text{B}}$", "答案是B", "答案\uff1aB", "Antwort: B", "La réponse est B",
     '{"answer": "B"}', '{"why": "A is wrong", "Answer": "furosemide"}', '```json\n{"answer": "B"}\n```'],
)  # fmt: skip
def test_a_stated_choice_is_read(answer: str) -> None:
    assert read(answer) == "B"


@pytest.mark.parametrize(
    "answer",
    ["A) ibuprofen is an NSAID.\nC) so is aspirin.\nAnswer: B",
     "First I thought the answer is A. It is not.\nThe answer is B.", "A, or not? The answer is B.",
     "Answer: B\n\nExplanation: A is likely in children, and C is the best initial test.",
     "Answer: B\n\nIn adults the best choice is A.", "The answer is B. A is the most common cause."],
)  # fmt: skip
def test_the_last_statement_counts_before_what_was_mentioned(answer: str) -> None:
    assert read(answer) == "B"


@pytest.mark.parametrize(
    "answer",
    ["A or B", "A, B", "Answer: A or B", "Answer: A/B", "Answer: A and C", "ibuprofen or aspirin",
     "B) aspirin", "Answer: B) aspirin", "aspirin (B)", "B\nA", '{"answer": "A", "choice": "B"}',
     "A) ibuprofen\nB) furosemide\nC) aspirin\nD) none of the above", "Answer: A. Answer: B."],
)  # fmt: skip
def test_two_options_at_one_level_are_no_choice(answer: str) -> None:
    found = read_choice(answer, DRUGS, lettered=True)
    assert found.label is None
    assert found.words.startswith("it claims A and ") or found.words.startswith("it claims B and C")


@pytest.mark.parametrize(
    "answer",
    ["", "I cannot answer that.", "A rash", "C. difficile", "A. Smith said so", "Answer: A beta blocker",
     "The answer is not A.", "I would not give A.", "A is wrong.", "(A) is incorrect", "E", "Answer: E",
     "Answer: E. coli", "Answer: I am not sure", "Aspirin is an NSAID.", "Is it B?", "Not A. Not C. So B.",
     "Answer: A\nLet me think.\nAnswer: unclear", "A) ibuprofen is an NSAID.\nB) furosemide is a diuretic.",
     '{"answer": "E"}', '{"answer": ["A"]}'],
)  # fmt: skip
def test_no_letter_is_picked_out_of_a_sentence(answer: str) -> None:
    found = read_choice(answer, DRUGS, lettered=True)
    assert found.label is None
    assert "no" in found.words


@pytest.mark.parametrize(
    ("answer", "label"),
    [("Yes", "A"), ("No.", "B"), ("Yes, the trial shows it.", "A"), ("**Answer:** no", "B"),
     ("The conclusion is yes.", "A"), ("Yes.\n\nAnswer: maybe", "C"), ("No, because it was small", "B"),
     ("No evidence was found.", None), ("Answer: no evidence", None), ("yes and no", None),
     ("Answer: yes/no", None), ("B", None), ("It is not possible, maybe.", None)],
)  # fmt: skip
def test_where_no_letters_are_shown_the_words_count_alone(answer: str, label: str | None) -> None:
    assert read(answer, WORDS, lettered=False) == label


def test_signs_and_longer_texts_tell_options_apart() -> None:
    assert read("> 5 mg", {"A": "< 5 mg", "B": "> 5 mg"}) == "B"
    assert read("Type 1 and 2", {"A": "Type 1", "B": "Type 1 and 2"}) == "B"
    assert read("Answer: E. coli", {"A": "E. coli", "E": "C. difficile"}) == "A"


@pytest.mark.parametrize(
    ("answer", "label"),
    [("5", "A"), ("Answer: 5.", "A"), ("Answer: 5 (per day)", "A"), ("Answer: 15, as", "B"),
     ("Answer: 5.5", None), ("Answer: 5-10", None), ("Answer: 1,500", None), ("Answer: -5", None),
     ("Answer: 5 mg", None), ("Answer: 5/10", None), ("Answer: 5 or 15", None)],
)  # fmt: skip
def test_a_number_is_an_option_as_a_whole_only(answer: str, label: str | None) -> None:
    assert read(answer, {"A": "5", "B": "15", "C": "1"}) == label


def test_an_option_may_name_others() -> None:
    both = {"A": "rest", "B": "ice", "C": "A and B", "D": "both B and C"}
    assert read("Answer: A and B", both) == "C"
    assert read("C) A and B", both) == "C"
    assert read("Both B and C.", both) == "D"


def test_options_of_one_text_are_told_apart_by_their_letters_only() -> None:
    same = {"A": "rest", "B": "rest", "C": "ice"}
    assert read("rest", same) is None
    assert read("B) rest", same) == "B"


def test_labels_may_be_numbers() -> None:
    assert read("Answer: 2", {"1": "x", "2": "y"}) == "2"
    assert read("The answer is 20.", {"1": "x", "2": "y"}) is None


@pytest.mark.parametrize(
    "answer",
    ["answer is " * 30_000, "A or " * 30_000, "(" * 100_000, "final " * 30_000, "\n" * 100_000,
     "Answer: " + "the " * 30_000, "B) furosemide\n" * 10_000, "A" + " " * 100_000 + "x",
     "furosemide and " * 30_000],
)  # fmt: skip
def test_no_answer_takes_long_to_read(answer: str) -> None:
    start = time.perf_counter()
    read(answer)
    assert time.perf_counter() - start < 10
