"""The section on human annotation: votes so far, and the calibration of the judge against them."""

from collections.abc import Iterator

from harness.core.sanitize import escape_invisible, escape_record
from reports.calibration_text import calibration_headline
from reports.components import Link, Section, Table
from reports.formatting import count
from reports.human_inputs import CALIBRATION, HumanInputs, StudyProgress


def human_section(human_inputs: HumanInputs) -> Section | None:
    """Return the votes so far and the calibration's main results; None if there are neither."""
    studies, calibration = human_inputs.studies, human_inputs.calibration
    if calibration is not None:
        calibration = escape_record(calibration)
    if not (studies or calibration or human_inputs.problems):
        return None
    link = Link(CALIBRATION, "Agreement of the judge with human votes, and corrected estimates")
    return Section(
        name="people",
        title="Human votes",
        lead=" ".join(calibration_headline(calibration)) if calibration else _lead(studies),
        alerts=tuple(
            map(escape_invisible, (*_changed_votes(human_inputs), *human_inputs.problems))
        ),
        tables=(_studies_table(studies),) if studies else (),
        links=(link,) if calibration else (),
    )


def _lead(studies: tuple[StudyProgress, ...]) -> str:
    if any(study.n_votes for study in studies):
        return "Run `harness calibrate` to evaluate these votes."
    return "A study was started, but nobody has voted yet." if studies else ""


def _changed_votes(human_inputs: HumanInputs) -> Iterator[str]:
    """Warn of votes that were added or withdrawn after the calibration."""
    if human_inputs.calibration is None:
        return
    labels = human_inputs.calibration.people
    n_calibrated = sum(annotator.n_votes for annotator in labels.annotators)
    for study in human_inputs.studies:
        if study.source == labels.source and study.n_real != n_calibrated:
            yield (
                f"The calibration below used {count(n_calibrated, 'vote')}, but there are "
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
        note="Counted when this page was written; `harness report` updates the counts. The total is "
        "the number of pairs times the number of annotators who have started.",
    )
