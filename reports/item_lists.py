"""The lists of a run's items: what they have in common, or by which score they are sorted.

Each list is stated once here, for the pages of items and whatever else selects items.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from harness.core.sanitize import one_line, shorten
from reports.formatting import ABSENT, number, signed
from reports.items import Item, ItemComparison, SliceValue, make_slug, short_hash

MOST_LISTED = 2_000  # items on one list but those of all items
MOST_LISTS = 60  # lists by column, and by slice
MAX_VALUE_CHARS = 100  # of a slice's value in the name of its list
ALL, BY_NAME = "index", "by-name"
FOUND, SLICES, COLUMNS = "What was found", "Slices", "By score"


class Facet(NamedTuple):
    """A property that an item has or has not, by what the run has decided."""

    key: str
    title: str
    definition: str
    holds: Callable[[Item], bool]


def _any(test: Callable[[ItemComparison], bool]) -> Callable[[Item], bool]:
    return lambda item: any(map(test, item.gated))


def _moved(comparison: ItemComparison, step: float) -> bool:
    two = comparison.baseline != comparison.candidate  # of a model alone it is the score
    return two and comparison.kind == "share" and comparison.difference == step


FACETS = (
    Facet(
        "critical",
        "Critical answer",
        "The candidate's answer is one that a rule on critical answers counts",
        lambda item: any(found.model == _candidate(item) for found in item.critical),
    ),
    Facet(
        "lost",
        "Right before, wrong now",
        "On a column of yes or no the baseline's answer has a yes and the candidate's a no",
        _any(lambda comparison: _moved(comparison, -1.0)),
    ),
    Facet(
        "gained",
        "Wrong before, right now",
        "On a column of yes or no the baseline's answer has a no and the candidate's a yes",
        _any(lambda comparison: _moved(comparison, 1.0)),
    ),
    Facet(
        "order",
        "Winner depends on the order",
        "The judge saw the two answers in both orders, and did not decide alike",
        _any(lambda comparison: comparison.order_dependent),
    ),
    Facet(
        "judges",
        "Judges disagree",
        "Two judges gave the same answer, or pair, different values when they were first asked",
        _any(lambda comparison: comparison.judges_disagree),
    ),
    Facet(
        "people",
        "People disagree with the judge",
        "By people's labels the other answer is better, or neither is where the judge prefers one",
        _any(lambda comparison: comparison.people_disagree),
    ),
    Facet("flagged", "Flagged", "An answer has a hygiene flag", lambda item: bool(item.flags)),
    Facet(
        "unscored",
        "Unscored",
        "A score of one of the two models is missing",
        _any(lambda comparison: comparison.difference is None),
    ),
    Facet(
        "unanswered",
        "No answer",
        "A model gave no answer",
        lambda item: any(answer.text is None for answer in item.answers),
    ),
)


class ItemList(NamedTuple):
    """Items in the order of a list, of `n` that belong to it; with `column` they are sorted by its difference."""

    key: str
    group: str
    title: str
    definition: str
    items: Sequence[Item]
    n: int
    column: str = ""

    def shown_number(self, item: Item) -> str:
        """Return the item's difference on the column by which the list is sorted, or else its own."""
        if not self.column:
            return item.shown_difference
        found = _on_column(item, self.column)
        if found is None or found.difference is None:
            return ABSENT
        alone = found.baseline == found.candidate
        return (number if alone else signed)(found.difference, 2)


class ItemLists(NamedTuple):
    """The lists of a run's items, and what to know of lists that are not there."""

    lists: list[ItemList]
    notes: list[str]


