"""Requests to judges, their verdicts, and the reasons of missing verdicts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import Field

from harness.config import ChecklistMetric, Metric, Prices, SupportMetric
from harness.config.passages import JudgedPart
from harness.types.base import Interval, Record
from harness.types.retrieval import GivenPassage
from harness.types.samples import Exchange, ItemCriterion, Sample


class Grade(Record):
    """A judge's verdict on one answer: `values` by column, or None with a `reason`.

    Rubric: one value per criterion. Evasion: `helpful` 0 or 1, and the `label`.
    ROUGE: precision, recall and F1 of each variant. Match: `match` 0 or 1, or `f1`. Checklist: for each
    criterion with a verdict 1 if it is met, else 0, under `criterion_key` of its place; `missing` has the
    reason of each one asked about without a verdict.
    """

    sample_id: str
    model: str
    metric: str
    values: dict[str, float] | None
    label: str | None = None
    rationale: str | None = None
    reason: str | None = None
    missing: dict[str, str] = Field(default_factory=dict, exclude_if=lambda reasons: not reasons)
    exchange: Exchange | None = None


def criterion_key(place: int) -> str:
    """Return the key in a grade's values of an item's criterion, counted from 0: `c1` for the first."""
    return f"c{place + 1}"


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
    """The identity of a judge, shown at the head of every report.

    Verdicts are stored under `fingerprint`: another one means judging again. A `replayed` judge
    reads verdicts from a file, and they are not stored again. A `remote` one runs elsewhere, so that
    it does not slow down the generation of responses. `model` is the language model that judges, if
    there is one; `evidence` describes measurements of the judge itself. The `members` of a jury
    are its judges, those of `people` its annotators. `calibrated_by` names the human labels that
    the judge is compared with. `then` is the judge that is asked where this one's verdict cannot be read.
    The members of a `sample` stand for judges like them, and not for themselves alone.
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
    then: "JudgeCard | None" = Field(default=None, exclude_if=lambda card: card is None)
    sample: bool = Field(default=False, exclude_if=lambda sample: not sample)

    @property
    def singles(self) -> tuple["JudgeCard", ...]:
        """Return every single judge that may give a verdict: a jury's members, or one and a second."""
        return self.members or ((self,) if self.then is None else (self, self.then))


class Outcome(Record):
    """A judge's verdict on one request, before its item, model and metric are added.

    Exactly one of `values` (a grade), `winner` (a preference) or `reason` (unscored) is set. `missing` is
    that of a grade. `exchange` holds the replies behind it, if a language model was asked.
    """

    values: dict[str, float] | None = None
    label: str | None = None
    winner: Literal["first", "second", "tie"] | None = None
    rationale: str | None = None
    reason: str | None = None
    missing: dict[str, str] = Field(default_factory=dict, exclude_if=lambda reasons: not reasons)
    exchange: Exchange | None = None


@dataclass(frozen=True, slots=True)
class GradeRequest:
    """One answer to grade on one metric. `round` counts repeats of the same request.

    Of a checklist that is asked about one by one, `criterion` is the place of the criterion among the
    item's, counted from 0; so it is of the parts of an answer that passages may support, and `part` is what is
    asked about. `passages` are those that the model was given, where the metric is about them.
    """

    sample: Sample
    metric_name: str
    metric: Metric
    model: str
    answer: str
    round: int = 0
    criterion: int | None = None
    passages: tuple[GivenPassage, ...] | None = None
    part: JudgedPart | None = None

    @property
    def asked_criteria(self) -> tuple[ItemCriterion, ...]:
        """Return the criteria that this request asks about: an item's own, or statements of the answer."""
        match self.metric:
            case ChecklistMetric() as metric:
                every = self.sample.criteria[metric.list_name]
            case SupportMetric() as metric:
                parts = metric.judged_parts(self.answer) if self.part is None else (self.part,)
                return tuple(ItemCriterion(criterion=p.statement, points=1.0) for p in parts)
            case _:
                return ()
        return every if self.criterion is None else (every[self.criterion],)


