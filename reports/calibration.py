"""calibration.html, .md and .json in a run folder: agreement of the run's judge with people."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.core.files import write_private
from harness.core.sanitize import escape_record
from harness.gate.confirmation import confirmation_caveats
from harness.types import Calibrated, Calibration, HumanSummary, JudgeAgainstPeople
from reports.calibration_text import (
    calibration_headline,
    format_estimate,
    labels_needed,
)
from reports.components import Section, Table, without_empty_columns
from reports.formatting import (
    ABSENT,
    count,
    share_with_interval,
    with_interval,
)
from reports.html import render_page
from reports.human_inputs import CALIBRATION
from reports.markdown import escape, sections_to_markdown
from reports.sections.agreement import bias_table, model_agreement_table, rater_pair_tables
from reports.sections.judge_reliability import confirmation_table


def write_calibration(calibration: Calibration, folder: Path) -> Path:
    """Write the three files, each atomically, and return the path of the HTML.

    Raises:
        InfrastructureError: a file could not be written.
    """
    html = folder / f"{CALIBRATION}.html"
    dumped = json.dumps(calibration.model_dump(mode="json"), indent=1, ensure_ascii=False)
    markdown = calibration_markdown(calibration)
    write_private(folder / f"{CALIBRATION}.json", dumped.encode(errors="backslashreplace"))
    write_private(folder / f"{CALIBRATION}.md", markdown.encode(errors="replace"))
    write_private(html, calibration_html(calibration).encode(errors="replace"))
    return html


def calibration_html(calibration: Calibration) -> str:
    """Return the calibration as one HTML page in the report's style, without network requests."""
    calibration = escape_record(calibration)
    return render_page(
        "calibration.html",
        title=_title(calibration),
        provenance=_provenance(calibration),
        headline=list(calibration_headline(calibration)),
        sections=list(_sections(calibration)),
    )


def calibration_markdown(calibration: Calibration) -> str:
    """Return the calibration in GitHub-flavoured Markdown."""
    calibration = escape_record(calibration)
    head = [f"# {escape(_title(calibration))}", escape(_provenance(calibration))]
    head += [escape(line) for line in calibration_headline(calibration)]
    return "\n\n".join([*head, *sections_to_markdown(_sections(calibration))]) + "\n"


# --- sections --------------------------------------------------------------------------------


def _title(calibration: Calibration) -> str:
    if calibration.candidate == calibration.baseline:
        return f"Calibration of the judge: {calibration.candidate} alone"
    return f"Calibration of the judge: {calibration.candidate} against {calibration.baseline}"


def _provenance(calibration: Calibration) -> str:
    labels = calibration.people
    return f"{calibration.suite}, run {calibration.run_id} · {labels.source}: {labels.sampling}"


def _sections(calibration: Calibration) -> Iterator[Section]:
    alerts = (*([calibration.refused] if calibration.refused else []), *calibration.notes)
    yield Section(
        name="people",
        title="Results of the annotators",
        lead=f"Rule for annotators, set in advance: {calibration.people.rule}.",
        alerts=tuple(alert[0].upper() + alert[1:] for alert in alerts),
        tables=tuple(_people_tables(calibration.people)),
    )
    if calibration.judges:
        yield Section(
            name="agreement",
            title="Agreement of the judge with people",
            lead="The agreement between two annotators is the most that can be expected of a judge.",
            tables=(
                _agreement_table(calibration.judges),
                *model_agreement_table(
                    (judge.column, judge.models) for judge in calibration.judges
                ),
                *_confusion_tables(calibration.judges),
            ),
        )
        yield Section(
            name="biases",
            title="Biases of the judge",
            tables=tuple(_bias_tables(calibration.judges)),
        )
    if calibration.corrected or calibration.confirmations:
        yield Section(
            name="corrected",
            title="Estimates for all items, corrected with the labels",
            lead="The judge alone is precise but may be biased; the labels alone are unbiased but few. "
            "The corrected estimate is unbiased whatever the judge does.",
            alerts=tuple(caveat.text for caveat in confirmation_caveats(calibration.confirmations)),
            tables=(
                *([_corrected_table(calibration.corrected)] if calibration.corrected else []),
                *confirmation_table(calibration.confirmations),
            ),
        )


def _people_tables(summary: HumanSummary) -> Iterator[Table]:
    if summary.means:
        yield _means_table(summary)
    yield _annotators_table(summary)
    if summary.agreements:
        yield _between_table(summary)
        yield from rater_pair_tables("Agreement between annotators", summary.agreements)


def _means_table(summary: HumanSummary) -> Table:
    rows = tuple(
        (
            m.column,
            format_estimate(m.mean, m.null),
            format_estimate(m.of_items, m.null),
            f"{m.n_items:,}",
            f"{m.n_annotators:,}",
            f"{m.n_votes:,}",
        )
        for m in summary.means
    )
    return Table(
        "Results by column",
        ("Column", "Estimate", "For these annotators only", "Items", "Annotators", "Votes"),
        "lrrrrr",
        rows,
        note="The first interval generalises to other items and other annotators like these (two-way "
        "cluster-robust), the second to other items judged by the same annotators.",
    )


