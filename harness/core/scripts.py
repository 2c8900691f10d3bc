"""Scripts that put no spaces between words: Chinese, Japanese, Thai and their kin."""

from collections.abc import Sequence

_UNSPACED = (
    range(0x0E00, 0x0F00),  # Thai, Lao
    range(0x1000, 0x10A0),  # Burmese
    range(0x1780, 0x1800),  # Khmer
    range(0x1950, 0x19E0),  # Tai Le, New Tai Lue
    range(0x1A20, 0x1AB0),  # Tai Tham
    range(0x1B00, 0x1B80),  # Balinese
    range(0x3005, 0x3008),  # ideographic iteration mark and zero
    range(0x3040, 0x3130),  # kana, bopomofo
    range(0x31A0, 0x3200),
    range(0x3400, 0x4DC0),  # CJK ideographs, here and below
    range(0x4E00, 0xA000),
    range(0xA980, 0xAA00),  # Javanese, Burmese
    range(0xAA60, 0xAAE0),  # Burmese, Tai Viet
    range(0xF900, 0xFB00),
    range(0x20000, 0x323B0),
)


def is_unspaced(word: str) -> bool:
    """Return whether a word is one letter of a script without spaces between words."""
    return not word[:1].isascii() and is_in(ord(word[0]), _UNSPACED)


def is_in(code: int, blocks: Sequence[range]) -> bool:
    """Return whether a character is in one of the blocks."""
    return any(code in block for block in blocks)
