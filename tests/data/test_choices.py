from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.config import ChoiceLayout, Generation, RecordedAnswers
from harness.core.errors import HarnessError
from harness.data.choices import put_choices
from harness.data.contamination import TrainingText, find_contaminated_items
from harness.data.recorded import RecordedModel, read_responses
from harness.data.samples import make_samples
from harness.data.tables import Table
from harness.runs.flags import flag_responses
from harness.runs.prepare import Prepared
from harness.types import Response, Sample, Task
from tests.builders.files import write_rows

FIELDS = {"input": "q", "reference": "a", "choices": "c"}
OF_DATA = ChoiceLayout(None, "label", lettered=True, seed=None, instruction=None)
DRUGS = ["ibuprofen", "furosemide"]


def put(
    row: Mapping[str, object],
    layout: ChoiceLayout = OF_DATA,
    fields: dict[str, str] = FIELDS,
    n: int = 1,
) -> Sample:
    rows = [{"q": "Which is a diuretic?", **row} for _ in range(n)]
    table = Table(origin="i.jsonl", lines=list(range(1, n + 1)), rows=rows, sha256="")  # type: ignore[arg-type]
    return put_choices(make_samples(table, fields, None), layout, table, fields)[0]


def test_the_prompt_is_question_options_and_request() -> None:
    made = put({"c": DRUGS, "a": "B"})
    assert made.input == (
        "Which is a diuretic?\n\nA) ibuprofen\nB) furosemide\n\n"
        'End your reply with one line: "Answer:" and the letter of one option (A or B).'
    )
    assert (made.right_choice, made.reference) == ("B", "furosemide")
    assert made.own_question == "Which is a diuretic?"


def test_options_are_shown_with_the_last_turn_of_a_conversation() -> None:
    turns = [{"from": "human", "value": "I take a drug."}, {"from": "gpt", "value": "Which?"}]
    chat = [*turns, {"from": "human", "value": "Which is a diuretic?"}]
    fields = {"messages": "chat", "reference": "a", "choices": "c"}
    made = put({"c": DRUGS, "a": "B", "chat": chat}, fields=fields)
    assert [turn.content for turn in made.history] == ["I take a drug.", "Which?"]
    assert made.input.startswith("Which is a diuretic?\n\nA) ibuprofen")


@pytest.mark.parametrize(
    ("cell", "answer", "reference"),
    [
        (DRUGS, "label", "B"),
        (DRUGS, "label", "b"),
        (DRUGS, "text", "Furosemide."),
        (DRUGS, "index", 1),
        (DRUGS, "index", 1.0),
        (DRUGS, "number", "2"),
        ({"A": "ibuprofen", "B": "furosemide", "C": None}, "label", "B"),
        ('["ibuprofen", "furosemide"]', "label", "B"),
    ],
)
def test_a_reference_is_what_the_suite_says(cell: object, answer: str, reference: object) -> None:
    layout = OF_DATA._replace(answer=answer)  # type: ignore[arg-type]
    assert put({"c": cell, "a": reference}, layout).reference == "furosemide"


def test_options_may_have_a_column_each() -> None:
    fields = {"input": "q", "reference": "a", "choices.A": "opa", "choices.B": "opb"}
    made = put(
        {"opa": "ibuprofen", "opb": "furosemide", "a": 1}, OF_DATA._replace(answer="index"), fields
    )
    assert made.choices == {"A": "ibuprofen", "B": "furosemide"}
    assert made.right_choice == "B"


def test_fixed_options_may_stand_without_letters_and_with_another_request() -> None:
    layout = ChoiceLayout(
        ("yes", "no"), "text", lettered=False, seed=None, instruction="Yes or no?"
    )
    made = put({"a": "no"}, layout, {"input": "q", "reference": "a"})
    assert made.input == "Which is a diuretic?\n\n- yes\n- no\n\nYes or no?"
    assert made.reference == "no"


def test_shuffling_keeps_letters_in_order_and_the_right_text_right() -> None:
    options = [f"drug {i}" for i in range(6)]
    made = [put({"c": options, "a": "B"}, OF_DATA._replace(seed=seed)) for seed in range(1, 9)]
    assert all([*one.choices] == list("ABCDEF") for one in made)
    assert all(one.choices[one.right_choice or ""] == "drug 1" for one in made)
    assert len({one.right_choice for one in made}) > 2
    assert put({"c": options, "a": "B"}, OF_DATA._replace(seed=1)) == made[0]


@pytest.mark.parametrize(
    ("row", "answer", "problem"),
    [
        ({"c": DRUGS, "a": "E"}, "label", "has the reference 'E', which is the label of none of its options (A, B)"),
        ({"c": DRUGS, "a": "B"}, "text", "It would be an option's label: state 'answer: label'"),
        ({"c": DRUGS, "a": 2}, "index", "It would be an option's number: state 'answer: number'"),
        ({"c": DRUGS, "a": ""}, "label", "has no reference"),
        ({"c": DRUGS, "a": ["A", "B"]}, "label", "has several references, and one option is right"),
        ({"c": ["x", "X."], "a": "x"}, "text", "the text of 2 options"),
        ({"c": ["x"], "a": "A"}, "label", "has fewer than two options"),
        ({"c": ["x", " "], "a": "A"}, "label", "has an empty option"),
        ({"c": ["x", ["y"]], "a": "A"}, "label", "has an option that is no text"),
        ({"c": "x; y", "a": "A"}, "label", "has options that are no JSON list or mapping: 'x; y'"),
        ({"c": 5, "a": "A"}, "label", "neither a list nor a mapping"),
        ({"c": {"first": "x", "second": "y"}, "a": "x"}, "text", "has the label 'first', which is no single letter"),
        ({"c": {"a": "x", "A": "y"}, "a": "x"}, "text", "two labels that differ in case only"),
        ({"c": list("abcdefghijklmnopqrstuvwxyz0"), "a": "A"}, "label", "has 27 options, and 26 at most"),
    ],
)  # fmt: skip
def test_an_item_without_one_right_option_is_named(
    row: dict[str, object], answer: str, problem: str
) -> None:
    with pytest.raises(HarnessError) as error:
        put(row, OF_DATA._replace(answer=answer), n=3)  # type: ignore[arg-type]
    assert str(error.value).startswith("i.jsonl: item 'row-00001' (and 2 more) ")
    assert problem in str(error.value)


