"""explorer.html of the builder's items, open in the browser of a file's tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.builders.explorer_pages import ITEMS, Open, explorer_opener, write_explorer_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_explorer_page(tmp_path_factory.mktemp("run"), ITEMS)


@pytest.fixture
def opened(browser: "Browser", file: Path) -> Iterator[Open]:
    with explorer_opener(browser, file) as open_page:
        yield open_page
