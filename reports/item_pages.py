"""items/: HTML pages of all items of a run, in the folder of report.html, without script or network.

    items/index.html     one line for each item with a link, the candidate's worst first
    items/by-name.html   the same, sorted by name
    items/flagged.html … the same for each list of `item_lists.py`: what was found, slices, scores
    items/00.html … ff.html   the items: question, answers, scores, judgements

An item's page is decided by the hash of its task and id, and its anchor by its id too, so that a link to an item
leads to it in every report of the run, and of every run on the same items. Texts are escaped as in the report, and
the same Content-Security-Policy applies.
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.core.errors import InfrastructureError
from harness.core.sanitize import escape_invisible, one_line, short_line, shorten
from harness.types import GivenPassage
from harness.types.samples import speaker
from reports.html import render_page
from reports.item_lists import ALL, BY_NAME, ItemList, ItemLists, Place, make_lists, neighbours
from reports.items import (
    Item,
    ItemPrompts,
    PromptsOf,
    SentPrompt,
    page_of,
    select_shown,
)
from reports.word_differences import Part, mark_differences

if TYPE_CHECKING:
    from _typeshed import StrPath

ITEMS_FOLDER = "items"
INDEX = f"{ALL}.html"
MAX_TEXT_CHARS = 8_000
MAX_EXPLANATION_CHARS = 2_000
MAX_NAME_CHARS = 200
MAX_QUESTION_CHARS = 90
_UNMARKED = "The two answers have few words in common, so that no differences are marked."


def no_prompts(item: Item) -> ItemPrompts:
    """Return that nothing is known of what was sent about an item."""
    return ItemPrompts((), (None,) * len(item.judgements))


def write_item_pages(
    items: Sequence[Item],
    folder: Path,
    *,
    title: str,
    n_items: int | None = None,
    prompts: PromptsOf = no_prompts,
) -> int:
    """Write the pages into `folder`/items, all or none, and return the number of items shown.

    A run of more than 20,000 items shows those with the largest differences in both directions.
    `n_items` is the number of items in the run, where only some are given. `prompts` gives what was sent
    to models and judges about an item.

    Raises:
        InfrastructureError: a page could not be written.
    """
    selected = select_shown(items, lambda item: item.difference)
    partial, target = folder / f".{ITEMS_FOLDER}.partial", folder / ITEMS_FOLDER
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        for name, html in _pages(
            selected, n_items or len(items), escape_invisible(one_line(title)), prompts
        ):
            _write_private(partial / name, html)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    except OSError as error:
        raise InfrastructureError(f"{target}: could not be written: {error.strerror}.") from None
    return len(selected)


def _pages(
    selected: Sequence[Item], n_items: int, title: str, prompts: PromptsOf
) -> Iterator[tuple[str, str]]:
    """Yield name and HTML of every page: the items by the hash of their names, then the lists."""
    made = make_lists(selected)
    # 1. Pages of items.
    places = neighbours(made.lists)
    pages: defaultdict[str, list[Item]] = defaultdict(list)
    for item in sorted(selected, key=lambda item: (item.task, item.sample_id)):
        pages[page_of(item.anchor)].append(item)
    for name, of_page in sorted(pages.items()):
        instructions: dict[str, int] = {}
        shown = [_show(i, places[i.anchor], prompts(i), instructions) for i in of_page]
        yield (
            name,
            render_page("items.html", title=title, items=shown, instructions=[*instructions]),
        )
    # 2. Lists.
    yield from _list_pages(made, selected, n_items, title)


# --- lists -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One line of a list."""

    href: str
    name: str
    question: str
    difference: str
    note: str


class ListLink(NamedTuple):
    """A link to a list, with the number of its items."""

    href: str
    title: str
    n: int