def test_options_that_no_answer_can_tell_apart_are_refused_without_letters() -> None:
    with pytest.raises(HarnessError, match="two options of the same text"):
        put({"c": ["x", "X"], "a": "A"}, OF_DATA._replace(lettered=False))


def test_options_must_come_from_somewhere() -> None:
    with pytest.raises(HarnessError, match=r"needs options\. Name their column"):
        put({"a": "x"}, OF_DATA, {"input": "q", "reference": "a"})


# --- prompts whose continuations are scored ------------------------------------------------------

CONTINUED = OF_DATA._replace(template="{context}\nQ: {question}\n{options}\nA:")
WITH_CONTEXT = FIELDS | {"context": "t"}


def test_a_template_has_the_texts_of_the_data_as_they_are() -> None:
    made = put({"q": " Which? ", "t": ["One.", "Two."], "c": ["a  b", "c "], "a": "B"}, CONTINUED, WITH_CONTEXT)  # fmt: skip
    assert made.input == "One.\nTwo.\nQ:  Which? \nA. a  b\nB. c \nA:"
    assert (made.right_choice, made.reference) == ("B", "c ")


def test_a_question_alone_has_its_context_in_front() -> None:
    layout = CONTINUED._replace(template="{stripped_question} A:")
    assert put({"t": "One.", "c": DRUGS, "a": "B"}, layout, WITH_CONTEXT).input == (
        "One.\n\nWhich is a diuretic? A:"
    )


def test_braces_in_the_data_are_no_placeholders() -> None:
    made = put({"q": "Is {options} {x}?", "t": "{question}", "c": DRUGS, "a": "B"}, CONTINUED, WITH_CONTEXT)  # fmt: skip
    assert made.input.startswith("{question}\nQ: Is {options} {x}?\nA. ibuprofen")


def test_a_conversation_is_no_prompt_to_be_continued() -> None:
    turns = [("user", "Hello."), ("assistant", "Hello!"), ("user", "Which is a diuretic?")]
    row = {"m": [{"role": role, "content": text} for role, text in turns], "c": DRUGS, "a": "B"}
    fields = {"messages": "m", "reference": "a", "choices": "c"}
    with pytest.raises(HarnessError, match="is a conversation, and a prompt that options continue"):
        put(row, CONTINUED, fields)


@pytest.mark.parametrize("name", ["context", "topic"])
def test_a_placeholder_without_its_text_is_named(name: str) -> None:
    with pytest.raises(
        HarnessError, match=f"has no '{name}' for {{{name}}} in the prompt. Known: "
    ):
        put({"c": DRUGS, "a": "B"}, CONTINUED._replace(template=f"{{{name}}} {{question}}"))


# --- what is known of a question without its options ---------------------------------------------


def test_the_lines_of_the_prompt_are_no_contamination() -> None:
    made = put({"c": DRUGS, "a": "B"})
    learnt = TrainingText(
        "row-1", (made.input.replace("Which is a diuretic?", "Who wrote it?"),), ()
    )
    model = Prepared(None, "f", (), (), "", (learnt,))  # type: ignore[arg-type]  # never asked
    assert find_contaminated_items([task_of(made)], {"sft": model})[0].contaminated == 0
    model = model._replace(training_texts=(learnt._replace(questions=("Which is a diuretic?",)),))
    assert find_contaminated_items([task_of(made)], {"sft": model})[0].exact == 1


@pytest.mark.parametrize("whole", [True, False])
def test_recorded_answers_are_joined_by_the_prompt_or_the_question(
    tmp_path: Path, whole: bool
) -> None:
    made = put({"c": DRUGS, "a": "B"})
    write_rows(tmp_path / "a.jsonl", [{"q": made.input if whole else made.question, "text": "B"}])
    recorded = RecordedAnswers(
        path="a.jsonl", join="input", fields={"input": "q", "response": "text"}
    )
    found = read_responses(task_of(made), RecordedModel("new", recorded, tmp_path))
    assert found[made.id].text == "B"


def test_the_same_choice_in_many_answers_is_no_repeated_answer() -> None:
    made = [
        put({"q": f"Question {i}?", "c": DRUGS, "a": "B"}).model_copy(update={"id": f"q{i}"})
        for i in range(9)
    ]
    said = {
        s.id: Response(
            sample_id=s.id, model="new", text="So the correct answer is B.", finish="stop"
        )
        for s in made
    }
    assert not any(flag_responses(task_of(*made), {"new": said})["new"].values())
    plain = [sample.model_copy(update={"choices": {}}) for sample in made]
    assert all(flag_responses(task_of(*plain), {"new": said})["new"].values())


def task_of(*samples: Sample) -> Task:
    return Task(name="items", source="s", items_hash="h", n_items=len(samples), samples=samples,
                generation=Generation(), system=None, metrics={})  # fmt: skip
