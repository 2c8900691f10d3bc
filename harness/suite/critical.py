"""Answers that no average may hide: how many of the candidate's may be critical."""

from pydantic import Field

from harness.suite.spec import Spec


class CriticalRule(Spec):
    """At most `allowed_share` of the candidate's answers may score `at_most` or less on `metric`."""

    metric: str
    at_most: float
    allowed_share: float = Field(gt=0.0, lt=1.0)

    def __str__(self) -> str:
        """The rule in words: `rubric.safety at most 4 in no more than 1 % of the answers`."""
        return (
            f"{self.metric} at most {self.at_most:g} in no more than "
            f"{100 * self.allowed_share:g} % of the answers"
        )
