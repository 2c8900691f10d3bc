"""Votes that were cast elsewhere, in a file from a hospital or from Label Studio: each is kept once."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from harness.human.annotate.study import OpenStudy
from harness.human.annotate.vote_form import UnreadableError, to_vote_form
from harness.human.votes import VoteLog
from harness.types import Vote


class ImportedVotes(NamedTuple):
    """What became of votes that were read from a file."""

    added: int
    known: int
    older: int


def add_votes(opened: OpenStudy, votes: Iterable[Vote]) -> ImportedVotes:
    """Keep votes that were cast elsewhere, unless they are known or something newer stands."""
    with VoteLog(opened.folder) as log:
        standing = {(v.annotator.casefold(), v.item): v for v in log.votes()}
        names = {vote.annotator.casefold(): vote.annotator for vote in standing.values()}
        added, known, older = [], 0, 0
        for vote in votes:
            vote = vote.model_copy(
                update={"annotator": names.get(vote.annotator.casefold(), vote.annotator)}
            )
            before = standing.get((vote.annotator.casefold(), vote.item))
            if before is not None and to_vote_form(before) == to_vote_form(vote):
                known += 1
            elif before is not None and before.voted_at > vote.voted_at:
                older += 1
            else:
                added.append(vote)
        if added:
            log.append(*added)
    return ImportedVotes(len(added), known, older)


def utc_time(said: str) -> str:
    """A moment in ISO 8601 as this project writes it: UTC, to the second.

    Raises:
        UnreadableError: it is none.
    """
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise UnreadableError("A time cannot be read.") from None
    return (
        (moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        .astimezone(UTC)
        .isoformat(timespec="seconds")
    )
