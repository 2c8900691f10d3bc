"""Statements of an answer: its sentences that say something, with the passages that they cite.

    split_statements("Rest helps a lot [1]. Why? See a doctor. [2, 3]")
    → [("Rest helps a lot.", (1,)), ("See a doctor.", (2, 3))]

A statement is a sentence, or a line, of three words or more (six letters in a script without spaces) that is no
question, no heading and no line that announces others with a colon. What is said again is the same statement.
A citation is a number in square brackets; one behind the end of a sentence, or alone on the next line, belongs to it.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from harness.core.scripts import is_unspaced

MIN_WORDS = 3
LETTERS_PER_WORD = 2  # in a script without spaces
MAX_RANGE = 20  # of [1-3]; a wider one is no citation of passages

_STOPS = "。！？｡।॥。۔؟"  # noqa: RUF001
_ABBREVIATIONS = "Dr Mr Mrs Ms Prof St vs e.g i.e cf approx Approx ca fig Fig al incl U.S U.K"
_NO_END = "".join(rf"(?<!\b{re.escape(word)}\.)" for word in _ABBREVIATIONS.split())
_END = re.compile(rf"(?<=[.!?]){_NO_END}[\"')\]*_]*\s+(?![a-z])|(?<=[{_STOPS}])\s*|\n+")
_MARKER = re.compile(
    r"^(?:[-–—*•◦▪·>]+|\(?\d{1,2}[.)]|\([ivx]{1,4}\)|\(?[a-zA-Z]\))\s+"  # noqa: RUF001
)
_HEADING = re.compile(r"#+\s.*|(\*\*|__)[^*_]*[^*_.!?]\1|.*[:：](?:\*\*|__)?")  # noqa: RUF001
_TABLE_HEAD = re.compile(r"^.*\n(?=[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*\|[-|: \t]*$)", re.MULTILINE)

_NUMBER = r"\d{1,3}(?:\s?(?:[-–,;&]|and)\s?\d{1,3}){0,19}"  # noqa: RUF001
_CITATION = rf"\[(?:passages?[ -]|[\^#])?\s*{_NUMBER}\s*\]"
_CITED = re.compile(rf"\s?({_CITATION})", re.IGNORECASE)
_ONE_CITED = re.compile(r"(\d{1,3})\s*[-–]\s*(\d{1,3})|(\d{1,3})")  # noqa: RUF001
_BRACKETS = str.maketrans("【】［］", "[][]")  # noqa: RUF001
_BETWEEN = re.compile(r"\]\s?([-–,;&])\s?\[(?=[\d^#p])", re.IGNORECASE)  # noqa: RUF001
_ALONE = re.compile(rf"\n[ \t]*((?:{_CITATION}[ \t]*)+)(?=\n|\Z)", re.IGNORECASE)
_BEHIND_END = re.compile(rf"([.!?{_STOPS}][*_]*)((?:[ \t]?{_CITATION})+)", re.IGNORECASE)
_WORD = re.compile(r"\w+")


class Statement(NamedTuple):
    """A sentence without its citations, and the numbers of the passages that it cites, each once."""

    text: str
    cites: tuple[int, ...]


@lru_cache(maxsize=4096)
def split_statements(text: str) -> tuple[Statement, ...]:
    """Return the distinct statements of a text, in order; one that is repeated cites all that it ever cites."""
    # Move citations before the end of their sentence.
    text = _BETWEEN.sub(r"\1", "\n".join(text.translate(_BRACKETS).splitlines()))
    text = _BEHIND_END.sub(r"\2\1", _ALONE.sub(r" \1", _TABLE_HEAD.sub("", text)))
    # Split it at their ends.
    cites_by_text: dict[str, dict[int, None]] = {}
    for part in _END.split(text):
        sentence = part.strip()
        plain = plain_statement(sentence)
        if not _HEADING.fullmatch(sentence) and _says_something(plain):
            cites_by_text.setdefault(plain, {}).update(dict.fromkeys(_cited(sentence)))
    return tuple(Statement(plain, tuple(cites)) for plain, cites in cites_by_text.items())


def plain_statement(sentence: str) -> str:
    """Return a sentence without the mark of its list and its citations."""
    return _CITED.sub("", _MARKER.sub("", sentence.strip())).strip()


def _says_something(text: str) -> bool:
    if text.rstrip("*_").endswith(("?", "？", "؟")):  # noqa: RUF001
        return False
    n_letters = sum(map(is_unspaced, text))
    n_words = len(_WORD.findall(text)) - (n_letters > 0) + n_letters / LETTERS_PER_WORD
    return n_words >= MIN_WORDS


def _cited(sentence: str) -> tuple[int, ...]:
    numbers: dict[int, None] = {}
    for cited in _CITED.findall(sentence):
        for first, last, single in _ONE_CITED.findall(cited):
            least, most = (int(single),) * 2 if single else (int(first), int(last))
            if most - least < MAX_RANGE:
                numbers |= dict.fromkeys(range(least, most + 1))
    return tuple(numbers)
