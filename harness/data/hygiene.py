"""Hygiene flags of an answer: defects found by fixed rules, without a judge.

The flags are counted per model and shown in every report, and every comparison is repeated without
the flagged items. They never change a score.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import lru_cache

from harness.core.scripts import is_unspaced
from harness.data.text import NGram, ngrams, normalise_words
from harness.data.thoughts import UNFINISHED_THOUGHTS
from harness.types import HygieneFlag, Response

LEAK_WORDS = 8  # consecutive words of the system prompt that make a leak


LEAK_SENTENCE_WORDS = 10  # a shorter sentence may occur by chance


LOOP_REPEATS = 4  # a phrase repeated so many times in a row is a loop ...


LOOP_WORDS = 12  # ... when the repetition is at least this long


SENTENCE_REPEATS = 3  # or a sentence of five words or more that occurs so often


REPEATED_ANSWERS, REPEATED_WORDS = 5, 5  # so many questions with one answer of so many words
OPENING = (
    5  # words that equal answers share; few others do, so that most are not compared as a whole
)


_SPECIAL = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|</?(?:s|eos|bos|pad|unk)>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>"
)


_CHATML_SYSTEM = re.compile(r"<\|im_start\|>system\n(.*?)<\|im_end\|>", re.DOTALL)


_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？｡।॥။។؟])\s*")  # noqa: RUF001
# The same in ASCII text whose white space is single blanks: fast, as every match begins with one character.
_ASCII_SENTENCE = re.compile(r" (?<=[.!?] )")


# A word of English has about two characters in Chinese, and up to four in Thai.
_CHARACTERS_PER_WORD, _MOST_CHARACTERS_PER_WORD = 2, 4


def hygiene_flags(response: Response, system: str | None) -> tuple[HygieneFlag, ...]:
    """Return the flags of one answer; `system` is the system prompt of its model."""
    return (*ending_flags(response), *text_flags(response.text or "", system))


def ending_flags(response: Response) -> tuple[HygieneFlag, ...]:
    """Return the flags of how an answer ended, which take no search of its text."""
    flags: list[HygieneFlag] = []
    if not (response.text or "").strip():
        flags.append("empty")
    if response.finish == "length":
        flags.append("cut_off")
    if response.reason == UNFINISHED_THOUGHTS:
        flags.append("unfinished_thoughts")
    return tuple(flags)


def text_flags(text: str, system: str | None) -> tuple[HygieneFlag, ...]:
    """Return the flags of what an answer's text holds."""
    flags: list[HygieneFlag] = []
    if system and leaks_sentence(text, system):
        flags.append("prompt_leak_sentence")
    if system and leaks_words(text, system):
        flags.append("prompt_leak_words")
    if is_loop(text):
        flags.append("repetition_loop")
    if ("<" in text or "[" in text) and _SPECIAL.search(text):
        flags.append("special_tokens")
    return tuple(flags)


def repeated_answers(answers: Mapping[str, str | None], questions: Mapping[str, str]) -> set[str]:
    """Return the items whose answer is, word for word, that of four other questions or more.

    Labels and other answers of few words repeat by their nature and do not count.

    Args:
        answers: One model's answers by item.
        questions: The items' questions; several answers to one question count once.
    """
    texts = {item: text for item, text in answers.items() if text}
    openings = {item: " ".join(text.split(None, OPENING)[:OPENING]) for item, text in texts.items()}
    common = {opening for opening, n in Counter(openings.values()).items() if n >= REPEATED_ANSWERS}
    items: defaultdict[str, list[str]] = defaultdict(list)
    for item, text in texts.items():
        if openings[item] in common:
            items[_flat(text)].append(item)
    return {
        item
        for text, same in items.items()
        if len(same) >= REPEATED_ANSWERS
        and len({questions[item] for item in same}) >= REPEATED_ANSWERS
        and _n_words(text) >= REPEATED_WORDS
        for item in same
    }


def system_of_rendered_prompt(prompt: str) -> str | None:
    """Extract the system message from a prompt that was rendered as ChatML."""
    match = _CHATML_SYSTEM.search(prompt)
    return match.group(1) if match else None


def leaks_sentence(text: str, system: str) -> bool:
    """Return whether a whole sentence (ten words or more) of the system prompt occurs in the text."""
    flat = _flat(text)
    return any(sentence in flat for sentence in _long_sentences(system))


def leaks_words(text: str, system: str, n: int = LEAK_WORDS) -> bool:
    """Return whether `n` consecutive words of the system prompt occur in the text."""
    size, windows = _windows(system, n)
    return not windows.isdisjoint(ngrams(normalise_words(text), size))


@lru_cache(maxsize=16)  # all answers of a model have one system prompt
def _long_sentences(system: str) -> tuple[str, ...]:
    sentences = map(_flat, _SENTENCE.split(system))
    return tuple(s for s in sentences if _n_words(s) >= LEAK_SENTENCE_WORDS)


@lru_cache(maxsize=16)
def _windows(system: str, n: int) -> tuple[int, frozenset[NGram]]:
    """Return every `n` consecutive words, or as many characters as amount to them, and their number."""
    words = normalise_words(system)
    n *= _CHARACTERS_PER_WORD if _is_unspaced(words) else 1
    return n, frozenset(ngrams(words, n))


def is_loop(text: str) -> bool:
    """Return whether the text repeats a sentence, or a phrase of up to 12 words in a row."""
    flat = _flat(text)
    if _repeats_sentence(flat):
        return True
    words = normalise_words(flat)
    unspaced = _is_unspaced(words)
    least = LOOP_WORDS * (_CHARACTERS_PER_WORD if unspaced else 1)
    most = LOOP_WORDS * (_MOST_CHARACTERS_PER_WORD if unspaced else 1)
    for size in range(1, most + 1):
        if _has_run(words, size, max(least, size * LOOP_REPEATS) - size):
            return True
    return False


def _repeats_sentence(flat: str) -> bool:
    sentences = (_ASCII_SENTENCE if flat.isascii() else _SENTENCE).split(flat)
    if len(sentences) - len(set(sentences)) < SENTENCE_REPEATS - 1:
        return False
    return any(n >= SENTENCE_REPEATS and _n_words(s) >= 5 for s, n in Counter(sentences).items())


def _has_run(words: list[str], size: int, n: int) -> bool:
    """Return whether `n` words in a row equal the word `size` places after each.

    Such a run covers one of every `n` places, so that only these need be compared first.
    """
    end = len(words) - size
    for place in range(n - 1, end, n):
        first = last = place
        while first >= 0 and words[first] == words[first + size]:
            first -= 1
        while first < place and last < end and words[last] == words[last + size]:
            last += 1
        if last - first - 1 >= n:
            return True
    return False


def _flat(text: str) -> str:
    """Write every white space as one blank."""
    if text.isascii() and text.isprintable() and "  " not in text:  # one line, as it should be
        return text.strip()
    return " ".join(text.split())


def _n_words(text: str) -> int:
    """Count words between spaces; in a script without spaces, two characters as a word."""
    if text.isascii():
        return len(text.split())
    words = normalise_words(text)
    return len(words) // _CHARACTERS_PER_WORD if _is_unspaced(words) else len(text.split())


def _is_unspaced(words: list[str]) -> bool:
    if "".join(words).isascii():
        return False
    return 2 * sum(map(is_unspaced, words)) > len(words)
