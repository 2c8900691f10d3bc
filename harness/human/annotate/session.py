"""A study while people vote: whose turn it is at which pair, and what they said."""

import time
from datetime import UTC, datetime
from typing import NamedTuple

from harness.human.annotate.assignment import Assignment, Pair, assign_items, show_pair
from harness.human.annotate.study import OpenStudy
from harness.human.annotate.vote_form import (
    UnreadableError,
    VoteForm,
    resolve_vote_form,
    to_vote_form,
)
from harness.human.votes import VoteLog
from harness.types import Undo, Vote


class NextPair(NamedTuple):
    """The next pair of an annotator, counted from 1, with what they said of it and took back."""

    pair: Pair
    number: int
    before: VoteForm | None


class VotingSession:
    """One open study. Nothing is remembered here that is not in the log, but for times."""

    def __init__(self, opened: OpenStudy, log: VoteLog) -> None:
        self.study = opened.study
        self._opened = opened
        self.total = len(opened.study.items)
        self._log = log
        self._sheets: dict[str, list[Assignment]] = {}
        self._seen: dict[str, float] = {}  # by ticket, which is of one annotator

    def canonical_name(self, name: str) -> str:
        """The annotator's name as it was first written: capitals make no other person."""
        names = {vote.annotator.casefold(): vote.annotator for vote in self._log.votes()}
        return names.get(name.casefold(), name)

    def n_done(self, annotator: str) -> int:
        """How many pairs they have voted on."""
        return len(self._log.votes(annotator))

    def next_pair(self, annotator: str) -> NextPair | None:
        """The first pair on their sheet without a vote; None when there is none left."""
        voted = {vote.item for vote in self._log.votes(annotator)}
        for assignment in self._sheet(annotator):
            if assignment.item.key not in voted:
                self._seen.setdefault(assignment.ticket, time.monotonic())
                pair = show_pair(assignment, self.study, self._opened.items)
                return NextPair(pair, len(voted) + 1, self._taken_back(annotator, assignment))
        return None

    def vote(self, annotator: str, ticket: str, form: VoteForm) -> Vote:
        """Save what they say of a pair; when this returns it is on the disk.

        The same ballot sent twice is saved once; another one on the same pair replaces it.

        Raises:
            UnreadableError: the ticket is not on their sheet.
            InfrastructureError: it could not be saved.
        """
        assignment = self._find(annotator, ticket)
        seen = self._seen.get(ticket)
        vote = resolve_vote_form(
            form,
            assignment,
            self._opened,
            annotator,
            voted_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=None if seen is None else round(time.monotonic() - seen, 1),
            source="page",
        )
        standing = [v for v in self._log.votes(annotator) if v.item == vote.item]
        if standing and to_vote_form(standing[0]) == to_vote_form(vote):
            return standing[0]
        self._log.append(vote)
        self._seen.pop(ticket, None)
        return vote

    def undo(self, annotator: str) -> bool:
        """Take back their last vote; False where there is none.

        Raises:
            InfrastructureError: it could not be saved.
        """
        votes = self._log.votes(annotator)
        if not votes:
            return False
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._log.append(Undo(annotator=annotator, item=votes[-1].item, at=now))
        return True

    def _sheet(self, annotator: str) -> list[Assignment]:
        if annotator not in self._sheets:
            self._sheets[annotator] = assign_items(self.study, annotator)
        return self._sheets[annotator]

    def _find(self, annotator: str, ticket: str) -> Assignment:
        for assignment in self._sheet(annotator):
            if assignment.ticket == ticket:
                return assignment
        raise UnreadableError("This page is out of date.")

    def _taken_back(self, annotator: str, assignment: Assignment) -> VoteForm | None:
        said = self._log.latest_vote(annotator, assignment.item.key)
        return None if said is None else to_vote_form(said)
