"""Numbers in running text, and no guess where a run of digits is not one number.

    read_numbers("about 1,250.5 mg")   1250.5
    read_numbers("120/80, 5-10 mg")    two runs, each of two numbers
    read_numbers("1,5 mg")             one run without a value: its comma neither groups nor divides

Digits of every script, Unicode's minus signs and the usual separators of thousands are read. Digits
behind a letter (HbA1c, B12, COVID-19) belong to a word.
"""

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from harness.core.scripts import is_unspaced

MAX_DIGITS = 60  # of one number; longer runs are no quantity, and their arithmetic would be inexact

_PLAIN_SIGNS = {
    **dict.fromkeys("\u2212\ufe63\uff0d", "-"),  # minus signs
    **dict.fromkeys(
        "\u2010\u2011\u2012\u2013", "\u2013"
    ),  # hyphens and dashes, of ranges or for a minus
    **dict.fromkeys("\u00a0\u2009\u202f\u2019", "'"),  # no-break and thin spaces between groups
    **dict.fromkeys("\uff05\u066a\ufe6a", "%"),
    "\uff5e": "~",
}

# A run is digits with what may stand inside or between numbers; its parts are looked at afterwards.
# A space belongs to it before a group of three digits, and around a dash or slash between numbers.
_RUN = re.compile(
    r"(?P<sign>[-+\u2013])?"
    r"(?P<body>(?:(?:(?<![.\w])\.)?\d|\u2044)(?:[\d.,'/:~\u2013\u2044\u066b\u066c-]|(?<=\d) (?=\d{3}(?!\d))| ?[-~\u2013\u2014/] ?(?=\d))*)"
    r"(?P<power>[eE][-+]?\d{1,3}(?!\w)|\s?[x\u00d7]\s?10\^[-+]?\d{1,3})?"
    r"(?P<percent>\s?%)?"
)
_PLAIN = re.compile(r"\d+")


class FoundNumber(NamedTuple):
    """A run of digits as it is written, where it starts, and its value; None if it is not one number."""

    text: str
    start: int
    value: Decimal | None


def read_numbers(
    text: str, *, decimal: str = ".", hundredths: bool = False
) -> Iterator[FoundNumber]:
    """Yield the numbers of a text with this decimal mark; with `hundredths` 25 % is 0.25."""
    plain = "".join(map(_plain, text))
    for match in _RUN.finditer(plain):
        before = plain[max(0, match.start() - 2) : match.start()]
        if _is_inside_word(before):
            continue
        body = match["body"].rstrip(".,':/~\u2013- ")
        whole = body == match["body"]  # a power or a % stands right behind the digits
        value = _value(body, decimal)
        if value is not None and match["sign"] in ("-", "\u2013"):
            value = None if before.endswith((")", "%")) else -value  # 5%-10%
        if value is not None and whole and match["power"]:
            value = value.scaleb(int(re.split(r"[eE^]", match["power"])[-1]))
        if value is not None and whole and match["percent"] and hundredths:
            value /= 100
        end = match.end("body") - len(match["body"]) + len(body)
        written = text[match.start() : match.end("power") if whole and match["power"] else end]
        yield FoundNumber(written, match.start(), value)


def read_number(text: str, *, decimal: str = ".", hundredths: bool = False) -> Decimal | None:
    """Read a text that holds one number, such as a reference; None if it holds none or several."""
    found = list(read_numbers(text, decimal=decimal, hundredths=hundredths))
    return found[0].value if len(found) == 1 else None


def _is_inside_word(before: str) -> bool:
    """Return whether what stands before digits makes them part of a word; no Chinese letter does."""
    letter = before[:-1] if before[-1:] in ("-", "\u2013", "'") else before
    return bool(letter) and (
        letter[-1] == "_" or (letter[-1].isalpha() and not is_unspaced(letter[-1]))
    )


def _value(body: str, decimal: str) -> Decimal | None:
    """Return the value of a run; None where its separators neither group digits nor divide once."""
    body = body.replace("\u066b", decimal).replace("\u066c", "." if decimal == "," else ",")
    group = "," if decimal == "." else "."
    whole, mark, fraction = body.partition(decimal)
    used = {sign for sign in (group, "'") if sign in whole}
    if len(used) > 1 or (mark and not _PLAIN.fullmatch(fraction)):
        return None
    first, *others = whole.split(used.pop()) if used else [whole]
    if others and not (1 <= len(first) <= 3 and _are_groups(others)):
        return None
    digits = "".join([first, *others])
    if not _PLAIN.fullmatch(digits or "0") or len(digits) + len(fraction) > MAX_DIGITS:
        return None
    return Decimal(f"{digits or '0'}.{fraction or '0'}")


def _are_groups(groups: list[str]) -> bool:
    """Return whether digits are grouped by thousands, or as in India: the last three, then by two."""
    sizes = [len(group) for group in groups]
    return sizes[-1] == 3 and set(sizes[:-1]) in (set(), {3}, {2})


def _plain(character: str) -> str:
    """Return the plain form of a digit or sign, one character each; others stay as they are."""
    if character.isascii():
        return character
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.decimal(character))
    if unicodedata.category(character) == "No":
        return "\u2044"  # 10³ is not 103, nor is ½ nothing
    return _PLAIN_SIGNS.get(character, character)
