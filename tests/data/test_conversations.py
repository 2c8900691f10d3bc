"""Items that are conversations, read from rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.config import RecordedAnswers, Source
from harness.core.errors import HarnessError
from harness.data.recorded import RecordedModel, read_responses
from harness.data.redaction import redact_sample
from harness.data.samples import make_samples
from harness.data.tables import load_rows
from harness.data.tasks import hash_items
from harness.types import Sample, Task
from tests.builders.conversations import turns
from tests.builders.files import write, write_rows
from trainers.examples import load_samples

THREE = turns("I cough.", "At night?", "Yes. Is it asthma?", system="Be kind.")
SHAREGPT = [
    {"from": {"user": "human", "assistant": "gpt"}.get(t["role"], t["role"]), "value": t["content"]}
    for t in THREE
]


def read(folder: Path, *cells: object, **fields: str) -> tuple[Sample, ...]:
    """Samples of rows with these cells in the column `prompt`."""
    rows: list[dict[str, Any]] = [{"prompt": cell, "answer": "It may be.", "s": "Be brief."} for cell in cells]  # fmt: skip
    write_rows(folder / "a.jsonl", rows)
    table = load_rows(Source(path="a.jsonl"), folder)
    return make_samples(table, {"messages": "prompt", **fields}, None)


def refused(folder: Path, cell: object, **fields: str) -> str:
    with pytest.raises(HarnessError) as error:
        read(folder, turns("Fine?"), cell, **fields)
    return str(error.value)


def pairs(sample: Sample, system: str | None = None) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in sample.chat(system)]


@pytest.mark.parametrize(
    "cell", [THREE, SHAREGPT, json.dumps(THREE)], ids=["openai", "sharegpt", "text"]
)
def test_turns_are_asked_as_they_are(tmp_path: Path, cell: object) -> None:
    (sample,) = read(tmp_path, cell, reference="answer")
    assert pairs(sample) == [
        ("system", "Be kind."), ("user", "I cough."), ("assistant", "At night?"),
        ("user", "Yes. Is it asthma?"),
    ]  # fmt: skip
    assert sample.reference == "It may be."


def test_the_system_prompt_of_an_item_replaces_that_of_the_suite(tmp_path: Path) -> None:
    with_own, without = read(tmp_path, THREE, turns("Is it asthma?"))
    assert pairs(with_own, "Be quick.")[0] == ("system", "Be kind.")
    assert pairs(without, "Be quick.") == [("system", "Be quick."), ("user", "Is it asthma?")]


def test_a_column_gives_each_item_its_system_prompt(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, turns("Is it asthma?"), system="s")
    assert pairs(sample, "Be quick.")[0] == ("system", "Be brief.")
    assert "both hold a system prompt" in refused(tmp_path, THREE, system="s")


def test_rows_of_convert_are_read_with_their_history(tmp_path: Path) -> None:
    row = {"input": "Yes.", "history": turns("I cough.", "At night?"), "system": "Be kind."}
    write_rows(tmp_path / "a.jsonl", [row, {**row, "history": []}])
    fields = {name: name for name in row}
    long, short = make_samples(load_rows(Source(path="a.jsonl"), tmp_path), fields, None)
    assert [role for role, _ in pairs(long)] == ["system", "user", "assistant", "user"]
    assert pairs(short) == [("system", "Be kind."), ("user", "Yes.")]


def test_a_last_turn_of_the_assistant_is_the_reference(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, [*THREE, {"role": "assistant", "content": "Perhaps."}])
    assert (sample.input, sample.reference) == ("Yes. Is it asthma?", "Perhaps.")


def test_a_last_turn_of_the_assistant_beside_a_reference_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, turns("A?", "B."), reference="answer")
    assert message.startswith("a.jsonl:2: 'prompt' ends with the assistant")
    assert "leave 'reference' out" in message


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ([], "turns: none"),
        (None, "no list of turns"),
        ("What is asthma?", "'prompt' is no JSON"),
        (["What is asthma?"], "no list of turns"),
        ([{"role": "user"}], "a turn without from and value, or role and content"),
        (turns("A?", "B.", "  "), "a turn before the answer is empty"),
        (turns("A?")[:1] * 2, "turns: user, user"),
        ([*turns("A?", "B."), *turns("C?", system="D.")], "turns: user, assistant, system, user"),
        ([{"role": "tool", "content": "5 mg"}], "a turn of 'tool'"),
        ([{"role": "user", "content": 7.5e400}], "no text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "a part that is no text"),
        ([{"role": "assistant", "content": "", "tool_calls": [{}]}], "calls a tool"),
    ],
)  # fmt: skip
def test_turns_that_cannot_be_asked_are_refused_with_their_row(
    tmp_path: Path, cell: object, reason: str
) -> None:
    message = refused(tmp_path, cell)
    assert message.startswith("a.jsonl:2: ")
    assert reason in message


def test_a_row_that_offers_tools_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"prompt": THREE, "tools": [{"name": "search"}]}])
    with pytest.raises(HarnessError, match=r"a\.jsonl:1: the row offers tools"):
        make_samples(load_rows(Source(path="a.jsonl"), tmp_path), {"messages": "prompt"}, None)


@pytest.mark.parametrize(
    "fields", [{"id": "id"}, {"input": "q", "messages": "prompt"}, {"messages": "prompt", "history": "q"}]
)  # fmt: skip
def test_an_item_is_an_input_or_messages(tmp_path: Path, fields: dict[str, str]) -> None:
    write_rows(tmp_path / "a.jsonl", [{"id": "1", "q": "Why?", "prompt": THREE}])
    with pytest.raises(HarnessError, match="'messages'"):
        make_samples(load_rows(Source(path="a.jsonl"), tmp_path), fields, None)


def test_turns_named_as_the_input_are_refused_with_the_field_for_them(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"prompt": THREE}])
    with pytest.raises(HarnessError, match="conversation are read as 'messages'"):
        make_samples(load_rows(Source(path="a.jsonl"), tmp_path), {"input": "prompt"}, None)


def test_a_csv_holds_turns_as_json(tmp_path: Path) -> None:
    cell = json.dumps(THREE).replace('"', '""')
    write(tmp_path / "a.csv", f'id,prompt\nq1,"{cell}"\n')
    table = load_rows(Source(path="a.csv"), tmp_path)
    (sample,) = make_samples(table, {"id": "id", "messages": "prompt"}, None)
    assert len(sample.chat(None)) == 4


def test_texts_of_turns_are_not_trimmed(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, turns(" I cough.\n", "At night? ", " Yes.\n"))
    assert [text for _, text in pairs(sample)] == [" I cough.\n", "At night? ", " Yes.\n"]


def test_the_items_hash_is_of_all_turns(tmp_path: Path) -> None:
    first, other = read(tmp_path, THREE, turns("I sneeze.", "At night?", "Yes. Is it asthma?"))
    alone = Sample(id="q", input=first.input, row=0)
    assert len({hash_items([s.model_copy(update={"id": "q", "row": 0})]) for s in (first, other, alone)}) == 3  # fmt: skip
    assert "history" not in alone.model_dump()


def test_every_turn_is_redacted() -> None:
    sample = Sample.model_validate(
        {"id": "q", "input": "Mail a@b.org", "row": 0, "history": turns("I am c@d.org.", "Hello.")}
    )
    assert redact_sample(sample).transcript == (
        "User: I am [e-mail].\n\nAssistant: Hello.\n\nUser: Mail [e-mail]"
    )


def test_prompts_of_recipes_are_conversations_too(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"prompt": THREE}])
    (sample,) = load_samples(Source(path="a.jsonl", fields={"messages": "prompt"}), tmp_path)
    assert [turn.role for turn in sample.chat("Be quick.")] == [
        "system",
        "user",
        "assistant",
        "user",
    ]


def test_recorded_answers_are_joined_by_their_turns(tmp_path: Path) -> None:
    samples = read(tmp_path, THREE, turns("I sneeze.", "At night?", "Yes. Is it asthma?"))
    rows = [{"chat": turns("I sneeze.", "At night?", "Yes. Is it asthma?"), "text": "No."},
            {"chat": SHAREGPT, "text": "Perhaps."}]  # fmt: skip
    assert recorded(tmp_path, samples, rows) == ["Perhaps.", "No."]
    with pytest.raises(HarnessError, match=r"r\.jsonl:1: 'chat' has a turn of 'tool'"):
        recorded(tmp_path, samples, [{"chat": [{"role": "tool", "content": "x"}], "text": "No."}])


def recorded(
    folder: Path, samples: tuple[Sample, ...], rows: list[dict[str, object]]
) -> list[str | None]:
    write_rows(folder / "r.jsonl", rows)
    fields = {"input": "chat", "response": "text"}
    spec = RecordedAnswers(path="r.jsonl", join="input", fields=fields)
    task = Task.model_construct(name="t", samples=samples)
    responses = read_responses(task, RecordedModel("m", spec, folder))
    return [responses[sample.id].text for sample in samples]
