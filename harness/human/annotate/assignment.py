"""Where each pair stands for each annotator: its place in the order, and its sides.

Both are decided by keyed hashes (HMAC-SHA256) of the study's secret. They are the same whenever
they are asked for, and nobody without the secret can tell them: not from the seed, not from the
tickets, not from the other pages.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import NamedTuple

from harness.artifacts.answers import AnsweredItems
from harness.core.sanitize import escape_invisible, shorten
from harness.types import Study, StudyItem
from harness.types.human import Side

_FIRST_SHARE, _LAST_SHARE = 0.4, 0.4  # a pair and its repeat stand in the first and the last part


class Assignment(NamedTuple):
    """One item as one annotator sees it; `ticket` is all that a browser is told of it."""

    ticket: str
    item: StudyItem
    left: Side


def assign_items(study: Study, annotator: str) -> list[Assignment]:
    """The annotator's sheet, in their order.

    Each side is on the left for half of the items, up to one. A repeat comes well after its
    pair, with the sides exchanged.
    """
    lefts = _sides(study, annotator)
    return [
        Assignment(make_item_token(study, annotator, item), item, lefts[item.key])
        for item in _order(study, annotator)
    ]


def make_item_token(study: Study, annotator: str, item: StudyItem) -> str:
    """An opaque name for an item on one annotator's sheet."""
    return keyed_hash(study, "ticket", annotator.casefold(), item.key)[:20]


def keyed_hash(study: Study, *words: str) -> str:
    """What only the secret's holder can compute of these words."""
    message = "\0".join(words).encode()
    return hmac.new(bytes.fromhex(study.secret), message, hashlib.sha256).hexdigest()


def _order(study: Study, annotator: str) -> list[StudyItem]:
    def shuffled(items: Iterable[StudyItem]) -> list[StudyItem]:
        name = annotator.casefold()
        return sorted(items, key=lambda item: keyed_hash(study, "order", name, item.key))

    again = {item.sample_id for item in study.items if item.kind == "repeat"}
    repeats = [item for item in study.items if item.kind == "repeat"]
    repeated = [i for i in study.items if i.kind == "real" and i.sample_id in again]
    others = shuffled(i for i in study.items if i.kind != "repeat" and i not in repeated)
    n_first, n_last = int(len(others) * _FIRST_SHARE), int(len(others) * _LAST_SHARE)
    middle = len(others) - n_last
    first, last = others[:n_first], others[middle:]
    return shuffled([*first, *repeated]) + others[n_first:middle] + shuffled([*last, *repeats])


def _sides(study: Study, annotator: str) -> dict[str, Side]:
    name = annotator.casefold()
    lefts: dict[str, Side] = {}
    for kind, sides in (("real", _MODELS), ("attention", _ATTENTION)):
        items = [item for item in study.items if item.kind == kind]
        items.sort(key=lambda item: keyed_hash(study, "side", name, item.key))
        # With an odd number, the secret also decides who has one more.
        odd = int(keyed_hash(study, "odd", name, kind), 16) % 2
        for place, item in enumerate(items):
            lefts[item.key] = sides[(place + odd) % 2]
    first = {item.sample_id: lefts[item.key] for item in study.items if item.kind == "real"}
    for item in study.items:
        if item.kind == "repeat":
            lefts[item.key] = opposite_side(first[item.sample_id])
    return lefts


def opposite_side(side: Side) -> Side:
    """What stands on the right when `side` is on the left."""
    pair = _MODELS if side in _MODELS else _ATTENTION
    return pair[side == pair[0]]


_MODELS: tuple[Side, Side] = ("baseline", "candidate")


_ATTENTION: tuple[Side, Side] = ("expected", "decoy")


MAX_CHARS = 20_000  # of a text on a page


class Pair(NamedTuple):
    """Everything of an item that leaves this machine."""

    ticket: str
    question: str
    reference: str | None
    left: str
    right: str


def show_pair(assignment: Assignment, study: Study, items: AnsweredItems) -> Pair:
    """The pair as it is shown; characters that the eye cannot see are written out."""
    item = assignment.item
    texts = item_texts(item, study, items)
    left = texts.pop(assignment.left)
    (right,) = texts.values()
    asked = items[item.sample_id]
    return Pair(
        ticket=assignment.ticket,
        question=_shown(asked.input),
        reference=_shown(asked.reference) if study.show_reference and asked.reference else None,
        left=_shown(left),
        right=_shown(right),
    )


def count_model_mentions(study: Study, items: AnsweredItems) -> int:
    """How many items of the study have an answer in which one of the models is named.

    Whoever reads it is not blind any more; the texts are shown as they are all the same.
    """
    names = "|".join(re.escape(name) for name in (study.baseline, study.candidate))
    named = re.compile(rf"(?<!\w)(?:{names})(?!\w)", re.IGNORECASE)
    return sum(
        any(named.search(text) for text in item_texts(item, study, items).values())
        for item in study.items
    )


def count_shortened(study: Study, items: AnsweredItems) -> int:
    """How many items of the study have a text too long for a page, of which the middle is left out."""
    return sum(
        max(map(len, (items[item.sample_id].input, *item_texts(item, study, items).values())))
        > MAX_CHARS
        for item in study.items
    )


def item_texts(item: StudyItem, study: Study, items: AnsweredItems) -> dict[Side, str]:
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
    return escape_invisible(shorten(text, MAX_CHARS))
