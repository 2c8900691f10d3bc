"""Each format that is known, and each kind of row that cannot be used."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config.data import Kind
from harness.core.errors import HarnessError
from harness.data.convert.examples import ChatExample, FilteredExamples
from harness.data.convert.formats import (
    FORMATS,
    Format,
    detect_format,
    find_format,
    format_of_fields,
    read_examples,
)
from harness.types import Message

Row = Mapping[str, object]


def drafts_of(rows: Sequence[Row], to: Kind = "sft") -> FilteredExamples:
    columns = {column for row in rows for column in row}
    format = detect_format(columns, to=to, origin="some.jsonl")
    return read_examples([(str(n), row) for n, row in enumerate(rows, start=1)], format)


def draft_of(row: Row, to: Kind = "sft") -> ChatExample:
    drafts = drafts_of([row], to)
    assert drafts.dropped == []
    return drafts.kept[0]


def chat(*turns: str) -> list[Message]:
    roles = ("user", "assistant") * len(turns)
    return [Message(role=r, content=c) for r, c in zip(roles, turns, strict=False)]


def said(draft: ChatExample) -> list[Message]:
    return [m for m in draft.prompt if m.role != "system"]


def sharegpt(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": who, "value": what} for who, what in turns]


def chatml(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": who, "content": what} for who, what in turns]


# --- one answer ------------------------------------------------------------------------------


def test_alpaca_puts_the_input_under_the_instruction() -> None:
    draft = draft_of(
        {"instruction": "Answer as a doctor.", "input": "Is it gout?", "output": "No."}
    )
    assert said(draft) == chat("Answer as a doctor.\n\nIs it gout?")
    assert (draft.answer, draft.id, draft.rows) == ("No.", "row-00001", ("1",))


def test_alpaca_without_input_asks_the_instruction() -> None:
    for empty in ("", None):
        draft = draft_of({"instruction": "Is it gout?", "input": empty, "output": "No."})
        assert said(draft) == chat("Is it gout?")


def test_alpaca_history_and_system_come_first() -> None:
    row = {"instruction": "And lupus?", "output": "No.", "system": "Be kind.",
           "history": [["Is it gout?", "Perhaps."]]}  # fmt: skip
    draft = draft_of(row)
    assert draft.system == "Be kind."
    assert said(draft) == chat("Is it gout?", "Perhaps.", "And lupus?")


def test_the_last_answer_of_a_sharegpt_dialogue_is_learnt_and_the_rest_is_its_prompt() -> None:
    turns = sharegpt(("system", "Be kind."), ("human", "A?"), ("gpt", "B."), ("human", "C?"), ("gpt", "D."))  # fmt: skip
    draft = draft_of({"id": "x7", "conversations": turns})
    assert (draft.id, draft.system, draft.answer) == ("x7", "Be kind.", "D.")
    assert said(draft) == chat("A?", "B.", "C?")
    assert draft.question == "A?\nC?"


def test_chatml_messages_are_read_alike() -> None:
    draft = draft_of({"messages": chatml(("user", "A?"), ("assistant", " B. "))})
    assert (said(draft), draft.answer) == (chat("A?"), "B.")


def test_a_system_column_counts_where_the_chat_has_no_system_prompt() -> None:
    row = {"system": "Be kind.", "messages": chatml(("user", "A?"), ("assistant", "B."))}
    assert draft_of(row).system == "Be kind."
    row["messages"] = chatml(("system", "Be brief."), ("user", "A?"), ("assistant", "B."))
    assert draft_of(row).system == "Be brief."


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [("A?", "B."), (chatml(("user", "A?")), chatml(("assistant", "B.")))],
)
def test_prompt_and_completion_are_texts_or_chats(prompt: object, completion: object) -> None:
    draft = draft_of({"prompt": prompt, "completion": completion})
    assert (said(draft), draft.answer) == (chat("A?"), "B.")


def test_pubmedqa_asks_under_its_contexts_but_its_question_is_without_them() -> None:
    row = {"id": "217", "QUESTION": "Does it?", "CONTEXTS": ["One.", "Two."], "LONG_ANSWER": "Yes."}
    draft = draft_of(row)
    assert said(draft) == chat("One.\nTwo.\n\nDoes it?")
    assert (draft.question, draft.answer, draft.id) == ("Does it?", "Yes.", "217")


def test_meqsum_answers_with_the_summary() -> None:
    draft = draft_of(
        {"File": "1.txt", "CHQ": "SUBJECT: gout …", "Summary": "Is it gout?", "": None}
    )
    assert (said(draft), draft.answer, draft.id) == (
        chat("SUBJECT: gout …"),
        "Is it gout?",
        "1.txt",
    )


# --- two answers -----------------------------------------------------------------------------


def assert_pair(draft: ChatExample) -> None:
    assert (said(draft), draft.answer, draft.rejected) == (chat("A?"), "B.", "C.")


@pytest.mark.parametrize(
    "row",
    [
        {"question": "A?", "response_chosen": "B.", "response_rejected": "C."},
        {"prompt": "A?", "chosen": "B.", "rejected": "C."},
        {
            "prompt": chatml(("user", "A?")),
            "chosen": chatml(("assistant", "B.")),
            "rejected": chatml(("assistant", "C.")),
        },
        {  # UltraFeedback: the answers bring the prompt with them
            "prompt": "A?",
            "chosen": chatml(("user", "A?"), ("assistant", "B.")),
            "rejected": chatml(("user", "A?"), ("assistant", "C.")),
            "messages": chatml(("user", "A?"), ("assistant", "B.")),
        },
        {
            "chosen": chatml(("user", "A?"), ("assistant", "B.")),
            "rejected": chatml(("user", "A?"), ("assistant", "C.")),
        },
        {"conversations": sharegpt(("human", "A?")), "chosen": "B.", "rejected": "C."},
        {
            "chosen": "\n\nHuman: A?\n\nAssistant: B.",
            "rejected": "\n\nHuman: A?\n\nAssistant: C.",
        },
        {"instruction": "A?", "input": "", "chosen": "B.", "rejected": "C."},
        {
            "conversations": sharegpt(("human", "A?")),
            "chosen": {"from": "gpt", "value": "B."},
            "rejected": {"from": "gpt", "value": "C."},
        },
    ],
    ids=[
        "reward",
        "texts",
        "chats",
        "ultrafeedback",
        "implicit",
        "sharegpt",
        "hh_rlhf",
        "alpaca",
        "sharegpt_turns",
    ],
)
def test_every_preference_format_makes_the_same_pair(row: Row) -> None:
    assert_pair(draft_of(row, "preference"))


def test_a_labelled_answer_carries_its_label() -> None:
    rows = [{"prompt": "A?", "completion": "B.", "label": label} for label in (True, "False", 1)]
    assert [draft.label for draft in drafts_of(rows).kept] == [True, False, True]


# --- rows that cannot be used ----------------------------------------------------------------

GOOD_CHAT = chatml(("user", "A?"), ("assistant", "B."))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"instruction": " ", "output": "B."}, "empty_question"),
        ({"instruction": "A?", "output": "\n"}, "empty_answer"),
        ({"instruction": "A?", "output": None}, "empty_answer"),
        ({"instruction": "A?", "output": float("nan")}, "empty_answer"),
        ({"instruction": "A?"}, "missing_column"),
        ({"instruction": {"a": 1}, "output": "B."}, "unreadable"),
        ({"instruction": "A?", "output": True}, "unreadable"),
        ({"instruction": "A?", "output": "half \ud83d"}, "unreadable"),
        ({"instruction": "A?", "output": "B.", "history": "A? B."}, "unreadable"),
        ({"instruction": "A?", "output": "B.", "history": [["A?", ""]]}, "empty_question"),
    ],
)
def test_a_wrong_alpaca_row_is_dropped_for_its_reason(row: Row, reason: str) -> None:
    drafts = drafts_of([{"instruction": "A?", "output": "B."}, row])
    assert len(drafts.kept) == 1
    assert [(d.row, d.reason) for d in drafts.dropped] == [("2", reason)]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "role_order"),
        (chatml(("user", "A?")), "role_order"),
        (chatml(("assistant", "B.")), "role_order"),
        (chatml(("user", "A?"), ("user", "C?"), ("assistant", "B.")), "role_order"),
        (chatml(("user", "A?"), ("system", "x"), ("assistant", "B.")), "role_order"),
        (chatml(("user", ""), ("assistant", "B.")), "empty_question"),
        (chatml(("user", "A?"), ("assistant", "")), "empty_answer"),
        (chatml(("user", "A?"), ("tool", "x"), ("assistant", "B.")), "unknown_role"),
        ([{"role": "user"}], "unreadable"),
        (["A?"], "unreadable"),
        ("A?", "unreadable"),
        ([{"role": "user", "content": [{"type": "image"}]}, *GOOD_CHAT[1:]], "unreadable"),
    ],
)
def test_a_wrong_chat_is_dropped_for_its_reason(messages: object, reason: str) -> None:
    (dropped,) = drafts_of([{"messages": messages}]).dropped
    assert dropped.reason == reason


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("B.", " B. ", "identical_answers"),
        ("", "C.", "empty_answer"),
        ("B.", None, "empty_answer"),
        ("B.", [], "empty_answer"),
        ("B.", chatml(("user", "C.")), "role_order"),
        ("B.", chatml(("user", "Another?"), ("assistant", "C.")), "other_prompt"),
    ],
)
def test_a_wrong_pair_is_dropped_for_its_reason(
    chosen: object, rejected: object, reason: str
) -> None:
    row = {"prompt": "A?", "chosen": chosen, "rejected": rejected}
    (dropped,) = drafts_of([row], "preference").dropped
    assert dropped.reason == reason


def test_answers_to_different_prompts_make_no_pair() -> None:
    row = {"chosen": GOOD_CHAT, "rejected": chatml(("user", "Z?"), ("assistant", "C."))}
    (dropped,) = drafts_of([row], "preference").dropped
    assert dropped.reason == "other_prompt"


def test_a_text_that_is_no_dialogue_makes_no_pair_and_says_how_it_would() -> None:
    row = {"question": "A?", "chosen": "B.", "rejected": "C."}
    (dropped,) = drafts_of([row], "preference").dropped
    assert dropped.reason == "unreadable"
    assert "--fields input=" in dropped.detail


def test_a_label_that_is_neither_true_nor_false_is_unreadable() -> None:
    (dropped,) = drafts_of([{"prompt": "A?", "completion": "B.", "label": "good"}]).dropped
    assert (dropped.reason, dropped.detail) == ("unreadable", "'label' is 'good', neither true nor false")  # fmt: skip


def test_an_id_that_stood_before_gets_its_row() -> None:
    rows = [{"id": "a", "instruction": f"A{n}?", "output": "B."} for n in range(2)]
    assert [draft.id for draft in drafts_of(rows).kept] == ["a", "a~2"]


_TEXTS = st.sampled_from(["", " ", "A?", "B.", "user", "assistant", "system", "\ud83d"])
_CELLS = st.recursive(
    _TEXTS | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "from", "value"]), inner)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_whatever_the_cells_hold_every_row_is_kept_or_dropped(
    format: Format, data: st.DataObject
) -> None:
    columns = sorted(format.columns | {"id", "system", "history", "input"})
    rows = data.draw(st.lists(st.dictionaries(st.sampled_from(columns), _CELLS), max_size=4))
    drafts = read_examples([(str(n), row) for n, row in enumerate(rows)], format)
    places = [*(draft.rows[0] for draft in drafts.kept), *(d.row for d in drafts.dropped)]
    assert sorted(places) == [str(n) for n in range(len(rows))]
    assert len({draft.id for draft in drafts.kept}) == len(drafts.kept)


# --- telling formats apart -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "to", "name"),
    [
        ("instruction input output", "sft", "alpaca"),
        ("conversations id", "sft", "sharegpt"),
        ("prompt completion", "sft", "prompt_completion"),
        ("prompt completion label", "sft", "unpaired"),
        ("prompt completion label", "preference", "unpaired"),
        ("conversations chosen rejected", "preference", "sharegpt_preference"),
        ("chosen rejected", "preference", "implicit_preference"),
        ("prompt chosen rejected messages", "preference", "preference"),
        ("prompt chosen rejected messages", "sft", "chatml"),
    ],
)
def test_columns_tell_the_format(columns: str, to: Kind, name: str) -> None:
    assert detect_format(columns.split(), to=to, origin="x").name == name


def message_of(columns: str, to: Kind = "sft") -> str:
    with pytest.raises(HarnessError) as error:
        detect_format(columns.split(), to=to, origin="x.csv")
    return str(error.value)


def test_unknown_columns_are_refused_with_what_was_found_and_what_is_known() -> None:
    message = message_of("frage antwort")
    assert "x.csv" in message
    assert "Found: antwort, frage" in message
    assert "alpaca (instruction, output)" in message
    assert "--fields input=COLUMN,reference=COLUMN" in message


def test_ambiguous_columns_are_refused_with_the_formats_they_fit() -> None:
    message = message_of("instruction output messages")
    assert "alpaca (instruction, output); chatml (messages)" in message
    assert "--from" in message


def test_a_format_of_the_other_kind_says_what_to_ask_for() -> None:
    assert "use --to preference" in message_of("conversations chosen rejected")
    assert "use --to sft" in message_of("instruction output", "preference")


def test_a_named_format_needs_its_columns() -> None:
    with pytest.raises(HarnessError, match=r"alpaca needs the columns output. Found: instruction"):
        find_format("alpaca", ["instruction"], to="sft", origin="x")
    with pytest.raises(HarnessError, match="Did you mean 'alpaca'"):
        find_format("alpacca", [], to="sft", origin="x")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input": "q"}, "must also name reference"),
        ({"input": "q", "answer": "a"}, "field 'answer' is unknown"),
        ({"input": "q", "reference": "b"}, "no column 'b'"),
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, str], message: str) -> None:
    with pytest.raises(HarnessError, match=message):
        format_of_fields(fields, ["q", "a"], to="sft", origin="x")


def test_named_fields_read_a_plain_table() -> None:
    fields = {"id": "n", "input": "q", "reference": "a", "context": "c", "system": "s"}
    row = {"n": 5, "q": "Does it?", "a": "Yes.", "c": "It does.", "s": "Be kind."}
    format = format_of_fields(fields, row, to="sft", origin="x")
    (draft,) = read_examples([("1", row)], format).kept
    assert (draft.id, draft.system, draft.question) == ("5", "Be kind.", "Does it?")
    assert said(draft) == chat("It does.\n\nDoes it?")
