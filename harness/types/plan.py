"""Everything that is stated before the first answer."""

from typing import Literal

from pydantic import Field

from harness.suite import Gate, Generation, Metric, Prices
from harness.types.answers import Sample
from harness.types.judgements import JudgeCard
from harness.types.record import Record
from harness.types.stopping import TaskLooks


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
