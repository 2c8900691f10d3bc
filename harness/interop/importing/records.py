"""Records read from any format: items, answers, scores, preferences, and counts of unusable rows.

Every value of a log may be missing or of another type. `as_object`, `as_rows`, `as_text` and
`as_number` read what is there and give an empty value for anything else, so that one odd row is
counted and does not end the import.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from harness.core.errors import HarnessError
from harness.core.json_text import json_lines, parse_json, read_utf8
from harness.core.sanitize import printable_line, to_valid_utf8
from harness.data.cells import Chat, UnusableRowError, check_prompt, turns_in
from harness.types import Order

Winner = Literal["baseline", "candidate", "tie"]
Object = dict[str, Any]
UNKNOWN_BASELINE = "baseline"  # the name of a baseline that a record of verdicts does not name


class RecordedItem(NamedTuple):
    """One item; in all files an id must have the same `identity`, a question or its hash.

    Items of one `cluster`, such as the turns of a conversation or several answers to one question,
    count together in tests; without one an item is its own cluster. `history` are the turns before
    the input of a conversation, `criteria` those of a checklist, each with points and tags.
    """

    input: str
    reference: str | list[str] | None
    identity: str
    cluster: str | None = None
    history: Chat = ()
    criteria: tuple[Object, ...] = ()


class RecordedScores(NamedTuple):
    """The scores of one answer by name, as numbers or words, with the scorer's rationale, if any.

    `reason` says why scores are missing. `met` are the verdicts on the item's criteria, in their order.
    """

    values: dict[str, float | str]
    rationale: str | None = None
    reason: str | None = None
    met: tuple[bool | None, ...] = ()


class RecordedPreference(NamedTuple):
    """The preferred one of two answers to an item; None with a reason if it cannot be read."""

    winner: Winner | None
    rationale: str | None = None
    reason: str | None = None


@dataclass
class Records:
    """The records of a file, or of several.

    `answers`, `failures` and `scores` are by model and item id; a failure says why a model's answer
    does not count, and its text is None. `preferences` are by (baseline, candidate), item id and the
    order in which the judge saw the answers. `scales` are known ends of scores, `judges` the names of
    those who gave the verdicts. `left_out` counts unusable rows by reason.

    The items and answers of a file with `quoted` texts, those of a judge's prompt, stand only where
    no other file has them. The items of a file with `texts_only` are those of a whole benchmark, of
    which verdicts may cover a part.
    """

    source: str
    items: dict[str, RecordedItem] = field(default_factory=dict)
    answers: dict[str, dict[str, str | None]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    scores: dict[str, dict[str, RecordedScores]] = field(default_factory=dict)
    preferences: dict[tuple[str, str], dict[str, dict[Order, RecordedPreference]]] = field(
        default_factory=dict
    )
    scales: dict[str, tuple[int, int]] = field(default_factory=dict)
    judges: dict[str, None] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    quoted: bool = False
    texts_only: bool = False

    def fail(self, model: str, key: str, reason: str) -> None:
        """Record that a model's answer does not count, whatever the log has of it."""
        self.answers.setdefault(model, {})[key] = None
        self.failures.setdefault(model, {})[key] = printable_line(reason, limit=200)
        self.scores.setdefault(model, {}).pop(key, None)

    def rename(self, old: str, new: str) -> None:
        if old in self.answers:
            self.answers[new] = self.answers.pop(old)
        if old in self.failures:
            self.failures[new] = self.failures.pop(old)
        if old in self.scores:
            self.scores[new] = self.scores.pop(old)
        self.preferences = {
            (new if a == old else a, new if b == old else b): judged
            for (a, b), judged in self.preferences.items()
        }

    @property
    def models(self) -> dict[str, None]:
        """Return every model with an answer or a verdict, in the order of the records."""
        pairs = [name for pair in self.preferences for name in pair]
        return dict.fromkeys([*pairs, *self.answers, *self.scores])


# --- files -----------------------------------------------------------------------------------


