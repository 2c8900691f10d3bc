"""report.md: nothing in it acts on its reader."""

import re

import pytest
from markdown_it import MarkdownIt

from reports import render_markdown
from reports.markdown import escape, fence
from tests.builders.hostile import PAYLOADS, clean_run, hostile_run

PARSER = MarkdownIt("commonmark").enable("table")


def _kinds(markdown: str) -> list[str]:
    """The kinds of all blocks and inline parts except plain text."""
    tokens = PARSER.parse(markdown)
    inline = [child for token in tokens for child in token.children or ()]
    plain = {"text", "text_special"}
    return [token.type for token in (*tokens, *inline) if token.type not in plain]


CLEAN = _kinds(render_markdown(clean_run()))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_adds_no_link_image_html_or_block(payload: str) -> None:
    assert _kinds(render_markdown(hostile_run(payload))) == CLEAN


@pytest.mark.parametrize("payload", ["https://evil.example", "www.evil.example", "@octocat", "#1"])
def test_github_finds_no_link_or_mention_outside_the_fences(payload: str) -> None:
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", render_markdown(hostile_run(payload)))
    assert payload not in outside


@pytest.mark.parametrize("text", ["```", "a ````` b", "`" * 40, "```\n# out\n```"])
def test_a_fence_is_longer_than_any_run_of_backticks_inside(text: str) -> None:
    tokens = PARSER.parse(fence(text))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == f"{text}\n"


def test_every_character_that_markdown_acts_on_is_escaped() -> None:
    assert escape("<>[]!|\\") == r"\<\>\[\]\!\|\\"
    assert escape("@x #1") == r"\@&#8203;x \#&#8203;1"
