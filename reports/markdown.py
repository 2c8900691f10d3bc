r"""report.md: the report for a pull request or a wiki; charts and folded tables are only named.

Model outputs are put in a fence longer than any run of backticks in them. Everything else is
escaped, so that nothing becomes a link, an image, a mention or HTML.

    rubric.safety → rubric.safety, <b> → \<b\>, @octocat → \@&#8203;octocat
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from harness.core.sanitize import one_line
from harness.types import RunResult
from reports.components import (
    CAVEATS_TITLE,
    FACTS_TITLE,
    NEXT_TITLE,
    ExampleCard,
    Section,
    Table,
    TextBlock,
    View,
)
from reports.human_inputs import NO_HUMAN_INPUTS, HumanInputs
from reports.view import make_view

_SPECIAL = re.compile(r"[\\`*_\[\]<>!|~&$]")
_AUTOLINK = re.compile(r"(?i)(?<=www)\.|(?<=\w)://")
_MENTION = re.compile(r"[@#]")


def render_markdown(
    result: RunResult,
    *,
    human_inputs: HumanInputs = NO_HUMAN_INPUTS,
    pages: Sequence[str] = (),
) -> str:
    """Return the report in GitHub-flavoured Markdown."""
    return view_to_markdown(make_view(result, human_inputs, pages))


def view_to_markdown(view: View) -> str:
    blocks = [*_first_screen(view), *sections_to_markdown(view.sections)]
    return "\n\n".join([*blocks, f"_{escape(view.footer)}_"]) + "\n"


def sections_to_markdown(sections: Iterable[Section]) -> list[str]:
    """Return the blocks of the sections, to be joined by empty lines."""
    return [block for section in sections for block in _section(section)]


def escape(text: str) -> str:
    """Return the text on one line, with everything escaped that Markdown or GitHub would act on."""
    text = _SPECIAL.sub(r"\\\g<0>", one_line(text))
    text = _AUTOLINK.sub(lambda match: "\\" + match.group(), text)
    # A backslash does not stop GitHub's mentions and issue links; a zero-width space does.
    return _MENTION.sub(r"\\\g<0>&#8203;", text)


def fence(text: str) -> str:
    """Return the text verbatim, in a fence that it cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{text}\n{ticks}"


def _first_screen(view: View) -> Iterator[str]:
    yield f"# {view.verdict.symbol} {view.verdict.word}: {escape(view.title)}"
    yield f"**{escape(view.sentence)}**"
    yield "  \n".join(escape(line) for line in (*view.summary, view.provenance))
    if view.next_steps:
        yield f"## {NEXT_TITLE}"
        yield "\n".join(f"- {escape(step)}" for step in view.next_steps)
    if view.caveats:
        yield f"## {CAVEATS_TITLE}"
        yield "\n".join(f"- {escape(caveat)}" for caveat in view.caveats)
    if view.claims:
        head = ("Verdict", view.claims_title.removesuffix("s"), "Reason", "Numbers")
        rows = tuple(
            (f"{claim.verdict.symbol} {claim.verdict.word}", claim.claim, claim.why,
             " · ".join(claim.numbers))
            for claim in view.claims
        )  # fmt: skip
        yield f"## {escape(view.claims_title)}"
        yield _grid(Table(view.claims_title, head, "llll", rows))
        yield escape(view.claims_note)
    yield f"## {FACTS_TITLE}"
    yield "\n".join(
        f"- {fact.label}: **{escape(fact.name)}**, {escape(fact.detail)}" for fact in view.facts
    )


def _section(section: Section) -> list[str]:
    """Return the section's blocks, the last of which names what only the HTML page shows."""
    blocks = [*_section_body(section), *_only_in_html(section)]
    if section.alerts:
        blocks.insert(0, "\n".join(f"- **{escape(alert)}**" for alert in section.alerts))
    lead = [escape(section.lead)] if section.lead else []
    links = [f"[{escape(link.text)}]({link.page}.md)" for link in section.links]
    return (
        [f"## {escape(section.title)}", *lead, *links, *blocks] if lead or blocks or links else []
    )


def _section_body(section: Section) -> Iterator[str]:
    for table in section.tables:
        if not table.folded:
            yield f"### {escape(table.title)}"
            if table.note:
                yield escape(table.note)
            yield _grid(table)
    for example in section.examples:
        yield from _example(example)
    for block in section.text_blocks:
        yield from _text_block(block)
    if section.notes:
        yield "\n".join(f"- {escape(note)}" for note in section.notes)


def _only_in_html(section: Section) -> Iterator[str]:
    """Yield a line that names the charts and folded tables, which a lead or note may announce."""
    names = [table.title for table in section.tables if table.folded]
    if section.charts:
        names.insert(0, "charts")
    if names:
        yield f"_Only in the HTML report: {escape('; '.join(names))}._"


def _example(example: ExampleCard) -> Iterator[str]:
    yield f"### {escape(example.title)}"
    for block in (*example.question, *example.answers):
        yield from _text_block(block)


def _text_block(block: TextBlock) -> Iterator[str]:
    note = f" ({escape(block.note)})" if block.note else ""
    yield f"**{escape(block.title)}**{note}"
    yield fence(block.text)


def _grid(table: Table) -> str:
    rule = ["---:" if side == "r" else "---" for side in table.align]
    rows = [[escape(name) for name in table.head], rule]
    rows += [[escape(cell) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
