"""Records read from any format: items, answers, scores, preferences, and counts of unusable rows."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from harness.core.errors import HarnessError
from harness.core.json_text import json_lines, parse_json, read_utf8

Winner = Literal["baseline", "candidate", "tie"]
Object = dict[str, Any]


class RecordedItem(NamedTuple):
    """One item; in all files an id must have the same `identity`, a question or its hash."""

    input: str
    reference: str | list[str] | None
    identity: str


class RecordedScores(NamedTuple):
    """The scores of one answer by name, with the rationale of the scorer, if any."""

    values: dict[str, float]
    rationale: str | None = None


class RecordedPreference(NamedTuple):
    """The preferred one of two answers to an item; None if the preference cannot be read."""

    winner: Winner | None
    rationale: str | None = None


@dataclass
class Records:
    """The records of a file, or of several.

    `answers` and `scores` are by model and item id, `preferences` by (baseline, candidate) and item
    id. `left_out` counts unusable rows by reason.
    """

    source: str
    items: dict[str, RecordedItem] = field(default_factory=dict)
    answers: dict[str, dict[str, str | None]] = field(default_factory=dict)
    scores: dict[str, dict[str, RecordedScores]] = field(default_factory=dict)
    preferences: dict[tuple[str, str], dict[str, RecordedPreference]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def read_json(path: Path) -> object:
    """Read a file of JSON, or of JSON Lines as a list.

    Raises:
        HarnessError: the file is missing, or neither.
    """
    try:
        text = read_utf8(path)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise HarnessError(f"{path}: is not text in UTF-8.") from None
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


def objects_of(data: object) -> list[Object]:
    """Return the objects of a list; an empty list for anything but a list of objects."""
    if isinstance(data, list) and all(isinstance(row, dict) for row in data):
        return data
    return []


def have_all(rows: Sequence[Object], keys: set[str]) -> bool:
    """Return whether there are rows and each has these keys."""
    return bool(rows) and all(keys <= row.keys() for row in rows)


def make_name(text: str) -> str:
    """Convert text to a name that suites and profiles allow: `openai/gpt-4o` is `openai_gpt-4o`."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-")[:64] or "unnamed"


def as_number(value: object) -> float | None:
    """Convert to a finite number, or None; true and false are 1 and 0."""
    if isinstance(value, bool | int | float):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            return None
        return number if math.isfinite(number) else None
    return None
