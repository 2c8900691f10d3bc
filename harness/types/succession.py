"""Two judges on the same answers: whether the new one may succeed the old."""

from typing import Literal

from pydantic import Field

from harness.types.base import ClaimVerdict, Record, Verdict
from harness.types.human import JudgeAgainstPeople
from harness.types.judgements import JudgeAgreement
from harness.types.results import ClaimResult


class JudgeShift(Record):
    """The new judge's value of what a claim is about, compared with the old judge's.

    `of` is the candidate's difference from the baseline, its win rate or its own mean. `old` and `new` are each
    judge's value on the `n` items that both judged; `n_missing` lack a verdict of one of them.
    `result` tests that the two are equivalent within `margin`.
    """

    column: str
    of: Literal["difference", "win rate", "own mean"]
    margin: float
    old: float | None
    new: float | None
    n: int
    n_missing: int
    result: ClaimResult


class AgreementOn(Record):
    """The agreement of the two judges on some of the verdicts: all, a model's, or those in one order."""

    over: str
    agreement: JudgeAgreement


class ScoreStep(Record):
    """The verdicts to which the old judge gave one score, and the new judge's mean on them."""

    old: float
    new: float
    n: int


class ScoreMap(Record):
    """How the scores of the old judge map to those of the new one, on one column."""

    column: str
    steps: tuple[ScoreStep, ...]


class VerdictChange(Record):
    """The verdict on a claim or rule by each judge's scores, at the gate's alpha."""

    claim: str
    old: ClaimVerdict
    new: ClaimVerdict


class JudgeSuccession(Record):
    """Whether a judge may succeed another, as shown on the answers of one run.

    The verdict is a pass where every shift is equivalent within its margin at `alpha`. `people` are both
    judges compared with the same labels, the old one first. `carried` is the baseline that was rewritten.
    """

    schema_version: Literal[1] = 1
    run_id: str
    suite: str
    old: str
    new: str
    alpha: float
    verdict: Verdict
    sentence: str
    shifts: tuple[JudgeShift, ...]
    claims: tuple[VerdictChange, ...]
    agreements: tuple[AgreementOn, ...]
    maps: tuple[ScoreMap, ...]
    people: tuple[JudgeAgainstPeople, ...] = ()
    notes: tuple[str, ...] = ()
    carried: str = Field(default="", exclude_if=lambda path: not path)
