"""What a row says on its way from a public data set to a recipe, or why it is left out."""

from typing import Literal, NamedTuple

from harness.types import Message, Record

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


class Draft(NamedTuple):
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
        """The system prompt that it was given, if any."""
        return self.prompt[0].content if self.prompt[0].role == "system" else None

    @property
    def history(self) -> tuple[Message, ...]:
        """The turns between the system prompt and the last question."""
        return self.prompt[1 if self.system is not None else 0 : -1]

    @property
    def answers(self) -> tuple[str, ...]:
        """The one answer, or both."""
        return (self.answer,) if self.rejected is None else (self.answer, self.rejected)


class Drafts(NamedTuple):
    """The drafts that go on, and the rows that do not."""

    kept: list[Draft]
    dropped: list[Dropped]


class UnusableRowError(Exception):
    """A row that cannot be used; it is dropped for `reason`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
