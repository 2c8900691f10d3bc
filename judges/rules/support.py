"""The offline rule of support: a statement's words and numbers, looked for in the passages.

A statement is supported if one passage has at least `SUPPORTED_SHARE` of its content words and every one of its
numbers, and as many negations in the sentence that shares most with it. It counts words; what is said of them it cannot
check. docs/retrieval.md has its errors on planted statements.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from judges.rules.text import content_stems, parse_text, split_words

SUPPORTED_SHARE = 0.8  # of the content words
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
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
    numbers = set(_NUMBER.findall(statement))
    if not wanted and not numbers:
        return Support(False, "no content words to look for")
    found = [_hold_against(wanted, numbers, statement, passage) for passage in passages]
    return max(found, key=lambda support: support.supported)


def _hold_against(wanted: set[str], numbers: set[str], statement: str, passage: str) -> Support:
    present = set(content_stems(split_words(passage)))
    missing_numbers = numbers - set(_NUMBER.findall(passage))
    share = len(wanted & present) / len(wanted) if wanted else 1.0
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
