"""Human votes and labels, their summaries, and the agreement of judges with them."""

from typing import Literal

from pydantic import Field

from harness.types.base import Interval, Record, Verdict
from harness.types.judgements import JudgeAgreement


class AnnotatorSummary(Record):
    """The votes of one annotator, counted. One who is not `counted` failed the preregistered rule.

    `n_votes` are on real pairs (or answers); `n_undecided` of them could not be judged.
    `n_attentive` of `n_attention` items with a known answer were answered as expected;
    `n_same` of `n_repeats` pairs got the same vote when shown again. `mean` is the annotator's own
    win rate with a 95 % interval over items.
    """

    name: str
    counted: bool
    n_votes: int
    n_undecided: int
    n_attention: int = 0
    n_attentive: int = 0
    n_repeats: int = 0
    n_same: int = 0
    mean: Interval | None = None


class HumanMean(Record):
    """The mean of the human votes on one column: a win rate, or a difference of scores.

    `mean` has items and annotators as sources of uncertainty (two-way cluster-robust, t with `df`
    degrees of freedom), `of_items` the items alone: it holds for these annotators only. With one
    annotator both are the same. `p_value` is two-sided, of no difference (`null`).
    """

    column: str
    null: float
    mean: Interval
    of_items: Interval
    df: int
    p_value: float
    n_items: int
    n_annotators: int
    n_votes: int


class HumanSummary(Record):
    """The counts of a human study, or of a file of human labels.

    `sampling` describes how the items were chosen, `random` whether at random. `n_drawn` of
    `n_population` items were to be labelled; `rule` is the condition on which annotators count.
    Wins, ties and losses are votes, from the candidate's side; `unsafe` are the ties in which both
    answers were called unsafe, on the items `unsafe_items`. `agreements` are between annotators;
    `same_again` is the share of repeated pairs that got the same vote again.
    """

    source: str
    sampling: str
    random: bool
    n_drawn: int
    n_population: int | None
    rule: str
    annotators: tuple[AnnotatorSummary, ...]
    wins: int
    ties: int
    losses: int
    undecided: int
    unsafe: int = 0
    unsafe_items: tuple[str, ...] = ()
    means: tuple[HumanMean, ...]
    agreements: tuple[JudgeAgreement, ...]
    same_again: Interval | None
    n_again: int


class Bias(Record):
    """One possible bias of a judge: its rate in the judge, in people, and the difference."""

    what: str
    n: int
    judge: float
    people: float
    difference: Interval | None


class OrderAgreement(Record):
    """The agreement of the judge with people when it saw the answers in one order."""

    order: str
    n: int
    percent: Interval | None


class Estimate(Record):
    """One estimate of the human mean over all items, with a 95 % interval.

    `weight` is how much of the judge a corrected estimate uses, from 0 (labels alone) to 1.
    """

    method: str
    n: int
    interval: Interval
    weight: float | None = None


class Calibrated(Record):
    """Estimates of the human mean over all items on one column: by judge, by labels, and corrected.

    `of` is a model, or the difference of two; `more_labels` is the number that would bring the
    corrected interval to `half_width`, None if there are too few items for it.
    """

    column: str
    of: str
    null: float | None
    estimates: tuple[Estimate, ...]
    half_width: float
    n_labels_needed: int | None
    more_labels: int | None


class StrictAgreement(Record):
    """The agreement of a judge with people on pairs, where its verdict must be alike in both orders.

    A pair whose winner depends on the order (`n_by_order` of the labelled ones) agrees with nothing;
    the lenient agreement counts it as the mean of its verdicts, so that a win in either order is a
    tie. The measures are those of `JudgeAgainstPeople`.
    """

    n_by_order: int
    percent: Interval | None
    kappa: Interval | None
    ac1: Interval | None
    single: Interval | None


class ModelAgreement(Record):
    """The agreement of a judge with people on the answers of one model."""

    model: str
    n: int
    percent: Interval | None
    kappa: Interval | None
    ac1: Interval | None


