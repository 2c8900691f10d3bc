"""What became of preference pairs, and what those that are learnt from look like."""

from typing import Literal

from harness.types.base import Interval, Record
from harness.types.judgements import JudgeAgreement
from harness.types.samples import HygieneFlag, Message

LENGTH_TELLS = 0.7  # of the pairs guessed right by length alone, from which they teach length

# Why a pair is not learnt from. A hygiene flag is that of the answer that would have been chosen.
PairDrop = (
    Literal[
        "tied",
        "inconsistent",  # another winner in the other order
        "split",  # judges who name different winners, none with a majority
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
    """What became of candidates; `kept` of them are rows to learn from."""

    kept: int


class PairSide(Record):
    """The chosen answers of the kept pairs, or the rejected ones.

    `leaks` are answers with words or a sentence of their own system prompt, `empty` those without
    a word.
    """

    mean_words: float | None
    leaks: int
    empty: int


class PairStatistics(KeptStatistics):
    """What became of the candidates: `built` is `kept` plus all that were `dropped`.

    `unscored_reasons` counts why pairs went unscored. `chosen_longer` is the share of kept pairs
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
        """Which answer could be chosen by its length alone in most pairs; None if neither.

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
    """One chat to learn the last turn of."""

    id: str
    prompt: tuple[Message, ...]
    completion: str


class Ancestor(Record):
    """A checkpoint that another was trained from."""

    recipe: str
    method: str
    fingerprint: str
    data_hash: str
    source: str


class Promotion(Record):
    """A checkpoint that was certified, and what that rests on.

    `alpha` is the share of the stated error rate that this certification, the `look`th on these
    items, was tested at. `lineage` goes from the checkpoint back to what training started from.
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
