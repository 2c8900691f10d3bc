"""explorer.html in a real browser: what hostile texts cannot do, who can use it, and what it shows of rarer runs."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.sanitize import escape_invisible, to_valid_utf8
from reports.explorer import render_explorer
from reports.items import SliceValue
from tests.builders.chromium import watch
from tests.builders.explored import explored_items, explored_run, hostile_item, summary_items
from tests.builders.explorer_pages import ITEMS, N, Open, wait_for_place, write_explorer_page
from tests.builders.hostile import PAYLOADS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_hostile_texts_run_nothing_and_ask_for_nothing(
    opened: Open, browser: "Browser", tmp_path: Path
):
    hostile = to_valid_utf8("\n".join(PAYLOADS))
    path = tmp_path / "explorer.html"
    items = [hostile_item(hostile), *explored_items(3)]
    path.write_text(render_explorer(items, explored_run(text=hostile), n_items=4))
    page = browser.new_page()
    seen = watch(page)
    page.goto(path.as_uri())
    page.wait_for_selector("[data-searchable]", state="attached")
    n_scripts = page.locator("script").count()
    for key in "jkkkofexmlbw?":
        page.keyboard.press("Escape")
        page.keyboard.press(key)
    page.keyboard.press("Escape")
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    page.get_by_role("searchbox").fill('<img "alert(1)" script')
    page.wait_for_timeout(300)
    assert page.locator("iframe, img, object, form, base, embed, video").count() == 0
    assert page.locator("script").count() == n_scripts
    assert [line for line in seen if not line.startswith("file://")] == []
    assert len(seen) == 1
    page.close()


def test_a_hostile_address_shows_what_is_known_and_says_what_is_not(opened: Open):
    page = opened(
        "#q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&column=__proto__&slice=x%3Dy&item=nothing&least=NaN"
    )
    assert page.locator("#count").inner_text() == f"0 of {N} items"
    said = page.locator("#status").inner_text()
    assert "__proto__" in said
    assert "x=y" in said


def test_a_limit_of_the_plot_that_is_no_number_hides_no_item(opened: Open):
    page = opened("#baseline_from=abc")
    assert page.locator("#count").inner_text() == f"{N} items"
    assert "baseline_from" in page.locator("#status").inner_text()


def test_invisible_letters_are_written_out_as_everywhere(opened: Open, tmp_path: Path):
    text = "\n".join(PAYLOADS)
    page = opened(path=write_explorer_page(tmp_path, [hostile_item(text)]))
    page.keyboard.press("j")
    shown = page.locator("#item .block .text").last.text_content()
    assert shown == escape_invisible(to_valid_utf8(text))


def test_names_of_thousands_of_letters_leave_room_for_what_is_below(opened: Open, tmp_path: Path):
    long = "long " * 2000
    made = replace(explored_items(1)[0], sample_id=long, slices=(SliceValue("about", long),))
    page = opened(path=write_explorer_page(tmp_path, [made]))
    page.keyboard.press("j")
    for place in ("#facets [data-slice]", "#item header"):
        box = page.locator(place).bounding_box()
        assert box
        assert box["height"] < 300


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1360),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("dark", 1360), ("light", 390), ("dark", 390))
        ),
    ],
)
def test_axe_finds_nothing(opened: Open, scheme: str, width: int):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(color_scheme=scheme, viewport={"width": width, "height": 860})
    assert [v["id"] for v in axe.run(page).response["violations"]] == []
    page.evaluate("openItem(shownItems[0])")
    page.wait_for_selector("#item-name")
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert [v["id"] for v in axe.run(page).response["violations"]] == []
    for dialog in ("#export", "#notes-dialog", "#help"):
        page.evaluate("id => document.querySelector(id).showModal()", dialog)
        assert [v["id"] for v in axe.run(page).response["violations"]] == []
        page.keyboard.press("Escape")


def test_a_phone_shows_one_thing_at_a_time_and_scrolls_nothing_sideways(opened: Open):
    page = opened(viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#rows .row").nth(1).click()
    page.wait_for_selector("#item-name")
    assert not page.locator("#list").is_visible()
    assert page.evaluate("document.activeElement.id") == "item-name"
    page.get_by_role("button", name="Back to the list").click()
    assert page.evaluate("document.activeElement.id") == "list"
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("children").click()
    page.get_by_role("button", name="Show the items").click()
    assert page.locator("#count").inner_text() == f"{N // 4} of {N} items"


def test_single_keys_can_be_turned_off(opened: Open):
    page = opened()
    page.keyboard.press("?")
    page.get_by_label("Single keys are on").click()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.locator("#item-name").count() == 0


def test_a_task_is_shown_by_a_score_of_its_own(opened: Open, tmp_path: Path):
    page = opened(path=write_explorer_page(tmp_path, [*explored_items(12), *summary_items(8)]))
    page.get_by_label("Task").select_option("summaries")
    assert page.locator("#column").evaluate("field => field.selectedOptions[0].text") == "summary"
    assert page.locator("#count").inner_text() == "8 of 20 items"
    page.locator("#column").select_option("rubric.empathy")
    assert page.locator("#count").inner_text() == "20 items"


def test_the_focus_stays_where_it_was_when_an_item_is_drawn_anew(opened: Open):
    page = opened()
    page.keyboard.press("j")
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    wait_for_place(page, 2)
    assert page.evaluate("document.activeElement.id") == "next"
    page.get_by_label("Mark words that differ").focus()
    page.keyboard.press("Space")
    page.locator("ins").first.wait_for(state="detached")
    assert page.evaluate("document.activeElement.id") == "marks-differences"


def test_one_model_alone_is_explored_by_its_scores(opened: Open, tmp_path: Path):
    items = [
        replace(
            item,
            answers=item.answers[1:],
            comparisons=tuple(
                replace(c, baseline="dpo", baseline_score=None, difference=c.candidate_score)
                for c in item.comparisons
                if c.kind == "points"
            ),
        )
        for item in explored_items(20)
    ]
    page = opened(path=write_explorer_page(tmp_path, items, ("dpo",)))
    assert page.get_by_role("columnheader").all_inner_texts() == ["Item", "Score"]
    page.keyboard.press("j")
    page.locator(".answer").first.wait_for()
    assert page.locator(".answer").count() == 1
    page.keyboard.press("e")
    assert page.get_by_role("button", name="Preference pairs").is_disabled()


def test_a_browser_remembers_notes_also_of_items_that_another_file_of_the_run_lacks(
    browser: "Browser", file: Path, tmp_path: Path
):
    context = browser.new_context()
    page = context.new_page()
    for path, note in ((file, "first"), (write_explorer_page(tmp_path, ITEMS[:2]), "second")):
        page.goto(path.as_uri() + f"#item={ITEMS[5 if note == 'first' else 1].anchor}")
        page.locator("#note").fill(note)
    page.goto(file.as_uri() + f"#item={ITEMS[5].anchor}")
    assert page.locator("#note").input_value() == "first"
    assert page.locator("#notes-button").inner_text() == "Notes (2)"
    context.close()
