"""The interface that every judge implements."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from harness.types import JudgeCard, JudgeRequest, Outcome


class Judge(Protocol):
    """Anything that gives verdicts on responses."""

    @property
    def card(self) -> JudgeCard:
        """Return name, nature and fingerprint; a changed fingerprint means judging anew."""

    def judge(self, requests: Iterable[JudgeRequest]) -> Iterator[tuple[int, Outcome]]:
        """Yield each request's outcome with the request's index, as they become known, in any order.

        Requests are taken one by one, as earlier ones end, because the next may be long in coming.
        Every request gets exactly one outcome. A request that cannot be judged is unscored with a
        reason; only an error that ends the whole run is raised.
        """
