"""What holds for every test: Ctrl-C interrupts, a process computes on one core, and a browser serves a file's tests."""

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.builders.chromium import open_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

# Two workers share a machine (`make test`), and the tiny models are slower on several threads than on one.
# Set before anything imports numpy or torch; what a test starts inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored, and so would be every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: "Browser") -> "Iterator[BrowserContext]":
    """A visitor of their own: no cookie, nothing stored."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(15_000)
    yield context
    context.close()
