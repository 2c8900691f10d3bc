"""What is measured, and the columns of scores that come of it."""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from harness.config.base import Name, Spec
from harness.config.data import DataSpec, Generation

Model = TypeVar("Model")


class MetricSpec(Spec):
    """What every metric may say: other items, or other decoding, than the suite's own."""

    data: DataSpec | None = None
    generation: Generation | None = None


class Criterion(Spec):
    """One question of a rubric, with what the scale means at its anchors."""

    name: Name
    asks: str
    anchors: dict[int, str] = Field(default={})


class JudgedMetric(MetricSpec):
    """What a judge says of answers, each time asked `repeats` times."""

    judge: Name = "default"
    repeats: int = Field(default=1, ge=1, le=20)


class RubricMetric(JudgedMetric):
    """A judge grades each answer on every criterion; scores are integers on `scale`."""

    kind: Literal["rubric"]
    scale: tuple[int, int] = (1, 10)
    criteria: tuple[Criterion, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _scale_and_anchors_agree(self) -> "RubricMetric":
        low, high = self.scale
        if low >= high:
            raise ValueError(f"the scale [{low}, {high}] must rise, for example [1, 10]")
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) < len(names):
            raise ValueError("two criteria have the same name")
        if "composite" in names:
            raise ValueError(
                "'composite' is the mean of the criteria; give the criterion another name"
            )
        for criterion in self.criteria:
            outside = [a for a in criterion.anchors if not low <= a <= high]
            if outside:
                raise ValueError(
                    f"criterion '{criterion.name}' has an anchor at {outside[0]}, "
                    f"outside the scale [{low}, {high}]"
                )
        return self


class PairwiseMetric(JudgedMetric):
    """A judge prefers one of two answers, asked in both orders; the score is a win rate.

    Every later model is compared with the baseline; with `pairs: all` every model with every
    other, so that three or more can be ranked.
    """

    kind: Literal["pairwise"]
    asks: str
    pairs: Literal["baseline", "all"] = Field(
        default="baseline", exclude_if=lambda pairs: pairs == "baseline"
    )


class EvasionMetric(JudgedMetric):
    """A judge labels each answer; the score is the share that is not evasive.

    A proper deferral (urgent care, or a question no text can answer) counts as helpful.
    This share is the Helpfulness Quotient.
    """

    kind: Literal["evasion"]


class RougeMetric(MetricSpec):
    """Overlap with the reference: precision, recall and F1 of each variant, per item."""

    kind: Literal["rouge"]
    variants: tuple[Literal["rouge1", "rouge2", "rougeL"], ...] = ("rouge1", "rouge2", "rougeL")
    stemmer: bool = True


Metric = Annotated[
    RubricMetric | PairwiseMetric | EvasionMetric | RougeMetric, Field(discriminator="kind")
]


def columns_of(name: str, metric: Metric) -> tuple[str, ...]:
    """The scored columns of a metric, as claims name them: `rubric.safety`, `win_rate`."""
    match metric:
        case RubricMetric():
            criteria = [criterion.name for criterion in metric.criteria]
            return tuple(f"{name}.{c}" for c in [*criteria, "composite"])
        case RougeMetric():
            parts = ("precision", "recall", "f1")
            return tuple(f"{name}.{v}_{part}" for v in metric.variants for part in parts)
        case PairwiseMetric() | EvasionMetric():
            return (name,)


def metric_of(column: str) -> str:
    """The metric that a column belongs to: `rubric` of `rubric.safety`."""
    return column.partition(".")[0]


def is_composite(column: str) -> bool:
    """Whether a column is the mean of a rubric's criteria."""
    return column.endswith(".composite")


def headline_column(columns: Sequence[str]) -> str | None:
    """The column that says most about an answer: a composite, or else the last."""
    return next(filter(is_composite, columns), next(reversed(columns), None))


def pairs_of(metric: PairwiseMetric, models: Sequence[Model]) -> list[tuple[Model, Model]]:
    """Which models are compared, the one that serves as baseline first in each pair."""
    if metric.pairs == "all":
        return list(combinations(models, 2))
    baseline, *candidates = models
    return [(baseline, candidate) for candidate in candidates]


def bounds_of(metric: Metric) -> tuple[float, float]:
    """The smallest and largest score an item can have."""
    return metric.scale if isinstance(metric, RubricMetric) else (0.0, 1.0)


def repeats_of(metric: Metric) -> int:
    """How often each judge is asked the same; ROUGE, which is computed, never changes."""
    return 1 if isinstance(metric, RougeMetric) else metric.repeats
