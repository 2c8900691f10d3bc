"""Text by models, judges, servers and data files, made safe to show to people.

Invisible characters are written out: a right-to-left override becomes ⟨U+202E⟩. Every renderer
escapes for its own format on top of that. Text inside a judge prompt is escaped by
`harness.core.quoting`, by a list of characters that is part of the prompt's version.
"""

import unicodedata
from typing import TypeVar

from pydantic import BaseModel

# Controls, format characters (bidi, zero-width, tags), surrogates, private use, U+2028, U+2029.
_INVISIBLE_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}

# Letters and marks without a shape: combining joiner, Hangul fillers, braille blank.
_INVISIBLE_LETTERS = {0x034F, 0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0, 0xFFFE, 0xFFFF}
RecordT = TypeVar("RecordT", bound=BaseModel)


def escape_invisible(text: str) -> str:
    """Write each invisible character as ⟨U+XXXX⟩; newlines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\r\n", "\n").translate(_TABLE)


def escape_record(record: RecordT) -> RecordT:
    """Return a copy of the record with invisible characters escaped in every string, however deep.

    Mappings are sorted by their keys, as in results.json, so that a report rendered from the file
    is identical byte for byte.
    """
    return record.model_copy(
        update={name: _escape_value(value) for name, value in record if value is not None}
    )


def one_line(text: str) -> str:
    """Join the lines of a text, for table cells and headings."""
    return " ".join(text.split())


def short_line(text: str, n_chars: int = 60) -> str:
    """Return the first characters of a text in one line, with an ellipsis where it goes on."""
    line = one_line(text[: 8 * n_chars])
    return line if len(line) <= n_chars else f"{line[:n_chars]}…"


def printable_line(text: str, *, limit: int = 300) -> str:
    """Return one printable line of an untrusted text: no terminal codes, no pages of HTML."""
    line = one_line("".join(c if c.isprintable() else " " for c in text[: 4 * limit]))
    return line if len(line) <= limit else line[:limit] + "…"


def drop_controls(text: str) -> str:
    """Remove the control characters by which a text could steer a terminal."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


def to_valid_utf8(text: str) -> str:
    """Replace lone surrogates, which JSON can express and UTF-8 cannot."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def shorten(text: str, n_chars: int) -> str:
    """Cut the middle of a long text and note how much was left out."""
    n_left_out = len(text) - n_chars
    if n_left_out <= 0:
        return text
    half = n_chars // 2
    return f"{text[:half]}\n[… {n_left_out:,} characters left out …]\n{text[-half:]}"


def _escape_value(value: object) -> object:
    match value:
        case str():
            return escape_invisible(value)
        case tuple():
            return tuple(_escape_value(part) for part in value)
        case dict():
            return {_escape_value(key): _escape_value(value[key]) for key in sorted(value)}
        case BaseModel():
            return escape_record(value)
        case _:
            return value


class _EscapeTable(dict[int, int | str]):
    """A translation table that classifies each character at its first use."""

    def __missing__(self, code: int) -> int | str:
        character = chr(code)
        invisible = (
            code in _INVISIBLE_LETTERS or unicodedata.category(character) in _INVISIBLE_CATEGORIES
        )
        self[code] = f"⟨U+{code:04X}⟩" if invisible and character not in "\n\t" else code
        return self[code]


_TABLE = _EscapeTable()
