"""succession.html, .md and .json in a run folder: whether a judge may succeed the run's judge."""

import json
from collections.abc import Iterator
from pathlib import Path

from harness.core.files import write_private
from harness.core.sanitize import escape_record
from harness.types.succession import JudgeShift, JudgeSuccession, ScoreMap
from reports.components import LABELS, Section, Table
from reports.formatting import (
    count,
    number,
    number_or_dash,
    share_with_interval,
    signed,
    signed_with_interval,
    with_interval,
)
from reports.html import render_page
from reports.markdown import escape, sections_to_markdown

SUCCESSION = "succession"  # the name of the three files


def write_succession(shown: JudgeSuccession, folder: Path) -> Path:
    """Write the three files, each atomically, and return the path of the HTML.

    Raises:
        InfrastructureError: a file could not be written.
    """
    html = folder / f"{SUCCESSION}.html"
    dumped = json.dumps(shown.model_dump(mode="json"), indent=1, ensure_ascii=False)
    shown = escape_record(shown)
    title, sections = _title(shown), list(_sections(shown))
    headline = [f"{LABELS[shown.verdict].word}: {shown.sentence}", *shown.notes]
    provenance = f"{shown.suite} · run {shown.run_id}"
    head = [f"# {escape(title)}", escape(provenance), *map(escape, headline)]
    markdown = "\n\n".join([*head, *sections_to_markdown(sections)]) + "\n"
    page = render_page(
        "calibration.html",
        title=title,
        provenance=provenance,
        headline=headline,
        sections=sections,
    )
    write_private(folder / f"{SUCCESSION}.json", dumped.encode(errors="backslashreplace"))
    write_private(folder / f"{SUCCESSION}.md", markdown.encode(errors="replace"))
    write_private(html, page.encode(errors="replace"))
    return html


def describe_succession(shown: JudgeSuccession) -> Iterator[str]:
    """Describe in lines what each judge says, whether verdicts would change, and the agreement."""
    yield f"{shown.verdict}: {shown.sentence}"
    for shift in shown.shifts:
        yield (
            f"  {shift.column}, {shift.of}: {shown.old} {number_or_dash(shift.old, 3)}, "
            f"{shown.new} {number_or_dash(shift.new, 3)}, shift {signed(shift.result.estimate, 3)} "
            f"({_bounds(shift)}), margin {shift.margin:g}, n {shift.n:,}: {_why(shift)}"
        )
    for claim in shown.claims:
        change = "is the same" if claim.old == claim.new else "would change"
        yield f"  verdict on {claim.claim} {change}: {claim.old} -> {claim.new}"
    for part in shown.agreements:
        found = part.agreement
        yield (
            f"  {found.column}, {part.over}: same verdict {share_with_interval(found.percent)}, kappa "
            f"{with_interval(found.kappa, 2)}, n {found.n:,}"
        )
    for judge in shown.people:
        yield (
            f"  {judge.column}, {judge.judge} and people: same verdict {share_with_interval(judge.percent)}, "
            f"kappa {with_interval(judge.kappa, 2)}, n {judge.n:,}"
        )
    yield from shown.notes
    if shown.carried:
        yield f"{shown.carried}: now has the scores of {shown.new}"


def _title(shown: JudgeSuccession) -> str:
    return f"May {shown.new} succeed {shown.old} as judge?"


def _sections(shown: JudgeSuccession) -> Iterator[Section]:
    yield Section(
        name="equivalence",
        title="What the judges say of the models",
        lead="The new judge may succeed the old one where both see the same difference between the models, "
        "within a margin stated beforehand. Both one-sided tests are made at "
        f"alpha {shown.alpha:g} by the rules of the gate, and all columns must pass.",
        tables=(_shift_table(shown),),
        notes=tuple(f"{shift.column}, {shift.of}: {_why(shift)}" for shift in shown.shifts),
    )
    if shown.claims:
        yield Section(
            name="claims",
            title="The gate's verdicts by each judge's scores",
            tables=(_claim_table(shown),),
        )
    yield Section(
        name="agreement",
        title="Agreement of the judges",
        lead="It is shown, and decides nothing: judges that agree often can still lean to one model, and "
        "a stricter judge agrees seldom and may see the same difference.",
        tables=(_agreement_table(shown), *(_people_table(shown) if shown.people else ())),
    )
    yield Section(
        name="scores",
        title="How the scores map",
        lead="The new judge's mean score for each score of the old judge, over all answers or pairs.",
        tables=tuple(_map_table(column, shown) for column in shown.maps),
    )


def _shift_table(shown: JudgeSuccession) -> Table:
    head = ("Column", "Of", shown.old, shown.new, "Shift", "Bounds", "Margin", "n", "Missing",
            "Verdict")  # fmt: skip
    rows = tuple(
        (
            shift.column,
            shift.of,
            number_or_dash(shift.old, 3),
            number_or_dash(shift.new, 3),
            signed(shift.result.estimate, 3),
            _bounds(shift),
            f"{shift.margin:g}",
            f"{shift.n:,}",
            f"{shift.n_missing:,}",
            LABELS[shift.result.verdict].word.lower(),
        )
        for shift in shown.shifts
    )
    return Table("New judge less old judge", head, "llrrrrrrrl", rows)


def _why(shift: JudgeShift) -> str:
    needed = shift.result.n_needed
    advice = (
        f"; about {count(needed, 'item')} needed if the truth is the estimate" if needed else ""
    )
    return f"{shift.result.why}{advice}"


def _bounds(shift: JudgeShift) -> str:
    low, high = shift.result.bound, shift.result.bound_high
    if low is None or high is None:
        return "no bounds"
    return f"{signed(low, 3)} to {signed(high, 3)}"


def _claim_table(shown: JudgeSuccession) -> Table:
    rows = tuple(
        (c.claim, c.old, c.new, "would change" if c.old != c.new else "the same")
        for c in shown.claims
    )
    return Table("Verdicts", ("Claim", shown.old, shown.new, "Verdict"), "llll", rows)


def _agreement_table(shown: JudgeSuccession) -> Table:
    rows = tuple(
        (
            part.agreement.column,
            part.over,
            f"{part.agreement.n:,}",
            share_with_interval(part.agreement.percent),
            with_interval(part.agreement.kappa, 2),
            with_interval(part.agreement.ac1, 2),
        )
        for part in shown.agreements
    )
    head = ("Column", "Over", "n", "Same verdict", "Cohen's kappa", "Gwet's AC1/AC2")
    return Table("Agreement with 95 % intervals", head, "llrrrr", rows)


def _people_table(shown: JudgeSuccession) -> Iterator[Table]:
    rows = tuple(
        (
            judge.column,
            judge.judge,
            f"{judge.n:,}",
            share_with_interval(judge.percent),
            with_interval(judge.kappa, 2),
            signed_with_interval(
                judge.difference_bias.difference if judge.difference_bias else None
            ),
        )
        for judge in shown.people
    )
    head = ("Column", "Judge", "n", "Same verdict", "Cohen's kappa", "Bias of the difference")
    yield Table("Each judge and people", head, "llrrrr", rows)


def _map_table(column: ScoreMap, shown: JudgeSuccession) -> Table:
    rows = tuple((f"{s.old:g}", number(s.new, 2), f"{s.n:,}") for s in column.steps)
    return Table(column.column, (shown.old, f"{shown.new}, mean", "n"), "rrr", rows)
