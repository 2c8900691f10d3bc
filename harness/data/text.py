"""Words of a text: one rule for every script.

    normalise_text("Is  it ASTHMA?") == normalise_text("is it “asthma”") == "is it asthma"

A word is a run of letters, marks and digits, casefolded, in Unicode's form NFKC.

- A mark (a vowel sign, an accent) belongs to the letter before it and never separates words.
- Arabic, Hebrew and Syriac vowel points and the tatweel are optional in writing and are dropped.
- Scripts that put no spaces between words (Chinese, Japanese, Thai and their kin) count each
  letter with its marks as one word, so that lengths and n-grams are comparable.

ROUGE reads Latin letters as rouge-score does (`rouge_words`): those other than a to z separate words.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from harness.core.scripts import is_in, is_unspaced

NGram = tuple[str, ...]

WORD_RULE = 2  # raise it when texts beyond Latin script are split in another way


_OPTIONAL = (
    range(0x0591, 0x05BE),  # Hebrew accents and points, here and below
    range(0x05BF, 0x05C0),
    range(0x05C1, 0x05C3),
    range(0x05C4, 0x05C6),
    range(0x05C7, 0x05C8),
    range(0x0610, 0x061B),  # Arabic honorifics and points, here and below
    range(0x0640, 0x0641),  # tatweel
    range(0x064B, 0x0653),
    range(0x0656, 0x0660),
    range(0x0670, 0x0671),
    range(0x06D6, 0x06DD),
    range(0x06DF, 0x06E5),
    range(0x06E7, 0x06E9),
    range(0x06EA, 0x06EE),
    range(0x0730, 0x074B),  # Syriac
    range(0x08D3, 0x08E2),
    range(0x08E3, 0x0900),
    range(0xFE00, 0xFE10),  # variation selectors
    range(0xE0100, 0xE01F0),
)


_LATIN = (range(0x0250), range(0x1E00, 0x1F00))


_ROUGE_RUN = re.compile(r"[a-z0-9]+|[^\sa-z0-9]+")


def normalise_words(text: str) -> list[str]:
    """Split a text into words, by the rule of this module."""
    if text.isascii():
        return text.lower().translate(_WORDS).split()
    folded = unicodedata.normalize("NFKC", text).casefold()
    runs = unicodedata.normalize("NFKC", folded).translate(_WORDS).split()
    return [word for run in runs for word in _words_of_run(run)]


def rouge_words(text: str) -> list[str]:
    """Split a text into words as rouge-score does where it is Latin, by this module's rule elsewhere."""
    if text.isascii():
        return _ROUGE_RUN.findall(text.lower().translate(_ROUGE))
    composed = unicodedata.normalize("NFC", text.translate(_COMPATIBLE).lower())
    spaced = unicodedata.normalize("NFC", composed.translate(_ROUGE).casefold())
    return [word for run in _ROUGE_RUN.findall(spaced) for word in _words_of_run(run)]


def is_latin(text: str) -> bool:
    """Return whether every version of the word rule splits the text alike: it is in Latin script."""
    if text.isascii():
        return True
    composed = unicodedata.normalize("NFC", text)
    return all(
        is_in(ord(c), _LATIN) or unicodedata.category(c)[0] in "PSZ" or "\u0300" <= c < "\u0370"
        for c in composed
    )


def word_rule(*texts: str) -> tuple[int, ...]:
    """Return the version of the word rule where it matters to these texts; else nothing."""
    return () if all(map(is_latin, texts)) else (WORD_RULE,)


def normalise_text(text: str) -> str:
    """Join the words with single spaces; a text without any word is only trimmed."""
    return " ".join(normalise_words(text)) or text.strip()


def ngrams(words: Sequence[str], n: int) -> Iterator[NGram]:
    """Yield every `n` consecutive words; nothing for a shorter text."""
    return zip(*(words[start:] for start in range(n)), strict=False)


def _words_of_run(run: str) -> Iterator[str]:
    """Yield the words of a run without spaces; a mark at its start has no letter and is dropped."""
    if run.isascii():
        yield run
        return
    word = ""
    for character in run:
        if unicodedata.category(character)[0] == "M":
            word += character if word else ""
        elif word and (is_unspaced(character) or is_unspaced(word)):
            yield word
            word = character
        else:
            word += character
    if word:
        yield word


class _Translation(dict[int, str]):
    """A table for `str.translate`, filled with each character at its first use."""

    def __init__(self, translate: Callable[[str], str]) -> None:
        super().__init__()
        self._translate = translate

    def __missing__(self, code: int) -> str:
        self[code] = self._translate(chr(code))
        return self[code]


def _word_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in "'\u2019" or category == "Cf":  # don't is one word; U+200B is nothing
        return ""
    if is_in(ord(character), _OPTIONAL):
        return ""
    return character if category[0] in "LMN" else " "


def _rouge_character(character: str) -> str:
    if "a" <= character <= "z" or "0" <= character <= "9":
        return character
    if character == "\u2019" or is_in(ord(character), _LATIN):
        return " "
    return _word_character(character)


def _compatible_character(character: str) -> str:
    """Return the letters of a ligature or of a presentation form; Latin letters stay as they are."""
    is_letter = unicodedata.category(character) in _COMPATIBLE_CATEGORIES
    if is_letter and not is_in(ord(character), _LATIN):
        return unicodedata.normalize("NFKC", character)
    return character


_COMPATIBLE_CATEGORIES = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd"}
_WORDS = _Translation(_word_character)
_ROUGE = _Translation(_rouge_character)
_COMPATIBLE = _Translation(_compatible_character)