def read_text_file(path: Path) -> str:
    """Read a file of text.

    Raises:
        HarnessError: the file is missing, or is no text.
    """
    try:
        return read_utf8(path)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise HarnessError(f"{path}: is not text in UTF-8.") from None


def read_json(path: Path) -> object:
    """Read a file of JSON, or of JSON Lines as a list.

    Raises:
        HarnessError: the file is missing, or neither.
    """
    text = read_text_file(path)
    if path.suffix == ".jsonl":
        return _read_lines(text, path)
    try:
        return parse_json(text)
    except ValueError:
        return _read_lines(text, path)


def _read_lines(text: str, path: Path) -> list[object]:
    rows = []
    for number, line in json_lines(text):
        try:
            rows.append(parse_json(line))
        except ValueError as error:
            raise HarnessError(f"{path}:{number}: is not valid JSON: {error}.") from None
    return rows


def have_all(rows: Sequence[Object], *keys: str) -> bool:
    """Return whether any of the first rows has all of these keys; others may be damaged."""
    return any(set(keys) <= row.keys() for row in rows[:50])


# --- values ----------------------------------------------------------------------------------


def as_object(value: object) -> Object:
    """Return a JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a JSON list, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_rows(value: object) -> list[Object]:
    """Return the objects of a list; what is no object is left out."""
    return [row for row in as_list(value) if isinstance(row, dict)]


def as_text(value: object) -> str | None:
    """Return text as it is, and None for anything else."""
    return value if isinstance(value, str) else None


def as_key(value: object) -> str | None:
    """Return the text of an id, a text or a whole number, without spaces around it; else None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return to_valid_utf8(str(value)).strip() or None


def as_number(value: object) -> float | None:
    """Convert to a finite number, or None; true and false are 1 and 0."""
    if isinstance(value, bool | int | float):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            return None
        return number if math.isfinite(number) else None
    return None


def content_text(content: object) -> str:
    """Return a message's content: a text, or the text parts of a list, one a line."""
    if isinstance(content, str):
        return content
    parts = (
        part if isinstance(part, str) else as_object(part).get("text") for part in as_list(content)
    )
    return "\n".join(part for part in parts if isinstance(part, str) and part)


def user_text(messages: Iterable[Object]) -> str:
    """Return the user's turns of a chat, a blank line between them."""
    turns = (content_text(m.get("content")) for m in messages if m.get("role") == "user")
    return "\n\n".join(turns)


def read_chat(messages: Sequence[Object], records: Records, *, otherwise: str) -> tuple[str, Chat]:
    """Return the last question of a chat and the turns before it.

    Where they cannot be asked as they are (tools, two turns of the user in a row), which is counted,
    the question is the text `otherwise`, without earlier turns.
    """
    try:
        chat = turns_in({"messages": list(messages)}, "messages")
        check_prompt(chat)
    except UnusableRowError as problem:
        if otherwise.strip():
            reason = problem.reason.replace("_", " ")
            records.left_out[f"turns before a question that cannot be asked ({reason})"] += 1
        return otherwise, ()
    return chat[-1].content, chat[:-1]


def without_system(chat: Chat) -> Chat:
    """Return the turns without a system prompt, where that is the run's and not the item's."""
    return tuple(turn for turn in chat if turn.role != "system")


def text_key(text: str, prefix: str) -> str:
    """Return an id for an item that has none, made of its text."""
    return f"{prefix}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:12]}"


# --- names -----------------------------------------------------------------------------------


def make_name(text: str) -> str:
    """Convert text to a name that suites and profiles allow: `openai/gpt-4o` is `openai_gpt-4o`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")[:64] or "unnamed"


def unique_names(texts: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Give each text a name of its own, in order: `a/b` and `a b` are `a_b` and `a_b_2`.

    Names that differ in upper and lower case only would be one file on some disks, so they differ
    by a number too.
    """
    used = {name.casefold() for name in taken}
    names: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        name, number = make_name(text), 1
        while name.casefold() in used:
            number += 1
            name = f"{make_name(text)[:60]}_{number}"
        used.add(name.casefold())
        names[text] = name
    return names
