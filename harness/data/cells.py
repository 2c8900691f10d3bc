"""Readers of texts and chats in the cells of one row, for training rows and evaluation items alike.

Texts of rows to convert are trimmed and otherwise unchanged; those of items are as they are.
"""

import re
from collections.abc import Mapping
from typing import Literal

from harness.data.tables import no_text_reason, text_of
from harness.data.thoughts import THOUGHT_FIELDS, mark_thoughts
from harness.types import Message

Row = Mapping[str, object]
Chat = tuple[Message, ...]

Reason = Literal[
    "missing_column",  # the row lacks a column of the format
    "unreadable",  # a cell of another type, such as a number where a chat should be
    "unknown_role",  # a turn of a tool or function, neither user nor assistant
    "tool_calls",  # a turn calls a tool, or the row offers some
    "weight_zero",  # the answer to learn has weight 0
    "role_order",  # turns that do not alternate, or end with the wrong role
    "empty_question",  # or any other empty turn before the answer
    "empty_answer",
    "identical_answers",  # chosen equals rejected
    "other_prompt",  # an answer comes with another prompt than its row
    "disliked",  # an answer labelled bad, which SFT should not imitate
    "unlabelled",  # no label where each answer needs one
    "contradicted",  # the same answer is labelled good and bad
    "no_counterpart",  # no answer of the other label to the same prompt
    "too_short",
    "too_long",
    "duplicate",
    "withheld",  # its id is in the list of excluded ids
    "not_taken",  # not in the seeded subset
]

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}


class UnusableRowError(Exception):
    """A row that cannot be used: dropped for `reason` where it is converted, refused as an item."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def text_in(row: Row, column: str) -> str:
    """Read the text of a cell; a list of texts becomes paragraphs."""
    if column not in row:
        raise UnusableRowError("missing_column", f"no '{column}'")
    return _text(row[column], column).strip()


def optional_text(row: Row, column: str) -> str:
    """Read the text of a cell; return an empty text if the row has no such column."""
    return text_in(row, column) if column in row else ""


def user(text: str) -> Message:
    return Message(role="user", content=text)


def with_system(text: str, chat: Chat) -> Chat:
    """Put a system prompt before the chat; an empty one changes nothing."""
    return (Message(role="system", content=text), *chat) if text else chat


def chat_in(row: Row, column: str) -> Chat:
    """Read the turns of a cell, of which an answer at the end is to be learnt."""
    chat = turns_in(row, column, trim=True)
    _require_learnt(chat, row[column], column)
    return chat


def dialogue_in(row: Row, column: str) -> Chat:
    """Read the turns of a cell as `chat_in`, or of a text whose turns begin with "Human:" and "Assistant:"."""
    if not isinstance(row.get(column), str):
        return chat_in(row, column)
    before, *parts = _SPEAKER.split(text_in(row, column))
    if before or not parts:
        raise UnusableRowError(
            "unreadable",
            f"'{column}' is no list of turns, and no text of them ('Human: … Assistant: …'); where the question "
            "has a column of its own, name it: --fields input=…",
        )
    turns = zip(parts[::2], parts[1::2], strict=True)
    return tuple(
        Message.model_validate({"role": ROLES[name.casefold()], "content": text.strip()})
        for name, text in turns
    )


_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant):")  # HH-RLHF's


def turns_in(row: Row, column: str, *, trim: bool = False) -> Chat:
    """Read the turns of a cell: ShareGPT's (from, value), or messages (role, content)."""
    if column not in row:
        raise UnusableRowError("missing_column", f"no '{column}'")
    if row.get("tools"):
        raise UnusableRowError(
            "tool_calls", "the row offers tools, which no prompt here would name"
        )
    return _chat(row[column], column, trim=trim)


def unlearnt_turns(row: Row, column: str) -> frozenset[int]:
    """Return the earlier turns of weight 0 of a readable chat, counted from the end of its prompt."""
    turns = row[column]
    assert isinstance(turns, list)
    weights = enumerate((turn.get("weight") for turn in turns[:-1]), 1 - len(turns))
    return frozenset(i for i, weight in weights if _is_zero(weight))


def label_in(row: Row, column: str = "label") -> bool | None:
    """Read whether a row's answer is labelled good; None if it has no such label."""
    cell = row.get(column)
    return cell if isinstance(cell, bool) else _LABELS.get(str(cell).casefold())


_LABELS = {"true": True, "1": True, "false": False, "0": False}


def history_in(row: Row) -> Chat:
    """Read earlier turns of an alpaca row: pairs of question and answer."""
    rounds = row.get("history") or []
    if not isinstance(rounds, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in rounds
    ):
        raise UnusableRowError("unreadable", "'history' is no list of [question, answer]")
    return tuple(
        Message(role=role, content=_text(text, "history").strip())
        for pair in rounds
        for role, text in zip(("user", "assistant"), pair, strict=True)
    )


