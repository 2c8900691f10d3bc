import pytest

from harness.data.contamination import (
    TrainingText,
    find_contamination,
    ngram_length,
    texts_of_examples,
    texts_of_pairs,
)
from harness.models.local import make_prompt
from harness.types import Message, Sample
from harness.types.training import Example, PreferencePair


def words(start: int, n: int) -> str:
    return " ".join(f"word{k}" for k in range(start, start + n))


def item(name: str, question: str, reference: str | None = None) -> Sample:
    return Sample(id=name, input=question, reference=reference, row=0)


def test_the_same_question_is_found_however_it_is_written() -> None:
    found = find_contamination(
        [TrainingText("t1", ("IS THIS  asthma",), ("Perhaps.",))], [item("q", "Is this asthma?")]
    )
    assert (found.exact, found.contaminated, found.touched) == (1, 1, 1)
    assert (found.worst[0].sample_id, found.worst[0].row, found.worst[0].share) == ("q", "t1", 1.0)


def talk(*turns: str) -> Sample:
    roles = ("user", "assistant") * len(turns)
    history = [Message(role=r, content=t) for r, t in zip(roles, turns[:-1], strict=False)]  # type: ignore[arg-type]
    return item("q", turns[-1]).model_copy(update={"history": tuple(history)})


def test_a_conversation_is_found_where_a_training_chat_begins_with_all_its_questions() -> None:
    asked = talk("I cough.", "At night?", "Yes. Is it asthma?")
    longer = TrainingText("t1", ("I cough!", "Yes. Is it asthma?", "Thanks."), ())
    last_alone = TrainingText("t2", ("Yes. Is it asthma?",), ())
    assert find_contamination([longer], [asked]).exact == 1
    assert find_contamination([last_alone], [asked]).exact == 0


def test_every_turn_of_a_conversation_counts_for_its_share() -> None:
    asked = talk(words(0, 20), words(100, 20), words(200, 20))
    for start in (0, 100, 200):
        found = find_contamination([TrainingText("t1", (), (words(start, 20),))], [asked])
        assert found.worst[0].question_share == pytest.approx(1 / 3)


def test_other_texts_leave_an_item_clean() -> None:
    found = find_contamination(
        [TrainingText("t1", (words(100, 20),), (words(200, 50),))], [item("q", words(0, 20))]
    )
    assert (found.n_training_rows, found.n_items) == (1, 1)
    assert (found.exact, found.contaminated, found.touched, found.unchecked) == (0, 0, 0, 0)
    assert found.worst == ()


def test_the_share_is_that_of_the_ngrams_seen() -> None:
    # 20 words have 8 13-grams; the training answer holds words 0 to 15, so 4 of them
    training = [TrainingText("t1", ("Why?",), (f"As I said: {words(0, 16)}.",))]
    found = find_contamination(training, [item("q", words(0, 20))])
    assert found.n == 13
    assert found.worst[0].question_share == pytest.approx(4 / 8)
    assert (found.worst[0].shared, found.touched, found.contaminated) == (4, 1, 0)


def test_what_different_rows_hold_adds_up_and_the_row_with_most_is_named() -> None:
    training = [
        TrainingText("few", ("Why?",), (words(0, 14),)),
        TrainingText("most", ("Why?",), (words(4, 16),)),
    ]
    found = find_contamination(training, [item("q", words(0, 20))])
    assert found.worst[0].question_share == pytest.approx(6 / 8)
    assert (found.worst[0].row, found.worst[0].shared, found.contaminated) == ("most", 4, 1)


def test_an_answer_that_was_trained_on_is_found_too() -> None:
    training = [TrainingText("t1", ("Another question?",), (words(0, 30),))]
    found = find_contamination(training, [item("q", words(50, 20), reference=words(0, 30))])
    assert (found.worst[0].question_share, found.worst[0].reference_share) == (0.0, 1.0)
    assert found.contaminated == 1


def test_ngrams_do_not_reach_from_a_question_into_its_answer() -> None:
    training = [TrainingText("t1", (words(0, 7),), (words(7, 7),))]
    found = find_contamination(training, [item("q", words(0, 14))])
    assert found.touched == 0


def test_a_short_item_is_compared_whole_and_counted_as_unchecked() -> None:
    training = [TrainingText("t1", ("What is gout?",), ("Gout is an arthritis.",))]
    found = find_contamination(training, [item("a", "What is gout?"), item("b", "And lupus?")])
    assert (found.unchecked, found.exact, found.contaminated) == (2, 1, 1)


def test_a_template_that_many_items_share_tells_nothing() -> None:
    template = words(0, 13)
    items = [item(f"q{n}", f"{template} about illness {n}") for n in range(11)]
    training = [TrainingText("t1", (f"{template} about something else",), ())]
    assert find_contamination(training, items).touched == 0
    assert find_contamination(training, items[:10]).touched == 10


@pytest.mark.parametrize(("length", "n"), [(4, 8), (10, 10), (40, 13)])
def test_an_ngram_is_as_long_as_the_shortest_items_allow(length: int, n: int) -> None:
    assert ngram_length([item(str(k), words(k, length)) for k in range(40)]) == n


def test_the_worst_come_first_and_no_more_than_asked_for() -> None:
    items = [item(f"q{n}", words(100 * n, 20)) for n in range(5)]
    training = [TrainingText(f"t{n}", ("Why?",), (words(100 * n, 13 + n),)) for n in range(5)]
    found = find_contamination(training, items, n_worst=2)
    assert [worst.sample_id for worst in found.worst] == ["q4", "q3"]
    assert found.touched == 5


def test_no_items_and_no_training_rows_are_no_error() -> None:
    assert find_contamination([], []).n_items == 0


def test_examples_and_pairs_are_read_without_their_system_prompt() -> None:
    prompt = make_prompt("Be kind.", "Is it asthma?")
    turns = (*prompt, Message(role="assistant", content="Perhaps."))
    dialogue = (*turns, Message(role="user", content="And now?"))
    (of_example,) = texts_of_examples([Example(id="e", prompt=dialogue, completion="Yes.")])
    assert of_example == ("e", ("Is it asthma?", "And now?"), ("Perhaps.", "Yes."))
    pair = PreferencePair(sample_id="p", prompt=prompt, chosen="A.", rejected="B.", source="given")
    assert list(texts_of_pairs([pair])) == [("p", ("Is it asthma?",), ("A.", "B."))]
