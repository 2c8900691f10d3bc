"""Text that others wrote (models, judges, data files), made safe to look at.

What the eye cannot see is written out: a right-to-left override becomes ⟨U+202E⟩. Every
renderer escapes for its own format on top of that.
"""

import unicodedata
from typing import TypeVar

from pydantic import BaseModel

# Controls, format characters (bidi, zero-width, tags), surrogates, private use, U+2028, U+2029.
_UNSEEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


# Letters and marks without a shape: combining joiner, Hangul fillers, braille blank.
_UNSEEN_LETTERS = {0x034F, 0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0, 0xFFFE, 0xFFFF}


RecordT = TypeVar("RecordT", bound=BaseModel)


def escape_invisible(text: str) -> str:
    """The text with each unseen character written as ⟨U+XXXX⟩; newlines and tabs stay."""
    return text.replace("\r\n", "\n").translate(_TABLE)


def visible_record(record: RecordT) -> RecordT:
    """A copy of the record in which every string, however deep, is visible.

    Mappings come out in the order of their keys, as results.json has them, so that a report
    rendered from the file is the same to the byte.
    """
    return record.model_copy(
        update={name: _visible_value(value) for name, value in record if value is not None}
    )


def one_line(text: str) -> str:
    """The text without line breaks, for table cells and headings."""
    return " ".join(text.split())


def shorten(text: str, n_chars: int) -> str:
    """The text, or its beginning and end around a note of how much was left out."""
    left_out = len(text) - n_chars
    if left_out <= 0:
        return text
    half = n_chars // 2
    return f"{text[:half]}\n[… {left_out:,} characters left out …]\n{text[-half:]}"


def _visible_value(value: object) -> object:
    match value:
        case str():
            return escape_invisible(value)
        case tuple():
            return tuple(_visible_value(part) for part in value)
        case dict():
            return {_visible_value(key): _visible_value(value[key]) for key in sorted(value)}
        case BaseModel():
            return visible_record(value)
        case _:
            return value


class _VisibleTable(dict[int, int | str]):
    """A translation table that decides each character when it is first met."""

    def __missing__(self, code: int) -> int | str:
        unseen = code in _UNSEEN_LETTERS or unicodedata.category(chr(code)) in _UNSEEN_CATEGORIES
        self[code] = f"⟨U+{code:04X}⟩" if unseen and chr(code) not in "\n\t" else code
        return self[code]


_TABLE = _VisibleTable()
