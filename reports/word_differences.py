"""The words in which two answers differ, for marking them where both are shown.

Python's difflib compares the words. Its time grows with the number of pairs of equal words, so that texts with very
many of them are compared by their rarer words alone; texts that share hardly any run of words are not compared.
"""

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.core.scripts import is_unspaced
from harness.data.text import ngrams

MOST_EQUAL_PAIRS = (
    30_000  # of equal words, each in one text; above it difflib skips words that are frequent
)
LEAST_SHARED = 0.3  # of the words; texts with less in common would be marked almost throughout
LEAST_SHARED_RUNS = 0.1  # of all runs of three words, which are much faster to compare
SHORT = 30  # words, of which a few may be all that two texts share

_WORD = re.compile(r"\w+|[^\w\s]")


class Part(NamedTuple):
    """A part of a text; `differs` if the other text lacks its words there."""

    text: str
    differs: bool


class Differences(NamedTuple):
    """Two texts in parts. Without `marked` they have too few words in common, and no part differs."""

    first: tuple[Part, ...]
    second: tuple[Part, ...]
    marked: bool


def mark_differences(first: str, second: str) -> Differences:
    """Return both texts in parts, those marked whose words the other text lacks at that place."""
    if first == second:
        return Differences((Part(first, False),), (Part(second, False),), marked=True)
    old, new = _words(first), _words(second)
    blocks = _matching_blocks(old, new) if _may_resemble(old, new) else []
    shared = sum(size for _, _, size in blocks)
    if 2 * shared < LEAST_SHARED * (len(old) + len(new)):
        return Differences((Part(first, False),), (Part(second, False),), marked=False)
    return Differences(
        tuple(_parts(first, _spans(first, old), [(i, size) for i, _, size in blocks])),
        tuple(_parts(second, _spans(second, new), [(j, size) for _, j, size in blocks])),
        marked=True,
    )


Span = tuple[int, int]  # the first and one behind the last letter of a word


def _words(text: str) -> list[str]:
    """Return words and punctuation marks; of scripts without spaces every letter."""
    words: list[str] = _WORD.findall(text)
    if not text.isascii() and any(is_unspaced(word) for word in words if not word.isascii()):
        return [part for word in words for part in (word if is_unspaced(word) else (word,))]
    return words


def _spans(text: str, words: Sequence[str]) -> list[Span]:
    spans, place = [], 0
    for word in words:
        start = text.index(word, place)
        place = start + len(word)
        spans.append((start, place))
    return spans


def _may_resemble(old: Sequence[str], new: Sequence[str]) -> bool:
    """Return whether two texts are short, or have enough runs of three words in common to be compared."""
    if min(len(old), len(new)) < SHORT:
        return True
    runs, others = set(ngrams(old, 3)), set(ngrams(new, 3))
    return 2 * len(runs & others) >= LEAST_SHARED_RUNS * (len(runs) + len(others))


def _matching_blocks(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return the runs of equal words: their place in either list, and their length."""
    # 1. What both begin and end with needs no search.
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    most = shorter - head
    tail = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
    middle_old, middle_new = old[head : len(old) - tail], new[head : len(new) - tail]
    # 2. difflib finds the others.
    counts = Counter(middle_new)
    n_pairs = sum(n * counts[word] for word, n in Counter(middle_old).items())
    matcher = difflib.SequenceMatcher(
        isjunk=None, a=middle_old, b=middle_new, autojunk=n_pairs > MOST_EQUAL_PAIRS
    )
    found = [(head + i, head + j, n) for i, j, n in matcher.get_matching_blocks() if n]
    ends = len(old) - tail, len(new) - tail
    return [(0, 0, head), *found, (*ends, tail)]


def _parts(text: str, words: Sequence[Span], equal: Sequence[tuple[int, int]]) -> Iterator[Part]:
    """Yield the text in parts; `equal` are the first word and the length of each run that both texts have."""
    place, begun = 0, 0  # in the text, and in its words
    for first, size in [*equal, (len(words), 0)]:
        if begun < first:
            start, end = words[begun][0], words[first - 1][1]
            if place < start:
                yield Part(text[place:start], False)
            yield Part(text[start:end], True)
            place = end
        begun = first + size
    if place < len(text):
        yield Part(text[place:], False)
