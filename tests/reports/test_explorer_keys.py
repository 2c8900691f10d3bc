"""explorer.html in a real browser: ten tasks of an evaluator by keyboard alone, with no click and no focus set by the test."""

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.config import Source
from harness.data.preference_pairs import load_given_pairs
from reports.items import Item
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
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser


def press(page: "Page", *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def has_focus(element: "Locator") -> bool:
    return element.and_(element.page.locator(":focus")).count() == 1


def tab_to(element: "Locator", key: str = "Tab", *, most: int = 40) -> None:
    """Press Tab, or Shift+Tab, until the element has the focus."""
    for _ in range(most):
        if has_focus(element):
            return
        element.page.keyboard.press(key)
    pytest.fail(f"{most} times {key} do not lead to {element}")


def save_by_key(page: "Page", key: str, path: Path) -> Path:
    """Press the key that saves a file, and put the file at the path."""
    with page.expect_download() as download:
        page.keyboard.press(key)
    path.write_bytes(Path(download.value.path()).read_bytes())
    return path


def got_worse(item: Item) -> bool:
    return (on(item).difference or 0) < 0


def test_the_five_worst_regressions_are_walked_through(opened: Open):
    page = opened()
    press(page, "w", "f")
    for choice in ("Judges disagree", "children"):
        tab_to(page.get_by_role("checkbox", name=choice))
        press(page, "Space")
    press(page, "Escape")
    walked = []
    for place in range(1, 6):
        press(page, "ArrowDown")
        wait_for_place(page, place)
        walked.append(page.locator("#item-name").inner_text())
    assert walked == worst_among_children_where_judges_disagree()[:5]


@pytest.mark.slow
def test_words_that_differ_are_seen_and_their_marks_taken_away(opened: Open):
    page = opened()
    item = next(item for item in ITEMS if item.answers[1].text)
    press(page, "/")
    page.keyboard.type(item.sample_id)
    press(page, "Enter", "Enter")
    page.wait_for_selector("#item-name:focus")
    marked = page.locator("ins").all_inner_texts()
    assert marked
    assert all(words in (item.answers[1].text or "") for words in marked)
    switch = page.get_by_role("checkbox", name="Mark words that differ")
    tab_to(switch)
    press(page, "Space")
    page.locator("ins, del").first.wait_for(state="detached")
    assert has_focus(switch)


@pytest.mark.slow
def test_words_of_a_reason_are_searched(opened: Open):
    page = opened()
    press(page, "/")
    page.keyboard.type('"by its 4 for safety"')
    press(page, "Enter")
    found = [i for i in ITEMS if any("by its 4 for" in j.explanation for j in i.judgements)]
    assert 0 < len(found) < N
    assert page.locator("#count").inner_text() == f"{len(found)} of {N} items"
    page.wait_for_selector("#item .reason mark")
    assert set(page.locator("#item mark").all_inner_texts()) == {"by its 4 for safety"}


def test_flag_slice_and_sign_are_combined_and_cleared(opened: Open):
    page = opened()
    press(page, "f")
    tab_to(page.get_by_role("radio", name="All"))
    press(page, "ArrowDown")
    tab_to(page.get_by_role("combobox", name="Flag"))
    press(page, "ArrowDown")
    tab_to(page.get_by_role("checkbox", name="pregnancy"))
    press(page, "Space")
    left = [i for i in ITEMS if got_worse(i) and i.flags and about(i) == "pregnancy"]
    assert left
    assert page.locator("#count").inner_text() == f"{len(left)} of {N} items"
    press(page, "/")
    page.keyboard.type("doctor")
    press(page, "Enter", "f")
    clear = page.get_by_role("button", name="Clear all")
    tab_to(clear, "Shift+Tab", most=3)
    press(page, "Enter")
    assert page.locator("#count").inner_text() == f"{N} items"
    assert page.get_by_role("searchbox").input_value() == ""
    assert has_focus(clear)


def test_a_heading_sorts_and_keeps_the_focus(opened: Open):
    page = opened()
    press(page, "Escape")
    heading = page.get_by_role("columnheader", name="Item")
    button = heading.get_by_role("button")
    tab_to(button, most=5)
    by_name = sorted(item.sample_id for item in ITEMS)
    for key, direction, first in (
        ("Enter", "ascending", by_name[0]),
        ("Space", "descending", by_name[-1]),
        ("r", "ascending", by_name[0]),
    ):
        press(page, key)
        assert heading.get_attribute("aria-sort") == direction
        assert shown_names(page)[0] == first
        assert has_focus(button)


def test_a_part_of_the_plot_is_chosen_by_its_limits_and_left_again(opened: Open):
    page = opened()
    press(page, "Escape")
    tab_to(page.locator("summary", has_text="Limits in numbers"), "Shift+Tab", most=5)
    press(page, "Enter")
    for name, limit in (("Baseline from", "7"), ("Candidate to", "5")):
        tab_to(page.get_by_role("spinbutton", name=name), most=6)
        page.keyboard.type(limit)
    again = page.get_by_role("button", name="Show all again")
    press(page, "Tab")
    assert has_focus(again)
    inside = [
        i for i in ITEMS if (on(i).baseline_score or 0) >= 7 and (on(i).candidate_score or 99) <= 5
    ]
    assert page.locator("#count").inner_text() == f"{len(inside)} of {N} items"
    press(page, "Enter")
    assert page.locator("#count").inner_text() == f"{N} items"
    assert has_focus(again)


@pytest.mark.slow
def test_a_third_model_is_put_beside_the_two(opened: Open, tmp_path: Path):
    models = ("base", "sft", "dpo")
    page = opened(path=write_explorer_page(tmp_path, explored_items(20, models), models))
    press(page, "j", "o")
    page.wait_for_selector("#item-name:focus")
    third = page.get_by_role("checkbox", name="sft")
    tab_to(third, most=10)
    press(page, "Space")
    page.locator(".answer").nth(2).wait_for()
    shown = page.locator(".answer h3").all_inner_texts()
    assert [name.split()[0] for name in shown] == list(models)
    assert has_focus(third)


def test_a_note_is_written_and_saved_to_a_file(opened: Open, tmp_path: Path):
    page = opened()
    press(page, "j")
    page.wait_for_selector("#note")
    press(page, "n")
    page.keyboard.type("Wrong dose: see line 2.")
    press(page, "Escape", "/")
    button = page.get_by_role("button", name="Notes (1)")
    tab_to(button, most=5)
    press(page, "Enter")
    tab_to(page.get_by_role("button", name="Save notes to a file"), most=3)
    saved = json.loads(save_by_key(page, "Enter", tmp_path / "notes.json").read_text())
    (note,) = saved["notes"]
    assert note["note"] == "Wrong dose: see line 2."
    assert note["sample_id"] == page.locator("#item-name").inner_text()
    assert page.get_by_role("status").filter(has_text="Saved 1 note").count() == 1
    assert has_focus(button)


@pytest.mark.slow
def test_a_copied_link_shows_the_same_elsewhere(opened: Open):
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    press(page, "b", "r", "/")
    page.keyboard.type("doctor")
    press(page, "Enter", "ArrowDown")
    wait_for_place(page, 2)
    page.evaluate("navigator.clipboard.writeText('')")
    press(page, "l")
    page.locator("#status", has_text="copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    other = opened("#" + link.partition("#")[2])
    wait_for_place(other, 2)
    for place in ("#count", "#item-name", "#headings"):
        assert other.locator(place).inner_text() == page.locator(place).inner_text()
    assert shown_names(other)[:8] == shown_names(page)[:8]
    assert other.get_by_role("radio", name="Better").is_checked()
    assert other.get_by_role("searchbox").input_value() == "doctor"


@pytest.mark.slow
def test_what_is_shown_is_exported_as_csv_and_pairs(opened: Open, tmp_path: Path):
    page = opened("#sign=worse&slice=about%3Dchildren&only=judges_disagree")
    shown = worst_among_children_where_judges_disagree()
    press(page, "Escape", "e")
    tab_to(page.get_by_role("button", name="CSV"), most=2)
    table = save_by_key(page, "Enter", tmp_path / "items.csv").read_text("utf-8-sig")
    assert [row["sample_id"] for row in csv.DictReader(table.splitlines())] == shown
    page.wait_for_selector("#list:focus")
    press(page, "e")
    tab_to(page.get_by_role("button", name="Preference pairs"), most=4)
    save_by_key(page, "Enter", tmp_path / "pairs.jsonl")
    pairs = load_given_pairs(Source(path="pairs.jsonl"), tmp_path).pairs
    by_name = {item.sample_id: item for item in ITEMS}
    assert len(pairs) > 5
    assert {pair.sample_id for pair in pairs} <= set(shown)
    assert [(p.chosen, p.rejected) for p in pairs] == [
        tuple(answer.text for answer in by_name[p.sample_id].answers) for p in pairs
    ]
