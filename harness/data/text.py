"""Words of a text, normalised for case, punctuation, spacing and Unicode form.

    normalise_text("Is  it ASTHMA?") == normalise_text("is it “asthma”") == "is it asthma"

Scripts that put no spaces between words (Chinese, Japanese, Thai and their kin) count each
character as one word, so that lengths and n-grams are comparable.
"""

import unicodedata
from collections.abc import Iterator, Sequence

NGram = tuple[str, ...]

_UNSPACED = (
    range(0x0E00, 0x0F00),  # Thai, Lao
    range(0x1000, 0x10A0),  # Burmese
    range(0x1780, 0x1800),  # Khmer
    range(0x3040, 0x3100),  # kana
    range(0x3400, 0x4DC0),  # CJK ideographs, here and below
    range(0x4E00, 0xA000),
    range(0xF900, 0xFB00),
    range(0x20000, 0x323B0),
)


def normalise_words(text: str) -> list[str]:
    """Split a text into runs of letters, marks and digits, casefolded, in Unicode's form NFKC."""
    if text.isascii():
        return text.lower().translate(_TABLE).split()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).translate(_TABLE).split()


def normalise_text(text: str) -> str:
    """Join the words with single spaces; a text without any word is only trimmed."""
    return " ".join(normalise_words(text)) or text.strip()


def ngrams(words: Sequence[str], n: int) -> Iterator[NGram]:
    """Yield every `n` consecutive words; nothing for a shorter text."""
    return zip(*(words[start:] for start in range(n)), strict=False)


class _Translation(dict[int, str]):
    """A table for `str.translate`, filled with each character at its first use."""

    def __missing__(self, code: int) -> str:
        self[code] = _translate_character(code)
        return self[code]


def _translate_character(code: int) -> str:
    character = chr(code)
    category = unicodedata.category(character)
    if character in "'\u2019" or category == "Cf":  # don't is one word; U+200B is nothing
        return ""
    if any(code in block for block in _UNSPACED):
        return f" {character} "
    return character if category[0] in "LMN" else " "


_TABLE = _Translation()
