"""explorer.html in a real browser: what an evaluator does with it (ten tasks by mouse and by keys alone stand in files of their own)."""

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.config import Source
from harness.data.preference_pairs import load_given_pairs
from tests.builders.explored import explored_items, hostile_item
from tests.builders.explorer_pages import (
    ITEMS,
    N,
    Open,
    on,
    save_export,
    shown_names,
    wait_for_place,
    write_explorer_page,
)

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.browser


def test_words_that_differ_are_marked_and_the_texts_stay_whole(opened: Open):
    page = opened()
    item = next(item for item in ITEMS if item.answers[1].text)
    page.get_by_role("searchbox").fill(item.sample_id)
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")
    texts = page.locator(".answer .text")
    assert [texts.nth(k).inner_text() for k in (0, 1)] == [answer.text for answer in item.answers]
    marked = page.locator("ins").all_inner_texts()
    assert marked
    assert all(words in (item.answers[1].text or "") for words in marked)
    page.keyboard.press("d")
    assert page.locator("ins, del").count() == 0


def test_a_link_shows_the_same_in_another_browser(opened: Open):
    page = opened()
    page.get_by_role("radio", name="Worse").click()
    page.get_by_label("children").click()
    page.get_by_role("searchbox").fill("doctor")
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    wait_for_place(page, 2)
    fragment = "#" + page.url.partition("#")[2]
    other = opened(fragment)
    wait_for_place(other, 2)
    assert shown_names(other) == shown_names(page)
    assert other.locator("#item-name").inner_text() == page.locator("#item-name").inner_text()
    assert other.get_by_role("searchbox").input_value() == "doctor"
    assert other.get_by_label("children").is_checked()


def test_what_is_shown_becomes_pairs_that_training_reads(opened: Open, tmp_path: Path):
    page = opened("#sign=worse&only=judges_disagree&slice=about%3Dchildren")
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(save_export(page, "Preference pairs").read_bytes())
    pairs = load_given_pairs(Source(path="pairs.jsonl"), tmp_path)
    by_name = {item.sample_id: item for item in ITEMS}
    assert pairs.statistics.built == pairs.statistics.kept > 5
    for pair in pairs.pairs:
        item = by_name[pair.sample_id]
        assert [m.role for m in pair.prompt] == ["system", "user"]
        assert pair.prompt[1].content == item.input
        assert (pair.chosen, pair.rejected) == (item.answers[0].text, item.answers[1].text)
        assert not item.flags or item.flags[0].model == "dpo"  # the rejected one


def test_pairs_leave_out_what_the_judges_did_not_decide_and_say_so(opened: Open):
    page = opened("#column=win_rate~dpo")
    rows = [
        json.loads(line) for line in save_export(page, "Preference pairs").read_text().splitlines()
    ]
    decided = [
        item.sample_id
        for item in ITEMS
        if on(item, "win_rate").difference and not on(item, "win_rate").order_dependent
    ]
    assert {row["sample_id"] for row in rows} <= set(decided)
    said = page.locator("#status").inner_text()
    assert "dependent on the order" in said
    n_left = sum(int(word) for word in said.partition("Left out:")[2].split() if word.isdecimal())
    assert len(rows) + n_left == N


def test_a_search_finds_words_of_reasons_and_marks_them(opened: Open):
    page = opened()
    page.keyboard.press("/")
    page.keyboard.type('"stiff neck" sorry')
    page.keyboard.press("Enter")
    texts = {
        i.sample_id: json.dumps([str(i.answers), str(i.judgements), i.reference]) for i in ITEMS
    }
    found = {name for name, text in texts.items() if "stiff neck" in text and "sorry" in text}
    assert 0 < len(found) < N
    assert page.locator("#count").inner_text().startswith(f"{len(found)} of")
    page.wait_for_selector("#item mark")
    assert {"stiff neck", "sorry"} >= {
        t.lower() for t in page.locator("#item mark").all_inner_texts()
    }
    assert page.evaluate("document.activeElement.id") == "list"


def test_a_part_of_the_plot_is_chosen_by_dragging(opened: Open):
    page = opened()
    before = page.locator("#count").inner_text()
    box = page.locator("#plot svg").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.35 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.99 * box["width"], box["y"] + 0.86 * box["height"])
    page.mouse.up()
    assert page.locator("#count").inner_text() != before
    low, high = (float(page.locator(f"#candidate_{end}").input_value()) for end in ("from", "to"))
    left = float(page.locator("#baseline_from").input_value())
    inside = [
        i
        for i in ITEMS
        if low <= (on(i).candidate_score or -1) <= high and (on(i).baseline_score or -1) >= left
    ]
    assert page.locator("#count").inner_text() == f"{len(inside)} of {N} items"