def _annotators_table(summary: HumanSummary) -> Table:
    rows = tuple(
        (
            a.name,
            "yes" if a.counted else "no: excluded by the rule",
            f"{a.n_votes:,}",
            share_with_interval(a.mean),
            f"{a.n_attentive} of {a.n_attention}" if a.n_attention else ABSENT,
            f"{a.n_same} of {a.n_repeats}" if a.n_repeats else ABSENT,
        )
        for a in summary.annotators
    )
    head = ("Annotator", "Included", "Votes", "Win rate", "Attention items passed",
            "Repeats judged equally")  # fmt: skip
    return without_empty_columns(Table("Annotators", head, "llrrrr", rows))


def _between_table(summary: HumanSummary) -> Table:
    rows = tuple(
        (
            a.column,
            share_with_interval(a.percent),
            with_interval(a.alpha, 2),
            with_interval(a.ac1, 2),
            with_interval(a.kappa, 2),
            f"{a.n:,}",
        )
        for a in summary.agreements
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
    if summary.same_again is not None:
        same = share_with_interval(summary.same_again)
        note = (
            f"Shown the same pair again, annotators gave the same verdict in {same} of "
            f"{count(summary.n_again, 'repeat')}."
        )
    table = Table("Agreement between annotators", head, "lrrrrr", rows, note=note)
    return without_empty_columns(table)


def _agreement_table(judges: Iterable[JudgeAgainstPeople]) -> Table:
    rows = tuple(row for judge in judges for row in _agreement_rows(judge))
    head = ("Column", "Judge", "Counting", "n", "No verdict", "No majority", "Same verdict",
            "Cohen's kappa", "Gwet's AC1/AC2", "Judge and one annotator",
            "Two annotators")  # fmt: skip
    table = Table(
        "Agreement with 95 % intervals",
        head,
        "lllrrrrrrrr",
        rows,
        note="Same verdict, kappa and AC1 compare the judge with the verdict of the majority of the "
        "annotators; items without a majority are counted and left out. Strict: the judge's verdict is "
        "the same in both orders and equal to people's. Lenient: a pair whose winner depends on the "
        "order counts by the mean of its verdicts, as a tie if each answer wins once. "
        "Kappa and AC1 are corrected for chance; kappa is low where one verdict is much more common "
        "than the others, even if the two agree well.",
    )
    return without_empty_columns(table)


def _agreement_rows(judge: JudgeAgainstPeople) -> Iterator[tuple[str, ...]]:
    """Yield the strict and the lenient agreement of a judge, or its only one."""
    lenient = ABSENT if judge.strict is None else "lenient"
    for counting, measures in (("strict", judge.strict), (lenient, judge)):
        if measures is not None:
            yield (
                judge.column,
                judge.judge,
                counting,
                f"{judge.n:,}",
                f"{judge.unscored:,}" if judge.unscored else ABSENT,
                f"{judge.undecided:,}" if judge.undecided else ABSENT,
                share_with_interval(measures.percent),
                with_interval(measures.kappa, 2),
                with_interval(measures.ac1, 2),
                share_with_interval(measures.single),
                ABSENT if judge.between is None else share_with_interval(judge.between.percent),
            )


def _confusion_tables(judges: Iterable[JudgeAgainstPeople]) -> Iterator[Table]:
    for judge in judges:
        if not judge.categories:  # shares, of which hardly two are equal
            continue
        rows = tuple(
            (f"people: {category}", *(f"{n:,}" for n in counts))
            for category, counts in zip(judge.categories, judge.confusion, strict=True)
        )
        yield Table(
            f"{judge.column}: verdicts of people and of the judge",
            ("", *(f"judge: {category}" for category in judge.categories)),
            "l" + "r" * len(judge.categories),
            rows,
            folded=len(judge.categories) > 5,
        )


def _bias_tables(judges: Sequence[JudgeAgainstPeople]) -> Iterator[Table]:
    yield from bias_table((judge.column, judge.all_biases) for judge in judges)
    # Agreement by the order in which the judge saw the answers.
    orders = tuple(
        (
            judge.column,
            order.order.replace("_", " "),
            share_with_interval(order.percent),
            f"{order.n:,}",
        )
        for judge in judges
        for order in judge.orders
    ) + tuple(
        (judge.column, "mean of both orders", share_with_interval(judge.over_orders), ABSENT)
        for judge in judges
        if judge.over_orders is not None
    )
    if orders:
        head = ("Column", "Order shown to the judge", "Same verdict as people", "n")
        yield Table("Agreement by order of the answers", head, "llrr", orders)
    # Spread of the scores.
    slopes = tuple(
        (judge.column, with_interval(judge.slope, 2), f"{judge.n:,}")
        for judge in judges
        if judge.slope is not None
    )
    if slopes:
        yield Table(
            "Compression of the scale",
            ("Column", "Slope of the judge's scores on people's", "n"),
            "lrr",
            slopes,
            note="A slope of 1 means the same spread; below 1 the judge's scores vary less than "
            "people's. Noise in people's scores also lowers the slope.",
        )


def _corrected_table(corrected: Iterable[Calibrated]) -> Table:
    rows = tuple(
        (
            line.column,
            line.of,
            *(format_estimate(e.interval, line.null) for e in line.estimates),
            " / ".join(f"{e.n:,}" for e in line.estimates[:2]),
            labels_needed(line),
        )
        for line in corrected
    )
    head = ("Column", "Model", "Judge alone", "Labels alone", "Corrected", "Items / labels",
            "More labels needed")  # fmt: skip
    note = (
        "Corrected by PPI++ (arXiv 2311.01453) with Student's t; proportions by double sampling "
        "(Tenenbein 1970)."
    )
    return Table("Three estimates with 95 % intervals", head, "llrrrrl", rows, note=note)