def make_lists(items: Sequence[Item]) -> ItemLists:
    """Make the lists of items that are sorted, the candidate's worst first; none is empty.

    A list of more than 2,000 items keeps the first of them, one sorted by a score those at both ends.
    """
    alone = bool(items) and len(items[0].answers) == 1
    measured, model = ("score", "model's") if alone else ("difference", "candidate's")
    by_name = sorted(items, key=lambda item: (item.task, item.sample_id))
    order = f"Sorted by {measured}, the {model} worst items first"
    lists = [
        ItemList(ALL, "", "All items, worst first", order, items, len(items)),
        ItemList(BY_NAME, "", "All items by name", "Sorted by name", by_name, len(items)),
    ]
    notes = []
    for facet in FACETS:
        found = [item for item in items if facet.holds(item)]
        if facet.key == "judges":
            found.sort(key=lambda item: -_spread(item))
        lists += _list(facet.key, FOUND, facet.title, facet.definition, found)
    if any(item.flags is None for item in items):
        notes.append(
            "The tables of this run, of an earlier version, do not say which answers have flags."
        )
    for group, made in ((SLICES, [*_by_slice(items)]), (COLUMNS, [*_by_column(items, measured)])):
        lists += made[:MOST_LISTS]
        if len(made) > MOST_LISTS:
            notes.append(f"{len(made) - MOST_LISTS:,} more lists of '{group}' are left out.")
    return ItemLists(lists, notes)


def _list(
    key: str, group: str, title: str, definition: str, items: Sequence[Item]
) -> Iterator[ItemList]:
    if items:
        yield ItemList(key, group, title, definition, items[:MOST_LISTED], len(items))


def _by_slice(items: Sequence[Item]) -> Iterator[ItemList]:
    """Yield a list for each value that the suite slices by, the commonest of a column first."""
    by_value: dict[SliceValue, list[Item]] = {}
    for item in items:
        for value in item.slices:
            by_value.setdefault(value, []).append(item)
    columns = list(dict.fromkeys(value.column for value in by_value))
    for value in sorted(by_value, key=lambda v: (columns.index(v.column), -len(by_value[v]))):
        column, named = (one_line(shorten(text, MAX_VALUE_CHARS)) for text in value)
        key = _key("slice", f"{value.column}\0{value.value}")
        definition = f"Items whose '{column}' is '{named}'"
        yield from _list(key, SLICES, f"{column}: {named}", definition, by_value[value])


def _by_column(items: Sequence[Item], measured: str) -> Iterator[ItemList]:
    columns = dict.fromkeys(c.metric for item in items for c in item.gated)
    if len(columns) < 2:
        return
    for column in columns:
        found = [(c.difference, item) for item in items if (c := _on_column(item, column))]
        scored = sorted(((d, item) for d, item in found if d is not None), key=lambda both: both[0])
        own = [item for _, item in scored]
        if own:
            definition = f"Sorted by the {measured} on {column}, the lowest first"
            yield ItemList(
                _key("by", column), COLUMNS, column, definition, _ends(own), len(own), column
            )


def _ends(items: Sequence[Item]) -> Sequence[Item]:
    half = MOST_LISTED // 2
    return items if len(items) <= MOST_LISTED else [*items[:half], *items[-half:]]


def _key(kind: str, name: str) -> str:
    """Return a name for addresses; what is lost of a column's or value's name is in a hash."""
    slug = make_slug(name)
    return (
        f"{kind}-{slug}" if slug == name.replace(".", "-") else f"{kind}-{slug}-{short_hash(name)}"
    )


def _on_column(item: Item, column: str) -> ItemComparison | None:
    return next((c for c in item.gated if c.metric == column), None)


def _spread(item: Item) -> float:
    return max((c.judge_spread or 0.0 for c in item.gated), default=0.0)


def _candidate(item: Item) -> str:
    return next((c.candidate for c in item.gated), item.answers[-1].model if item.answers else "")


def neighbours(lists: Iterable[ItemList]) -> dict[str, list["Place"]]:
    """Return by anchor the place of each item on every list that it is on, but for the one by name."""
    places: dict[str, list[Place]] = {}
    for of_items in lists:
        if of_items.key == BY_NAME:
            continue
        anchors = [item.anchor for item in of_items.items]
        for i, anchor in enumerate(anchors):
            before = anchors[i - 1] if i else None
            after = anchors[i + 1] if i + 1 < len(anchors) else None
            cut = bool(of_items.column) and i >= MOST_LISTED // 2
            number = i + 1 + (of_items.n - len(anchors) if cut else 0)
            places.setdefault(anchor, []).append(Place(of_items, number, before, after))
    return places


class Place(NamedTuple):
    """An item's place on a list, counted from 1, and the anchors of the items beside it."""

    of: ItemList
    number: int
    before: str | None
    after: str | None
