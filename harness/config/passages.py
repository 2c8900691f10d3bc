"""Metrics about the passages that a model was given: what was found, and what an answer makes of it.

    found:     {kind: retrieval, at: 4}
    grounded:  {kind: grounded}
    citations: {kind: citation}

They are of use where some model of the run has `retrieval`. A model that was given no passage found none of
its sources, and none of its statements is supported by one.
"""

from typing import ClassVar, Literal

from pydantic import Field

from harness.config.metric_base import ComputedMetric, ScoreKind


class RetrievalMetric(ComputedMetric):
    """Which of an item's known sources were found, and how high: recall, reciprocal rank and nDCG.

    A document has the rank of its best passage among the documents given. `at` cuts the ranking after so many
    documents; without it all that were given count.
    """

    score_kind: ClassVar[ScoreKind] = "points"
    assumed_spread: ClassVar[float] = 0.4
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
        """Return a column for each measure."""
        return {f"{name}.{measure}": measure for measure in ("recall", "mrr", "ndcg")}

    def summary_columns(self, name: str) -> tuple[str, ...]:
        """Return recall, and nDCG, which also tells how high."""
        return (f"{name}.recall", f"{name}.ndcg")
