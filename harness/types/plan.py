"""Everything that is stated before the first answer."""

from typing import Literal

from harness.suite import Gate, Generation, Metric, Prices
from harness.types.answers import Sample
from harness.types.judgements import JudgeCard
from harness.types.record import Record


class PlannedModel(Record):
    """A model under test as the plan names it.

    `source` is a recipe, a checkpoint, a model at a host, or a file.
    """

    name: str
    kind: Literal["recipe", "checkpoint", "endpoint", "recorded"]
    source: str
    prices: Prices | None = None


class Task(Record):
    """The items that one group of metrics is measured on, and how models are asked.

    Files carry the items' hash and number, not the `samples` themselves.
    """

    name: str
    source: str
    items_hash: str
    n_items: int
    samples: tuple[Sample, ...] = ()
    generation: Generation
    system: str | None
    metrics: dict[str, Metric]


class Plan(Record):
    """Everything stated before the first answer. `hash` covers all of it.

    The first model is the baseline, the last the candidate. `limit`, `seed` and `judge` are what
    the command line put in place of the suite's own.
    """

    suite: str
    title: str
    profile: str
    note: str
    models: tuple[PlannedModel, ...]
    judges: dict[str, JudgeCard]
    tasks: tuple[Task, ...]
    gate: Gate | None
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
