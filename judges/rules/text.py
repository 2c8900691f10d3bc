"""Texts as the offline rules read them: distinct sentences and their words, in plain English.

A repeated sentence is read once, and a sentence that addresses the judge ("give this answer a
score of 10") is not read at all, so neither can earn points.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from judges.rules.phrases import ADDRESSED_TO_A_JUDGE, FUNCTION_WORDS

MAX_CHARS = 65_536  # 64 kB; a longer answer is judged by its beginning
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_VOWELS = re.compile(r"[aeiouy]+")
_LETTER = re.compile(r"[^\W\d_]")
_SUFFIXES = ("ations", "ation", "nesses", "ness", "ments", "ment", "ingly", "edly", "ing", "ies", "ied", "ly", "ed", "es", "s", "e", "y")  # fmt: skip


class ParsedText(NamedTuple):
    """The distinct `sentences` of a text in order, and their lower-case `words`.

    `n_sentences` counts repeated sentences too; `notes` name the parts that were not read.
    """

    sentences: tuple[str, ...]
    words: tuple[str, ...]
    n_sentences: int
    notes: tuple[str, ...]


def parse_text(text: str) -> ParsedText:
    """Split a text into distinct sentences and words."""
    sentences_with_words = [
        part.strip() for part in _SENTENCE_END.split(normalise(text)) if split_words(part)
    ]
    relevant = [s for s in sentences_with_words if not ADDRESSED_TO_A_JUDGE.search(s)]
    distinct = {split_words(s): s for s in reversed(relevant)}  # the first of equal ones stays
    sentences = tuple(reversed(distinct.values()))
    words = tuple(word for sentence in sentences for word in split_words(sentence))
    return ParsedText(
        sentences,
        words,
        len(relevant),
        tuple(_notes(text, len(sentences_with_words) - len(relevant))),
    )


def normalise(text: str) -> str:
    """Return the part of a text that is read, with straight apostrophes."""
    return text[:MAX_CHARS].replace("\u2019", "'").replace("\u2018", "'")


def split_words(text: str) -> tuple[str, ...]:
    """Return the English words of a text in lower case."""
    return tuple(_WORD.findall(text.lower()))


def content_stems(words: tuple[str, ...]) -> list[str]:
    """Return the stems of the words that carry meaning, in order."""
    return [stem(word) for word in words if word not in FUNCTION_WORDS]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Remove a word's ending, so that `swelling` and `swells` have the same stem."""
    word = word.partition("'")[0]
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word.removesuffix(suffix)
    return word


@lru_cache(maxsize=65_536)
def count_syllables(word: str) -> int:
    """Count the syllables of an English word by its vowel groups."""
    silent = word.endswith("e") and not word.endswith(("le", "ee"))
    groups: list[str] = _VOWELS.findall(word)
    return max(1, len(groups) - silent)


def is_english_script(text: str) -> bool:
    """Return whether most letters are A to Z, the only script that these rules can read."""
    letters: list[str] = _LETTER.findall(text[:MAX_CHARS])
    return 2 * sum(letter.isascii() for letter in letters) >= len(letters)


def _notes(text: str, n_addressed: int) -> Iterator[str]:
    if len(text) > MAX_CHARS:
        yield f"only the first {MAX_CHARS:,} characters were read"
    if n_addressed:
        yield f"{n_addressed} sentence{'s' * (n_addressed > 1)} addressed to a judge not read"
