"""Training data with its statistics, and the lineage and promotion of checkpoints."""

from typing import Literal

from pydantic import Field

from harness.types.base import Interval, Record, Verdict
from harness.types.judgements import JudgeAgreement
from harness.types.samples import HygieneFlag, Message

LENGTH_TELLS = 0.7  # share of pairs guessed by length alone, from which the pairs teach length

# Why a pair is dropped. A hygiene flag is that of the answer that would have been chosen.
PairDrop = (
    Literal[
        "tied",
        "inconsistent",  # the winner depends on the order
        "split",  # the judges have no majority for one winner
        "unscored",
        "identical",
        "low_margin",
        "too_short",
        "too_long",
        "length_ratio",
    ]
    | HygieneFlag
)


class KeptStatistics(Record):
    """The outcome of a selection of training rows; `kept` of the candidates remain."""

    kept: int


class PairSide(Record):
    """The chosen answers of the kept pairs, or the rejected ones.

    `leaks` are answers that repeat words or a sentence of their own system prompt, `empty` those
    without a word.
    """

    mean_words: float | None
    leaks: int
    empty: int


class PairStatistics(KeptStatistics):
    """The outcome of a selection of pairs: `built` is `kept` plus all that were `dropped`.

    `unscored_reasons` counts the reasons of unscored pairs. `chosen_longer` is the share of kept pairs
    of unequal length in which the chosen answer is the longer one, with a 95 % interval (Wilson's,
    as if the pairs were independent). `agreement` is that of several judges, order by order.
    """

    built: int
    dropped: dict[PairDrop, int]
    unscored_reasons: dict[str, int]
    chosen: PairSide
    rejected: PairSide
    chosen_longer: Interval | None
    agreement: JudgeAgreement | None = None

    @property
    def teaches(self) -> Literal["longer", "shorter"] | None:
        """Return the length by which the chosen answer can be guessed in most pairs; None if neither.

        The length heuristic of Singhal et al. 2023, https://arxiv.org/abs/2310.03716.
        """
        share = self.chosen_longer
        if share is None:
            return None
        if share.estimate >= LENGTH_TELLS and share.low > 0.5:
            return "longer"
        if share.estimate <= 1 - LENGTH_TELLS and share.high < 0.5:
            return "shorter"
        return None


class PreferencePair(Record):
    """One prompt with the preferred and the other answer."""

    sample_id: str
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    source: Literal["judged", "gold", "given"]


class Example(Record):
    """One chat whose last turn is the training target.

    `unlearnt_turns` are the assistant's earlier turns whose weight in the data is 0.
    """

    id: str
    prompt: tuple[Message, ...]
    completion: str
    # Omitted when 0, so that the keys of checkpoints remain valid.
    unlearnt_turns: int = Field(default=0, exclude_if=lambda n: n == 0)


class LabelledAnswer(Record):
    """One answer to a prompt, and whether it is labelled good."""

    sample_id: str
    prompt: tuple[Message, ...]
    completion: str
    label: bool


class Ancestor(Record):
    """A checkpoint that another was trained from."""

    recipe: str
    method: str
    fingerprint: str
    data_hash: str
    source: str


class Promotion(Record):
    """A certified checkpoint, and the evidence of its certification.

    `alpha` is the part of the error rate that this certification, the `look`th on these items, was
    tested at. `lineage` goes from the checkpoint back to the model where training started.
    """

    name: str
    number: int
    checkpoint: str
    fingerprint: str
    beaten: str
    certified_by: str
    alpha: float
    look: int
    run_id: str
    report: str
    sentence: str
    lineage: tuple[Ancestor, ...]
    versions: dict[str, str]
    when: str


class Look(Record):
    """One certification: a candidate against a baseline on the items of one hash."""

    items_hash: str
    candidate: str
    baseline: str
    claims: str
    when: str


class StageResult(Record):
    """The outcome of one stage of a loop: the candidates, the chosen one, and its gate's verdict.

    `tried` holds each candidate's mean on the column of selection; None if there was only one.
    """

    stage: str
    baseline: str
    tried: dict[str, float | None]
    chosen: str
    verdict: Verdict
    sentence: str
    report: str


class LoopResult(Record):
    """The outcome of a loop; `promotion` is the current promotion if it came from this loop."""

    loop: str
    stages: tuple[StageResult, ...]
    verdict: Verdict
    sentence: str
    promotion: Promotion | None = None
