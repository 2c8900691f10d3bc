"""items/: HTML pages of all items of a run, in the folder of report.html, without script or network.

    items/index.html     one line for each item with a link, the candidate's worst first
    items/by-name.html   the same, sorted by name
    items/1.html …       50 items on each page: question, answers, scores, judgements

Texts are escaped as in the report, and the same Content-Security-Policy applies.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import InfrastructureError
from harness.core.sanitize import escape_invisible, one_line, shorten
from reports.html import render_page
from reports.items import Item, ItemAnswer, ItemJudgement, ItemScore, select_shown

if TYPE_CHECKING:
    from _typeshed import StrPath

ITEMS_FOLDER = "items"
INDEX = "index.html"
BY_NAME = "by-name.html"
ITEMS_PER_PAGE = 50
MAX_TEXT_CHARS = 8_000
MAX_EXPLANATION_CHARS = 2_000
MAX_QUESTION_CHARS = 90


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One line of an index page."""

    href: str
    name: str
    question: str
    task: str
    difference: str
    note: str


def write_item_pages(
    items: Sequence[Item], folder: Path, *, title: str, n_items: int | None = None
) -> int:
    """Write the pages into `folder`/items, all or none, and return the number of items shown.

    A run of more than 20,000 items shows those with the largest differences in both directions.
    `n_items` is the number of items in the run, where only some are given.

    Raises:
        InfrastructureError: a page could not be written.
    """
    selected = select_shown(items, lambda item: item.difference)
    partial, target = folder / f".{ITEMS_FOLDER}.partial", folder / ITEMS_FOLDER
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        for name, html in _pages(
            selected, n_items or len(items), escape_invisible(one_line(title))
        ):
            _write_private(partial / name, html)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    except OSError as error:
        raise InfrastructureError(f"{target}: could not be written: {error.strerror}.") from None
    return len(selected)


def _pages(selected: Sequence[Item], n_items: int, title: str) -> Iterator[tuple[str, str]]:
    """Yield name and HTML of every page: the items, then the two indexes."""
    # 1. Pages of items.
    starts = range(0, len(selected), ITEMS_PER_PAGE)
    for page, start in enumerate(starts, start=1):
        yield (
            f"{page}.html",
            render_page(
                "items.html",
                title=title,
                number=page,
                n_pages=len(starts),
                first=start + 1,
                items=[_escape_item(item) for item in selected[start : start + ITEMS_PER_PAGE]],
            ),
        )
    # 2. Indexes.
    entries = [_entry(item, place) for place, item in enumerate(selected)]
    note = ""
    if n_items > len(selected):
        note = (
            f"Shown are the {len(selected):,} of {n_items:,} items with the largest differences. "
            "All items are in answers.parquet and judgements.parquet."
        )
    alone = bool(selected) and len(selected[0].answers) == 1
    measured, model = ("score", "model's") if alone else ("difference", "candidate's")
    orders = {
        INDEX: (f"Sorted by {measured}, the {model} worst items first", entries),
        BY_NAME: ("Sorted by name", sorted(entries, key=lambda entry: (entry.task, entry.name))),
    }
    for name, (order, sorted_entries) in orders.items():
        yield (
            name,
            render_page(
                "items_index.html",
                title=title,
                order=order,
                page=name,
                note=note,
                entries=sorted_entries,
            ),
        )


def _entry(item: Item, place: int) -> IndexEntry:
    unanswered = [answer.model for answer in item.answers if answer.text is None]
    return IndexEntry(
        href=f"{place // ITEMS_PER_PAGE + 1}.html#i{place + 1}",
        name=escape_invisible(one_line(item.sample_id)),
        question=escape_invisible(
            one_line(item.input[: 2 * MAX_QUESTION_CHARS])[:MAX_QUESTION_CHARS]
        ),
        task=escape_invisible(item.task),
        difference=item.shown_difference,
        note=f"no answer: {escape_invisible(', '.join(unanswered))}" if unanswered else "",
    )


def _escape_item(item: Item) -> Item:
    return Item(
        task=escape_invisible(item.task),
        sample_id=escape_invisible(item.sample_id),
        input=_escape_text(item.input),
        reference=None if item.reference is None else _escape_text(item.reference),
        answers=tuple(
            ItemAnswer(
                escape_invisible(answer.model),
                None if answer.text is None else _escape_text(answer.text),
                escape_invisible(answer.note),
                _escape_text(answer.thoughts),
            )
            for answer in item.answers
        ),
        scores=tuple(
            ItemScore(row.metric, tuple(escape_invisible(one_line(score)) for score in row.scores))
            for row in item.scores
        ),
        judgements=tuple(
            ItemJudgement(
                escape_invisible(judgement.judge),
                judgement.metric,
                escape_invisible(judgement.subject),
                escape_invisible(judgement.verdict),
                escape_invisible(shorten(judgement.explanation, MAX_EXPLANATION_CHARS)),
            )
            for judgement in item.judgements
        ),
        metric=item.metric,
        difference=item.difference,
        history=tuple((speaker, _escape_text(text)) for speaker, text in item.history),
    )


def _escape_text(text: str) -> str:
    return escape_invisible(shorten(text, MAX_TEXT_CHARS))


def _write_private(path: "StrPath", html: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(html.encode())
