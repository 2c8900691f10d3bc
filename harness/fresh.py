"""Outcomes on their way from a judge into the store: few commits, and little lost by a kill."""

import time

from harness.store import Store
from harness.types import Outcome
from judges.verdicts import PASSING, kind_of

COMMIT_EVERY = 64
COMMIT_AFTER_S = 0.01  # little is lost by a kill, and fast judges still share a commit


def is_final(outcome: Outcome) -> bool:
    """Whether asking again would be paying twice; a reply that never came was not paid for."""
    return outcome.reason is None or kind_of(outcome.reason) not in PASSING


class FreshOutcomes:
    """Outcomes on their way into the store, a few to a commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, Outcome] = {}
        self._committed = time.monotonic()

    def add(self, key: str, outcome: Outcome) -> None:
        """Take one more; commit when there are many, or when the last commit is a moment ago."""
        self._waiting[key] = outcome
        overdue = time.monotonic() - self._committed > COMMIT_AFTER_S
        if overdue or len(self._waiting) >= COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        """Put what is waiting into the store."""
        self._store.put("outcome", self._waiting)
        self._waiting = {}
        self._committed = time.monotonic()
