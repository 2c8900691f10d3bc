"""items/: every item of a run in pages beside report.html, to browse without a script or a network.

    items/index.html     one line an item, the candidate's worst first, with links
    items/by-name.html   the same by name
    items/1.html …       50 items a page: question, answers, scores, and what each judge said

Texts are escaped and made visible as in the report, and the same Content-Security-Policy holds.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import InfrastructureError
from harness.core.sanitize import escape_invisible, one_line, shorten
from reports.formatting import ABSENT, signed
from reports.html import render_page

if TYPE_CHECKING:
    from _typeshed import StrPath

ITEMS_FOLDER = "items"


INDEX = "index.html"


BY_NAME = "by-name.html"


PER_PAGE = 50


MOST_ITEMS = 20_000  # of a run; the others are in answers.parquet and judgements.parquet


N_TEXT_CHARS = 8_000


N_WORDS_CHARS = 2_000


N_NAME_CHARS = 90


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model said; `text` is None when it gave no answer, and `note` says why."""

    model: str
    text: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ItemScore:
    """One column's scores of one item, as printed, in the order of the models."""

    metric: str
    scores: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What one judge said of one answer or pair: its verdict, and its reasons or why there is none."""

    judge: str
    metric: str
    about: str
    verdict: str
    words: str


@dataclass(frozen=True, slots=True)
class Item:
    """One item with everything that was said of it.

    `moved` is the candidate's score less the baseline's on `metric`; None where one is missing.
    """

    task: str
    sample_id: str
    input: str
    reference: str | None
    answers: tuple[Answer, ...]
    scores: tuple[ItemScore, ...]
    said: tuple[Said, ...]
    metric: str
    moved: float | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an index."""

    href: str
    name: str
    question: str
    task: str
    moved: str
    note: str


def write_item_pages(items: Sequence[Item], folder: Path, *, title: str) -> int:
    """Write the pages into `folder`/items, all or none; returns how many items they show.

    A run of more than 20,000 items shows those on which the candidate lost or won most.

    Raises:
        InfrastructureError: they could not be written.
    """
    shown = _shown(items)
    partial, place = folder / f".{ITEMS_FOLDER}.partial", folder / ITEMS_FOLDER
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True, mode=0o700)
        for name, html in _pages(shown, len(items), escape_invisible(one_line(title))):
            _write_private(partial / name, html)
        shutil.rmtree(place, ignore_errors=True)
        partial.replace(place)
    except OSError as error:
        raise InfrastructureError(f"{place}: could not be written: {error.strerror}.") from None
    return len(shown)


def _shown(items: Sequence[Item]) -> list[Item]:
    """The candidate's worst items first, those without a difference last."""
    known = [item for item in items if item.moved is not None]
    unknown = [item for item in items if item.moved is None]
    known.sort(key=_movement)
    if len(items) > MOST_ITEMS:
        half = max(0, MOST_ITEMS - len(unknown)) // 2
        known = [*known[:half], *known[len(known) - half :]]
    return [*known, *unknown][:MOST_ITEMS]


def _movement(item: Item) -> float:
    return item.moved if item.moved is not None else 0.0


def _pages(shown: Sequence[Item], n_items: int, title: str) -> Iterator[tuple[str, str]]:
    starts = range(0, len(shown), PER_PAGE)
    for number, start in enumerate(starts, start=1):
        yield (
            f"{number}.html",
            render_page(
                "items.html",
                title=title,
                number=number,
                n_pages=len(starts),
                first=start + 1,
                items=[_visible_item(item) for item in shown[start : start + PER_PAGE]],
            ),
        )
    entries = [_entry(item, number) for number, item in enumerate(shown)]
    note = ""
    if n_items > len(shown):
        note = (
            f"{len(shown):,} of {n_items:,} items: those on which most was lost or won. "
            "All are in answers.parquet and judgements.parquet."
        )
    orders = {
        INDEX: ("Candidate's worst first", entries),
        BY_NAME: ("By name", sorted(entries, key=lambda entry: (entry.task, entry.name))),
    }
    for name, (order, listed) in orders.items():
        yield (
            name,
            render_page(
                "items_index.html", title=title, order=order, here=name, note=note, entries=listed
            ),
        )


def _entry(item: Item, number: int) -> Entry:
    gone = [answer.model for answer in item.answers if answer.text is None]
    return Entry(
        href=f"{number // PER_PAGE + 1}.html#i{number + 1}",
        name=escape_invisible(one_line(item.sample_id)),
        question=escape_invisible(one_line(item.input[: 2 * N_NAME_CHARS])[:N_NAME_CHARS]),
        task=escape_invisible(item.task),
        moved=ABSENT if item.moved is None else f"{signed(item.moved, 2)}",
        note=f"no answer: {escape_invisible(', '.join(gone))}" if gone else "",
    )


def _visible_item(item: Item) -> Item:
    return Item(
        task=escape_invisible(item.task),
        sample_id=escape_invisible(item.sample_id),
        input=_passage(item.input),
        reference=None if item.reference is None else _passage(item.reference),
        answers=tuple(
            Answer(
                escape_invisible(answer.model),
                None if answer.text is None else _passage(answer.text),
                escape_invisible(answer.note),
            )
            for answer in item.answers
        ),
        scores=tuple(
            ItemScore(row.metric, tuple(escape_invisible(one_line(score)) for score in row.scores))
            for row in item.scores
        ),
        said=tuple(
            Said(
                escape_invisible(said.judge),
                said.metric,
                escape_invisible(said.about),
                escape_invisible(said.verdict),
                escape_invisible(shorten(said.words, N_WORDS_CHARS)),
            )
            for said in item.said
        ),
        metric=item.metric,
        moved=item.moved,
    )


def _passage(text: str) -> str:
    return escape_invisible(shorten(text, N_TEXT_CHARS))


def _write_private(path: "StrPath", html: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(html.encode())
