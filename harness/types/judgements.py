"""What judges are asked, and what they say."""

from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import Field

from harness.config import Metric, Prices
from harness.types.base import Interval, Record
from harness.types.samples import Exchange, Sample


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


class JudgeAgreement(Record):
    """How far the members of a jury gave the same items the same verdicts.

    `column` is a column of the metric, `n` the verdicts that at least two members gave. `percent`
    is the share of exactly equal verdicts among pairs of members, `alpha` Krippendorff's (ordinal
    for scores, nominal for labels), `ac1` Gwet's (with quadratic weights for scores, where it is
    also called AC2), `kappa` Cohen's (likewise), for two judges only. None means not estimable.
    """

    column: str
    judges: tuple[str, ...]
    n: int
    percent: Interval | None
    alpha: Interval | None
    ac1: Interval | None
    kappa: Interval | None


class JudgeRound(NamedTuple):
    """Everything that one judge said on a metric in one round, counted from 0."""

    judge: JudgeCard
    round: int
    judgements: list[Judgement]


NOT_ASKED = "not asked"  # of an annotator: said of nothing that counts


class MissingReason(StrEnum):
    """Why there is no verdict: the word that a reason begins with."""

    UNREADABLE = "unreadable"  # no verdict of the shape asked for
    ABSTAINED = "abstained"  # the judge says that it cannot tell
    REFUSED = "refused"
    EMPTY = "empty"
    CUT_OFF = "cut off"  # at the token limit
    FILTERED = "filtered"  # by the endpoint
    TOO_LONG = "too long"  # for the judge's context, or its reply for us
    NO_REPLY = "no reply"  # the endpoint or the model failed
    UNSUPPORTED = "unsupported"  # not a question for a language model
    TOO_FEW_VOTES = "too few votes"  # of a jury
    SPLIT = "split"  # a jury's votes, evenly


# What says something about the moment rather than the answer; a later run may ask again.
TRANSIENT = frozenset({MissingReason.FILTERED, MissingReason.NO_REPLY})


def reason_kind(reason: str) -> MissingReason | None:
    """The kind that a reason begins with; None for a reason that another judge gave."""
    word = reason.partition(":")[0]
    return MissingReason(word) if word in set(MissingReason) else None


NOT_RECORDED = "not recorded"
WRONG_ORDER = "not recorded in this order"
