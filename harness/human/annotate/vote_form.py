"""What an annotator says of a pair: read strictly, then resolved to a vote.

A form holds, for example:

    choice=left  comment=…  left.safety=8  right.safety=6
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast, get_args

from harness.human.annotate.assignment import Assignment, item_texts, opposite_side
from harness.human.annotate.study import OpenStudy
from harness.human.votes import text_sha256
from harness.types import Choice, ScoredCriterion, Vote, VoteVerdict

MAX_COMMENT = 4_000  # characters


MAX_NAME = 64


_HANDS = ("left", "right")


_JOINERS = {
    0x200C: None,
    0x200D: None,
}  # in Persian names and in emoji; without them they can be read


class UnreadableError(Exception):
    """What came is no ballot; the message may be shown to whoever sent it."""


class VoteForm(NamedTuple):
    """A choice between two sides, with a score of each on every criterion that was answered."""

    choice: Choice
    scores: dict[str, dict[str, int]]
    comment: str


def read_vote_form(fields: Mapping[str, str], criteria: Sequence[ScoredCriterion]) -> VoteForm:
    """The ballot in a form's fields.

    Raises:
        UnreadableError: there is no known choice, a score is off its scale, or the comment too long.
    """
    choice = fields.get("choice", "")
    if choice not in get_args(Choice):
        raise UnreadableError("Nothing was chosen.")
    comment = readable_text(fields.get("comment", ""))
    if len(comment) > MAX_COMMENT:
        raise UnreadableError(f"The comment is longer than {MAX_COMMENT:,} characters.")
    scores: dict[str, dict[str, int]] = {hand: {} for hand in _HANDS}
    for hand in _HANDS:
        for criterion in criteria:
            said = fields.get(f"{hand}.{criterion.name}", "")
            if said:
                scores[hand][criterion.name] = _score(said, criterion)
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
    """The vote that a ballot comes to, once it is known what stood on either side."""
    study, item = opened.study, assignment.item
    sides = {"left": assignment.left, "right": opposite_side(assignment.left)}
    verdict = sides.get(form.choice, form.choice)
    return Vote(
        study=study.name,
        item=item.key,
        kind=item.kind,
        task=item.task,
        sample_id=item.sample_id,
        baseline=study.baseline,
        candidate=study.candidate,
        question=text_sha256(opened.items[item.sample_id].input),
        texts={
            side: text_sha256(text) for side, text in item_texts(item, study, opened.items).items()
        },
        annotator=annotator,
        left=assignment.left,
        choice=form.choice,
        verdict=cast("VoteVerdict", verdict),
        scores={sides[hand]: said for hand, said in form.scores.items() if said},
        comment=form.comment,
        voted_at=voted_at,
        seconds=seconds,
        source=source,
    )


def to_vote_form(vote: Vote) -> VoteForm:
    """A vote as its annotator gave it, by left and right."""
    hands = {vote.left: "left", opposite_side(vote.left): "right"}
    return VoteForm(
        vote.choice, {hands[side]: dict(said) for side, said in vote.scores.items()}, vote.comment
    )


def read_name(said: str) -> str:
    """An annotator's name, in one form however it was typed.

    Raises:
        UnreadableError: it is empty, too long, or holds characters that cannot be seen.
    """
    name = " ".join(unicodedata.normalize("NFC", said.translate(_JOINERS)).split())
    if not name:
        raise UnreadableError("Please enter your name.")
    if len(name) > MAX_NAME:
        raise UnreadableError(f"The name is longer than {MAX_NAME} characters.")
    if any(unicodedata.category(letter).startswith("C") for letter in name):
        raise UnreadableError("The name holds characters that cannot be seen.")
    return name


def readable_text(said: str) -> str:
    """The text as it can be stored: one kind of line break, no lone surrogates, no NUL."""
    plain = (
        said.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
    return plain.encode("utf-8", "replace").decode().strip()


def _score(said: str, criterion: ScoredCriterion) -> int:
    digits = said.removeprefix("-")
    if len(digits) > 6 or not digits.isascii() or not digits.isdigit():
        raise UnreadableError("A score is no whole number.")
    if not criterion.low <= int(said) <= criterion.high:
        raise UnreadableError(f"A score is not between {criterion.low} and {criterion.high}.")
    return int(said)
