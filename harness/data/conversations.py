"""Items that are conversations: their turns, read from a row as those of training rows are.

fields: {messages: prompt}                                [{role, content}] or [{from, value}]
fields: {input: input, system: system, history: history}  the rows of `harness convert`
"""

from collections.abc import Mapping
from typing import NamedTuple

from harness.core.errors import HarnessError
from harness.core.json_text import parse_json
from harness.data.cells import (
    ROLES,
    Chat,
    Reason,
    Row,
    UnusableRowError,
    check_prompt,
    turns_in,
    user,
    with_system,
)
from harness.data.tables import join_key, text_of
from harness.types.samples import write_transcript

CHAT_FIELDS = ("messages", "system", "history")

_HINTS: Mapping[Reason, str] = {
    "role_order": " After an optional system prompt, user and assistant take turns, and the user is "
    "first and last.",
    "unknown_role": f" Known: {', '.join(ROLES)}.",
    "unreadable": " A turn is {role, content} or {from, value}, and its content is text.",
}


class Conversation(NamedTuple):
    """The turns before an item's last question, that question, and the answer behind it, if any."""

    history: Chat
    question: str
    answer: str | None = None


def read_conversation(
    row: Row, fields: Mapping[str, str], question: str, place: str
) -> Conversation:
    """Read the turns of a row: those of `messages`, or those of `history` before its question.

    A last turn of the assistant is the answer. A system prompt of the row comes first.

    Raises:
        HarnessError: turns that cannot be asked as they are; names the row and the reason.
    """
    try:
        chat = _turns(row, fields["messages"]) if "messages" in fields else ()
        answer = chat[-1].content if chat and chat[-1].role == "assistant" else None
        if "messages" not in fields:
            column = fields.get("history", "")
            earlier = _turns(row, column) if text_of(row.get(column)) else ()
            chat = (*earlier, user(question))
        elif answer is not None:
            chat = chat[:-1]
        chat = _with_own_system(row, fields, chat)
        check_prompt(chat)
    except UnusableRowError as problem:
        raise HarnessError(f"{place}: {problem.detail}.{_HINTS.get(problem.reason, '')}") from None
    return Conversation(chat[:-1], chat[-1].content, answer)


def question_key(row: Row, column: str, place: str) -> str:
    """Return the text by which a cell is joined to an item: its own, or the transcript of its turns.

    Raises:
        HarnessError: turns that cannot be read.
    """
    cell = row[column]
    if not (isinstance(cell, list) and cell and isinstance(cell[0], dict)):
        return join_key(cell)
    try:
        chat = turns_in(row, column)
    except UnusableRowError as problem:
        raise HarnessError(f"{place}: {problem.detail}.") from None
    return write_transcript(chat[:-1], chat[-1].content)


def _turns(row: Row, column: str) -> Chat:
    """Read the turns of a cell; a text, as in a CSV, is read as JSON."""
    cell = row.get(column)
    if isinstance(cell, str):
        try:
            cell = parse_json(cell)
        except ValueError as error:
            raise UnusableRowError("unreadable", f"'{column}' is no JSON: {error}") from None
        row = {**row, column: cell}
    return turns_in(row, column)


def _with_own_system(row: Row, fields: Mapping[str, str], chat: Chat) -> Chat:
    """Put the row's system prompt before the turns, which may not begin with another."""
    column = fields.get("system", "")
    system = text_of(row.get(column)).strip()
    if system and chat and chat[0].role == "system":
        raise UnusableRowError("role_order", f"'{column}' and the turns both hold a system prompt")
    return with_system(system, chat)