def _list_pages(
    made: ItemLists, selected: Sequence[Item], n_items: int, title: str
) -> Iterator[tuple[str, str]]:
    groups: dict[str, list[ListLink]] = {}
    for one in made.lists:
        link = ListLink(f"{one.key}.html", escape_invisible(one_line(one.title)), one.n)
        groups.setdefault(one.group, []).append(link)
    notes = list(made.notes)
    if n_items > len(selected):
        notes.append(
            f"Shown are the {len(selected):,} of {n_items:,} items with the largest differences. "
            "All items are in answers.parquet and judgements.parquet."
        )
    alone = bool(selected) and len(selected[0].answers) == 1
    number = "the model's score" if alone else "the candidate's score minus the baseline's"
    for one in made.lists:
        left_out = one.n - len(one.items)
        cut = [f"{left_out:,} more items of this list are not shown."] if left_out else []
        yield (
            f"{one.key}.html",
            render_page(
                "items_index.html",
                title=title,
                name=escape_invisible(one_line(one.title)),
                definition=escape_invisible(one.definition),
                number=number,
                page=f"{one.key}.html",
                notes=[*cut, *notes],
                groups=groups,
                entries=[_entry(item, one) for item in one.items],
            ),
        )


def _entry(item: Item, one: ItemList) -> ListEntry:
    unanswered = [answer.model for answer in item.answers if answer.text is None]
    return ListEntry(
        href=_href(item.anchor, one.key),
        name=_escape_name(item.sample_id),
        question=escape_invisible(short_line(item.input, MAX_QUESTION_CHARS)),
        difference=one.shown_number(item),
        note=f"no answer: {escape_invisible(', '.join(unanswered))}" if unanswered else "",
    )


def _href(anchor: str, key: str) -> str:
    """Return the address of an item, or of its line about a list, which stands at its head."""
    line = "" if key in (ALL, BY_NAME) else f".{key}"
    return f"{page_of(anchor)}#{anchor}{line}"


# --- items -----------------------------------------------------------------------------------


class ShownAnswer(NamedTuple):
    """An answer in parts, marked where its words differ from the other's, and its flags."""

    model: str
    parts: Sequence[Part]
    note: str
    thoughts: str
    flags: Sequence[str]
    passages: Sequence[GivenPassage] | None = None


class ShownPlace(NamedTuple):
    """An item's place on a list with the links to the items beside it; `column` is the score that sorts the list."""

    id: str
    column: str
    href: str
    title: str
    number: int
    n: int
    before: str | None
    after: str | None


class ShownPrompt(NamedTuple):
    """What was sent: who wrote each message, and its text. The `instructions` that many share are at the page's end."""

    to: str
    messages: Sequence[tuple[str, str]]
    note: str
    instructions: int | None = None


class ShownJudgement(NamedTuple):
    """One judgement, with what the judge was sent and what it replied."""

    judge: str
    metric: str
    subject: str
    verdict: str
    explanation: str
    replies: Sequence[str] | None
    prompt: ShownPrompt | None


class ShownItem(NamedTuple):
    """One item as its page shows it, with every text escaped and shortened."""

    item: Item
    anchor: str
    answers: Sequence[ShownAnswer]
    marking: str
    judgements: Sequence[ShownJudgement]
    prompts: Sequence[ShownPrompt]
    places: Sequence[ShownPlace]
    by_score: Mapping[str, str]  # the id of the item's place in the order of a column's scores


def _show(
    item: Item, places: Sequence[Place], prompts: ItemPrompts, instructions: dict[str, int]
) -> ShownItem:
    """Return what a page shows of an item; system prompts of judges are collected in `instructions`."""
    escaped = _escape_item(item)
    answers, marking = _mark_answers(escaped)
    judgements = [
        ShownJudgement(
            escape_invisible(one.judge),
            one.metric,
            escape_invisible(one.subject),
            escape_invisible(one.verdict),
            escape_invisible(shorten(one.explanation, MAX_EXPLANATION_CHARS)),
            None if one.replies is None else [_escape_text(reply) for reply in one.replies],
            None if prompt is None else _show_prompt(prompt, instructions),
        )
        for one, prompt in zip(item.judgements, prompts.judges, strict=True)
    ]
    shown_places = [_show_place(item.anchor, place) for place in places]
    return ShownItem(
        item=escaped,
        anchor=item.anchor,
        answers=answers,
        marking=marking,
        judgements=judgements,
        prompts=[_show_prompt(prompt, None) for prompt in prompts.models],
        places=shown_places,
        by_score={place.column: place.id for place in shown_places if place.column},
    )


def _show_place(anchor: str, place: Place) -> ShownPlace:
    key = place.of.key
    return ShownPlace(
        id=f"{anchor}.{key}",
        column=place.of.column,
        href=f"{key}.html",
        title=escape_invisible(one_line(place.of.title)),
        number=place.number,
        n=place.of.n,
        before=None if place.before is None else _href(place.before, key),
        after=None if place.after is None else _href(place.after, key),
    )


