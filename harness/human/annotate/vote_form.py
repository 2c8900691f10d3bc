"""The form of a vote: read strictly, then resolved to a vote on the sides of an assignment.

The fields of a form are, for example:

choice=left  comment=…  left.safety=8  right.safety=6
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast, get_args

from harness.core.sanitize import to_valid_utf8
from harness.human.annotate.assignment import Assignment, item_texts, opposite_side
from harness.human.annotate.study import OpenStudy
from harness.human.votes import text_sha256
from harness.types import Choice, ScoredCriterion, Vote, VoteVerdict

MAX_COMMENT = 4_000  # characters
MAX_NAME = 64  # characters
_POSITIONS = ("left", "right")

# Zero-width joiners in Persian names and in emoji; a name without them is readable.
_JOINERS = {0x200C: None, 0x200D: None}


class UnreadableError(Exception):
    """Input that is no vote, name or time; the message may be shown to its sender."""


class VoteForm(NamedTuple):
    """A choice between left and right, with the scores given to each by criterion."""

    choice: Choice
    scores: dict[str, dict[str, int]]
    comment: str


def read_vote_form(fields: Mapping[str, str], criteria: Sequence[ScoredCriterion]) -> VoteForm:
    """Read a vote from the fields of a form.

    Raises:
        UnreadableError: there is no known choice, a score is off its scale, or the comment too long.
    """
    choice = fields.get("choice", "")
    if choice not in get_args(Choice):
        raise UnreadableError("Nothing was chosen.")
    comment = readable_text(fields.get("comment", ""))
    if len(comment) > MAX_COMMENT:
        raise UnreadableError(f"The comment is longer than {MAX_COMMENT:,} characters.")
    scores: dict[str, dict[str, int]] = {position: {} for position in _POSITIONS}
    for position in _POSITIONS:
        for criterion in criteria:
            text = fields.get(f"{position}.{criterion.name}", "")
            if text:
                scores[position][criterion.name] = _read_score(text, criterion)
    return VoteForm(cast("Choice", choice), scores, comment)


def resolve_vote_form(
    form: VoteForm,
    assignment: Assignment,
    opened: OpenStudy,
    annotator: str,
    *,
    voted_at: str,
    seconds: float | None,
    source: Literal["page", "offline", "label_studio"],
) -> Vote:
    """Make a vote of a form, with left and right resolved to the sides of the assignment."""
    study, item = opened.study, assignment.item
    # Resolve positions to sides.
    sides = {"left": assignment.left, "right": opposite_side(assignment.left)}
    verdict = sides.get(form.choice, form.choice)
    scores = {sides[position]: by_name for position, by_name in form.scores.items() if by_name}
    # Record what was shown by hashes, so that the vote fits no other texts.
    texts = item_texts(item, study, opened.items)
    return Vote(
        study=study.name,
        item=item.key,
        kind=item.kind,
        task=item.task,
        sample_id=item.sample_id,
        baseline=study.baseline,
        candidate=study.candidate,
        question=text_sha256(opened.items[item.sample_id].transcript),
        texts={side: text_sha256(text) for side, text in texts.items()},
        annotator=annotator,
        left=assignment.left,
        choice=form.choice,
        verdict=cast("VoteVerdict", verdict),
        scores=scores,
        comment=form.comment,
        voted_at=voted_at,
        seconds=seconds,
        source=source,
    )


def to_vote_form(vote: Vote) -> VoteForm:
    """Return the form that a vote was made of, by left and right."""
    positions = {vote.left: "left", opposite_side(vote.left): "right"}
    scores = {positions[side]: dict(by_name) for side, by_name in vote.scores.items()}
    return VoteForm(vote.choice, scores, vote.comment)


def read_name(text: str) -> str:
    """Read an annotator's name; spellings that look the same become equal.

    Raises:
        UnreadableError: it is empty, too long, or has invisible characters.
    """
    name = " ".join(unicodedata.normalize("NFC", text.translate(_JOINERS)).split())
    if not name:
        raise UnreadableError("Please enter your name.")
    if len(name) > MAX_NAME:
        raise UnreadableError(f"The name is longer than {MAX_NAME} characters.")
    if any(unicodedata.category(letter).startswith("C") for letter in name):
        raise UnreadableError("The name has invisible characters.")
    return name


def readable_text(text: str) -> str:
    """Make a text storable: one kind of line break, no lone surrogates, no NUL."""
    plain = (
        text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
    return to_valid_utf8(plain).strip()


def _read_score(text: str, criterion: ScoredCriterion) -> int:
    digits = text.removeprefix("-")
    if len(digits) > 6 or not digits.isascii() or not digits.isdigit():
        raise UnreadableError("A score is not a whole number.")
    if not criterion.low <= int(text) <= criterion.high:
        raise UnreadableError(f"A score is not between {criterion.low} and {criterion.high}.")
    return int(text)
