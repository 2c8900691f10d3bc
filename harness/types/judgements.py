"""What judges are asked, and what they say."""

from typing import Literal

from pydantic import Field

from harness.suite import Metric, Prices
from harness.types.answers import Exchange, Sample
from harness.types.record import Record


class Grade(Record):
    """A judge's verdict on one answer: `values` by column, or None with a `reason`.

    Rubric: one value per criterion. Evasion: `helpful` 0 or 1, and the `label`.
    ROUGE: precision, recall and F1 of each variant.
    """

    sample_id: str
    model: str
    metric: str
    values: dict[str, float] | None
    label: str | None = None
    rationale: str | None = None
    reason: str | None = None
    exchange: Exchange | None = None


Order = Literal["baseline_first", "candidate_first"]
Winner = Literal["baseline", "candidate", "tie"]
ORDERS: tuple[Order, Order] = ("baseline_first", "candidate_first")


class Preference(Record):
    """A judge's verdict on two answers shown in one order; `winner` None comes with a `reason`."""

    sample_id: str
    baseline: str
    candidate: str
    metric: str
    order: Order
    winner: Winner | None
    rationale: str | None = None
    reason: str | None = None
    exchange: Exchange | None = None


Judgement = Grade | Preference


class JudgeCard(Record):
    """Who judged: shown at the head of every report. `fingerprint` decides what is judged anew.

    A `replayed` judge reads verdicts from a file, which stays their only home. A `remote` one
    works elsewhere, so that asking it takes no time from answering. `model` is the language model
    that judges, if one does; `evidence` is what was measured of the judge itself. A jury has
    `members`, and nothing else speaks for it; of `people` these are the annotators.
    `calibrated_by` names the people's labels that the judge is held to.
    """

    name: str
    nature: str
    fingerprint: str
    replayed: bool = False
    remote: bool = False
    prices: Prices | None = None
    model: str | None = None
    evidence: str = ""
    members: tuple["JudgeCard", ...] = ()
    people: bool = Field(default=False, exclude_if=lambda people: not people)
    calibrated_by: str = Field(default="", exclude_if=lambda named: not named)


class Outcome(Record):
    """What a judge says of one request, before it is given its item, model and metric.

    Exactly one of `values` (a grade), `winner` (a preference) or `reason` (unscored) is set.
    `exchange` is what stands behind it, where a language model was asked.
    """

    values: dict[str, float] | None = None
    label: str | None = None
    winner: Literal["first", "second", "tie"] | None = None
    rationale: str | None = None
    reason: str | None = None
    exchange: Exchange | None = None


class GradeRequest(Record):
    """One answer to be graded on one metric. `round` counts repeats of the same request."""

    sample: Sample
    metric_name: str
    metric: Metric
    model: str
    answer: str
    round: int = 0


class PreferenceRequest(Record):
    """Two answers to be compared, in the order in which the judge sees them.

    `baseline` and `candidate` are names, for recorded verdicts only; no prompt may show them.
    """

    sample: Sample
    metric_name: str
    metric: Metric
    order: Order
    baseline: str
    candidate: str
    first: str
    second: str
    round: int = 0


JudgeRequest = GradeRequest | PreferenceRequest
