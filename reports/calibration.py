"""calibration.html, .md and .json beside a run's report: its judge held to people."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.core.files import write_private
from harness.core.sanitize import escape_record
from harness.types import Calibrated, Calibration, HumanSummary, JudgeAgainstPeople
from reports.calibration_text import headline, labels_needed, on_scale, signed_span
from reports.components import Section, Table, without_empty_columns
from reports.formatting import ABSENT, count, number, share_with_span, with_span
from reports.html import render_page
from reports.human_inputs import CALIBRATION
from reports.markdown import escape, sections_to_markdown


def write_calibration(found: Calibration, folder: Path) -> Path:
    """Write the three files, each whole or not at all; returns the path of the HTML.

    Raises:
        InfrastructureError: one could not be written.
    """
    html = folder / f"{CALIBRATION}.html"
    dumped = json.dumps(found.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_private(folder / f"{CALIBRATION}.json", dumped.encode(errors="backslashreplace"))
    write_private(
        folder / f"{CALIBRATION}.md", calibration_markdown(found).encode(errors="replace")
    )
    write_private(html, calibration_html(found).encode(errors="replace"))
    return html


def calibration_html(found: Calibration) -> str:
    """One page in the report's style, which asks nothing of the network."""
    found = escape_record(found)
    return render_page(
        "calibration.html",
        title=f"{found.candidate} against {found.baseline}",
        provenance=_provenance(found),
        headline=list(headline(found)),
        sections=list(_sections(found)),
    )


def calibration_markdown(found: Calibration) -> str:
    """The same in GitHub-flavoured Markdown."""
    found = escape_record(found)
    title = f"# Judge and people: {escape(f'{found.candidate} against {found.baseline}')}"
    lines = [escape(line) for line in headline(found)]
    blocks = [title, escape(_provenance(found)), *lines, *sections_to_markdown(_sections(found))]
    return "\n\n".join(blocks) + "\n"


# --- sections --------------------------------------------------------------------------------


def _provenance(found: Calibration) -> str:
    return f"{found.suite}, run {found.run_id} · {found.people.source}: {found.people.sampling}"


def _sections(found: Calibration) -> Iterator[Section]:
    alerts = (*([found.refused] if found.refused else []), *found.notes)
    yield Section(
        name="people",
        title="What people say",
        lead=f"Rule for annotators, stated beforehand: {found.people.rule}.",
        alerts=tuple(alert[0].upper() + alert[1:] for alert in alerts),
        tables=tuple(_people_tables(found.people)),
    )
    if found.judges:
        yield Section(
            name="agreement",
            title="Does the judge agree with people?",
            lead="How often two annotators agree is the most that a judge can be asked for.",
            tables=(_agreement_table(found.judges), *_confusions(found.judges)),
        )
        yield Section(
            name="leanings",
            title="Where does the judge lean?",
            tables=tuple(_leanings(found.judges)),
        )
    if found.corrected:
        yield Section(
            name="corrected",
            title="What would people say of all items?",
            lead="The judge alone is precise and may be wrong; the labels alone are right and few. "
            "The corrected estimate is right on average whatever the judge does.",
            tables=(_corrected_table(found.corrected),),
        )


def _people_tables(found: HumanSummary) -> Iterator[Table]:
    if found.means:
        yield _means_table(found)
    yield _annotators_table(found)
    if found.agreements:
        yield _between_table(found)


def _means_table(found: HumanSummary) -> Table:
    rows = tuple(
        (
            m.column,
            on_scale(m.mean, m.null),
            on_scale(m.of_items, m.null),
            f"{m.n_items:,}",
            f"{m.n_annotators:,}",
            f"{m.n_votes:,}",
        )
        for m in found.means
    )
    return Table(
        "The result",
        ("Column", "Estimate", "For these annotators alone", "Items", "Annotators", "Votes"),
        "lrrrrr",
        rows,
        note="The first interval holds for other items and other annotators like these "
        "(two-way cluster-robust), the second for other items alone.",
    )


def _annotators_table(found: HumanSummary) -> Table:
    rows = tuple(
        (
            a.name,
            "yes" if a.counted else "no: excluded by the rule",
            f"{a.n_votes:,}",
            share_with_span(a.mean),
            f"{a.n_attentive} of {a.n_attention}" if a.n_attention else ABSENT,
            f"{a.n_same} of {a.n_repeats}" if a.n_repeats else ABSENT,
        )
        for a in found.annotators
    )
    head = ("Annotator", "Counts", "Votes", "Win rate", "Attention items", "Repeats judged alike")
    return without_empty_columns(Table("Who voted", head, "llrrrr", rows))


