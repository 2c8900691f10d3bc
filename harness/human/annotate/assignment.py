"""Assignment of a study's items to one annotator: their order and the side of each answer.

Both are decided by keyed hashes (HMAC-SHA256) of the study's secret. They are the same at every
call, and nobody without the secret can compute them: not from the seed, the item tokens or the
pages of other annotators.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from harness.artifacts.answers import AnsweredItems
from harness.core.sanitize import escape_invisible, shorten
from harness.types import Study, StudyItem
from harness.types.human import Side
from harness.types.samples import speaker

MAX_CHARS = 20_000  # of a text on a page
SHARED_ANNOTATOR = "Label Studio"  # whose assignments are exported where nobody is named

# Share of the other items among which pairs and their repeats are mixed, at the start and the end.
_FIRST_SHARE, _LAST_SHARE = 0.4, 0.4
_MODEL_SIDES: tuple[Side, Side] = ("baseline", "candidate")
_ATTENTION_SIDES: tuple[Side, Side] = ("expected", "decoy")


class Assignment(NamedTuple):
    """One item as one annotator sees it; a browser gets the opaque `item_token` in its place."""

    item_token: str
    item: StudyItem
    left: Side


class Pair(NamedTuple):
    """The texts of an assignment as shown: all that leaves this machine."""

    item_token: str
    question: str
    reference: str | None
    left: str
    right: str
    history: tuple[tuple[str, str], ...] = ()  # the speaker and text of each earlier turn


def assign_items(study: Study, annotator: str) -> list[Assignment]:
    """Return the assignments of an annotator, in their order.

    Each side is on the left for half of the items, up to one. A repeat comes well after its
    pair, with the sides exchanged.
    """
    lefts = _left_sides(study, annotator)
    return [
        Assignment(make_item_token(study, annotator, item), item, lefts[item.key])
        for item in _ordered_items(study, annotator)
    ]


def show_pair(assignment: Assignment, study: Study, items: AnsweredItems) -> Pair:
    """Return the texts of an assignment; invisible characters are written out."""
    item = assignment.item
    texts = item_texts(item, study, items)
    left = texts.pop(assignment.left)
    (right,) = texts.values()
    answered = items[item.sample_id]
    reference = answered.reference if study.show_reference else None
    return Pair(
        item_token=assignment.item_token,
        question=_displayed(answered.input),
        reference=_displayed(reference) if reference else None,
        left=_displayed(left),
        right=_displayed(right),
        history=tuple((speaker(t), _displayed(t.content)) for t in answered.history),
    )


def item_texts(item: StudyItem, study: Study, items: AnsweredItems) -> dict[Side, str]:
    """Return the two texts of an item, by side."""
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


def opposite_side(side: Side) -> Side:
    """Return the side that is shown on the right when `side` is on the left."""
    pair = _MODEL_SIDES if side in _MODEL_SIDES else _ATTENTION_SIDES
    return pair[side == pair[0]]


def make_item_token(study: Study, annotator: str, item: StudyItem) -> str:
    """Make an opaque name for an item that is assigned to an annotator."""
    return keyed_hash(study, "ticket", annotator.casefold(), item.key)[:20]


def keyed_hash(study: Study, *words: str) -> str:
    """Hash the words with the study's secret, which is needed to compute it."""
    message = "\0".join(words).encode()
    return hmac.new(bytes.fromhex(study.secret), message, hashlib.sha256).hexdigest()


def shuffle_words(text: str, key: str) -> str:
    """Shuffle the words of a text, always in the same way for a key."""
    words = text.split()

    def place(i: int) -> bytes:
        return hashlib.sha256(f"{key} {i}".encode()).digest()

    return " ".join(words[i] for i in sorted(range(len(words)), key=place))


def count_model_mentions(study: Study, items: AnsweredItems) -> int:
    """Count the study's items with an answer that names one of the models.

    Annotators of such an item are not blind; its texts are shown unchanged.
    """
    names = "|".join(re.escape(name) for name in (study.baseline, study.candidate))
    mention = re.compile(rf"(?<!\w)(?:{names})(?!\w)", re.IGNORECASE)
    return sum(
        any(mention.search(text) for text in item_texts(item, study, items).values())
        for item in study.items
    )


def count_shortened(study: Study, items: AnsweredItems) -> int:
    """Count the study's items with a text too long for a page, whose middle is left out."""

    def shown(item: StudyItem) -> Iterator[str]:
        answered = items[item.sample_id]
        yield from (answered.input, *(turn.content for turn in answered.history))
        yield from item_texts(item, study, items).values()

    return sum(max(map(len, shown(item))) > MAX_CHARS for item in study.items)


def _ordered_items(study: Study, annotator: str) -> list[StudyItem]:
    """Shuffle the items; pairs that are repeated come in the first part, repeats in the last."""

    def shuffled(items: Iterable[StudyItem]) -> list[StudyItem]:
        name = annotator.casefold()
        return sorted(items, key=lambda item: keyed_hash(study, "order", name, item.key))

    repeats = [item for item in study.items if item.kind == "repeat"]
    repeated_ids = {item.sample_id for item in repeats}
    repeated = [i for i in study.items if i.kind == "real" and i.sample_id in repeated_ids]
    others = shuffled(i for i in study.items if i.kind != "repeat" and i not in repeated)

    n_first, n_last = int(len(others) * _FIRST_SHARE), int(len(others) * _LAST_SHARE)
    middle = len(others) - n_last
    first, last = others[:n_first], others[middle:]
    return shuffled([*first, *repeated]) + others[n_first:middle] + shuffled([*last, *repeats])


def _left_sides(study: Study, annotator: str) -> dict[str, Side]:
    """Choose the side on the left by item key: balanced within a kind, exchanged for repeats."""
    name = annotator.casefold()
    lefts: dict[str, Side] = {}
    for kind, sides in (("real", _MODEL_SIDES), ("attention", _ATTENTION_SIDES)):
        items = [item for item in study.items if item.kind == kind]
        items.sort(key=lambda item: keyed_hash(study, "side", name, item.key))
        # With an odd number, the secret also decides which side is on the left once more.
        odd = int(keyed_hash(study, "odd", name, kind), 16) % 2
        for place, item in enumerate(items):
            lefts[item.key] = sides[(place + odd) % 2]
    first = {item.sample_id: lefts[item.key] for item in study.items if item.kind == "real"}
    for item in study.items:
        if item.kind == "repeat":
            lefts[item.key] = opposite_side(first[item.sample_id])
    return lefts


def _displayed(text: str) -> str:
    return escape_invisible(shorten(text, MAX_CHARS))
