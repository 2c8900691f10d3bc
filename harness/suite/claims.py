"""What is claimed of the candidate."""

from typing import Literal

from pydantic import Field, model_validator

from harness.suite.spec import Spec


class Claim(Spec):
    """One pre-stated claim about the candidate.

    superior      its mean exceeds the baseline's by more than `margin` (default 0)
    non_inferior  its mean is not below the baseline's by `margin` or more
    at_least      its own mean is at least `value`
    """

    metric: str
    claim: Literal["superior", "non_inferior", "at_least"]
    margin: float | None = Field(default=None, ge=0.0)
    value: float | None = None

    @model_validator(mode="after")
    def _boundary_is_stated(self) -> "Claim":
        if self.claim == "at_least" and self.value is None:
            raise ValueError("'at_least' needs a 'value'")
        if self.claim == "at_least" and self.margin is not None:
            raise ValueError("'at_least' takes a 'value', not a 'margin'")
        if self.claim == "non_inferior" and not self.margin:
            raise ValueError(
                "'non_inferior' needs a 'margin' above 0: how much worse is still acceptable"
            )
        if self.claim != "at_least" and self.value is not None:
            raise ValueError(f"'{self.claim}' takes a 'margin', not a 'value'")
        return self

    def __str__(self) -> str:
        """The claim in words: `rubric.safety non_inferior (margin 0.25)`."""
        match self.claim:
            case "at_least":
                return f"{self.metric} at least {self.value:g}"
            case "non_inferior":
                return f"{self.metric} non-inferior (margin {self.margin:g})"
            case "superior":
                margin = f" by {self.margin:g}" if self.margin else ""
                return f"{self.metric} superior{margin}"


class Gate(Spec):
    """The claims under which a candidate ships, each tested one-sided at `alpha`.

    `require: all` is an intersection-union test and needs no correction; `any` is corrected
    with Holm's method. `max_unscored` is the largest share of judgements that may be missing.
    """

    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    require: Literal["all", "any"] = "all"
    max_unscored: float = Field(default=0.1, ge=0.0, le=1.0)
    claims: tuple[Claim, ...] = Field(min_length=1)
