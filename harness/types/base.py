"""The base class of all records, intervals and verdicts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base class of the records of a run: frozen, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Verdict = Literal["pass", "fail", "inconclusive"]
ClaimVerdict = Literal["pass", "fail", "inconclusive", "not_tested"]


class Interval(Record):
    """An estimate with its confidence interval; never NaN: what is not estimable is None."""

    estimate: float
    low: float
    high: float
