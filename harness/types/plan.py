"""The plan of a run, fixed before the first answer, and how judging in looks ended."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from harness.config import ChoiceLayout, Gate, Generation, Metric, Prices, metric_of
from harness.config.data import EqualAnswers
from harness.core.hashing import content_hash
from harness.types.base import Interval, Record, Verdict
from harness.types.judgements import JudgeCard
from harness.types.retrieval import RetrievalCard
from harness.types.samples import Sample


class TaskLooks(Record):
    """The schedule of looks at the items of one task, fixed before the first answer.

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
    """The state of a claim at the look that decided it, or else at the last.

    `repeated` is its interval at the critical value of that look: over all looks together each of
    its two limits is wrong with probability alpha. The chances are those of an eventual pass or
    fail if the trend so far is the truth; None if they cannot be computed, as at the last look.
    `unbiased` is the estimate corrected for having stopped: above the truth half of the time.
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
    unbiased: float | None = Field(default=None, exclude_if=lambda estimate: estimate is None)


class TaskStop(Record):
    """The number of a task's items that were judged; an item that is asked repeatedly counts once."""

    task: str
    n_items: int
    n_most: int


class Saving(Record):
    """The approximate cost of the skipped calls, at the mean cost of those that were made."""

    currency: str
    cost: float


StopReason = Literal["pass", "fail", "futile", "complete"]


