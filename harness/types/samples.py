"""Items, and the responses of models to them."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from harness.core.hashing import content_hash
from harness.types.base import Record
from harness.types.retrieval import GivenPassage

Role = Literal["system", "user", "assistant"]


class Message(Record):
    """One turn of a chat."""

    role: Role
    content: str


class ItemCriterion(Record):
    """One criterion of an item's checklist, what meeting it counts, and its tags."""

    criterion: str
    points: float
    tags: tuple[str, ...] = ()


def seed_suffix(seed: int) -> str:
    """Return how the names of what belongs to one training seed end: `q1@seed2`."""
    return f"@seed{seed}"


class Sample(Record):
    """One item of an evaluation. `row` is its row in the source file, counted from 0.

    `slices` are its values in the columns that the suite slices by, `kept` in those that it keeps. An item
    that is asked several times is one sample for each time: `draw` counts them from 0, and they share a
    cluster. So do the copies of an item that the models of several training seeds answer, each of one
    `seed`. Several acceptable answers are `references`, and `reference` is then one text that lists them.
    Of a multiple-choice item `choices` are the options by their labels, as they are shown in `input`,
    `right_choice` is the label of the right one, and `question` the input without them. Of a conversation
    `input` is the last turn, and `history` are those before it, a system prompt of its own first.
    `criteria` are those of each checklist, by its column. `sources` are the ids of the documents that are
    known to hold the answer.
    """

    id: str
    input: str
    reference: str | None = None
    cluster: str | None = None
    row: int
    draw: int = Field(default=0, exclude_if=lambda n: n == 0)
    seed: int | None = Field(default=None, exclude_if=lambda seed: seed is None)
    slices: dict[str, str] = Field(default_factory=dict, exclude_if=lambda values: not values)
    kept: dict[str, str] = Field(default_factory=dict, exclude_if=lambda values: not values)
    references: tuple[str, ...] = Field(default=(), exclude_if=lambda texts: not texts)
    choices: dict[str, str] = Field(default_factory=dict, exclude_if=lambda texts: not texts)
    right_choice: str | None = Field(default=None, exclude_if=lambda label: label is None)
    question: str | None = Field(default=None, exclude_if=lambda text: text is None)
    history: tuple[Message, ...] = Field(default=(), exclude_if=lambda turns: not turns)
    criteria: dict[str, tuple[ItemCriterion, ...]] = Field(
        default_factory=dict, exclude_if=lambda lists: not lists
    )
    sources: tuple[str, ...] = Field(default=(), exclude_if=lambda ids: not ids)

    @property
    def own_id(self) -> str:
        """Return the item's id, without the training seed whose copy of the item this is."""
        return self.id if self.seed is None else self.id.removesuffix(seed_suffix(self.seed))

    @property
    def own_question(self) -> str:
        """Return what the item asks, without the options and the sentence that asks for one."""
        return write_transcript(self.history, self.question or self.input)

    @property
    def transcript(self) -> str:
        """Return all turns as one text: the input alone, unless the item is a conversation."""
        return write_transcript(self.history, self.input)

    @property
    def user_turns(self) -> tuple[str, ...]:
        """Return the user's turns, the last without the options of a choice."""
        earlier = (turn.content for turn in self.history if turn.role == "user")
        return (*earlier, self.question or self.input)

    @property
    def user_text(self) -> str:
        """Return the user's turns as one text."""
        return "\n\n".join(self.user_turns)

    @property
    def system(self) -> str | None:
        """Return the item's own system prompt, if it has one."""
        return next((turn.content for turn in self.history if turn.role == "system"), None)

    def chat(self, system: str | None) -> tuple[Message, ...]:
        """Return the turns to answer, after the item's own system prompt or else after `system`."""
        return make_chat(self.history, self.input, system)

    @property
    def acceptable_answers(self) -> tuple[str, ...]:
        """Return the references one by one: none, one or several."""
        return self.references or (() if self.reference is None else (self.reference,))


def speaker(turn: Message) -> str:
    """Name the speaker of a turn as people read it: System prompt, User or Assistant."""
    return "System prompt" if turn.role == "system" else turn.role.capitalize()


