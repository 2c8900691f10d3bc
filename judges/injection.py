"""Signs that an answer speaks to its judge. Flagged answers are counted and shown, never altered.

These are words and shapes; a clever attack has none of them, and an answer about prompt injection
has many. What a judge gives in to is measured by `judges/attacks.py`.
"""

import re
import unicodedata
from typing import NamedTuple

from judges.quoting import MAX_CHARS, has_marker
from judges.rules.phrases import ADDRESSED_TO_A_JUDGE


class Suspicion(NamedTuple):
    """Whether an answer is flagged, and the signs that were found in it."""

    suspected_injection: bool
    found: tuple[str, ...]


_SIGNS = {
    "speaks of its own score or to a judge": ADDRESSED_TO_A_JUDGE,
    "sets instructions aside": re.compile(
        r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,20}"
        r"\b(?:previous|prior|above|earlier|all|rubric|criteria|prompts?)\b"
        r"|\b(?:new|updated|real|actual) (?:system )?(?:instructions?|prompt|task)\b"
        r"|\bend of (?:the )?(?:answer|response|prompt|input|instructions)\b",
        re.IGNORECASE,
    ),
    "speaks to a judge": re.compile(
        r"\b(?:as|you are|acting as|act as) (?:the |an? )?(?:\w+ )?"
        r"(?:judge|grader|evaluator|reviewer|scorer)\b"
        r"|\b(?:the|this|my|our) (?:first|second|other|previous) (?:answer|response) (?:is|was|has)\b"
        r"|\b(?:answer|response) [ab12] (?:is|wins|should)\b",
        re.IGNORECASE,
    ),
    "holds a verdict": re.compile(
        r"\[\[\w{1,10}\]\]|\{[^{}]{0,200}[\"'](?:scores?|reasons?|winner|verdict|label|rating)[\"']",
        re.IGNORECASE,
    ),
}

# Order reversed, tag characters, terminal codes; or words taken apart by zero-width characters.
_HIDING = re.compile(
    r"[\u202d\u202e\U000e0020-\U000e007f\x08\x1b]|(?:\w[\xad\u200b\u2060\ufeff]\w.{0,20}){3}"
)

_UNSEEN = {"Cf", "Cc", "Cs"}  # format, control and surrogate characters
_STOP_LEFT_OVER = re.compile(r"(?:</s>|<\|[\w-]{1,40}\|>)\Z")  # the model's own, a hygiene flag

# Openings that judges were seen to reward with nothing behind them, https://arxiv.org/abs/2507.08794
_MASTER_KEY = re.compile(
    r"(?:thought process|let'?s (?:solve|think|work)[^.\n]{0,60}|solution|reasoning|answer|analysis)?"
    r"\s{0,8}[:.]{0,3}",
    re.IGNORECASE,
)


def suspect_injection(answer: str) -> Suspicion:
    """The signs in an answer that it was written for its judge rather than for its reader."""
    text = answer[:MAX_CHARS]
    readable = _readable(text)
    found = [sign for sign, pattern in _SIGNS.items() if pattern.search(readable)]
    if has_marker(_STOP_LEFT_OVER.sub("", readable)):
        found.append("imitates a tag, a role or a special token")
    if _HIDING.search(text):
        found.append("hides words in characters that cannot be seen")
    if readable and _MASTER_KEY.fullmatch(readable):
        found.append("is an opening with nothing behind it")
    return Suspicion(bool(found), tuple(found))


def _readable(text: str) -> str:
    """The text as a reader takes it in: compatibility forms folded, unseen characters left out."""
    folded = unicodedata.normalize("NFKC", text)
    # A text has few different characters, and each is looked up once.
    unseen = {c for c in set(folded) - {"\n", "\t"} if unicodedata.category(c) in _UNSEEN}
    return folded.translate(dict.fromkeys(map(ord, unseen))).replace("\u2019", "'").strip()
