"""Metrics of one's own: a scorer that an installed package registers, named by a suite.

readability: {kind: plugin, scorer: readability}
"""

import math
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
)

from harness.config.base import Name, Sha256, Spec
from harness.config.metric_base import COMPOSITE, ComputedMetric, MetricSpec, ScoreKind
from harness.core.errors import HarnessError
from harness.core.plugins import METRICS, load_plugin
from harness.core.scorer import Scorer


def our_kinds() -> frozenset[str]:
    """Return the kinds of metrics that are ours, whose names no plug-in takes."""
    classes = MetricSpec.__subclasses__()
    for cls in classes:  # which grows
        classes += cls.__subclasses__()
    fields = (cls.model_fields["kind"] for cls in classes if "kind" in cls.model_fields)
    return frozenset(kind for field in fields for kind in get_args(field.annotation))


def _are_different_columns(columns: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(columns)) < len(columns):
        raise ValueError("a column is named twice")
    if COMPOSITE in columns:
        raise ValueError(f"'{COMPOSITE}' is the mean of a rubric; give the column another name")
    return columns


def _rise(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"[{low:g}, {high:g}] must be finite and rise, worst value first")
    return bounds


class InstalledScorer(Spec):
    """The facts of a scorer and of the code that it is of, found when the suite is read.

    They are part of the metric, so that results can be read where the package is not installed, and
    that its version and the sha256 of its files are in every hash and key that the metric is in.
    """

    name: Name
    package: str
    version: str
    source: Sha256
    columns: Annotated[
        tuple[Name, ...], Field(min_length=1, strict=False), AfterValidator(_are_different_columns)
    ]
    bounds: Annotated[tuple[float, float], Field(strict=False), AfterValidator(_rise)]
    description: str = Field(min_length=1)
    needs_reference: bool


def find_scorer(name: str) -> InstalledScorer:
    """Return the facts of an installed scorer.

    Raises:
        HarnessError: as `load_scorer`, or facts that no metric can have.
    """
    scorer, plugin = load_scorer(name), load_plugin(METRICS, name)
    try:
        return InstalledScorer(
            name=name,
            package=plugin.package,
            version=plugin.version,
            source=plugin.source,
            columns=scorer.columns,
            bounds=scorer.bounds,
            description=scorer.description,
            needs_reference=scorer.needs_reference,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise HarnessError(
            f"{plugin}: its {first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}."
        ) from None


def load_scorer(name: str) -> Scorer:
    """Import the scorer that a package registers under a name.

    Raises:
        HarnessError: as `load_plugin`, the name of a kind of ours, or no `Scorer`.
    """
    if name in our_kinds():
        raise HarnessError(
            f"'{name}' is a kind of ours, which no plug-in can be called: write 'kind: {name}'."
        )
    plugin = load_plugin(METRICS, name)
    if not isinstance(plugin.registered, Scorer) or not callable(plugin.registered.score):
        raise HarnessError(
            f"{plugin}: is {type(plugin.registered).__name__}, and no harness.Scorer with a "
            "function 'score'."
        )
    return plugin.registered


def _find_named(scorer: object, info: ValidationInfo) -> object:
    """Put a scorer's facts in the place of its name, where a file that people wrote is read."""
    if info.context is None:  # of a written result: the facts already
        return scorer
    if not isinstance(scorer, str):
        raise ValueError("the name under which an installed package registers a scorer is needed")
    try:
        return find_scorer(scorer)
    except HarnessError as error:
        raise ValueError(str(error)) from None


class PluginMetric(ComputedMetric):
    """Scores of an answer by a function of an installed package."""

    score_kind: ClassVar[ScoreKind] = "points"
    assumed_spread: ClassVar[float] = 0.15

    kind: Literal["plugin"]
    scorer: Annotated[
        InstalledScorer,
        BeforeValidator(_find_named, json_schema_input_type=Name | InstalledScorer),
    ]

    @property
    def description(self) -> str:
        """Return what is scored, and by whose code."""
        facts = self.scorer
        return f"{facts.description}; {facts.name} of {facts.package} {facts.version}"

    def verdict_keys(self, name: str) -> dict[str, str]:
        return {f"{name}.{column}": column for column in self.scorer.columns}

    @property
    def bounds(self) -> tuple[float, float]:
        return self.scorer.bounds

    @property
    def needs_reference(self) -> bool:
        return self.scorer.needs_reference
