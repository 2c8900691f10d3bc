"""Judging in looks: what is stated before the first answer, and how it ended."""

from typing import Literal

from harness.types.estimates import Interval, Verdict
from harness.types.record import Record


class TaskLooks(Record):
    """When the items of one task are looked at, fixed before the first answer.

    Items come in a random order of seed `order_seed`. At the k-th look the first `sizes[k]` of
    them are judged; a claim is decided there at one-sided level `alphas[k]`, which is that of the
    critical value `z[k]`.
    """

    task: str
    order_seed: int
    sizes: tuple[int, ...]
    z: tuple[float, ...]
    alphas: tuple[float, ...]


class ClaimAtLook(Record):
    """A claim as it stood at one look: the one that decided it, or else the last.

    `repeated` is its interval there, at the look's own critical value: over all looks together
    each of its two limits is wrong with chance alpha. The chances are those that it ends with a
    pass or fail if the trend so far is the truth; None where nothing can be said, as at the last
    look.
    """

    claim: str
    metric: str
    alarm: bool
    verdict: Verdict
    look: int
    n: int
    repeated: Interval
    boundary: float
    chance_of_pass: float | None
    chance_of_fail: float | None


class TaskStop(Record):
    """How many of a task's items were judged, each counted once however often it is asked."""

    task: str
    n_items: int
    n_most: int


class Saving(Record):
    """About what the skipped calls would have cost, at the mean cost of those that were made."""

    currency: str
    cost: float


StopReason = Literal["pass", "fail", "futile", "complete"]


class Stopping(Record):
    """How judging in looks ended: at look `look` of `looks`.

    `pass` and `fail` are certain verdicts, `futile` says that neither of them had a chance of a
    tenth left, `complete` that all items were judged. Skipped are verdicts of judges and answers
    of models that were not needed, had they been asked before or not.
    """

    look: int
    looks: int
    alpha: float
    reason: StopReason
    tasks: tuple[TaskStop, ...]
    claims: tuple[ClaimAtLook, ...]
    verdicts_skipped: int
    answers_skipped: int
    savings: tuple[Saving, ...]

    @property
    def early(self) -> bool:
        """Whether items are left that were not judged."""
        return self.look < self.looks
