"""A study in one HTML file that works without a network, and the import of the votes it saves.

The file holds texts and opaque item tokens; the sides are only in the study's folder. It can be
taken to a hospital without a network, and the votes back:

    {"format": "blind study votes", "version": 1, "study": "6c1e…", "annotator": "reader 1", "votes": [
      {"ticket": "03fb…", "choice": "left", "scores": {"left": {}, "right": {}}, "comment": "",
       "at": "2026-11-02T10:15:00.000Z", "seconds": 31.4}]}
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from harness.core.errors import HarnessError
from harness.core.files import write_private
from harness.core.sanitize import escape_invisible
from harness.human.annotate.assignment import Pair, assign_items, keyed_hash, show_pair
from harness.human.annotate.import_votes import ImportedVotes, add_votes, utc_time
from harness.human.annotate.pages import Instructions, Voter, asset, render
from harness.human.annotate.study import OpenStudy
from harness.human.annotate.vote_form import (
    UnreadableError,
    read_name,
    read_vote_form,
    resolve_vote_form,
)
from harness.types import Study, Vote
from harness.types.base import Record

MAX_FILE = 64 * 1024 * 1024  # bytes


class SavedVote(Record):
    """One vote in a file of the offline page; `ticket` is the item token."""

    ticket: str
    choice: str
    scores: dict[Literal["left", "right"], dict[str, int]]
    comment: str
    at: str
    seconds: float


class SavedVotes(Record):
    """The file that the offline page saves."""

    format: Literal["blind study votes"]
    version: Literal[1]
    study: str
    annotator: str
    votes: tuple[SavedVote, ...]


def write_offline(opened: OpenStudy, annotator: str, path: Path) -> None:
    """Write the offline page of one annotator.

    Raises:
        InfrastructureError: the file cannot be written.
    """
    write_private(path, render_offline(opened, annotator).encode())


def render_offline(opened: OpenStudy, annotator: str) -> str:
    """Render the page as one HTML document; its policy allows the script and style by their hashes."""
    from markupsafe import Markup

    study = opened.study
    pairs = [show_pair(a, study, opened.items) for a in assign_items(study, annotator)]
    script, style = asset("keys.js") + asset("offline.js"), asset("annotate.css")
    return render(
        "offline.html",
        voter=Voter(annotator, 0, len(pairs), form_token=""),
        instructions=Instructions(escape_invisible(study.asks), study.criteria),
        # The script fills in the pairs; the template gets an empty one, with a place for references.
        pair=Pair("", "", "" if study.show_reference else None, "", ""),
        undone=None,
        data={
            "study": _study_id(study),
            "sheet": keyed_hash(study, "sheet", annotator.casefold())[:20],
            "annotator": annotator,
            "break_every": study.break_every,
            "pairs": [pair._asdict() for pair in pairs],
        },
        script=Markup(script),  # noqa: S704 - our own files
        style=Markup(style),  # noqa: S704
        policy=f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'",
    )


def import_offline_votes(opened: OpenStudy, path: Path) -> ImportedVotes:
    """Add the votes of a file that the offline page saved; all of them, or none.

    Importing a file twice adds nothing. A later vote of the annotator on the same pair stays.

    Raises:
        HarnessError: the file is damaged, or belongs to another study.
    """
    saved = _read(path)
    if saved.study != _study_id(opened.study):
        raise HarnessError(f"{path}: holds votes on another study.")
    try:
        annotator = read_name(saved.annotator)
        votes = list(_resolve_votes(saved, annotator, opened))
    except UnreadableError as error:
        raise HarnessError(f"{path}: {error}") from None
    return add_votes(opened, votes)


def _read(path: Path) -> SavedVotes:
    try:
        if path.stat().st_size > MAX_FILE:
            raise HarnessError(f"{path}: larger than {MAX_FILE:,} bytes; not saved votes.")
        return SavedVotes.model_validate(json.loads(path.read_bytes()), strict=False)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise HarnessError(
            f"{path}: not votes that the offline page saved ({where}: {error.errors()[0]['msg']})."
        ) from None
    except (ValueError, RecursionError):
        raise HarnessError(f"{path}: damaged, or not votes that the offline page saved.") from None


def _resolve_votes(saved: SavedVotes, annotator: str, opened: OpenStudy) -> Iterator[Vote]:
    assignments = {a.item_token: a for a in assign_items(opened.study, annotator)}
    for vote in saved.votes:
        if vote.ticket not in assignments:
            raise UnreadableError(
                f"Vote '{escape_invisible(vote.ticket)}' is on no pair of {annotator}'s."
            )
        fields = {"choice": vote.choice, "comment": vote.comment}
        for position, scores in vote.scores.items():
            fields |= {f"{position}.{name}": str(score) for name, score in scores.items()}
        yield resolve_vote_form(
            read_vote_form(fields, opened.study.criteria),
            assignments[vote.ticket],
            opened,
            annotator,
            voted_at=utc_time(vote.at),
            seconds=max(0.0, round(vote.seconds, 1)),
            source="offline",
        )


def _study_id(study: Study) -> str:
    return keyed_hash(study, "study")[:20]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
