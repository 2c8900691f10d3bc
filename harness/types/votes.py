"""What people say who compare answers blind."""

from typing import Literal

from pydantic import Field

from harness.types.record import Record

Side = Literal["baseline", "candidate", "expected", "decoy"]
Choice = Literal["left", "right", "tie", "both_unsafe", "cannot_judge"]
VoteVerdict = Literal[
    "baseline", "candidate", "expected", "decoy", "tie", "both_unsafe", "cannot_judge"
]
VoteKind = Literal["real", "attention", "repeat"]


class StudyItem(Record):
    """One pair of a study; `key` is unique in it.

    A `repeat` shows a real pair again with its sides exchanged. An `attention` item shows the
    answer of one model (`expected`) beside a `decoy` that nobody who reads would prefer: an answer
    to another item, `decoy_of`, or the expected answer with its words shuffled.
    """

    key: str
    kind: VoteKind
    task: str
    sample_id: str
    expected: Literal["baseline", "candidate"] | None = None
    decoy: Literal["other_question", "shuffled"] | None = None
    decoy_of: str | None = None


class ScoredCriterion(Record):
    """One question that annotators answer on a scale for each answer; `anchors` say what it means."""

    name: str
    asks: str
    low: int
    high: int
    anchors: dict[int, str] = Field(default={})


class Study(Record):
    """Everything that is stated before the first vote.

    Of the task's `n_items` items, `n_comparable` have two different answers, and `n` of these were
    drawn with `seed`; on the others nobody needs to be asked. `metric` is the pairwise metric that
    the votes answer, and `rubric` the one whose criteria are scored, where the suite has them. An
    annotator counts only with at least `attention_at_least` of the attention items that they voted
    on answered as expected. `secret` decides order and sides for each annotator; it never leaves
    the study's folder.
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


class Vote(Record):
    """One annotator's choice on one item of a study, with the sides resolved.

    `left` is what was shown on the left, and `verdict` what the choice comes to. `question` and
    `texts`, by side, are SHA-256 of what was shown (harness/votes.py), so that a vote can be given
    to another run with the same answers, and to no other. `scores` are by side (`baseline`, `candidate`, or for attention items `expected`, `decoy`), then by criterion.
    Times are UTC, ISO 8601; `seconds` from seeing the pair to the choice, None where unknown.
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
        """Who won; None on attention items, and where the annotator could not judge.

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
        """Whether an attention item was answered as expected; None on the others."""
        return self.verdict == "expected" if self.kind == "attention" else None


class Undo(Record):
    """An annotator took back what they had said of an item."""

    annotator: str
    item: str
    at: str
