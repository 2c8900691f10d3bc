from collections.abc import Iterator

from harness.core.sanitize import escape_invisible, escape_record
from reports.calibration_text import headline
from reports.components import Link, Section, Table
from reports.formatting import count
from reports.human_inputs import CALIBRATION, HumanInputs, StudyProgress


def people_section(beside: HumanInputs) -> Section | None:
    """Who has voted so far, and what that says of the judge; None where there is nothing."""
    found = None if beside.calibration is None else escape_record(beside.calibration)
    if not (beside.studies or found or beside.unread):
        return None
    return Section(
        name="people",
        title="What do people say?",
        lead=" ".join(headline(found)) if found else _lead(beside.studies),
        alerts=tuple(map(escape_invisible, (*_newer(beside), *beside.unread))),
        tables=(_studies_table(beside.studies),) if beside.studies else (),
        links=(Link(CALIBRATION, "The judge held to people, and corrected by them"),)
        if found
        else (),
    )


def _lead(studies: tuple[StudyProgress, ...]) -> str:
    if any(study.n_votes for study in studies):
        return "`harness calibrate` says what these votes come to."
    return "A study was begun, and nobody has voted yet." if studies else ""


def _newer(beside: HumanInputs) -> Iterator[str]:
    """Votes that were cast, or taken back, after the judge was held to them."""
    if beside.calibration is None:
        return
    people = beside.calibration.people
    known = sum(line.n_votes for line in people.annotators)
    for study in beside.studies:
        if study.source == people.source and study.n_real != known:
            yield (
                f"There were {count(known, 'vote')} when the judge was held to people, and there are "
                f"{study.n_real:,} now: run `harness calibrate` again."
            )


def _studies_table(studies: tuple[StudyProgress, ...]) -> Table:
    rows = tuple(
        (
            escape_invisible(study.name),
            escape_invisible(study.asks),
            f"{study.n_annotators:,}",
            f"{study.n_votes:,} of {study.n_annotators * study.n_pairs:,}"
            if study.n_votes
            else "none",
        )
        for study in studies
    )
    return Table(
        "Votes so far",
        ("Study", "Question", "Annotators", "Votes"),
        "llll",
        rows,
        note="Counted when this page was written; `harness report` counts again. All votes are every "
        "pair of everybody who has begun.",
    )
