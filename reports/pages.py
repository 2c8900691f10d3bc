"""The pages for reading a run's items that stand beside its report."""

from collections.abc import Iterator, Sequence
from pathlib import Path

ITEMS_PAGE = "items/index.html"
_PAGES = {
    "explorer.html": "to search, sort and filter items",
    ITEMS_PAGE: "for every item, the worst first",
}


def pages_beside(folder: Path) -> tuple[str, ...]:
    """Return the names of the pages that are in the folder of a run."""
    return tuple(name for name in _PAGES if (folder / name).is_file())


def describe_pages(pages: Sequence[str]) -> Iterator[str]:
    """Yield a line on the pages to open; none without pages."""
    if pages:
        opened = ", or ".join(f"{name} {_PAGES[name]}" for name in pages)
        yield f"Open {opened}; harness view shows all runs."
