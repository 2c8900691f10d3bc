"""items/: every item can be reached, nothing in it does anything, and nothing is left out unsaid."""

import re
from pathlib import Path

import pytest

from reports import items
from reports.item_pages import write_item_pages
from reports.items import Item
from tests.builders.hostile import PAYLOADS
from tests.builders.html_pages import page_skeleton, read_page
from tests.builders.item_pages import item


def pages(folder: Path, *items: Item) -> dict[str, str]:
    write_item_pages(items, folder, title="a run")
    return {path.name: path.read_text() for path in (folder / "items").iterdir()}


def order_in(index: str) -> list[str]:
    return re.findall(r'href="[0-9]+\.html#i[0-9]+">([^<]*)<', index)


def test_the_candidates_worst_items_come_first_and_unscored_ones_last(tmp_path: Path) -> None:
    found = pages(tmp_path, item("a", 1.0), item("b", None), item("c", -3.0))
    assert order_in(found["index.html"]) == ["c", "a", "b"]
    assert order_in(found["by-name.html"]) == ["a", "b", "c"]


def test_every_line_of_the_index_leads_to_its_item(tmp_path: Path) -> None:
    found = pages(tmp_path, *(item(f"q{i:03}", float(i)) for i in range(120)))
    links = re.findall(r'href="([0-9]+\.html)#(i[0-9]+)">([^<]*)<', found["index.html"])
    assert len(links) == 120
    for page, anchor, name in links:
        assert re.search(rf'id="{anchor}">\s*<h2>{name}</h2>', found[page])


def test_every_link_leads_to_a_file_that_is_there(tmp_path: Path) -> None:
    found = pages(tmp_path, *(item(f"q{i}") for i in range(101)))
    assert set(found) == {"index.html", "by-name.html", "1.html", "2.html", "3.html"}
    for html in found.values():
        for _, attributes in read_page(html).tags:
            href = (attributes.get("href") or "data:,").partition("#")[0]
            assert href in {"data:,", "../report.html", *found}


def test_an_item_shows_answers_scores_and_what_was_said(tmp_path: Path) -> None:
    text = read_page(pages(tmp_path, item())["1.html"]).text
    for said in (
        "System prompt",
        "Be kind.",
        "I cough.",
        "May I run?",
        "(no answer)",
        "gave no answer",
        "unscored: odd",
        "Fine.",
        "+1.00",
    ):
        assert said in text


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_texts_add_no_element_and_no_attribute(payload: str, tmp_path: Path) -> None:
    clean = pages(tmp_path / "clean", item("q"))
    hostile = pages(tmp_path / "hostile", item(f"q{payload}", text=payload))
    for name, html in hostile.items():
        assert page_skeleton(html) == page_skeleton(clean[name])


def test_pages_have_the_reports_policy_and_no_script(tmp_path: Path) -> None:
    for html in pages(tmp_path, item()).values():
        assert "default-src 'none'; style-src 'sha256-" in html.replace("&#39;", "'")
        assert "<script" not in html


def test_a_second_rendering_leaves_no_page_of_the_first(tmp_path: Path) -> None:
    pages(tmp_path, *(item(f"q{i}") for i in range(60)))
    assert "2.html" not in pages(tmp_path, item())


def test_only_their_owner_can_read_the_pages(tmp_path: Path) -> None:
    pages(tmp_path, item())
    for path in [tmp_path / "items", *(tmp_path / "items").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0


def test_of_too_many_items_the_most_moved_are_shown_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "MAX_ITEMS", 4)
    found = pages(tmp_path, *(item(f"q{i}", float(i)) for i in range(9)), item("gap", None))
    assert order_in(found["index.html"]) == ["q0", "q8", "gap"]
    assert "Shown are the 3 of 10 items with the largest differences" in found["index.html"]