@dataclass(frozen=True, slots=True)
class PreferenceRequest:
    """Two answers to compare, in the order in which the judge sees them.

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


class RaterPair(Record):
    """The agreement of two raters on the `n` items that both rated; None means not estimable."""

    judges: tuple[str, str]
    n: int
    percent: Interval | None
    kappa: Interval | None


class JudgeAgreement(Record):
    """The agreement of a jury's members on the same items.

    `column` is a column of the metric, `n` the verdicts that at least two members gave. `percent`
    is the share of exactly equal verdicts among pairs of members, `alpha` Krippendorff's (ordinal
    for scores, nominal for labels), `ac1` Gwet's (with quadratic weights for scores, where it is
    also called AC2), `kappa` Cohen's (likewise), for two judges only; of more, `pairs` has that of
    every two. None means not estimable.
    """

    column: str
    judges: tuple[str, ...]
    n: int
    percent: Interval | None
    alpha: Interval | None
    ac1: Interval | None
    kappa: Interval | None
    pairs: tuple[RaterPair, ...] = Field(default=(), exclude_if=lambda pairs: not pairs)


class JudgeRound(NamedTuple):
    """All judgements of one judge on a metric in one round, counted from 0.

    A judge that `stands_in` was asked only about what the others had left open.
    """

    judge: JudgeCard
    round: int
    judgements: list[Judgement]
    stands_in: bool = False


NOT_ASKED = "not asked"  # the annotator was not shown this item


class MissingReason(StrEnum):
    """Why a verdict is missing: the word that a reason begins with."""

    NOTHING_SAID = "nothing said"  # an answer without statements
    UNREADABLE = "unreadable"  # no verdict of the requested shape
    ABSTAINED = "abstained"  # the judge could not decide
    REFUSED = "refused"
    EMPTY = "empty"
    CUT_OFF = "cut off"  # at the token limit
    FILTERED = "filtered"  # by the endpoint
    TOO_LONG = "too long"  # a prompt for the judge's context, or a reply for the reader
    NO_REPLY = "no reply"  # the endpoint or the model failed
    AMBIGUOUS = "ambiguous"  # an answer in which a computed metric could read two things
    PLUGIN_FAILED = "plug-in failed"  # an error in it, or what is no score of it
    UNSUPPORTED = "unsupported"  # not a metric for a language model
    REQUEST_FAILED = "request failed"  # to a model under test, so that there was nothing to judge
    TOO_FEW_VOTES = "too few votes"  # of a jury
    SPLIT = "split"  # a jury without a majority


# Reasons that depend on the moment and not on the answer; a later run may ask again.
# Whether a plug-in fails may also depend on what else is installed.
TRANSIENT = frozenset({MissingReason.FILTERED, MissingReason.NO_REPLY, MissingReason.PLUGIN_FAILED})


def reason_kind(reason: str) -> MissingReason | None:
    """Return the kind that a reason begins with; None if it begins with none of them."""
    word = reason.partition(":")[0]
    return MissingReason(word) if word in set(MissingReason) else None


def verdict_reasons(judgement: Judgement, metric: Metric) -> list[str | None]:
    """Return why each verdict of a judgement is missing, None where it is not: of a checklist by criterion."""
    if isinstance(judgement, Grade) and metric.by_criteria:
        found = [*(None for _ in judgement.values or ()), *judgement.missing.values()]
        return found or [judgement.reason]
    return [judgement.reason]


NOT_JUDGED = "not judged"
NOT_RECORDED = "not recorded"
WRONG_ORDER = "not recorded in this order"

# Reasons that say only that no verdict was asked for or kept; any other says more.
NOBODY_JUDGED = frozenset({NOT_JUDGED, NOT_ASKED, NOT_RECORDED, WRONG_ORDER})


def count_reasons(reasons: Iterable[str | None]) -> Counter[str]:
    """Count reasons by kind, as the text behind a colon differs from item to item; others by text."""
    return Counter(str(reason_kind(reason) or reason) for reason in reasons if reason is not None)


def rank_reasons(counts: Mapping[str, int]) -> list[str]:
    """Return the counted reasons, commonest first, and last those that only say nobody judged."""
    return sorted(
        (reason for reason, n in counts.items() if n),
        key=lambda reason: (reason in NOBODY_JUDGED, -counts[reason], reason),
    )


def describe_reasons(reasons: Iterable[str], *, protected: bool) -> str:
    """Return reasons in full and counted: "unreadable: no JSON object (14 times); refused".

    The commonest three come first. A server or a judge may quote what it was sent: of protected items
    only the part before the colon is shown.
    """
    counts = Counter(reason.partition(":")[0] if protected else reason for reason in reasons)
    ranked = rank_reasons(counts)
    words = [why if counts[why] == 1 else f"{why} ({counts[why]:,} times)" for why in ranked[:3]]
    return "; ".join(words) + ("; …" if len(ranked) > 3 else "")


def telling_reason(reasons: Iterable[str | None], counts: Mapping[str, int]) -> str | None:
    """Return the reason that tells most of several for one gap; None where there is none.

    It is one of a judgement rather than that nobody judged, and then the commonest by `counts`.
    """
    given = [reason for reason in reasons if reason is not None]

    def rank(reason: str) -> tuple[bool, int]:
        return reason not in NOBODY_JUDGED, counts.get(str(reason_kind(reason) or reason), 0)

    return max(given, key=rank, default=None)


def telling_reasons(by_source: Sequence[Sequence[str | None]]) -> list[str | None]:
    """Return for each item the reason that tells most of those that its sources give."""
    counts = count_reasons(reason for reasons in by_source for reason in reasons)
    return [telling_reason(cell, counts) for cell in zip(*by_source, strict=True)]
