"""report.md: nothing in it acts on its reader."""

import re

import pytest
from markdown_it import MarkdownIt

from harness.types import RunResult
from reports import render_markdown
from reports.markdown import escape, fence
from reports.view import make_view
from tests.builders.doubts import doubted
from tests.builders.hostile import PAYLOADS, clean_run, hostile_run
from tests.builders.results import ALL_RUNS, passing_run

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


RUNS = {name: make() for name, make in ALL_RUNS.items()} | {"doubted": doubted(passing_run())}


@pytest.mark.parametrize("result", RUNS.values(), ids=RUNS)
def test_every_table_is_shown_or_said_to_be_in_the_html_report(result: RunResult) -> None:
    sections = dict(re.findall(r"(?ms)^## (.+?)$(.*?)(?=^## |\Z)", render_markdown(result)))
    for section in make_view(result).sections:
        text = sections.get(escape(section.title), "")
        for table in section.tables:
            line = rf"^### {re.escape(escape(table.title))}$"
            if table.folded:
                line = rf"^_Only in the HTML report: .*{re.escape(escape(table.title))}"
            assert re.search(line, text, re.MULTILINE), (section.title, table.title)


@pytest.mark.parametrize("result", RUNS.values(), ids=RUNS)
def test_no_section_of_the_html_report_is_missing(result: RunResult) -> None:
    text = render_markdown(result)
    for section in make_view(result).sections:
        assert f"\n## {escape(section.title)}\n" in text
        assert escape(section.lead) in text