class JudgeAgainstPeople(Record):
    """The agreement of one judge with people on one column.

    `n` items (or answers) have a verdict of both; `unscored` labelled ones have none of the judge,
    and on `undecided` ones no verdict has a majority of the annotators. `percent`, `kappa`
    (quadratic weights for scores) and `ac1` (likewise) compare the judge with the verdict of the
    majority; `single` is its agreement with one annotator. On pairs judged in both orders these are
    lenient, `strict` are the strict ones, and `over_orders` is the share of equal verdicts averaged
    over the orders. `models` has the agreement by model, and `difference_bias` compares the
    difference of the two models: a bias for one of them does not show in all answers together. The ceiling of `single` is
    `between.percent`, the agreement of two annotators. `confusion` has the human verdicts in rows
    and the judge's in columns, in the order of `categories`. `slope` is that of the judge's scores
    on the human ones: below 1 the judge compresses the scale.
    """

    column: str
    judge: str
    n: int
    unscored: int
    percent: Interval | None
    kappa: Interval | None
    ac1: Interval | None
    single: Interval | None
    between: JudgeAgreement | None
    categories: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    biases: tuple[Bias, ...]
    orders: tuple[OrderAgreement, ...]
    slope: Interval | None
    undecided: int = Field(default=0, exclude_if=lambda n: not n)
    strict: StrictAgreement | None = Field(default=None, exclude_if=lambda strict: strict is None)
    over_orders: Interval | None = Field(default=None, exclude_if=lambda share: share is None)
    models: tuple[ModelAgreement, ...] = Field(default=(), exclude_if=lambda models: not models)
    difference_bias: Bias | None = Field(default=None, exclude_if=lambda bias: bias is None)

    @property
    def all_biases(self) -> tuple[Bias, ...]:
        """Return the biases, that of the difference of the models last."""
        return self.biases if self.difference_bias is None else (*self.biases, self.difference_bias)


class Confirmation(Record):
    """A claim decided by a judge, and by the judge corrected with people's labels on part of the items.

    `judged` and `corrected` are the verdicts on the claim. `by_judge` and `by_labels` are the means
    of the judge on all `n` items and of people on the `n_labels` labelled ones; `estimate` is the
    corrected mean with its one-sided bounds `low` and `high`, each at the gate's level. The bounds cover
    other items, not other annotators. An `alarm` is confirmed unless the labels raise it and the
    judge does not, or the other way round. The figures of a difference are `signed`.
    """

    claim: str
    column: str
    judge: str
    judged: Verdict
    corrected: Verdict
    by_judge: float
    by_labels: float
    estimate: float
    low: float
    high: float
    n_labels: int
    n: int
    alarm: bool = Field(default=False, exclude_if=lambda alarm: not alarm)
    signed: bool = Field(default=True, exclude_if=lambda signed: signed)

    @property
    def confirmed(self) -> bool:
        """Return whether the labels lead to the judge's verdict, where it reaches one."""
        if self.alarm and self.judged == "inconclusive":
            return self.corrected != "fail"
        return self.judged in ("inconclusive", self.corrected)


class Calibration(Record):
    """Judges compared with human labels: the result of `harness calibrate`.

    `refused` is the reason why nothing is corrected, if the labels are no random sample.
    `confirmations` are the gate's claims that the judge decided.
    """

    run_id: str
    suite: str
    baseline: str
    candidate: str
    people: HumanSummary
    judges: tuple[JudgeAgainstPeople, ...]
    corrected: tuple[Calibrated, ...]
    refused: str | None
    notes: tuple[str, ...]
    confirmations: tuple[Confirmation, ...] = Field(
        default=(), exclude_if=lambda results: not results
    )


REQUIREMENT_MEASURES = {"kappa": "kappa", "ac1": "AC1/AC2", "percent": "share of equal verdicts"}


class RequirementResult(Record):
    """A required agreement of a judge with people on one column, and whether it was shown.

    `low` is the lower end of the 95 % interval; None without labels. The judge may decide if the
    requirement was `held`. `models` and `biases` are of the same labels, by model: a bias for one of
    them does not show in all answers together.
    """

    column: str
    judge: str
    measure: str
    estimate: float | None
    low: float | None
    n: int
    at_least: float
    held: bool
    why: str
    models: tuple[ModelAgreement, ...] = Field(default=(), exclude_if=lambda models: not models)
    biases: tuple[Bias, ...] = Field(default=(), exclude_if=lambda biases: not biases)


Side = Literal["baseline", "candidate", "expected", "decoy"]
Choice = Literal["left", "right", "tie", "both_unsafe", "cannot_judge"]

