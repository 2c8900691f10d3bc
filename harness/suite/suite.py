"""A suite as a whole: items, how models are asked, what is measured and claimed."""

from pydantic import Field, model_validator

from harness.errors import did_you_mean
from harness.strict_yaml import mistake_at
from harness.suite.claims import Claim, Gate
from harness.suite.data import DataSpec
from harness.suite.generation import Generation
from harness.suite.metrics import Metric, bounds_of, columns_of
from harness.suite.spec import Name, Spec


class Suite(Spec):
    """A complete evaluation: items, how they are asked, what is measured and claimed."""

    suite: Name
    title: str = ""
    data: DataSpec
    generation: Generation = Generation()
    metrics: dict[Name, Metric] = Field(min_length=1)
    gate: Gate | None = None

    @model_validator(mode="after")
    def _claims_name_metrics(self) -> "Suite":
        for number, claim in enumerate(self.gate.claims if self.gate else ()):
            problem = self._problem_of(claim)
            if problem:
                raise mistake_at(f"gate.claims.{number}.metric", problem)
        return self

    def _problem_of(self, claim: Claim) -> str | None:
        """Why a claim names nothing measured, or could never be decided; None if it is sound."""
        known = [c for name, metric in self.metrics.items() for c in columns_of(name, metric)]
        if claim.metric not in known:
            return f"'{claim.metric}' is not measured. {did_you_mean(claim.metric, known)}"
        low, high = bounds_of(self.metrics[claim.metric.partition(".")[0]])
        if claim.value is not None and not low < claim.value <= high:
            return f"at least {claim.value:g} is impossible: its values lie in [{low:g}, {high:g}]"
        if claim.margin is not None and claim.margin >= high - low:
            return (
                f"the margin {claim.margin:g} spans the whole range [{low:g}, {high:g}]; "
                "choose one that an answer could exceed"
            )
        return None
