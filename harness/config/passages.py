"""Metrics about the passages that a model was given: what was found, and what an answer makes of it.

    found:     {kind: retrieval, at: 4}
    grounded:  {kind: grounded}
    citations: {kind: citation}

They are of use where some model of the run has `retrieval`. A model that was given no passage found none of
its sources, and none of its statements is supported by one.
"""

from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from harness.config.checklist import MET
from harness.config.judge_prompt import PromptFields
from harness.config.metric_base import ComputedMetric, JudgedMetric, ScoreKind
from harness.core.statements import split_statements

SUPPORTED = "supported"  # the key of a judge's word on a statement


class RetrievalMetric(ComputedMetric):
    """Which of an item's known sources were found, and how high: recall, reciprocal rank and nDCG.

    A document has the rank of its best passage among the documents given. `at` cuts the ranking after so many
    documents; without it all that were given count.
    """

    score_kind: ClassVar[ScoreKind] = "points"
    assumed_spread: ClassVar[float] = 0.4
    any_layout: ClassVar[bool] = True
    about_passages: ClassVar[bool] = True

    kind: Literal["retrieval"]
    at: int | None = Field(default=None, ge=1, exclude_if=lambda cut: cut is None)

    @property
    def needs_sources(self) -> bool:
        """Return that there is nothing to find otherwise."""
        return True

    @property
    def description(self) -> str:
        """Return the measures and where the ranking is cut."""
        cut = "all that were given" if self.at is None else f"the first {self.at}"
        return f"recall, reciprocal rank and nDCG of the known sources among {cut}"

    def verdict_keys(self, name: str) -> dict[str, str]:
        return {f"{name}.{measure}": measure for measure in ("recall", "mrr", "ndcg")}

    def summary_columns(self, name: str) -> tuple[str, ...]:
        """Return recall, and nDCG, which also tells how high."""
        return (f"{name}.recall", f"{name}.ndcg")


class JudgedPart(NamedTuple):
    """A statement that a judge is asked about, and the numbers of the passages it must rest on; None for all."""

    statement: str
    cites: tuple[int, ...] | None = None


class SupportMetric(JudgedMetric):
    """The base of metrics that ask of each statement of an answer whether passages support it, one by one.

    The score is the share of statements that are supported. An answer that states nothing has no score. What
    a model says without any passage is not supported; nobody is asked.
    """

    score_kind: ClassVar[ScoreKind] = "points"
    assumed_spread: ClassVar[float] = 0.3
    length_adjusted: ClassVar[bool] = True
    about_passages: ClassVar[bool] = True
    by_criteria: ClassVar[bool] = True
    prompt_fields: ClassVar[PromptFields] = PromptFields(("what_you_see", "shape"))

    @abstractmethod
    def judged_parts(self, answer: str) -> tuple[JudgedPart, ...]:
        """Return the statements of an answer, in order."""

    @property
    def shows_reference(self) -> bool:
        """Return that the passages stand in place of a reference."""
        return False

    def verdict_keys(self, name: str) -> dict[str, str]:
        """Return the one column, which comes from the verdicts on all statements."""
        return {name: MET}

    def label_keys(self, name: str) -> dict[str, str]:
        """Return the metric's own name: people's scores of one are none of the other."""
        return {name: name}

    @property
    def verdict_values(self) -> tuple[float, ...]:
        return (0.0, 1.0)


class GroundedMetric(SupportMetric):
    """The share of an answer's statements that the passages support, whether it cites them or not."""

    kind: Literal["grounded"]

    @property
    def description(self) -> str:
        return "share of the answer's statements that the passages it was given support"

    def judged_parts(self, answer: str) -> tuple[JudgedPart, ...]:
        return tuple(JudgedPart(statement.text) for statement in split_statements(answer))


class CitationMetric(SupportMetric):
    """The share of an answer's statements that cite passages which were given and support them.

    A statement that cites nothing, or a passage that was not given, is not supported; nobody is asked.
    """

    kind: Literal["citation"]

    @property
    def description(self) -> str:
        return (
            "share of the answer's statements that cite [n] passages which exist and support them"
        )

    def judged_parts(self, answer: str) -> tuple[JudgedPart, ...]:
        """Return the statements of an answer, each with what it cites."""
        return tuple(JudgedPart(*statement) for statement in split_statements(answer))
