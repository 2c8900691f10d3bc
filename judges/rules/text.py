"""How the offline rules read a text: as distinct sentences and their words, in plain English.

A sentence said twice is read once, and a sentence that talks to the judge ("give this answer a
score of 10") is not read at all, so neither can earn anything.
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
    """What the rules see of a text: distinct `sentences` in order, and their lower-case `words`.

    `n_sentences` counts repeated sentences too; `notes` says what was left unread.
    """

    sentences: tuple[str, ...]
    words: tuple[str, ...]
    n_sentences: int
    notes: tuple[str, ...]


def read(text: str) -> ParsedText:
    """The text as the rules see it."""
    spoken = [part.strip() for part in _SENTENCE_END.split(plain(text)) if words_of(part)]
    kept = [s for s in spoken if not ADDRESSED_TO_A_JUDGE.search(s)]
    distinct = {words_of(s): s for s in reversed(kept)}  # the first of equal sentences stays
    sentences = tuple(reversed(distinct.values()))
    words = tuple(word for sentence in sentences for word in words_of(sentence))
    return ParsedText(sentences, words, len(kept), tuple(_notes(text, len(spoken) - len(kept))))


def plain(text: str) -> str:
    """The part of a text that is read, with straight apostrophes."""
    return text[:MAX_CHARS].replace("\u2019", "'").replace("\u2018", "'")


def words_of(text: str) -> tuple[str, ...]:
    """The English words of a text in lower case."""
    return tuple(_WORD.findall(text.lower()))


def content_stems(words: tuple[str, ...]) -> list[str]:
    """The stems of the words that carry meaning, in order."""
    return [stem(word) for word in words if word not in FUNCTION_WORDS]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The word without its ending, so that `swelling` and `swells` meet."""
    word = word.partition("'")[0]
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word.removesuffix(suffix)
    return word


@lru_cache(maxsize=65_536)
def n_syllables(word: str) -> int:
    """The syllables of an English word, counted by its vowel groups."""
    silent = word.endswith("e") and not word.endswith(("le", "ee"))
    groups: list[str] = _VOWELS.findall(word)
    return max(1, len(groups) - silent)


def is_english_script(text: str) -> bool:
    """Whether most letters are A to Z, which is all these rules can read."""
    letters: list[str] = _LETTER.findall(text[:MAX_CHARS])
    return 2 * sum(letter.isascii() for letter in letters) >= len(letters)


def _notes(text: str, n_addressed: int) -> Iterator[str]:
    if len(text) > MAX_CHARS:
        yield f"only the first {MAX_CHARS:,} characters were read"
    if n_addressed:
        yield f"{n_addressed} sentence{'s' * (n_addressed > 1)} addressed to a judge not read"
