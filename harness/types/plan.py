"""Everything that is stated before the first answer."""

from typing import Literal

from pydantic import Field

from harness.config import Gate, Generation, Metric, Prices
from harness.types.base import Interval, Record, Verdict
from harness.types.judgements import JudgeCard
from harness.types.samples import Sample


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


class PlannedModel(Record):
    """A model under test as the plan names it.

    `source` is a recipe, a checkpoint, a model at a host, or a file; `seed` decodes it where that
    is not the suite's.
    """

    name: str
    kind: Literal["recipe", "checkpoint", "endpoint", "recorded"]
    source: str
    prices: Prices | None = None
    seed: int | None = Field(default=None, exclude_if=lambda seed: seed is None)


class Task(Record):
    """The items that one group of metrics is measured on, and how models are asked.

    Files carry the items' hash and number, not the `samples` themselves. `slices` are the columns
    by whose values the items are also compared apart. Where each item is asked several times,
    `answers` says how often, and `n_items` counts every time. `phi` marks protected health
    information.
    """

    name: str
    source: str
    items_hash: str
    n_items: int
    samples: tuple[Sample, ...] = ()
    phi: bool = Field(default=False, exclude_if=lambda marked: not marked)
    answers: int = Field(default=1, exclude_if=lambda n: n == 1)
    slices: tuple[str, ...] = Field(default=(), exclude_if=lambda columns: not columns)
    generation: Generation
    system: str | None
    metrics: dict[str, Metric]


class Plan(Record):
    """Everything stated before the first answer. `hash` covers all of it.

    The first model is the baseline, the last the candidate. `limit`, `seed` and `judge` are what
    the command line put in place of the suite's own. Where judging may stop early there are
    `looks`, one record for each task in their order, whose items then are in random order.
    """

    suite: str
    title: str
    profile: str
    note: str
    models: tuple[PlannedModel, ...]
    judges: dict[str, JudgeCard]
    tasks: tuple[Task, ...]
    gate: Gate | None
    looks: tuple[TaskLooks, ...] = Field(default=(), exclude_if=lambda looks: not looks)
    limit: int | None = None
    seed: int | None = None
    judge: str | None = None
    hash: str

    @property
    def baseline(self) -> str:
        """The model that the others are compared with."""
        return self.models[0].name

    @property
    def candidate(self) -> str:
        """The model that the gate decides on."""
        return self.models[-1].name

    @property
    def gated(self) -> tuple[str, str]:
        """The two models that the gate decides on, baseline first."""
        return self.baseline, self.candidate


class PlanChange(Record):
    """A field that two plans state differently."""

    field: str
    before: str
    now: str


class Amendment(Record):
    """An earlier plan on the same items, when it was frozen, and what has been changed since."""

    registered: str
    models: tuple[str, ...]
    changes: tuple[PlanChange, ...]
