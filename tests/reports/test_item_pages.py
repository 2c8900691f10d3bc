"""items/: every item can be reached, nothing in it does anything, and nothing is left out unsaid."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from harness.types import Message
from reports import items
from reports.item_pages import write_item_pages
from reports.items import Item, ItemPrompts, SentPrompt, make_anchor, page_of
from tests.builders.hostile import PAYLOADS
from tests.builders.html_pages import page_skeleton, read_page
from tests.builders.item_pages import full_item, item


def pages(folder: Path, *items: Item) -> dict[str, str]:
    write_item_pages(items, folder, title="a run")
    return {path.name: path.read_text() for path in (folder / "items").iterdir()}


def sent(shown: Item, text: str = "") -> ItemPrompts:
    prompt = SentPrompt(
        f"sft{text}",
        (
            Message(role="system", content=f"Judge.{text}"),
            Message(role="user", content=f"Q{text}"),
        ),
        f"As sent.{text}",
    )
    return ItemPrompts((prompt,), (prompt,) * len(shown.judgements))


def order_in(index: str) -> list[str]:
    return re.findall(r'href="[0-9a-f]{2}\.html#[^"]+">([^<]*)<', index)


def page_with(found: dict[str, str], name: str, task: str = "questions") -> str:
    return found[page_of(make_anchor(task, name))]


def test_the_candidates_worst_items_come_first_and_unscored_ones_last(tmp_path: Path) -> None:
    found = pages(tmp_path, item("a", 1.0), item("b", None), item("c", -3.0))
    assert order_in(found["index.html"]) == ["c", "a", "b"]
    assert order_in(found["by-name.html"]) == ["a", "b", "c"]


def test_every_line_of_a_list_leads_to_its_item(tmp_path: Path) -> None:
    found = pages(tmp_path, *(item(f"q{i:03}", float(i)) for i in range(120)))
    for index in ("index.html", "unanswered.html"):
        links = re.findall(r'href="([0-9a-f]{2}\.html)#([^"]+)">(q[^<]*)<', found[index])
        assert len(links) == 120
        for page, anchor, name in links:
            section = found[page].split("<section ")
            (own,) = (part for part in section if f'id="{anchor}"' in part)
            assert f">{name}</a></h2>" in own


def test_every_link_leads_to_a_file_and_a_place_that_is_there(tmp_path: Path) -> None:
    found = pages(tmp_path, *(full_item(f"q{i}", float(i)) for i in range(40)))
    places = {
        f"{name}#{attributes['id']}"
        for name, html in found.items()
        for _, attributes in read_page(html).tags
        if "id" in attributes
    }
    for name, html in found.items():
        for _, attributes in read_page(html).tags:
            file, _, anchor = (attributes.get("href") or "data:,").partition("#")
            assert file in {"", "data:,", "../report.html", *found}
            assert not anchor or f"{file or name}#{anchor}" in places


def test_an_item_keeps_its_address_in_every_report(tmp_path: Path) -> None:
    first = pages(tmp_path / "1", item("q7", 1.0), item("q8", 2.0))
    other = pages(tmp_path / "2", *(item(f"q{i}", -float(i)) for i in range(30)))
    anchor = make_anchor("questions", "q7")
    for found in (first, other):
        assert f'<section class="item" id="{anchor}"' in found[page_of(anchor)]


@pytest.mark.parametrize(
    "names",
    [
        ("a", "A"),
        ("../../x", "..-..-x"),
        ("\u0000\n", ""),
        ("é" * 9_000, "é" * 9_001),
        ("问", "题"),
    ],
)
def test_items_with_odd_names_each_have_an_address(names: tuple[str, str], tmp_path: Path) -> None:
    found = pages(tmp_path, *(item(name) for name in names))
    links = re.findall(r'href="([0-9a-f]{2}\.html#[a-z0-9-]+)"', found["index.html"])
    assert len(set(links)) == 2
    assert {path.parent for path in tmp_path.rglob("*.html")} == {tmp_path / "items"}


def test_items_of_one_name_in_two_tasks_each_have_an_address(tmp_path: Path) -> None:
    found = pages(tmp_path, item("q"), replace(item("q"), task="other"))
    assert "q" in page_with(found, "q")
    assert make_anchor("questions", "q") != make_anchor("other", "q")
    assert len(re.findall(r'href="[0-9a-f]{2}\.html#', found["index.html"])) == 2


def test_items_on_a_list_lead_to_those_beside_them(tmp_path: Path) -> None:
    found = pages(tmp_path, *(full_item(f"q{i}", float(i)) for i in range(3)))
    page = page_with(found, "q1")
    for name in ("q0", "q2"):
        anchor = make_anchor("questions", name)
        assert f'href="{page_of(anchor)}#{anchor}.flagged"' in page
    assert "2 of 3" in read_page(page).text


def test_words_that_the_other_answer_lacks_are_marked_in_both(tmp_path: Path) -> None:
    page = page_with(pages(tmp_path, full_item()), "q1")
    assert re.findall(r"<mark>([^<]*)</mark>", page) == ["feels good", "not", "hurts"]


def test_an_item_shows_answers_scores_and_what_was_said(tmp_path: Path) -> None:
    text = read_page(page_with(pages(tmp_path, item()), "q1")).text
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
    def skeletons(name: str, text: str) -> list[object]:
        prompts = partial(sent, text=text)
        write_item_pages([full_item(name, text=text)], tmp_path, title=text, prompts=prompts)
        return sorted(page_skeleton(path.read_text()) for path in tmp_path.rglob("*.html"))

    assert skeletons(f"q{payload}", payload) == skeletons("q-harmless", "harmless")


def test_pages_have_the_reports_policy_and_no_script(tmp_path: Path) -> None:
    for html in pages(tmp_path, item()).values():
        assert "default-src 'none'; style-src 'sha256-" in html.replace("&#39;", "'")
        assert "<script" not in html


def test_a_second_rendering_leaves_no_page_of_the_first(tmp_path: Path) -> None:
    assert len(pages(tmp_path, *(item(f"q{i}") for i in range(60)))) > 10
    assert len(pages(tmp_path, item())) == 4


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