def _between_table(found: HumanSummary) -> Table:
    rows = tuple(
        (
            a.column,
            share_with_span(a.percent),
            with_span(a.alpha, 2),
            with_span(a.ac1, 2),
            with_span(a.kappa, 2),
            f"{a.n:,}",
        )
        for a in found.agreements
    )
    head = (
        "Column",
        "Same verdict",
        "Krippendorff's alpha",
        "Gwet's AC1/AC2",
        "Cohen's kappa",
        "n",
    )
    note = ""
    if found.same_again is not None:
        note = (
            f"Asked again, the same annotator said the same in {share_with_span(found.same_again)} "
            f"of {count(found.n_again, 'repeat')}."
        )
    table = Table("Do annotators agree?", head, "lrrrrr", rows, note=note)
    return without_empty_columns(table)


def _agreement_table(judges: Iterable[JudgeAgainstPeople]) -> Table:
    rows = tuple(
        (
            held.column,
            held.judge,
            f"{held.n:,}",
            f"{held.unscored:,}" if held.unscored else ABSENT,
            share_with_span(held.percent),
            with_span(held.kappa, 2),
            with_span(held.ac1, 2),
            share_with_span(held.single),
            ABSENT if held.between is None else share_with_span(held.between.percent),
        )
        for held in judges
    )
    head = ("Column", "Judge", "n", "No verdict", "Same verdict", "Cohen's kappa", "Gwet's AC1/AC2",
            "Judge and one annotator", "Two annotators")  # fmt: skip
    table = Table(
        "Agreement with 95 % intervals",
        head,
        "llrrrrrrr",
        rows,
        note="Same verdict, kappa and AC1 are with the annotators' common verdict. Kappa and AC1 "
        "leave out what chance would give; kappa is low where one verdict is common, however "
        "well the two agree.",
    )
    return without_empty_columns(table)


def _confusions(judges: Iterable[JudgeAgainstPeople]) -> Iterator[Table]:
    for held in judges:
        rows = tuple(
            (f"people: {said}", *(f"{n:,}" for n in counts))
            for said, counts in zip(held.categories, held.confusion, strict=True)
        )
        yield Table(
            f"{held.column}: people's verdicts and the judge's",
            ("", *(f"judge: {name}" for name in held.categories)),
            "l" + "r" * len(held.categories),
            rows,
            folded=len(held.categories) > 5,
        )


def _leanings(judges: Iterable[JudgeAgainstPeople]) -> Iterator[Table]:
    biases = tuple(
        (
            held.column,
            bias.what,
            number(bias.judge, 3),
            number(bias.people, 3),
            signed_span(bias.difference),
            f"{bias.n:,}",
        )
        for held in judges
        for bias in held.biases
    )
    if biases:
        yield Table(
            "Judge less people",
            ("Column", "What", "Judge", "People", "Difference", "n"),
            "llrrrr",
            biases,
            note="An interval that lies on one side of 0 shows that the judge leans that way more "
            "than people do.",
        )
    orders = tuple(
        (held.column, order.order.replace("_", " "), share_with_span(order.percent), f"{order.n:,}")
        for held in judges
        for order in held.orders
    )
    if orders:
        head = ("Column", "Order shown to the judge", "Same verdict as people", "n")
        yield Table("By order", head, "llrr", orders)
    slopes = tuple(
        (held.column, with_span(held.slope, 2), f"{held.n:,}")
        for held in judges
        if held.slope is not None
    )
    if slopes:
        yield Table(
            "Compression",
            ("Column", "Slope of the judge's scores on people's", "n"),
            "lrr",
            slopes,
            note="1 is the same spread; below 1 the judge's scores move less than people's. Noise "
            "in people's scores lowers it too.",
        )


def _corrected_table(corrected: Iterable[Calibrated]) -> Table:
    rows = tuple(
        (
            line.column,
            line.of,
            *(on_scale(e.interval, line.null) for e in line.estimates),
            " / ".join(f"{e.n:,}" for e in line.estimates[:2]),
            labels_needed(line),
        )
        for line in corrected
    )
    head = ("Column", "Of", "Judge alone", "Labels alone", "Corrected", "Items / labels",
            "More labels")  # fmt: skip
    note = (
        "Corrected by PPI++ (arXiv 2311.01453) with Student's t; shares of yes by double sampling "
        "(Tenenbein 1970)."
    )
    return Table("Three estimates with 95 % intervals", head, "llrrrrl", rows, note=note)
