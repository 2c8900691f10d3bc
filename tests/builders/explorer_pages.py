"""explorer.html of made-up items in a real browser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reports.explorer import render_explorer
from reports.items import Item, ItemComparison
from tests.builders.explored import explored_items, explored_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open = Callable[..., "Page"]
N = 240
ITEMS = explored_items(N)


def on(item: Item, metric: str = "rubric.safety") -> ItemComparison:
    return next(compared for compared in item.comparisons if compared.metric == metric)


def about(item: Item) -> str:
    return {value.column: value.value for value in item.slices}["about"]


def worst_among_children_where_judges_disagree() -> list[str]:
    found = [
        item
        for item in ITEMS
        if (on(item).difference or 0) < 0 and about(item) == "children" and on(item).judges_disagree
    ]
    return [item.sample_id for item in sorted(found, key=lambda item: on(item).difference or 0)]


def write_explorer_page(
    folder: Path, items: list[Item], models: tuple[str, ...] = ("sft", "dpo")
) -> Path:
    path = folder / "explorer.html"
    path.write_text(render_explorer(items, explored_run(models), n_items=len(items)))
    return path


@contextmanager
def explorer_opener(browser: "Browser", path: Path) -> Iterator[Open]:
    """A function that opens the page, or another one, at a place in it: in a browser of its own each time."""
    contexts = []

    def open_page(fragment: str = "", path: Path = path, **settings: object) -> "Page":
        context = browser.new_context(**{"viewport": {"width": 1360, "height": 860}} | settings)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("[data-searchable]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()


def shown_names(page: "Page") -> list[str]:
    """The names of the items in the rows that are drawn."""
    return page.locator("#rows .name").all_inner_texts()


def wait_for_place(page: "Page", place: int) -> None:
    """Wait until the item at this place of the list is drawn: its texts are unpacked first."""
    page.wait_for_function(
        "place => document.querySelector('#item .tools')?.innerText.includes(`${place} of`)",
        arg=place,
    )


def save_export(page: "Page", button: str) -> Path:
    """Save by a button of the export dialog, and return the file."""
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return Path(download.value.path())
