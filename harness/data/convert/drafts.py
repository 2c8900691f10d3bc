"""What a row says on its way from a public data set to a recipe, or why it is left out."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from harness.types import Message, Record
from harness.types.training import PreferencePair

Reason = Literal[
    "missing_column",  # the row lacks what the other rows have
    "unreadable",  # a cell of another kind, such as a number where a chat should be
    "unknown_role",  # a turn of a tool, a function or whatever is no person and no assistant
    "role_order",  # turns that do not alternate, or do not end as they should
    "empty_question",  # or any other empty turn before the answer
    "empty_answer",
    "identical_answers",  # chosen equals rejected
    "other_prompt",  # an answer that brings its own prompt, which is not the row's
    "disliked",  # an answer labelled bad is not to be imitated
    "no_counterpart",  # no answer of the other label to the same prompt
    "too_short",
    "too_long",
    "duplicate",
    "withheld",  # its id stands in the list of ids to leave out
    "not_taken",  # not in the seeded subset
]


ASKED_FOR: frozenset[Reason] = frozenset({"withheld", "not_taken"})


class Dropped(Record):
    """One row that was left out; `row` is its line, its number in a list, or its file and id."""

    row: str
    reason: Reason
    detail: str = ""


class ChatExample(NamedTuple):
    """One chat and its answer, or its better (`answer`) and its worse one (`rejected`).

    `rows` are the places in the file that it was read from: one, or two that make a pair.
    `question` is what is asked, without the context it comes with: two drafts with the same
    question are duplicates of each other. `liked` is the label of an answer that has one.
    """

    rows: tuple[str, ...]
    id: str
    prompt: tuple[Message, ...]
    question: str
    answer: str
    rejected: str | None = None
    liked: bool | None = None

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
        """Return the one answer, or both."""
        return (self.answer,) if self.rejected is None else (self.answer, self.rejected)


class Drafts(NamedTuple):
    """The drafts that go on, and the rows that do not."""

    kept: list[ChatExample]
    dropped: list[Dropped]


class UnusableRowError(Exception):
    """A row that cannot be used; it is dropped for `reason`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def with_system_prompt(draft: ChatExample, system: str | None) -> ChatExample:
    """Add the system prompt, unless the chat has one of its own."""
    if system is None or draft.system is not None:
        return draft
    given = Message(role="system", content=system)
    return draft._replace(prompt=(given, *draft.prompt))


def sft_columns(drafts: Sequence[ChatExample]) -> tuple[str, ...]:
    """List the columns of the rows; all have the same, so that a recipe can name them."""
    system = ("system",) if any(draft.system is not None for draft in drafts) else ()
    history = ("history",) if any(draft.history for draft in drafts) else ()
    return ("id", "input", "reference", *system, *history)


def sft_row(draft: ChatExample, columns: Sequence[str]) -> dict[str, object]:
    """Make a row {"id": …, "input": …, "reference": …}, with the other `columns`."""
    row = {
        "id": draft.id,
        "input": draft.prompt[-1].content,
        "reference": draft.answer,
        "system": draft.system,
        "history": [message.model_dump() for message in draft.history],
    }
    return {column: row[column] for column in columns}


def preference_pairs(drafts: Sequence[ChatExample]) -> list[PreferencePair]:
    """Make pairs; those with the same prompt share an id, so that training keeps them together."""
    ids: dict[tuple[Message, ...], str] = {}
    return [
        PreferencePair(
            sample_id=ids.setdefault(draft.prompt, draft.id),
            prompt=draft.prompt,
            chosen=draft.answer,
            rejected=draft.rejected or "",
            source="given",
        )
        for draft in drafts
    ]