def test_a_part_of_the_plot_is_chosen_by_numbers(opened: Open):
    page = opened()
    page.get_by_text("Limits in numbers").click()
    page.get_by_label("Candidate to").fill("5")
    page.keyboard.press("Tab")
    low = [i for i in ITEMS if (on(i).candidate_score or 99) <= 5]
    assert page.locator("#count").inner_text() == f"{len(low)} of {N} items"


def test_a_note_is_written_saved_and_read_in_another_browser(opened: Open, tmp_path: Path):
    page = opened()
    page.keyboard.press("j")
    page.wait_for_selector("#note")
    page.keyboard.press("n")
    page.keyboard.type("Wrong dose.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Notes (1)").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save notes to a file").click()
    path = tmp_path / "notes.json"
    path.write_bytes(Path(download.value.path()).read_bytes())
    other = opened()
    other.get_by_role("button", name="Notes").click()
    other.locator("#load-notes").set_input_files(path)
    other.keyboard.press("Escape")
    other.get_by_label("With a note").click()
    other.keyboard.press("j")
    other.wait_for_selector("#note")
    assert other.locator("#note").input_value() == "Wrong dose."
    assert other.locator("#count").inner_text() == f"1 of {N} items"


def test_three_models_stand_side_by_side(opened: Open, tmp_path: Path):
    items = explored_items(20, ("base", "sft", "dpo"))
    page = opened(path=write_explorer_page(tmp_path, items, ("base", "sft", "dpo")))
    page.keyboard.press("j")
    page.locator("#models").get_by_label("sft").click()
    page.locator(".answer").nth(2).wait_for()
    item = next(i for i in items if i.sample_id == page.locator("#item-name").inner_text())
    texts = page.locator(".answer .text").all_inner_texts()
    assert texts == [a.text or a.note for a in item.answers]
    assert "model=sft" in page.url


def test_the_passages_in_a_prompt_stand_below_its_answer(opened: Open, tmp_path: Path):
    page = opened(path=write_explorer_page(tmp_path, [hostile_item("</pre>Rest and drink.")]))
    page.keyboard.press("j")
    fold = page.locator(".answer details").filter(has_text="Passages in its prompt: 1").first
    fold.locator("summary").click()
    assert fold.locator("pre").inner_text() == "</pre>Rest and drink."
    assert fold.locator("h3").inner_text() == "1. </pre>Rest and drink."


def test_headings_sort_and_say_so(opened: Open):
    page = opened()
    heading = page.get_by_role("columnheader", name="Item")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert shown_names(page)[:8] == sorted(item.sample_id for item in ITEMS)[:8]
    page.keyboard.press("Enter")  # the focus is still on it
    assert heading.get_attribute("aria-sort") == "descending"


def test_items_are_sorted_by_how_much_was_found_about_them(opened: Open):
    page = opened("#column=win_rate~dpo")
    page.get_by_label("Sorted by").select_option("Marks")
    page.keyboard.press("r")
    rows = page.locator("#rows .row")
    n_marks = [rows.nth(k).locator(".mark").count() for k in range(8)]
    assert n_marks == sorted(n_marks, reverse=True)
    assert n_marks[0] > 1
    assert "sort=-marks" in page.url


def test_the_list_is_walked_by_arrows_and_far_rows_are_reached(opened: Open):
    page = opened("#sort=name")
    page.locator("#list").focus()
    page.keyboard.press("End")
    assert page.locator("#item-name").inner_text() == max(item.sample_id for item in ITEMS)
    active = page.locator("#list").get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-rowindex") == str(N + 1)
    assert page.locator("#rows .row").count() < 60


# --- files -----------------------------------------------------------------------------------


def test_csv_holds_what_is_shown_and_no_formula(opened: Open, tmp_path: Path):
    page = opened(path=write_explorer_page(tmp_path, [hostile_item("=1+1"), *explored_items(3)]))
    text = save_export(page, "CSV").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 4
    hostile = next(row for row in rows if row["sample_id"] == "q=1+1")
    assert hostile["input"] == hostile["answer.sft"] == "'=1+1"
    assert hostile["item.about"] == ""
    first = next(row for row in rows if row["sample_id"] == ITEMS[0].sample_id)
    assert float(first["difference"]) == on(ITEMS[0]).difference
    assert not [cell for row in rows for cell in row.values() if str(cell).startswith(("=", "@"))]


def test_json_holds_the_texts_and_scores_as_they_are(opened: Open, tmp_path: Path):
    page = opened(path=write_explorer_page(tmp_path, [hostile_item("a\u202eb")]))
    exported = json.loads(save_export(page, "JSON").read_text())
    (item,) = exported["items"]
    assert item["answers"][0]["text"] == "a\u202eb"
    assert item["scores"][0]["reason"] == "a\u202eb"
    assert item["anchor"] == hostile_item("a\u202eb").anchor