def prompt_in(row: Row, column: str) -> Chat:
    """Read a prompt that is a text or a chat."""
    if isinstance(row.get(column), list):
        return chat_in(row, column)
    return (user(text_in(row, column)),)


def answer_in(row: Row, column: str, prompt: Chat) -> str:
    """Read an answer to the prompt: a text, a turn, or a chat that ends with it.

    A chat may begin with the prompt again, as UltraFeedback's do.
    """
    cell = row.get(column)
    if not isinstance(cell, list | dict):
        return text_in(row, column)
    chat = _chat(cell, column, trim=True)
    _require_learnt(chat, cell, column)
    *before, last = chat or (Message(role="assistant", content=""),)
    if last.role != "assistant":
        raise UnusableRowError("role_order", f"'{column}' does not end with the assistant")
    prompt_turns = [m for m in prompt if m.role != "system"]
    if before and [m for m in before if m.role != "system"] != prompt_turns:
        raise UnusableRowError("other_prompt", f"'{column}' brings another prompt than its row")
    return last.content


def last_answer(chat: Chat, column: str) -> tuple[Chat, str]:
    """Split a chat into the part before the assistant's last turn, and that turn."""
    if not chat or chat[-1].role != "assistant":
        raise UnusableRowError("role_order", f"'{column}' does not end with the assistant")
    return chat[:-1], chat[-1].content


def check_prompt(prompt: Chat) -> None:
    """Raise unless a chat template can render the prompt as intended.

    After an optional system prompt, user and assistant alternate; the user begins and ends.
    """
    roles = [m.role for m in prompt]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    expected = ["user", "assistant"] * (len(turns) // 2) + ["user"]
    if turns != expected:
        raise UnusableRowError("role_order", "turns: " + ", ".join(roles[:8] or ["none"]))
    if not all(m.content.strip() for m in prompt):
        raise UnusableRowError("empty_question", "a turn before the answer is empty")


def _chat(cell: object, column: str, *, trim: bool) -> Chat:
    turns = [cell] if isinstance(cell, dict) else cell
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise UnusableRowError("unreadable", f"'{column}' is no list of turns")
    return tuple(_turn(turn, column, trim=trim) for turn in turns)


def _require_learnt(chat: Chat, cell: object, column: str) -> None:
    """Raise where the cell's last turn is an answer of weight 0: it is the one to learn."""
    last = cell[-1] if isinstance(cell, list) and cell else cell
    weight = last.get("weight") if isinstance(last, dict) else None
    if chat and chat[-1].role == "assistant" and _is_zero(weight):
        raise UnusableRowError("weight_zero", f"'{column}' ends with an answer of weight 0")


def _is_zero(weight: object) -> bool:
    return isinstance(weight, int | float) and weight == 0


def _turn(turn: Row, column: str, *, trim: bool) -> Message:
    for role_key, text_key in (("from", "value"), ("role", "content")):
        if role_key in turn and text_key in turn:
            name = turn[role_key]
            role = ROLES.get(str(name).casefold())
            if role is None:
                raise UnusableRowError("unknown_role", f"'{column}' has a turn of '{name}'")
            _refuse_calls(turn, column)
            parts = _parts(turn[text_key], column)
            text = "\n".join(part.strip() if trim else part for part in parts)
            return Message.model_validate({"role": role, "content": _with_thoughts(turn, text)})
    raise UnusableRowError(
        "unreadable", f"'{column}' has a turn without from and value, or role and content"
    )


def _refuse_calls(turn: Row, column: str) -> None:
    """Raise where a turn calls a tool: its text alone would be learnt as the whole answer."""
    if any(turn.get(key) for key in ("tool_calls", "function_call", "tool_call_id")):
        raise UnusableRowError("tool_calls", f"'{column}' has a turn that calls a tool")


def _with_thoughts(turn: Row, text: str) -> str:
    """Return the text after the turn's reasoning, marked as chat templates mark it."""
    for key in THOUGHT_FIELDS:
        thoughts = turn.get(key)
        if isinstance(thoughts, str) and thoughts.strip():
            return mark_thoughts(thoughts, text)
    return text


def _parts(cell: object, column: str) -> list[str]:
    """Read a turn's content: a text, or OpenAI's list of parts if all of them are texts."""
    if not isinstance(cell, list) or not all(isinstance(part, dict) for part in cell):
        return [_text(cell, column)]
    if any(part.get("type") not in ("text", "input_text", "output_text") for part in cell):
        raise UnusableRowError("unreadable", f"'{column}' has a part that is no text")
    return [_text(part.get("text"), column) for part in cell]


def _text(cell: object, column: str) -> str:
    if (
        isinstance(cell, dict | bool)
        or (isinstance(cell, list) and not all(isinstance(part, str) for part in cell))
        or no_text_reason(cell)
    ):
        raise UnusableRowError("unreadable", f"'{column}' is no text")
    text = text_of(cell)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UnusableRowError("unreadable", f"'{column}' holds half a character (a surrogate)")
    return text
