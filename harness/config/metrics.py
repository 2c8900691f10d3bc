"""Metrics: what is measured, the score columns that come of it, and the facts of each kind.

Other packages ask a metric for a fact and do not test its class. A new kind is a class here or in a
file of its own, its place in `Metric`, and a judge that judges/factory.py makes.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import Field, model_validator

from harness.config.base import Name, Spec
from harness.config.checklist import ChecklistMetric
from harness.config.choice import ChoiceKind
from harness.config.judge_prompt import PromptFields
from harness.config.match import MatchKind
from harness.config.metric_base import (
    COMPOSITE,
    ComputedMetric,
    JudgedMetric,
    ReferenceMetric,
    ScoreKind,
)
from harness.config.passages import CitationMetric, GroundedMetric, RetrievalMetric
from harness.config.plugin import PluginMetric

Model = TypeVar("Model")


class Criterion(Spec):
    """One question of a rubric, with the meaning of the scale at its anchors."""

    name: Name
    asks: str
    anchors: dict[int, str] = Field(default={})


MAX_POINTS = 1_000  # of a scale: distributions and agreement count each of them


class RubricMetric(ReferenceMetric):
    """A judge grades each answer on every criterion; scores are integers on `scale`."""

    score_kind: ClassVar[ScoreKind] = "points"
    assumed_spread: ClassVar[float] = 2.07 / 9  # 2.07 of 9 points on ceiling-heavy judge scores
    has_composite: ClassVar[bool] = True
    ordinal: ClassVar[bool] = True
    length_adjusted: ClassVar[bool] = True
    prompt_fields: ClassVar[PromptFields] = PromptFields(
        needed=("what_you_see", "criteria", "shape"), optional=("low", "high")
    )

    kind: Literal["rubric"]
    scale: tuple[int, int] = (1, 10)
    criteria: tuple[Criterion, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _scale_and_anchors_agree(self) -> "RubricMetric":
        low, high = self.scale
        if low >= high:
            raise ValueError(f"the scale [{low}, {high}] must rise, for example [1, 10]")
        if high - low > MAX_POINTS or max(abs(low), abs(high)) > 1_000_000:
            raise ValueError(
                f"the scale [{low}, {high}] has more than {MAX_POINTS:,} points, which no judge tells apart; "
                "for example [0, 100]"
            )
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) < len(names):
            raise ValueError("two criteria have the same name")
        if COMPOSITE in names:
            raise ValueError(
                f"'{COMPOSITE}' is the mean of the criteria; give the criterion another name"
            )
        for criterion in self.criteria:
            outside = [a for a in criterion.anchors if not low <= a <= high]
            if outside:
                raise ValueError(
                    f"criterion '{criterion.name}' has an anchor at {outside[0]}, "
                    f"outside the scale [{low}, {high}]"
                )
        return self

    @property
    def description(self) -> str:
        low, high = self.scale
        names = ", ".join(criterion.name for criterion in self.criteria)
        return f"{names}, each from {low} to {high}"

    def verdict_keys(self, name: str) -> dict[str, str]:
        return {f"{name}.{criterion.name}": criterion.name for criterion in self.criteria}

    @property
    def verdict_values(self) -> tuple[float, ...]:
        low, high = self.scale
        return tuple(float(point) for point in range(low, high + 1))

    @property
    def bounds(self) -> tuple[float, float]:
        return self.scale


class PairwiseMetric(ReferenceMetric):
    """A judge prefers one of two answers, asked in both orders; the score is a win rate.

    Every later model is compared with the baseline; with `pairs: all` every model with every
    other, so that three or more can be ranked.
    """

    score_kind: ClassVar[ScoreKind] = "preference"
    assumed_spread: ClassVar[float] = 0.40
    length_adjusted: ClassVar[bool] = True
    prompt_fields: ClassVar[PromptFields] = PromptFields(needed=("what_you_see", "asks", "shape"))

    kind: Literal["pairwise"]
    asks: str
    pairs: Literal["baseline", "all"] = Field(
        default="baseline", exclude_if=lambda pairs: pairs == "baseline"
    )

    @property
    def description(self) -> str:
        return self.asks

    def verdict_keys(self, name: str) -> dict[str, str]:
        """Return the one column of win scores."""
        return {name: "winner"}

    @property
    def verdict_values(self) -> tuple[float, ...]:
        """Return a loss, a tie and a win."""
        return (0.0, 0.5, 1.0)


HELPFUL_VALUES = {"answers": 1.0, "proper_deferral": 1.0, "evasive": 0.0}  # by label


class EvasionMetric(JudgedMetric):
    """A judge labels each answer; the score is the share that is not evasive.

    A proper deferral (urgent care, or a question no text can answer) counts as helpful.
    This share is the Helpfulness Quotient.
    """

    score_kind: ClassVar[ScoreKind] = "share"
    assumed_spread: ClassVar[float] = 0.1**0.5  # one item in ten changes

    kind: Literal["evasion"]

    @property
    def description(self) -> str:
        return "share of answers that are not evasive; a proper deferral counts as helpful"

    def verdict_keys(self, name: str) -> dict[str, str]:
        """Return the one column of helpful answers."""
        return {name: "helpful"}

    @property
    def verdict_values(self) -> tuple[float, ...]:
        """Return evasive and helpful."""
        return (0.0, 1.0)


class RougeMetric(ComputedMetric):
    """Overlap with the reference: precision, recall and F1 of each variant, per item."""

    score_kind: ClassVar[ScoreKind] = "points"
    assumed_spread: ClassVar[float] = 0.15
    reads_words: ClassVar[bool] = True

    kind: Literal["rouge"]
    variants: tuple[Literal["rouge1", "rouge2", "rougeL"], ...] = ("rouge1", "rouge2", "rougeL")
    stemmer: bool = True

    @property
    def needs_reference(self) -> bool:
        """Return that there is nothing to overlap with otherwise."""
        return True

    @property
    def description(self) -> str:
        """Return the variants and whether words are stemmed."""
        stemmer = "with" if self.stemmer else "without"
        return f"{', '.join(self.variants)}: precision, recall and F1, {stemmer} stemming"

    def verdict_keys(self, name: str) -> dict[str, str]:
        parts = ("precision", "recall", "f1")
        return {f"{name}.{v}_{part}": f"{v}_{part}" for v in self.variants for part in parts}

    def summary_columns(self, name: str) -> tuple[str, ...]:
        """Return F1 by words and by the longest common subsequence."""
        return tuple(f"{name}.{v}_f1" for v in self.variants if v in ("rouge1", "rougeL"))


# The closed list of kinds: a `match` over it is checked to be exhaustive.
Computed = RougeMetric | MatchKind | ChoiceKind | RetrievalMetric | PluginMetric

Metric = Annotated[
    RubricMetric
    | ChecklistMetric
    | PairwiseMetric
    | EvasionMetric
    | GroundedMetric
    | CitationMetric
    | Computed,
    Field(discriminator="kind"),
]


def is_composite(column: str) -> bool:
    """Return whether a column is the mean of a metric's other columns."""
    return column.endswith(f".{COMPOSITE}")


def headline_column(columns: Sequence[str]) -> str | None:
    """Return the column that sums up an answer best: a composite, or else the last."""
    return next(filter(is_composite, columns), next(reversed(columns), None))


def pairs_of(metric: PairwiseMetric, models: Sequence[Model]) -> list[tuple[Model, Model]]:
    """Return the pairs of models that are compared, the baseline of each pair first."""
    if metric.pairs == "all":
        return list(combinations(models, 2))
    baseline, *candidates = models
    return [(baseline, candidate) for candidate in candidates]
