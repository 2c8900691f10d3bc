"""The offline rule of support: a statement's words and numbers, looked for in the passages.

A statement is supported if one passage has at least `SUPPORTED_SHARE` of its content words and every one of its
numbers with its unit, and is negated or not like the sentence that shares most with it. It counts words; what is said of
them it cannot check. docs/retrieval.md has its errors on planted statements.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from judges.rules.text import content_stems, parse_text, split_words

SUPPORTED_SHARE = 0.8  # of the content words
_UNITS = (
    "%|percent|(?:m|µ|n|p)?mol|mmHg|m?IU|units?|(?:m|µ|mc|n|k)?g|[dm]?[lL]|[cmµ]?m|"
    "(?:year|month|week|day|hour|minute|second)s?|h|min"
)
_NUMBER = re.compile(rf"(\d+(?:,\d{{3}})*(?:\.\d+)?)(?:[\s-]?({_UNITS})(?!\w))?")
_NEGATION = re.compile(
    r"\b(?:no|not|never|none|neither|nor|without|cannot|\w+n't)\b", re.IGNORECASE
)


class Support(NamedTuple):
    """Whether the rule finds a statement supported, and why."""

    supported: bool
    reason: str


def find_support(statement: str, passages: Sequence[str]) -> Support:
    """Hold a statement against each passage; the best one decides."""
    wanted = set(content_stems(split_words(statement)))
    if not wanted:
        return Support(False, "no content words to look for")
    numbers = read_numbers(statement)
    found = [_hold_against(wanted, numbers, statement, passage) for passage in passages]
    return max(found, key=lambda support: support.supported)


def read_numbers(text: str) -> set[tuple[float, str]]:
    """Return the numbers of a text with their units, "" without one: 1,000 is 1000, and 5.0 is 5."""
    return {
        (float(number.replace(",", "")), unit.lower().removesuffix("s").replace("percent", "%"))
        for number, unit in _NUMBER.findall(text)
    }


def _hold_against(
    wanted: set[str], numbers: set[tuple[float, str]], statement: str, passage: str
) -> Support:
    present = set(content_stems(split_words(passage)))
    there = read_numbers(passage)
    # A number without a unit, as in "5 to 10 mg", may have any.
    values, bare = {value for value, _ in there}, {value for value, unit in there if not unit}
    missing_numbers = {
        f"{value:g} {unit}".strip()
        for value, unit in numbers
        if (value, unit) not in there and value not in (bare if unit else values)
    }
    share = len(wanted & present) / len(wanted)
    if missing_numbers:
        return Support(False, f"numbers in no passage: {', '.join(sorted(missing_numbers))}")
    if share < SUPPORTED_SHARE:
        return Support(False, f"{share:.0%} of the content words are in a passage")
    nearest = max(
        parse_text(passage).sentences,
        key=lambda sentence: len(wanted & set(content_stems(split_words(sentence)))),
        default="",
    )
    if bool(_NEGATION.search(statement)) != bool(_NEGATION.search(nearest)):
        return Support(False, "one of statement and passage is negated")
    return Support(True, f"{share:.0%} of the content words, and all numbers, are in a passage")
