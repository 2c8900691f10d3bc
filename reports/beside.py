"""What people left in a run's folder, as its report tells it: their studies, and a judge held to them.

A run is finished before anybody votes on it, so that none of this is in results.json. It is looked up
whenever the report is written.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from harness.errors import HarnessError
from harness.types import Calibration
from harness.votes import PEOPLE, STUDY_FILE, describe_source, load_study, load_votes
from reports.calibration_words import headline
from reports.foreign import visible, visible_record
from reports.parts import Link, Section, Table
from reports.wording import count

CALIBRATION = "calibration"  # of .html, .md and .json


class StudySoFar(NamedTuple):
    """A study and the votes that stand.

    `n_pairs` are on everybody's sheet, attention items and repeats with them; `n_real` of the
    `n_votes` are on real pairs.
    """

    source: str
    name: str
    asks: str
    n_pairs: int
    n_annotators: int
    n_votes: int
    n_real: int


class Beside(NamedTuple):
    """What lies beside a report; `unread` says what of it could not be read."""

    studies: tuple[StudySoFar, ...] = ()
    calibration: Calibration | None = None
    unread: tuple[str, ...] = ()


NOTHING = Beside()


def read_beside(folder: Path, run_id: str) -> Beside:
    """The studies and the calibration of a run; what is damaged, or another run's, is only named."""
    studies, unread, calibration = [], [], None
    for path in sorted((folder / PEOPLE).glob(f"*/{STUDY_FILE}")):
        try:
            studies.append(_read_study(path.parent))
        except HarnessError as error:
            unread.append(str(error))
    try:
        calibration = _load_calibration(folder)
    except HarnessError as error:
        unread.append(str(error))
    if calibration is not None and calibration.run_id != run_id:
        unread.append(f"{CALIBRATION}.json belongs to run {calibration.run_id}, and is left out.")
        calibration = None
    return Beside(tuple(studies), calibration, tuple(unread))


def people_section(beside: Beside) -> Section | None:
    """Who has voted so far, and what that says of the judge; None where there is nothing."""
    found = None if beside.calibration is None else visible_record(beside.calibration)
    if not (beside.studies or found or beside.unread):
        return None
    return Section(
        name="people",
        title="What do people say?",
        lead=" ".join(headline(found)) if found else _lead(beside.studies),
        alerts=tuple(map(visible, (*_newer(beside), *beside.unread))),
        tables=(_studies_table(beside.studies),) if beside.studies else (),
        links=(Link(CALIBRATION, "The judge held to people, and corrected by them"),)
        if found
        else (),
    )


def _lead(studies: tuple[StudySoFar, ...]) -> str:
    if any(study.n_votes for study in studies):
        return "`harness calibrate` says what these votes come to."
    return "A study was begun, and nobody has voted yet." if studies else ""


def _read_study(folder: Path) -> StudySoFar:
    study, votes = load_study(folder), load_votes(folder)
    return StudySoFar(
        source=describe_source(study),
        name=study.name,
        asks=study.asks,
        n_pairs=len(study.items),
        n_annotators=len({vote.annotator for vote in votes}),
        n_votes=len(votes),
        n_real=sum(vote.kind == "real" for vote in votes),
    )


def _load_calibration(folder: Path) -> Calibration | None:
    path = folder / f"{CALIBRATION}.json"
    try:
        return Calibration.model_validate(json.loads(path.read_bytes()), strict=False)
    except FileNotFoundError:
        return None
    except (ValidationError, ValueError):
        raise HarnessError(f"{path.name}: damaged. Run `harness calibrate` again.") from None
    except OSError as error:
        raise HarnessError(f"{path.name}: cannot be read: {error.strerror}.") from None


def _newer(beside: Beside) -> Iterator[str]:
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


def _studies_table(studies: tuple[StudySoFar, ...]) -> Table:
    rows = tuple(
        (
            visible(study.name),
            visible(study.asks),
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
