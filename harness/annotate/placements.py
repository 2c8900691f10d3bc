"""Where each pair stands for each annotator: its place in the order, and its sides.

Both are decided by keyed hashes (HMAC-SHA256) of the study's secret. They are the same whenever
they are asked for, and nobody without the secret can tell them: not from the seed, not from the
tickets, not from the other pages.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import NamedTuple

from harness.types import Study, StudyItem
from harness.types.votes import Side

_FIRST_SHARE, _LAST_SHARE = 0.4, 0.4  # a pair and its repeat stand in the first and the last part


class Placement(NamedTuple):
    """One item as one annotator sees it; `ticket` is all that a browser is told of it."""

    ticket: str
    item: StudyItem
    left: Side


def place_items(study: Study, annotator: str) -> list[Placement]:
    """The annotator's sheet, in their order.

    Each side is on the left for half of the items, up to one. A repeat comes well after its
    pair, with the sides exchanged.
    """
    lefts = _sides(study, annotator)
    return [
        Placement(make_ticket(study, annotator, item), item, lefts[item.key])
        for item in _order(study, annotator)
    ]


def make_ticket(study: Study, annotator: str, item: StudyItem) -> str:
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
            lefts[item.key] = other_side(first[item.sample_id])
    return lefts


def other_side(side: Side) -> Side:
    """What stands on the right when `side` is on the left."""
    pair = _MODELS if side in _MODELS else _ATTENTION
    return pair[side == pair[0]]


_MODELS: tuple[Side, Side] = ("baseline", "candidate")
_ATTENTION: tuple[Side, Side] = ("expected", "decoy")
