"""Items, and what models answer to them."""

from typing import Literal

from pydantic import Field

from harness.types.base import Record


class Sample(Record):
    """One item of an evaluation. `row` is its place in the source file, counted from 0.

    `slices` are its values in the columns that the suite slices by. Where an item is asked several
    times, each time is a sample: `draw` counts them from 0, and they share a cluster.
    """

    id: str
    input: str
    reference: str | None = None
    cluster: str | None = None
    row: int
    draw: int = Field(default=0, exclude_if=lambda n: n == 0)
    slices: dict[str, str] = Field(default={}, exclude_if=lambda values: not values)


class Exchange(Record):
    """What a model or judge that was asked replied, and what that took.

    `replies` are kept word for word: one for each time it was asked, of which the last was read.
    Tokens that an endpoint does not count are 0.
    """

    replies: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    seconds: float


class Response(Record):
    """One model's answer to one item; `text` is None when there is none, and `reason` says why.

    `system` is the system prompt a recorded answer was given, when its record tells.
    """

    sample_id: str
    model: str
    text: str | None
    finish: Literal["stop", "length", "recorded", "failed"]
    n_tokens: int | None = None
    reason: str | None = None
    system: str | None = None
    exchange: Exchange | None = None


HygieneFlag = Literal[
    "prompt_leak_sentence",  # a whole sentence of the system prompt
    "prompt_leak_words",  # eight consecutive words of the system prompt
    "empty",
    "cut_off",  # stopped at the token limit
    "repetition_loop",
    "special_tokens",  # <|im_end|> and its kin inside the text
    "suspected_injection",  # reads as if it spoke to the judge
]


class Message(Record):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


Responses = dict[str, Response]  # by sample id


def same_text(first: str | None, second: str | None) -> bool | None:
    """Compare two answers up to white space; None if one of them is missing."""
    return None if first is None or second is None else first.split() == second.split()
