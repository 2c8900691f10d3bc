"""Statements of an answer: its sentences that say something, with the passages that they cite.

    split_statements("Rest helps [1]. Why? See a doctor. [2, 3]")
    → [("Rest helps.", (1,)), ("See a doctor.", (2, 3))]

A statement is a sentence, or a line, of three words or more (six letters in a script without spaces) that is no
question. A citation is a number in square brackets; one behind the end of a sentence belongs to it.
"""

import re
from functools import lru_cache
from typing import NamedTuple

MIN_WORDS = 3
MIN_LETTERS = 6  # where words are not spaced
MAX_RANGE = 20  # of [1-3]; a wider one is no citation of passages

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?![a-z])|(?<=[。！？｡।॥።؟])\s*|\n+")  # noqa: RUF001
_MARKER = re.compile(r"^(?:[-*•#>]+|\(?\d{1,2}[.)])\s+")
_CITED = re.compile(r"\s*\[\s*(\d{1,3}(?:\s*[-–,;]\s*\d{1,3})*)\s*\]")  # noqa: RUF001
_ONE_CITED = re.compile(r"(\d{1,3})\s*[-–]\s*(\d{1,3})|(\d{1,3})")  # noqa: RUF001
_BEHIND_END = re.compile(r"([.!?。])((?:\s*\[[\d\s,;–-]+\])+)")  # noqa: RUF001
_WORD = re.compile(r"\w+")


class Statement(NamedTuple):
    """A sentence without its citations, and the numbers of the passages that it cites, each once."""

    text: str
    cites: tuple[int, ...]


@lru_cache(maxsize=4096)
def split_statements(text: str) -> tuple[Statement, ...]:
    """Return the statements of a text, in order."""
    moved = _BEHIND_END.sub(r"\2\1", text)  # so that a citation stays with the sentence before it
    statements = []
    for part in _END.split(moved):
        sentence = _MARKER.sub("", part.strip())
        plain = _CITED.sub("", sentence).strip()
        if not plain.endswith(("?", "？")) and _says_something(plain):  # noqa: RUF001
            statements.append(Statement(plain, _cited(sentence)))
    return tuple(statements)


def _says_something(text: str) -> bool:
    words = _WORD.findall(text)
    return len(words) >= MIN_WORDS or any(
        len(word) >= MIN_LETTERS and not word.isascii() for word in words
    )


def _cited(sentence: str) -> tuple[int, ...]:
    numbers: dict[int, None] = {}
    for cited in _CITED.findall(sentence):
        for first, last, single in _ONE_CITED.findall(cited):
            least, most = (int(single),) * 2 if single else (int(first), int(last))
            if most - least < MAX_RANGE:
                numbers |= dict.fromkeys(range(least, most + 1))
    return tuple(numbers)
