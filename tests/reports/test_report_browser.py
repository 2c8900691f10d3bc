"""report.html in a real browser: no request, no dialog, no policy error, the verdict in sight."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from reports import write_reports
from reports.item_pages import write_item_pages
from reports.items import page_of
from tests.builders.chromium import watch
from tests.builders.hostile import PAYLOADS, hostile_run
from tests.builders.item_pages import compared, full_item, item
from tests.builders.results import failing_run, jury_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_verdict_is_on_the_first_screen(
    browser: "Browser", tmp_path: Path, width: int, height: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    seen = watch(page)
    url = write_reports(failing_run(), tmp_path).as_uri()
    page.goto(url)
    box = page.locator("#verdict").bounding_box()
    assert box
    assert box["y"] + box["height"] < height
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert seen == [url]


@pytest.mark.parametrize("width", [1280, 390])
def test_only_tables_scroll_sideways(browser: "Browser", tmp_path: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto(write_reports(jury_run(), tmp_path).as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_hostile_texts_do_nothing_in_a_browser(browser: "Browser", tmp_path: Path) -> None:
    page = browser.new_page()
    seen = watch(page)
    url = write_reports(hostile_run("\n".join(PAYLOADS)), tmp_path).as_uri()
    page.goto(url)
    page.wait_for_timeout(200)
    assert seen == [url]
    assert page.locator("script, iframe, img, object, form, base").count() == 0


def test_hostile_item_pages_do_nothing_in_a_browser_and_fit_a_phone(
    browser: "Browser", tmp_path: Path
) -> None:
    hostile = "\n".join(PAYLOADS)
    items = [full_item(f"q{hostile}", text=hostile), item("long" * 60)]
    write_item_pages(items, tmp_path, title=hostile)
    for name in ("index.html", "flagged.html", page_of(items[0].anchor)):
        page = browser.new_page(viewport={"width": 390, "height": 844})
        seen = watch(page)
        url = (tmp_path / "items" / name).as_uri()
        page.goto(url)
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        page.wait_for_timeout(200)
        assert seen == [url]
        assert page.locator("script, iframe, img, object, form, base").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_an_item_is_reached_from_the_report_without_a_script(
    browser: "Browser", tmp_path: Path
) -> None:
    n_items = write_item_pages([item()], tmp_path, title="a run")
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(write_reports(failing_run(), tmp_path, n_items=n_items).as_uri())
    page.get_by_text("Browse all 1 items").click()
    page.get_by_text("q1").click()
    assert page.url.endswith(f"items/{page_of(item().anchor)}#{item().anchor}")
    page.get_by_role("link", name="No answer").click()
    assert page.url.endswith("items/unanswered.html")


def test_items_of_a_list_are_read_one_after_the_other_without_a_script(
    browser: "Browser", tmp_path: Path
) -> None:
    items = [full_item(f"q{i}", float(i)) for i in range(3)]
    write_item_pages(items, tmp_path, title="a run")
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((tmp_path / "items" / "flagged.html").as_uri())
    page.get_by_role("link", name="q0").click()
    for one in items[1:]:
        page.locator(":target").get_by_role("link", name="Next of Flagged").click()
        assert page.url.endswith(f"{page_of(one.anchor)}#{one.anchor}.flagged")
    assert page.locator(":target").get_by_role("link", name="Next of Flagged").count() == 0


def test_a_score_of_an_item_leads_to_its_place_in_their_order(
    browser: "Browser", tmp_path: Path
) -> None:
    items = [
        replace(full_item(f"q{i}"), comparisons=(compared(difference=float(i)), compared("b", 1.0)))
        for i in range(3)
    ]
    write_item_pages(items, tmp_path, title="a run")
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto((tmp_path / "items" / page_of(items[1].anchor)).as_uri())
    item = page.locator(f"[id='{items[1].anchor}']")
    assert not item.get_by_text("2 of 3").last.is_visible()
    item.get_by_role("link", name="rubric.safety", exact=True).click()
    page.locator(":target").get_by_role("link", name="Next of rubric.safety").click()
    assert page.url.endswith(f"#{items[2].anchor}.by-rubric-safety")
    assert page.locator(":target").is_visible()


def test_marks_are_heard_and_not_copied(browser: "Browser", tmp_path: Path) -> None:
    write_item_pages([full_item()], tmp_path, title="a run")
    page = browser.new_page()
    page.goto((tmp_path / "items" / page_of(full_item().anchor)).as_uri())
    answer = page.locator(".pair .text-block > pre").nth(1)
    heard = " ".join(page.locator(".item").aria_snapshot().split())
    assert "[only here: not ]" in heard
    answer.select_text()
    assert page.evaluate("getSelection().toString()").strip() == "You may not run, if it hurts."


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_nothing_on_pages_of_items(
    browser: "Browser", tmp_path: Path, scheme: "Literal['light', 'dark']"
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    items = [full_item(f"q{i}", float(i)) for i in range(40)]
    write_item_pages(items, tmp_path, title="a run")
    pages = [page_of(one.anchor) for one in items]
    crowded = max(pages, key=pages.count)
    page = browser.new_context(color_scheme=scheme, bypass_csp=True).new_page()
    for name in ("index.html", crowded):
        page.goto((tmp_path / "items" / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        found = axe.run(page).response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
