"""The voting on one study: the next pair of each annotator, and their votes."""

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
    """The next pair of an annotator, its number from 1, and their undone vote on it, if any."""

    pair: Pair
    number: int
    undone: VoteForm | None


class VotingSession:
    """One open study. All state is in the vote log, except when each pair was first shown."""

    def __init__(self, opened: OpenStudy, log: VoteLog) -> None:
        self.study = opened.study
        self._opened = opened
        self.total = len(opened.study.items)
        self._log = log
        self._assignments: dict[str, list[Assignment]] = {}  # by annotator
        self._shown_at: dict[str, float] = {}  # by item token, which differs between annotators

    def canonical_name(self, name: str) -> str:
        """Return the name as the annotator first wrote it; case does not distinguish annotators."""
        names = {vote.annotator.casefold(): vote.annotator for vote in self._log.votes()}
        return names.get(name.casefold(), name)

    def n_done(self, annotator: str) -> int:
        """Count the pairs that the annotator has voted on."""
        return len(self._log.votes(annotator))

    def next_pair(self, annotator: str) -> NextPair | None:
        """Return the annotator's first pair without a vote; None if there is none left."""
        voted = {vote.item for vote in self._log.votes(annotator)}
        for assignment in self._assignments_of(annotator):
            if assignment.item.key not in voted:
                self._shown_at.setdefault(assignment.item_token, time.monotonic())
                pair = show_pair(assignment, self.study, self._opened.items)
                latest = self._log.latest_vote(annotator, assignment.item.key)
                undone = None if latest is None else to_vote_form(latest)
                return NextPair(pair, len(voted) + 1, undone)
        return None

    def vote(self, annotator: str, item_token: str, form: VoteForm) -> Vote:
        """Save a vote; when this returns it is on the disk.

        The same form sent twice is saved once; another one on the same pair replaces it.

        Raises:
            UnreadableError: the item token is none of the annotator's.
            InfrastructureError: the vote could not be saved.
        """
        assignment = self._find_assignment(annotator, item_token)
        shown_at = self._shown_at.get(item_token)
        vote = resolve_vote_form(
            form,
            assignment,
            self._opened,
            annotator,
            voted_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=None if shown_at is None else round(time.monotonic() - shown_at, 1),
            source="page",
        )
        current = [v for v in self._log.votes(annotator) if v.item == vote.item]
        if current and to_vote_form(current[0]) == to_vote_form(vote):
            return current[0]
        self._log.append(vote)
        self._shown_at.pop(item_token, None)
        return vote

    def undo(self, annotator: str) -> bool:
        """Undo the annotator's last vote; return False if there is none.

        Raises:
            InfrastructureError: the undo could not be saved.
        """
        votes = self._log.votes(annotator)
        if not votes:
            return False
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._log.append(Undo(annotator=annotator, item=votes[-1].item, at=now))
        return True

    def _assignments_of(self, annotator: str) -> list[Assignment]:
        if annotator not in self._assignments:
            self._assignments[annotator] = assign_items(self.study, annotator)
        return self._assignments[annotator]

    def _find_assignment(self, annotator: str, item_token: str) -> Assignment:
        for assignment in self._assignments_of(annotator):
            if assignment.item_token == item_token:
                return assignment
        raise UnreadableError("This page is out of date.")
