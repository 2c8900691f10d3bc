"""What every finding is told in: an interval, and one of three verdicts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of everything that runs produce: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Verdict = Literal["pass", "fail", "inconclusive"]
ClaimVerdict = Literal["pass", "fail", "inconclusive", "not_tested"]


class Interval(Record):
    """An estimate with its confidence interval; NaN never occurs, None means not estimable."""

    estimate: float
    low: float
    high: float