VoteVerdict = Literal[
    "baseline", "candidate", "expected", "decoy", "tie", "both_unsafe", "cannot_judge"
]

VoteKind = Literal["real", "attention", "repeat"]


class StudyItem(Record):
    """One pair of a study; `key` is unique in it.

    A `repeat` shows a real pair again with its sides exchanged. An `attention` item shows the
    answer of one model (`expected`) next to a `decoy` that no attentive reader prefers: an answer to
    another item, `decoy_of`, or the expected answer with its words shuffled.
    """

    key: str
    kind: VoteKind
    task: str
    sample_id: str
    expected: Literal["baseline", "candidate"] | None = None
    decoy: Literal["other_question", "shuffled"] | None = None
    decoy_of: str | None = None


class ScoredCriterion(Record):
    """One question that annotators answer on a scale for each answer; `anchors` describe its points."""

    name: str
    asks: str
    low: int
    high: int
    anchors: dict[int, str] = Field(default={})


class Study(Record):
    """The design of a human study, fixed before the first vote.

    Of the task's `n_items` items, `n_comparable` have two different answers, and `n` of these were drawn
    with `seed`; the others are ties without a vote. `chances` are those of these items to be drawn, by
    sample id; empty where they are equal. Drawn `after` another study, it is of pairs without a label there: those
    that had one are `carried`, and `carried_chances` are all pairs' chances to be among them. `metric` is the pairwise metric that the votes answer, and
    `rubric` the one whose criteria are scored, if the suite has them. An annotator counts only with votes
    on at least `least_votes` pairs (0 in studies of earlier versions) and at least `attention_at_least` of
    their attention items answered as expected. `secret` determines order and sides for each annotator; it
    never leaves the study's folder.
    """

    schema_version: Literal[1] = 1
    name: str
    run_id: str
    plan_hash: str
    baseline: str
    candidate: str
    task: str
    metric: str | None
    asks: str
    rubric: str | None
    criteria: tuple[ScoredCriterion, ...]
    show_reference: bool
    seed: int
    n: int
    n_items: int
    n_comparable: int
    attention_at_least: float
    break_every: int
    items: tuple[StudyItem, ...]
    made: str
    secret: str
    chances: dict[str, float] = Field(default={}, exclude_if=lambda chances: not chances)
    least_votes: int = Field(default=0, exclude_if=lambda n: n == 0)
    after: str = Field(default="", exclude_if=lambda name: not name)
    carried: tuple[str, ...] = Field(default=(), exclude_if=lambda ids: not ids)
    carried_chances: dict[str, float] = Field(default={}, exclude_if=lambda chances: not chances)


class Vote(Record):
    """One annotator's choice on one item of a study, with the sides resolved.

    `left` is the side that was shown on the left, and `verdict` the meaning of the choice.
    `question` and `texts` (by side) are SHA-256 of the texts shown (harness/human/votes.py), so that
    a vote is also valid for another run with the same answers, and for no other. `scores` are by
    side (`baseline`, `candidate`, or for attention items `expected`, `decoy`), then by criterion.
    Times are UTC, ISO 8601; `seconds` is from the display to the choice, None if unknown.
    """

    study: str
    item: str
    kind: VoteKind
    task: str
    sample_id: str
    baseline: str
    candidate: str
    question: str
    texts: dict[Side, str]
    annotator: str
    left: Side
    choice: Choice
    verdict: VoteVerdict
    scores: dict[Side, dict[str, int]] = Field(default={})
    comment: str = ""
    voted_at: str
    seconds: float | None = None
    source: Literal["page", "offline", "label_studio"] = "page"

    @property
    def winner(self) -> Literal["baseline", "candidate", "tie"] | None:
        """Return the winner; None on attention items, and if the annotator could not judge.

        Two unsafe answers are a tie: neither is better.
        """
        match self.verdict:
            case "baseline" | "candidate" | "tie":
                return self.verdict if self.kind != "attention" else None
            case "both_unsafe":
                return "tie" if self.kind != "attention" else None
            case _:
                return None

    @property
    def attentive(self) -> bool | None:
        """Return whether an attention item was answered as expected; None for other items."""
        return self.verdict == "expected" if self.kind == "attention" else None


class Undo(Record):
    """The withdrawal of an annotator's vote on an item."""

    annotator: str
    item: str
    at: str