def _mark_answers(item: Item) -> tuple[list[ShownAnswer], str]:
    """Return the answers in parts, those of the two compared models marked, and what to know of the marks."""
    texts = {answer.model: answer.text for answer in item.answers}
    compared = next(((c.baseline, c.candidate) for c in item.gated), tuple(texts)[:2])
    parts: Mapping[str, Sequence[Part]] = {}
    marking = ""
    pair = [texts.get(model) for model in compared]
    if len(set(compared)) == 2 and pair[0] and pair[1]:
        differences = mark_differences(pair[0], pair[1])
        parts = dict(zip(compared, (differences.first, differences.second), strict=False))
        words = "Marked are words that the other answer lacks at that place."
        equal = pair[0] == pair[1]
        marking = "Both answers are the same." if equal else words
        marking = marking if differences.marked else _UNMARKED
    flags: defaultdict[str, list[str]] = defaultdict(list)
    for found in item.flags or ():
        flags[found.model].append(found.flag.replace("_", " "))
    for critical in item.critical:
        flags[critical.model].append(f"critical: {critical.rule}")
    shown = [
        ShownAnswer(
            answer.model,
            parts.get(answer.model) or [Part(answer.text or "(no answer)", False)],
            answer.note,
            answer.thoughts,
            flags[answer.model],
            answer.passages,
        )
        for answer in item.answers
    ]
    return shown, marking


def _escape_passage(passage: GivenPassage) -> GivenPassage:
    names = {"id": _escape_name(passage.id), "document": _escape_name(passage.document)}
    return passage.model_copy(update={**names, "text": _escape_text(passage.text)})


def _escape_item(item: Item) -> Item:
    return replace(
        item,
        task=escape_invisible(item.task),
        sample_id=_escape_name(item.sample_id),
        input=_escape_text(item.input),
        reference=None if item.reference is None else _escape_text(item.reference),
        answers=tuple(
            replace(
                answer,
                model=escape_invisible(answer.model),
                text=None if answer.text is None else _escape_text(answer.text),
                note=escape_invisible(one_line(shorten(answer.note, MAX_EXPLANATION_CHARS))),
                thoughts=_escape_text(answer.thoughts),
                passages=None
                if answer.passages is None
                else tuple(map(_escape_passage, answer.passages)),
            )
            for answer in item.answers
        ),
        scores=tuple(
            replace(row, scores=tuple(escape_invisible(one_line(score)) for score in row.scores))
            for row in item.scores
        ),
        history=tuple((who, _escape_text(text)) for who, text in item.history),
        slices=tuple(
            value._replace(
                column=escape_invisible(one_line(value.column)),
                value=escape_invisible(one_line(shorten(value.value, MAX_NAME_CHARS))),
            )
            for value in item.slices
        ),
        flags=None
        if item.flags is None
        else tuple(flag._replace(model=escape_invisible(flag.model)) for flag in item.flags),
        critical=tuple(
            one._replace(model=escape_invisible(one.model), rule=escape_invisible(one.rule))
            for one in item.critical
        ),
        comparisons=tuple(
            replace(
                one,
                baseline=escape_invisible(one.baseline),
                candidate=escape_invisible(one.candidate),
            )
            for one in item.comparisons
        ),
    )


def _show_prompt(prompt: SentPrompt, instructions: dict[str, int] | None) -> ShownPrompt:
    messages, number = prompt.messages, None
    if instructions is not None and messages and messages[0].role == "system":
        text = _escape_text(messages[0].content)
        number = instructions.setdefault(text, len(instructions) + 1)
        messages = messages[1:]
    return ShownPrompt(
        escape_invisible(one_line(prompt.to)),
        [(speaker(one), _escape_text(one.content)) for one in messages],
        escape_invisible(prompt.note),
        number,
    )


def _escape_name(name: str) -> str:
    return escape_invisible(one_line(shorten(name, MAX_NAME_CHARS)))


def _escape_text(text: str) -> str:
    return escape_invisible(shorten(text, MAX_TEXT_CHARS))


def _write_private(path: "StrPath", html: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(html.encode())
