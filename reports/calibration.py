"""calibration.html, .md and .json beside a run's report: its judge held to people."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.types import (
    Calibrated,
    Calibration,
    Interval,
    JudgeAgainstPeople,
    LicenceResult,
    PeopleFindings,
    PeopleMean,
)
from reports.html import render_page
from reports.markdown import escape, sections_to_markdown
from reports.parts import Section, Table, without_empty_columns
from reports.wording import ABSENT, count, number, percent, share_with_span, signed, with_span
from reports.write import write_file

STEM = "calibration"


def write_calibration(found: Calibration, folder: Path) -> Path:
    """Write the three files, each whole or not at all; returns the path of the HTML.

    Raises:
        InfrastructureError: one could not be written.
    """
    html = folder / f"{STEM}.html"
    dumped = json.dumps(found.model_dump(mode="json"), indent=1, ensure_ascii=False)
    write_file(folder / f"{STEM}.json", dumped.encode(errors="backslashreplace"))
    write_file(folder / f"{STEM}.md", calibration_markdown(found).encode(errors="replace"))
    write_file(html, calibration_html(found).encode(errors="replace"))
    return html


def calibration_html(found: Calibration) -> str:
    """One page in the report's style, which asks nothing of the network."""
    return render_page(
        "calibration.html",
        title=f"{found.candidate} against {found.baseline}",
        provenance=_provenance(found),
        headline=list(headline(found)),
        sections=list(_sections(found)),
    )


def calibration_markdown(found: Calibration) -> str:
    """The same in GitHub-flavoured Markdown."""
    title = f"# Judge and people: {escape(f'{found.candidate} against {found.baseline}')}"
    lines = [escape(line) for line in headline(found)]
    blocks = [title, escape(_provenance(found)), *lines, *sections_to_markdown(_sections(found))]
    return "\n\n".join(blocks) + "\n"


def describe_calibration(found: Calibration) -> Iterator[str]:
    """The findings in lines for a terminal, without what people alone came to."""
    for held in found.judges:
        yield f"{held.column}: {held.judge} against people, n {held.n}" + (
            f", {held.unscored} without its verdict" if held.unscored else ""
        )
        yield (
            f"  same verdict {share_with_span(held.percent)}, kappa {with_span(held.kappa, 2)}, "
            f"AC1/AC2 {with_span(held.ac1, 2)}"
        )
        if held.between is not None:
            yield (
                f"  with one annotator {share_with_span(held.single)}; two annotators with each "
                f"other {share_with_span(held.between.percent)} (the ceiling)"
            )
        yield from (f"  {line}" for line in _confusion_lines(held))
        for bias in held.biases:
            yield (
                f"  {bias.what}: judge {number(bias.judge, 3)}, people {number(bias.people, 3)}, "
                f"difference {_signed_span(bias.difference)}"
            )
        for order in held.orders:
            yield f"  {order.order.replace('_', ' ')}: same verdict {share_with_span(order.percent)}"
        if held.slope is not None:
            yield f"  slope of its scores on people's: {with_span(held.slope, 2)}"
    for line in found.corrected:
        yield f"{line.column}, {line.of}:"
        yield from (f"  {e.method}: {with_span(e.interval, 3)}, n {e.n}" for e in line.estimates)
        yield f"  {_labels_needed(line)}"
    if found.refused:
        yield found.refused
    yield from found.notes


def headline(found: Calibration) -> Iterator[str]:
    """What people say, and whether the judge says the same, in a sentence each."""
    for mean in found.people.means:
        yield f"People: {_mean_in_words(mean)}."
    for held in found.judges:
        ceiling = ""
        if held.between is not None and held.between.percent is not None:
            ceiling = f"; two annotators say the same {percent(held.between.percent.estimate)}"
        same = ABSENT if held.percent is None else percent(held.percent.estimate)
        yield (
            f"{held.judge} on {held.column}: says what people say in {same} of {held.n}, "
            f"kappa {with_span(held.kappa, 2)}{ceiling}."
        )


def licence_words(found: LicenceResult) -> str:
    """One line of a judge's licence."""
    return f"{found.column}, {found.judge}: {found.why}"


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


def _people_tables(found: PeopleFindings) -> Iterator[Table]:
    if found.means:
        yield _means_table(found)
    yield _annotators_table(found)
    if found.agreements:
        yield _between_table(found)


def _means_table(found: PeopleFindings) -> Table:
    rows = tuple(
        (
            m.column,
            _on_scale(m.mean, m.null),
            _on_scale(m.of_items, m.null),
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


def _annotators_table(found: PeopleFindings) -> Table:
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


def _between_table(found: PeopleFindings) -> Table:
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
            _signed_span(bias.difference),
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
            *(_on_scale(e.interval, line.null) for e in line.estimates),
            " / ".join(f"{e.n:,}" for e in line.estimates[:2]),
            _labels_needed(line),
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


# --- words -----------------------------------------------------------------------------------


def _on_scale(interval: Interval, null: float | None) -> str:
    """Win rates as they are, differences with their sign, means as they are."""
    return _signed_span(interval) if null == 0 else with_span(interval, 3)


def _signed_span(interval: Interval | None) -> str:
    if interval is None:
        return ABSENT
    low, high = signed(interval.low, 3), signed(interval.high, 3)
    return f"{signed(interval.estimate, 3)} ({low} to {high})"


def _mean_in_words(mean: PeopleMean) -> str:
    people = count(mean.n_annotators, "annotator")
    value = share_with_span(mean.mean) if mean.null == 0.5 else _signed_span(mean.mean)
    what = "win rate" if mean.null == 0.5 else "difference"
    alone = ". The interval speaks for this annotator alone" if mean.n_annotators == 1 else ""
    return f"{mean.column}, {what} {value}, {count(mean.n_items, 'item')}, {people}{alone}"


def _labels_needed(line: Calibrated) -> str:
    width = f"±{line.half_width:g}"
    if line.n_labels_needed is None:
        return f"{width} takes more items than there are"
    if not line.more_labels:
        return f"{width} is reached"
    return f"{line.more_labels:,} more for {width}"


def _confusion_lines(held: JudgeAgainstPeople) -> Iterator[str]:
    if len(held.categories) > 5:
        return
    names = ", ".join(held.categories)
    rows = "; ".join(
        f"{said}: {', '.join(map(str, counts))}"
        for said, counts in zip(held.categories, held.confusion, strict=True)
    )
    yield f"people by row, the judge's {names}: {rows}"
