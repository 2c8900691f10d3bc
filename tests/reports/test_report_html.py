"""report.html: whole, safe, and self-contained."""

import base64
import hashlib
import re
from collections.abc import Callable

import pytest

from harness.types import RunResult
from reports import render_html
from tests.builders.hostile import PAYLOADS, clean_run, hostile_run
from tests.builders.html_pages import page_skeleton, read_page
from tests.builders.results import (
    ALL_RUNS,
    inconclusive_run,
    passing_run,
    run_without_gate,
)

Run = Callable[[], RunResult]
CLEAN = page_skeleton(render_html(clean_run()))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_adds_no_element_and_no_attribute(payload: str) -> None:
    assert page_skeleton(render_html(hostile_run(payload))) == CLEAN


def test_nothing_points_out_of_the_page() -> None:
    for _, attributes in read_page(render_html(hostile_run("\n".join(PAYLOADS)))).tags:
        assert not {"src", "srcset", "style", "action", "data"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert re.fullmatch(r"#[a-z]+|data:,", attributes.get("href") or "data:,")


def test_there_is_no_script() -> None:
    assert "script" not in {tag for tag, _ in CLEAN}


def test_unseen_characters_are_written_out() -> None:
    text = read_page(render_html(hostile_run("\u202e\x00\ud800\u200b\x1b"))).text
    assert "⟨U+202E⟩⟨U+0000⟩⟨U+D800⟩⟨U+200B⟩⟨U+001B⟩" in text
    assert not re.search("[\u202e\x00\ud800\u200b\x1b]", text)


def test_the_policy_names_the_hash_of_the_style_sheet() -> None:
    page = read_page(render_html(passing_run()))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("run", ALL_RUNS.values(), ids=ALL_RUNS)
def test_every_element_id_is_unique(run: Run) -> None:
    ids = [a["id"] for _, a in read_page(render_html(run())).tags if "id" in a]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("run", ALL_RUNS.values(), ids=ALL_RUNS)
def test_every_chart_has_a_title_and_a_description(run: Run) -> None:
    tags = [tag for tag, a in read_page(render_html(run())).tags if "aria-hidden" not in a]
    assert tags.count("desc") == render_html(run()).count('role="img"')


def test_the_first_screen_says_who_judged_and_what_to_beware_of() -> None:
    before_the_sections = render_html(passing_run()).partition("<nav")[0]
    for said in (
        "PASS",
        "dpo against sft",
        "no language model",
        "120 + 60 items",
        "preference pairs",
    ):
        assert said in before_the_sections


def test_a_run_without_a_gate_gives_no_verdict() -> None:
    assert "NO GATE" in render_html(run_without_gate())


def test_missing_scores_are_counted_and_bounded() -> None:
    text = read_page(render_html(inconclusive_run())).text
    assert "9 of 1,080 scores are missing" in text
    assert "unreadable verdict: 7" in text


def test_equal_results_give_equal_bytes() -> None:
    assert render_html(passing_run()) == render_html(passing_run())