class Stopping(Record):
    """How judging in looks ended: at look `look` of `looks`.

    `pass` and `fail` are final verdicts; `futile` means that neither of them had a chance of a
    tenth left, `complete` that all items were judged. Skipped are the verdicts and answers that
    were not needed, whether the store had them or not.
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
        """Return whether judging ended before the last look."""
        return self.look < self.looks


class PlannedModel(Record):
    """A model under test.

    `source` is a recipe, a checkpoint, a model at a host, or a file; `seed` is its seed of decoding
    if that is not the suite's, and `seeds` are those of its training, if it has several. `served_by` is
    the inference engine or the server that answers for it, if this process does not. `retrieval` is how
    passages are found for its questions, if any are.
    """

    name: str
    kind: Literal["recipe", "checkpoint", "endpoint", "recorded"]
    source: str
    prices: Prices | None = None
    seed: int | None = Field(default=None, exclude_if=lambda seed: seed is None)
    seeds: tuple[int, ...] = Field(default=(), exclude_if=lambda seeds: not seeds)
    served_by: str | None = Field(default=None, exclude_if=lambda server: server is None)

    retrieval: RetrievalCard | None = Field(default=None, exclude_if=lambda card: card is None)

    @property
    def described_source(self) -> str:
        """Return the source with the training seeds, what answers for it, and how it retrieves."""
        seeds = ", ".join(map(str, self.seeds))
        source = f"{self.source}, training seeds {seeds}" if seeds else self.source
        source = f"{source}, served by {self.served_by}" if self.served_by else source
        return f"{source}, with {self.retrieval.description}" if self.retrieval else source


class Task(Record):
    """The items of one group of metrics, and how models are prompted with them.

    Files hold the items' hash and number, not the `samples` themselves. `slices` are the columns by whose
    values the items are also compared separately. `answers` is how often each item is asked; `n_items`
    counts every time, and each of the training `seeds` of the models that are `seeded`. Of the items
    counted once, `n_conversations` have turns before the question, and `n_own_system` a system prompt of
    their own. `phi` marks protected health information. `equal_answers` states whether answers that also
    answer other questions are right here.
    """

    name: str
    source: str
    items_hash: str
    n_items: int
    samples: tuple[Sample, ...] = ()
    n_conversations: int = Field(default=0, exclude_if=lambda n: n == 0)
    n_own_system: int = Field(default=0, exclude_if=lambda n: n == 0)
    phi: bool = Field(default=False, exclude_if=lambda marked: not marked)
    answers: int = Field(default=1, exclude_if=lambda n: n == 1)
    seeded: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    seeds: tuple[int, ...] = Field(default=(), exclude_if=lambda seeds: not seeds)
    slices: tuple[str, ...] = Field(default=(), exclude_if=lambda columns: not columns)
    equal_answers: EqualAnswers = Field(
        default="flagged", exclude_if=lambda equal: equal == "flagged"
    )
    generation: Generation
    system: str | None
    metrics: dict[str, Metric]

    @property
    def n_distinct(self) -> int:
        """Return the number of items, each counted once however often it is asked."""
        return self.n_items // self.answers // max(1, len(self.seeds))

    @property
    def scored_options(self) -> ChoiceLayout | None:
        """Return the layout of the options whose log-probabilities are asked for; None for answers."""
        layouts = (metric.layout for metric in self.metrics.values())
        return next((layout for layout in layouts if layout and layout.template is not None), None)

    @property
    def kinds_of_items(self) -> str:
        """Describe which items are conversations: ", all conversations"; empty if none are."""
        described = ""
        for n, words in (
            (self.n_conversations, "conversations"),
            (self.n_own_system, "with a system prompt of their own"),
        ):
            share = "all" if n == self.n_distinct else f"{n:,} of them"
            described += f", {share} {words}" if n else ""
        return described


class Plan(Record):
    """Everything that is fixed before the first answer. `hash` covers all of it.

    The first model is the baseline, the last the candidate. A run of one model has no baseline:
    `not_measured` are the suite's metrics and `not_decided` its claims that would take one. `limit`, `seed`
    and `judge` are the command line's, in place of the suite's own. If judging may stop early there are
    `looks`, one record for each task in their order; the items of these tasks are in random order. `chosen`
    is set after measuring, where the gate decides on the best of several candidates.
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
    not_measured: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    not_decided: tuple[str, ...] = Field(default=(), exclude_if=lambda claims: not claims)
    chosen: str | None = Field(default=None, exclude_if=lambda name: name is None)
    hash: str

    def content_hash(self) -> str:
        """Return the hash of everything in the plan; items are covered by their task's hash."""
        return content_hash(
            self.model_dump(mode="json", exclude={"hash": True, "tasks": {"__all__": {"samples"}}})
        )

    @property
    def alone(self) -> bool:
        """Return whether the run has one model, which is compared with nothing."""
        return len(self.models) == 1

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the training seeds of the models that have several, which are alike for all of them."""
        return next((model.seeds for model in self.models if model.seeds), ())

    @property
    def baseline(self) -> str:
        """Return the name of the model that the others are compared with."""
        return self.models[0].name

    @property
    def candidate(self) -> str:
        """Return the name of the model that the gate decides on."""
        return self.chosen or self.models[-1].name

    @property
    def gated(self) -> tuple[str, str]:
        """Return the names of the two models that the gate compares, baseline first."""
        return self.baseline, self.candidate

    @property
    def metrics(self) -> dict[str, Metric]:
        """Return the metrics of all tasks by name."""
        return {name: metric for task in self.tasks for name, metric in task.metrics.items()}

    @property
    def repeated_columns(self) -> dict[str, str]:
        """Map columns that repeat another to it: a rubric's single criterion and its composite.

        The one that the gate is not about repeats; where it is about neither, the composite.
        """
        gate = self.gate
        claimed = {claim.metric for claim in gate.claims} if gate else set()
        named = claimed | ({rule.metric for rule in gate.critical} if gate else set())
        repeated = {}
        for name, metric in self.metrics.items():
            if metric.has_composite and len(metric.columns(name)) == 2:
                criterion, composite = metric.columns(name)
                if composite not in named:
                    repeated[composite] = criterion
                elif criterion not in named:
                    repeated[criterion] = composite
        return repeated


def find_metric(column: str, tasks: Iterable[Task]) -> tuple[Metric, Task]:
    """Return the metric that a column is of, and the task with its items."""
    name = metric_of(column)
    return next((task.metrics[name], task) for task in tasks if name in task.metrics)


class PlanChange(Record):
    """A field with different values in two plans."""

    field: str
    before: str
    now: str


class Amendment(Record):
    """An earlier plan on the same items: when it was frozen, and the changes since."""

    registered: str
    models: tuple[str, ...]
    changes: tuple[PlanChange, ...]
