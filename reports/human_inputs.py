"""Human inputs in a run's folder: annotation studies, and the calibration of its judge.

A run is finished before anybody votes on it, so results.json holds none of this. It is read from the
folder each time the report is written.
"""

import json
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from harness.core.errors import HarnessError
from harness.human.votes import PEOPLE_FOLDER, STUDY_FILE, describe_source, load_study, load_votes
from harness.types import Calibration

CALIBRATION = "calibration"  # file name of the .html, .md and .json


class StudyProgress(NamedTuple):
    """A study and its valid votes.

    `n_pairs` is the number of pairs that each annotator is shown, including attention items and
    repeats. `n_real` of the `n_votes` are on real pairs.
    """

    source: str
    name: str
    asks: str
    n_pairs: int
    n_annotators: int
    n_votes: int
    n_real: int


class HumanInputs(NamedTuple):
    """The studies and the calibration of a run; `problems` are messages on files left out."""

    studies: tuple[StudyProgress, ...] = ()
    calibration: Calibration | None = None
    problems: tuple[str, ...] = ()


NO_HUMAN_INPUTS = HumanInputs()


def read_human_inputs(folder: Path, run_id: str) -> HumanInputs:
    """Read the studies and the calibration of a run.

    Files that are damaged or belong to another run are left out, with a message in `problems`.
    """
    studies, problems, calibration = [], [], None
    for path in sorted((folder / PEOPLE_FOLDER).glob(f"*/{STUDY_FILE}")):
        try:
            studies.append(_read_study(path.parent))
        except HarnessError as error:
            problems.append(str(error))
    try:
        calibration = _load_calibration(folder)
    except HarnessError as error:
        problems.append(str(error))
    if calibration is not None and calibration.run_id != run_id:
        problems.append(f"{CALIBRATION}.json belongs to run {calibration.run_id} and is left out.")
        calibration = None
    return HumanInputs(tuple(studies), calibration, tuple(problems))


def _read_study(folder: Path) -> StudyProgress:
    study, votes = load_study(folder), load_votes(folder)
    return StudyProgress(
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
