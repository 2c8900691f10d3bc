"""The base of every metric: the facts that other packages ask for.

Facts are class variables, properties and methods, never fields: no suite, plan or hash depends on
them.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, ValidationInfo, field_validator

from harness.config.base import Name, Spec
from harness.config.data import DataSpec, Generation
from harness.config.judge_prompt import PromptFields, read_judge_prompt
from harness.core.errors import HarnessError

ScoreKind = Literal["points", "share", "preference"]
COMPOSITE = "composite"  # the name of the column that is the mean of all others


AnswerForm = Literal["text", "label", "index", "number"]


class ChoiceLayout(NamedTuple):
    """How an item's options are put into its prompt; metrics with another layout ask anew.

    `choices` None are those of the items; `answer` says what the references are. Without a `seed` the
    options keep their order; without an `instruction` a stated sentence asks for the choice. With a
    `template` the prompt is made of it, and the model is not asked but gives each option a probability.
    """

    choices: tuple[str, ...] | None
    answer: AnswerForm
    lettered: bool
    seed: int | None
    instruction: str | None = None
    template: str | None = None

    def continuations(self, options: Mapping[str, str]) -> dict[str, str]:
        """Return what continues the prompt by each label: the label, or the option's text."""
        return {label: label if self.lettered else text for label, text in options.items()}


class MetricSpec(Spec):
    """The base of every metric: items or decoding of its own, and the facts of its kind.

    Attributes:
        computed: Whether scores are computed from the texts. Otherwise a judge gives them.
        score_kind: `points` on a scale, a `share` of answers that score 1 and not 0, or a
            `preference` between two answers, whose mean is a win rate.
        assumed_spread: Standard deviation of paired differences before anything is measured, as a
            share of the range of scores.
        reads_words: Whether scores depend on how a text is split into words (`harness.data.text`).
        has_composite: Whether the mean of the columns is a column too.
        ordinal: Whether the values of a verdict are ordered, so that near ones agree in part.
        length_adjusted: Whether comparisons are also estimated at equal length of the answers.
        any_layout: Whether a verdict does not depend on how options are put into the prompt.
        about_passages: Whether a verdict is about the passages that a model was given with the question.
        by_criteria: Whether a verdict is one of several on parts of a question to the judge: an item's criteria,
            or an answer's statements.
        not_judged: The fields on which no verdict depends.
    """

    computed: ClassVar[bool]
    score_kind: ClassVar[ScoreKind]
    assumed_spread: ClassVar[float]
    reads_words: ClassVar[bool] = False
    has_composite: ClassVar[bool] = False
    ordinal: ClassVar[bool] = False
    length_adjusted: ClassVar[bool] = False
    any_layout: ClassVar[bool] = False
    about_passages: ClassVar[bool] = False
    by_criteria: ClassVar[bool] = False
    not_judged: ClassVar[frozenset[str]] = frozenset(
        {"data", "generation", "judge", "repeats", "pairs", "reference"}
    )

    data: DataSpec | None = None
    generation: Generation | None = None

    @property
    @abstractmethod
    def description(self) -> str:
        """Return what is scored, in words for reports."""

    @abstractmethod
    def verdict_keys(self, name: str) -> dict[str, str]:
        """Return the columns of a metric called `name`, each with its key in a verdict's values."""

    def label_keys(self, name: str) -> dict[str, str]:
        """Return the columns of a metric called `name`, each with the field of people's scores for it."""
        return self.verdict_keys(name)

    @property
    def needs_reference(self) -> bool:
        """Return whether a run on items without a reference is refused."""
        return False

    @property
    def needs_sources(self) -> bool:
        """Return whether a run on items whose source documents are not known is refused."""
        return False

    @property
    def shows_reference(self) -> bool:
        """Return whether a judge sees the reference of an item that has one."""
        return True

    @property
    def layout(self) -> ChoiceLayout | None:
        """Return how options are shown to the model; None if it is asked the question alone."""
        return None

    @property
    def verdict_values(self) -> tuple[float, ...]:
        """Return the values that a verdict can take, ascending; none where they are continuous."""
        return ()

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the smallest and the largest score of an item."""
        return (0.0, 1.0)

    @property
    def compares_pairs(self) -> bool:
        """Return whether a verdict is on an ordered pair of answers and not on one answer."""
        return self.score_kind == "preference"

    @property
    def null(self) -> float:
        """Return the value of a comparison between equal models."""
        return 0.5 if self.compares_pairs else 0.0

    def bounds_of(self, column: str) -> tuple[float, float]:
        """Return the smallest and the largest score of an item in a column; most have those of all."""
        return self.bounds

    def max_difference_of(self, column: str) -> float:
        """Return the largest distance of a comparison of a column from `null`, on either side."""
        low, high = self.bounds_of(column)
        return (high - low) / 2 if self.compares_pairs else high - low

    def assumed_sd_of(self, column: str) -> float:
        """Return `assumed_spread` on the scale of a column's scores."""
        low, high = self.bounds_of(column)
        return self.assumed_spread * (high - low)

    def covers_all(self, column: str) -> bool:
        """Return whether every item has a score in a column, or a gap in its place."""
        return True

    def columns(self, name: str) -> tuple[str, ...]:
        """Return the score columns as claims name them: `rubric.safety`, `win_rate`."""
        composite = (f"{name}.{COMPOSITE}",) if self.has_composite else ()
        return (*self.verdict_keys(name), *composite)

    def summary_columns(self, name: str) -> tuple[str, ...]:
        """Return the columns that sum up the metric, no part of it twice."""
        return (f"{name}.{COMPOSITE}",) if self.has_composite else self.columns(name)

    def parts_of(self, column: str) -> dict[str, str]:
        """Return the columns whose mean `column` is, with their keys; itself but for a composite."""
        keys = self.verdict_keys(metric_of(column))
        return {column: keys[column]} if column in keys else keys


class JudgedMetric(MetricSpec):
    """The base of metrics that a judge of the profile scores, asked `repeats` times each.

    `prompt` is a file of instructions to a language model, in place of ours; once the suite is read,
    their text, so that whatever is keyed by the metric is keyed by what is asked.
    """

    computed: ClassVar[bool] = False
    prompt_fields: ClassVar[PromptFields] = PromptFields()

    judge: Name = "default"
    repeats: int = Field(default=1, ge=1, le=20)
    prompt: str | None = Field(default=None, exclude_if=lambda prompt: prompt is None)

    @field_validator("prompt")
    @classmethod
    def _read_file(cls, prompt: str | None, info: ValidationInfo) -> str | None:
        if prompt is None or info.context is None:  # of a written result: the text already
            return prompt
        try:
            return read_judge_prompt(prompt, info.context["root"], cls.prompt_fields)
        except HarnessError as error:
            raise ValueError(str(error)) from None


class ReferenceMetric(JudgedMetric):
    """The base of metrics whose judge sees the item's reference.

    `reference: false` hides it from the judge; `true` refuses items that have none.
    """

    reference: bool | None = Field(default=None, exclude_if=lambda shown: shown is None)

    @property
    def needs_reference(self) -> bool:
        """Return whether every item must have one."""
        return self.reference is True

    @property
    def shows_reference(self) -> bool:
        """Return whether the judge sees it."""
        return self.reference is not False


class ComputedMetric(MetricSpec):
    """The base of metrics that are computed: no judge of the profile, and no repeats."""

    computed: ClassVar[bool] = True
    judge: ClassVar[None] = None
    repeats: ClassVar[int] = 1


def metric_of(column: str) -> str:
    """Return the metric that a column belongs to: `rubric` of `rubric.safety`."""
    return column.partition(".")[0]
