"""explorer.html in a real browser: an evaluator's tasks by mouse; keys type texts and numbers, and nothing else."""

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.config import Source
from harness.data.preference_pairs import load_given_pairs
from tests.builders.explored import explored_items
from tests.builders.explorer_pages import (
    ITEMS,
    N,
    Open,
    about,
    on,
    shown_names,
    wait_for_place,
    worst_among_children_where_judges_disagree,
    write_explorer_page,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def open_row(page: "Page", place: int) -> str:
    """Click the row at this place, from 1, and return the item's name."""
    page.locator("#rows .row").nth(place - 1).click()
    wait_for_place(page, place)
    return page.locator("#item-name").inner_text()


def save_by_click(page: "Page", opens: str, saves: str, path: Path) -> Path:
    page.get_by_role("button", name=opens).click()
    with page.expect_download() as download:
        page.get_by_role("button", name=saves, exact=True).click()
    path.write_bytes(Path(download.value.path()).read_bytes())
    return path


def test_the_five_worst_regressions_are_opened_one_by_one(opened: Open):
    page = opened()
    page.get_by_role("radio", name="Worse").click()
    for choice in ("Judges disagree", "children"):
        page.get_by_label(choice).click()
    worst = worst_among_children_where_judges_disagree()
    assert page.locator("#count").inner_text() == f"{len(worst)} of {N} items"
    assert [open_row(page, place) for place in range(1, 6)] == worst[:5]


def test_words_that_differ_are_seen_and_their_marks_taken_away(opened: Open):
    page = opened()
    name = open_row(page, 1)
    item = next(item for item in ITEMS if item.sample_id == name)
    marked = page.locator("ins").all_inner_texts()
    assert marked
    assert all(words in (item.answers[1].text or "") for words in marked)
    page.get_by_label("Mark words that differ").click()
    page.locator("ins, del").first.wait_for(state="detached")


@pytest.mark.slow
def test_words_of_a_reason_are_searched_and_the_item_is_opened(opened: Open):
    page = opened()
    page.get_by_role("searchbox").click()
    page.keyboard.type('"by its 4 for safety"')
    found = {
        item.sample_id
        for item in ITEMS
        if any("by its 4 for" in judgement.explanation for judgement in item.judgements)
    }
    page.locator("#count", has_text=f"{len(found)} of {N} items").wait_for()
    assert open_row(page, 2) in found
    assert set(page.locator("#item mark").all_inner_texts()) == {"by its 4 for safety"}


def test_flag_slice_and_sign_are_combined_and_cleared(opened: Open):
    page = opened()
    page.get_by_role("radio", name="Worse").click()
    page.get_by_label("Flag").select_option(index=1)
    page.get_by_label("pregnancy").click()
    left = [i for i in ITEMS if (on(i).difference or 0) < 0 and i.flags and about(i) == "pregnancy"]
    assert left
    assert page.locator("#count").inner_text() == f"{len(left)} of {N} items"
    page.get_by_role("button", name="Clear all").click()
    assert page.locator("#count").inner_text() == f"{N} items"


def test_a_heading_sorts_in_both_directions(opened: Open):
    page = opened()
    heading = page.get_by_role("columnheader", name="Item")
    by_name = sorted(item.sample_id for item in ITEMS)
    for direction, first in (("ascending", by_name[0]), ("descending", by_name[-1])):
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == direction
        assert shown_names(page)[0] == first


@pytest.mark.slow
def test_a_third_model_is_put_beside_the_two(opened: Open, tmp_path: Path):
    models = ("base", "sft", "dpo")
    page = opened(path=write_explorer_page(tmp_path, explored_items(20, models), models))
    open_row(page, 1)
    page.locator("#models").get_by_label("sft").click()
    page.locator(".answer").nth(2).wait_for()
    shown = page.locator(".answer h3").all_inner_texts()
    assert [name.split()[0] for name in shown] == list(models)


def test_a_note_is_written_and_saved_to_a_file(opened: Open, tmp_path: Path):
    page = opened()
    name = open_row(page, 3)
    page.locator("#note").click()
    page.keyboard.type("Wrong dose.")
    saved = save_by_click(page, "Notes", "Save notes to a file", tmp_path / "notes.json")
    (note,) = json.loads(saved.read_text())["notes"]
    assert (note["sample_id"], note["note"]) == (name, "Wrong dose.")


def test_a_copied_link_shows_the_same_elsewhere(opened: Open):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("radio", name="Better").click()
    page.get_by_label("children").click()
    name = open_row(page, 4)
    page.get_by_role("button", name="Copy link").click()
    page.locator("#status", has_text="copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    other = opened("#" + link.partition("#")[2])
    wait_for_place(other, 4)
    assert other.locator("#item-name").inner_text() == name
    assert shown_names(other)[:8] == shown_names(page)[:8]
    assert other.get_by_label("children").is_checked()


@pytest.mark.slow
def test_what_is_shown_is_exported_as_csv_and_pairs(opened: Open, tmp_path: Path):
    page = opened()
    page.get_by_role("radio", name="Worse").click()
    for choice in ("Judges disagree", "children"):
        page.get_by_label(choice).click()
    shown = worst_among_children_where_judges_disagree()
    table = save_by_click(page, "Export", "CSV", tmp_path / "items.csv").read_text("utf-8-sig")
    assert [row["sample_id"] for row in csv.DictReader(table.splitlines())] == shown
    save_by_click(page, "Export", "Preference pairs", tmp_path / "pairs.jsonl")
    pairs = load_given_pairs(Source(path="pairs.jsonl"), tmp_path).pairs
    assert len(pairs) > 5
    assert {pair.sample_id for pair in pairs} <= set(shown)
