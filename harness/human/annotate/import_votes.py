"""Votes cast outside the page, in an offline file or in Label Studio, added once each."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from harness.human.annotate.study import OpenStudy
from harness.human.annotate.vote_form import UnreadableError, to_vote_form
from harness.human.votes import VoteLog
from harness.types import Vote


class ImportedVotes(NamedTuple):
    """Numbers of imported votes: added, already in the log, and older than a vote in the log."""

    n_added: int
    n_duplicate: int
    n_outdated: int


def add_votes(opened: OpenStudy, votes: Iterable[Vote]) -> ImportedVotes:
    """Add votes to a study, except those that it has or that are older than another.

    Of several votes of one annotator on a pair, the latest is added; of equally late ones, the last.
    """
    with VoteLog(opened.folder) as log:
        current = {(v.annotator.casefold(), v.item): v for v in log.votes()}
        names = {vote.annotator.casefold(): vote.annotator for vote in current.values()}
        added: dict[tuple[str, str], Vote] = {}
        n_duplicate, n_outdated = 0, 0
        for vote in votes:
            # Write the name as the log has it, or as it stood first.
            name = names.setdefault(vote.annotator.casefold(), vote.annotator)
            vote = vote.model_copy(update={"annotator": name})
            key = (name.casefold(), vote.item)
            before = current.get(key)
            if before is not None and to_vote_form(before) == to_vote_form(vote):
                n_duplicate += 1
            elif before is not None and before.voted_at > vote.voted_at:
                n_outdated += 1
            else:
                n_outdated += key in added
                current[key] = added[key] = vote
        if added:
            log.append(*added.values())
    return ImportedVotes(len(added), n_duplicate, n_outdated)


def utc_time(text: str) -> str:
    """Normalise a time in ISO 8601 to UTC and whole seconds, as votes have it.

    Raises:
        UnreadableError: it is not a time.
    """
    try:
        time = datetime.fromisoformat(text)
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        raise UnreadableError("A time cannot be read.") from None
