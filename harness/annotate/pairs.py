"""What a browser may know of a pair: a question and two texts, and nothing of where they are from."""

import hashlib
import re
from typing import NamedTuple

from harness.annotate.placements import Placement
from harness.answers_file import AnsweredItems
from harness.types import Study, StudyItem
from harness.types.votes import Side
from reports.foreign import shorten, visible

MAX_CHARS = 20_000  # of a text on a page


class Pair(NamedTuple):
    """Everything of an item that leaves this machine."""

    ticket: str
    question: str
    reference: str | None
    left: str
    right: str


def show_pair(placement: Placement, study: Study, items: AnsweredItems) -> Pair:
    """The pair as it is shown; characters that the eye cannot see are written out."""
    item = placement.item
    texts = texts_of(item, study, items)
    left = texts.pop(placement.left)
    (right,) = texts.values()
    asked = items[item.sample_id]
    return Pair(
        ticket=placement.ticket,
        question=_shown(asked.input),
        reference=_shown(asked.reference) if study.show_reference and asked.reference else None,
        left=_shown(left),
        right=_shown(right),
    )


def count_named(study: Study, items: AnsweredItems) -> int:
    """How many items of the study have an answer in which one of the models is named.

    Whoever reads it is not blind any more; the texts are shown as they are all the same.
    """
    names = "|".join(re.escape(name) for name in (study.baseline, study.candidate))
    named = re.compile(rf"(?<!\w)(?:{names})(?!\w)", re.IGNORECASE)
    return sum(
        any(named.search(text) for text in texts_of(item, study, items).values())
        for item in study.items
    )


def count_cut(study: Study, items: AnsweredItems) -> int:
    """How many items of the study have a text too long for a page, of which the middle is left out."""
    return sum(
        max(map(len, (items[item.sample_id].input, *texts_of(item, study, items).values())))
        > MAX_CHARS
        for item in study.items
    )


def texts_of(item: StudyItem, study: Study, items: AnsweredItems) -> dict[Side, str]:
    """The two texts of an item, by what they are."""
    answers = items[item.sample_id].answers
    if item.expected is None:
        return {
            "baseline": answers[study.baseline] or "",
            "candidate": answers[study.candidate] or "",
        }
    model = study.candidate if item.expected == "candidate" else study.baseline
    expected = answers[model] or ""
    if item.decoy_of is None:
        return {"expected": expected, "decoy": shuffle_words(expected, item.key)}
    return {"expected": expected, "decoy": items[item.decoy_of].answers[model] or ""}


def shuffle_words(text: str, key: str) -> str:
    """The words of a text in another order, always the same one for a key."""
    words = text.split()

    def place(i: int) -> bytes:
        return hashlib.sha256(f"{key} {i}".encode()).digest()

    return " ".join(words[i] for i in sorted(range(len(words)), key=place))


def _shown(text: str) -> str:
    return visible(shorten(text, MAX_CHARS))
