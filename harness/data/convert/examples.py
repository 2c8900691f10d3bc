"""Chats with their answers, read from rows; reasons for dropping rows; rows as recipes read them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from harness.data.cells import Reason
from harness.types import Message, Record
from harness.types.training import LabelledAnswer, PreferencePair

REQUESTED_DROPS: frozenset[Reason] = frozenset({"withheld", "not_taken"})  # no error of the data


class Dropped(Record):
    """A dropped row; `row` is its line, its number in a list, or its file and id."""

    row: str
    reason: Reason
    detail: str = ""


class ChatExample(NamedTuple):
    """A chat with one answer, or with a chosen (`answer`) and a rejected one.

    Attributes:
        rows: the places in the file that it was read from: one, or two that make a pair.
        question: the user's turns without a context; examples with the same question are duplicates.
        label: whether the answer is labelled good, for data that labels single answers.
        unlearnt: the assistant's turns in the prompt whose weight is 0, counted from its end (-2 is the
            last turn before the question).
        document: the id of the document that holds the answer, where the format knows it.
        text: what the row says of that document.
    """

    rows: tuple[str, ...]
    id: str
    prompt: tuple[Message, ...]
    question: str
    answer: str
    rejected: str | None = None
    label: bool | None = None
    unlearnt: frozenset[int] = frozenset()
    document: str = ""
    text: str = ""

    @property
    def system(self) -> str | None:
        """Return the system prompt of the chat, if any."""
        return self.prompt[0].content if self.prompt[0].role == "system" else None

    @property
    def history(self) -> tuple[Message, ...]:
        """Return the turns between the system prompt and the last question."""
        return self.prompt[1 if self.system is not None else 0 : -1]

    @property
    def answers(self) -> tuple[str, ...]:
        """Return the answer, and the rejected one if there is one."""
        return (self.answer,) if self.rejected is None else (self.answer, self.rejected)


class FilteredExamples(NamedTuple):
    """The examples that were kept so far, and the dropped rows."""

    kept: list[ChatExample]
    dropped: list[Dropped]


def with_system_prompt(example: ChatExample, system: str | None) -> ChatExample:
    """Add the system prompt, unless the chat has one of its own."""
    if system is None or example.system is not None:
        return example
    message = Message(role="system", content=system)
    return example._replace(prompt=(message, *example.prompt))


def sft_columns(examples: Sequence[ChatExample]) -> tuple[str, ...]:
    """List the columns of SFT rows, the same for every row, so that a recipe can name them."""
    system = ("system",) if any(example.system is not None for example in examples) else ()
    history = ("history",) if any(example.history for example in examples) else ()
    return ("id", "input", "reference", *system, *history)


def sft_row(example: ChatExample, columns: Sequence[str]) -> dict[str, object]:
    """Make an SFT row {"id": …, "input": …, "reference": …, …} with these columns."""
    row = {
        "id": example.id,
        "input": example.prompt[-1].content,
        "reference": example.answer,
        "system": example.system,
        "history": _weighted(example.history, example.unlearnt),
    }
    return {column: row[column] for column in columns}


def question_row(example: ChatExample) -> dict[str, object]:
    """Make a row for evaluation with passages: the question without a context, and where its answer is."""
    return {
        "id": example.id,
        "input": example.question,
        "reference": example.answer,
        "sources": [example.document],
    }


def corpus_rows(examples: Sequence[ChatExample]) -> list[dict[str, object]]:
    """Make a row of each document, with the texts of all its rows in their order."""
    texts: dict[str, list[str]] = {}
    for example in examples:
        texts.setdefault(example.document, []).append(example.text)
    return [{"id": document, "text": "\n\n".join(parts)} for document, parts in texts.items()]


def _weighted(history: Sequence[Message], unlearnt: Collection[int]) -> list[dict[str, object]]:
    """Return the turns, with a weight where it is 0."""
    turns = enumerate(history, -1 - len(history))
    return [m.model_dump() | ({"weight": 0} if i in unlearnt else {}) for i, m in turns]


def labelled_answers(examples: Sequence[ChatExample]) -> list[LabelledAnswer]:
    """Make labelled answers; those to the same prompt share an id and stay together in training."""
    ids: dict[tuple[Message, ...], str] = {}
    return [
        LabelledAnswer(
            sample_id=ids.setdefault(example.prompt, example.id),
            prompt=example.prompt,
            completion=example.answer,
            label=bool(example.label),
        )
        for example in examples
    ]


def preference_pairs(examples: Sequence[ChatExample]) -> list[PreferencePair]:
    """Make preference pairs; pairs with the same prompt share an id and stay together in training."""
    ids: dict[tuple[Message, ...], str] = {}
    return [
        PreferencePair(
            sample_id=ids.setdefault(example.prompt, example.id),
            prompt=example.prompt,
            chosen=example.answer,
            rejected=example.rejected or "",
            source="given",
        )
        for example in examples
    ]