def make_chat(history: Sequence[Message], question: str, system: str | None) -> tuple[Message, ...]:
    """Return the turns to answer, behind `system` unless the history begins with another prompt."""
    own = any(turn.role == "system" for turn in history)
    given = (Message(role="system", content=system),) if system and not own else ()
    return (*given, *history, Message(role="user", content=question))


def hash_prompt(messages: Sequence[Message]) -> str:
    """Return a hash by which a prompt that is built again is known to be the one that was sent."""
    return content_hash([(message.role, message.content) for message in messages])


def write_transcript(history: Sequence[Message], question: str) -> str:
    """Write turns as one text, each behind its speaker; a question without earlier turns alone."""
    if not history:
        return question
    turns = (*history, Message(role="user", content=question))
    return "\n\n".join(f"{speaker(turn)}: {turn.content}" for turn in turns)


MAX_TOKENS = 10**9  # of one reply; a server that reports more has not counted


class Exchange(Record):
    """The verbatim replies of a model or judge to one request, with tokens and time.

    `replies` has one for each attempt; the last is the one that counts. Tokens that an endpoint
    does not count are 0. `model` is the name under which the last was given, where it is another one
    than was asked. `prompt` is the `hash_prompt` of the messages that were sent first; "" in rows of earlier
    versions. Of a checklist's criteria one by one it is a hash of these.
    """

    replies: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    seconds: float
    model: str = Field(default="", exclude_if=lambda name: not name)
    prompt: str = Field(default="", exclude_if=lambda known: not known)

    @field_validator("input_tokens", "output_tokens")
    @classmethod
    def _is_a_count(cls, tokens: int) -> int:
        """Read absurd counts, which rows of earlier versions hold, as uncounted."""
        return tokens if 0 <= tokens <= MAX_TOKENS else 0


# First words of the reason that a file of recorded answers gives for an answer that does not count.
RECORDED_FAILURE = "recorded failure"

# First words of the reasons for which a model was not reached, or could not run.
REQUEST_FAILURES = (
    "timeout",
    "unreachable",
    "rate_limited",
    "server_error",
    "garbage",
    "too_large",
    "bad_request",
    "context_length",
    "retrieval failed",
    "out of memory",
    RECORDED_FAILURE,
)


class Response(Record):
    """One model's answer to one item; `text` None comes with a `reason`.

    `system` is the system prompt of a recorded answer, if its record has one. `thoughts` are those that
    the server gave apart from the text and, once the response is measured, those left out of the text.
    `passages` are those that stood in the prompt, perhaps none; None of a model that does not retrieve.
    """

    sample_id: str
    model: str
    text: str | None
    finish: Literal["stop", "length", "recorded", "failed"]
    n_tokens: int | None = None
    reason: str | None = None
    system: str | None = None
    thoughts: str | None = Field(default=None, exclude_if=lambda text: text is None)
    exchange: Exchange | None = None
    passages: tuple[GivenPassage, ...] | None = Field(
        default=None, exclude_if=lambda given: given is None
    )

    @property
    def request_failed(self) -> bool:
        """Return whether the request failed on its way: then the model has not answered at all."""
        failed = self.finish == "failed" and self.text is None
        return failed and (self.reason or "").startswith(REQUEST_FAILURES)


HygieneFlag = Literal[
    "prompt_leak_sentence",  # a whole sentence of the system prompt
    "prompt_leak_words",  # eight consecutive words of the system prompt
    "empty",
    "cut_off",  # stopped at the token limit
    "unfinished_thoughts",  # ended, or was cut off, while the model was thinking
    "repetition_loop",
    "special_tokens",  # such as <|im_end|> inside the text
    "repeated_answer",  # word for word the answer to several other questions
    "suspected_injection",  # seems to address the judge
]


Responses = dict[str, Response]  # by sample id


def same_text(first: str | None, second: str | None) -> bool | None:
    """Compare two answers up to white space; None if one of them is missing."""
    if first is None or second is None:
        return None
    if first == second:
        return True
    # Most texts differ in their first words; the whole of them is split only where these are equal.
    return first.split(None, 3)[:3] == second.split(None, 3)[:3] and first.split() == second.split()
