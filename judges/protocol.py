"""What every judge does: say who it is, and give one outcome for each request."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from harness.types import JudgeCard, JudgeRequest, Outcome


class Judge(Protocol):
    """Anything with an opinion about answers."""

    @property
    def card(self) -> JudgeCard:
        """Name, nature and fingerprint; a changed fingerprint means judging anew."""

    def judge(self, requests: Iterable[JudgeRequest | None]) -> Iterator[tuple[int, Outcome]]:
        """Outcomes with the index of their request, as they become known, in any order.

        Requests may still be arriving: take the next one when there is room for it. None among
        them says that there is nothing to judge yet, and has no index. Every request gets exactly
        one outcome. One that cannot be judged is unscored with a reason; only what ends the whole
        run is raised.
        """
