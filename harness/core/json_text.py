"""JSON and JSON Lines as people save them: with a byte order mark, any line break, and NaN.

A line ends at a line feed, a carriage return, or both. U+2028 and its kin may stand inside JSON
strings and end no line. NaN, which Python's and pandas' writers use for a missing value, is null.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_DEPTH = 100  # of lists and objects; what is written or hashed later recurses into them


def read_utf8(path: Path) -> str:
    """Read UTF-8 text without its byte order mark; line breaks are unchanged.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    return path.read_bytes().decode("utf-8-sig")


def read_json_bytes(path: Path) -> bytes:
    """Read the bytes of a JSON file without its byte order mark, for pydantic's parser.

    Raises:
        OSError: the file cannot be read.
    """
    return path.read_bytes().removeprefix(BOM_UTF8)


def parse_json(text: str) -> object:
    """Parse JSON; NaN is None, and infinite numbers stay infinite.

    Raises:
        ValueError: it is not JSON, has a number of more than 4,300 digits, or is nested too deep.
    """
    try:
        value, end = _DECODER.raw_decode(text) if text[:1] == "{" else (None, -1)
        if end != len(text):  # white space around it, or what is no JSON
            value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return value


def _is_deeper(value: object, depth: int) -> bool:
    """Return whether lists and objects stand in each other more than `depth` times."""
    level = [value]
    for _ in range(depth + 1):
        level = [
            part
            for whole in level
            if isinstance(whole, list | dict)
            for part in (whole.values() if isinstance(whole, dict) else whole)
            if isinstance(part, list | dict)
        ]
        if not level:
            return False
    return True


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make the object of its keys and values, for `json.loads(object_pairs_hook=…)`.

    Raises:
        ValueError: a key occurs twice, of which Python would keep the last.
    """
    made = dict(pairs)
    if len(made) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"the key '{twice}' occurs twice")
    return made


def json_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of JSON Lines that are not blank, with their numbers from 1."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line


_CONSTANTS = {"NaN": None, "Infinity": float("inf"), "-Infinity": float("-inf")}
_DECODER = json.JSONDecoder(parse_constant=_CONSTANTS.__getitem__)
