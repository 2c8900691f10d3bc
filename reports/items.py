"""The record of one item of a run, from which its pages and the explorer are made.

A record holds what the run has decided, read from its tables; `harness/runs/items.py` reads them.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeVar

from harness.config.metric_base import ScoreKind
from harness.types import GivenPassage, ItemCriterion, Message
from reports.formatting import ABSENT, number, signed

T = TypeVar("T")

MAX_ITEMS = 20_000  # shown; the others are in answers.parquet and judgements.parquet
MAX_SLUG = 40
HASH_DIGITS = 8
PAGE_DIGITS = 2  # of the hash, hexadecimal: 256 pages


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """The answer of one model; `text` is None if there is none, and `note` gives the reason.

    `thoughts` are those that were left out of the text. `passages` are those that a model that retrieves was
    given, and `prompt` is the hash of what an endpoint was sent.
    """

    model: str
    text: str | None
    note: str = ""
    thoughts: str = ""
    passages: tuple[GivenPassage, ...] | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class ItemScore:
    """The formatted scores of one item on one column, in the order of the models."""

    metric: str
    scores: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemJudgement:
    """One judge's verdict on one answer or pair, with its rationale or why there is no verdict.

    A pair is `model` against `against`, shown in one `order`. `replies` are the judge's, word for word and the
    last the one that counts; None where the run does not hold them. `prompt` is the hash of what was sent.
    """

    judge: str
    metric: str
    subject: str
    verdict: str
    explanation: str
    model: str = ""
    against: str | None = None
    order: str | None = None
    round: int = 0
    replies: tuple[str, ...] | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class ItemComparison:
    """One item's scores of two models on one column, `metric`, as the run compares them.

    Of a preference the scores are win scores, and `difference` is the candidate's less 0.5; of a model alone
    it is the score. None is missing, and `reason` says why. Of a preference that was judged in both orders
    `order_dependent` says whether they disagree. `judge_spread` is the largest less the smallest value by
    the judges of a jury on one answer (of a composite, on any of its criteria), None where fewer than two
    gave one. `people` is people's difference where they labelled the item. The gate decides on the pair
    that is `gated`.
    """

    metric: str
    kind: ScoreKind
    baseline: str
    candidate: str
    gated: bool
    baseline_score: float | None
    candidate_score: float | None
    difference: float | None
    reason: str | None = None
    order_dependent: bool = False
    judge_spread: float | None = None
    people: float | None = None

    @property
    def judges_disagree(self) -> bool:
        """Return whether two judges gave the same answer, or pair, different values."""
        return bool(self.judge_spread)

    @property
    def people_disagree(self) -> bool:
        """Return whether people and the judge prefer different sides, a tie being a side too."""
        if self.people is None or self.difference is None or self.baseline == self.candidate:
            return False
        return _sign(self.people) != _sign(self.difference)


class ItemFlag(NamedTuple):
    """A hygiene flag of one model's answer."""

    model: str
    flag: str


class CriticalAnswer(NamedTuple):
    """A model's answer that a rule on critical answers counts."""

    rule: str
    model: str


class SliceValue(NamedTuple):
    """An item's value in a column by which the suite slices."""

    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Item:
    """One item with its answers, scores and judgements, and what the run found about them.

    `difference` is the candidate's score minus the baseline's on `metric`, of a model alone its score;
    None if one is missing. `flags` are None where the run's tables do not hold them.
    """

    task: str
    sample_id: str
    input: str
    reference: str | None
    answers: tuple[ItemAnswer, ...]
    scores: tuple[ItemScore, ...]
    judgements: tuple[ItemJudgement, ...]
    metric: str
    difference: float | None
    history: tuple[tuple[str, str], ...] = ()  # the speaker and text of each turn before the input
    references: tuple[str, ...] = ()
    slices: tuple[SliceValue, ...] = ()
    flags: tuple[ItemFlag, ...] | None = ()
    critical: tuple[CriticalAnswer, ...] = ()
    comparisons: tuple[ItemComparison, ...] = ()
    criteria: Mapping[str, tuple[ItemCriterion, ...]] = field(default_factory=dict)  # by column

    @property
    def anchor(self) -> str:
        """Return the item's permanent name in addresses: of its own name and a hash, never of its place."""
        return make_anchor(self.task, self.sample_id)

    @property
    def shown_difference(self) -> str:
        """Return the difference with its sign, or the score of a model alone."""
        if self.difference is None:
            return ABSENT
        return (number if len(self.answers) == 1 else signed)(self.difference, 2)

    @property
    def gated(self) -> tuple[ItemComparison, ...]:
        """Return the comparisons of the two models that the gate compares."""
        return tuple(comparison for comparison in self.comparisons if comparison.gated)


class SentPrompt(NamedTuple):
    """What was sent to a model or a judge: its messages, and what to know of them.

    Without messages `note` says why they are not known.
    """

    to: str
    messages: tuple[Message, ...]
    note: str = ""


class ItemPrompts(NamedTuple):
    """What was sent to the models about one item, and to the judge for each of its judgements."""

    models: tuple[SentPrompt, ...]
    judges: tuple[SentPrompt | None, ...]


PromptsOf = Callable[[Item], ItemPrompts]


def select_shown(items: Sequence[T], difference: Callable[[T], float | None]) -> list[T]:
    """Return the items to show, the candidate's worst first, those without a difference last."""
    differences = [(difference(item), item) for item in items]
    compared = [(d, item) for d, item in differences if d is not None]
    uncompared = [item for d, item in differences if d is None]
    sorted_items = [item for _, item in sorted(compared, key=lambda pair: pair[0])]
    if len(items) > MAX_ITEMS:
        half = max(0, MAX_ITEMS - len(uncompared)) // 2
        sorted_items = [*sorted_items[:half], *sorted_items[len(sorted_items) - half :]]
    return [*sorted_items, *uncompared][:MAX_ITEMS]


@lru_cache(MAX_ITEMS)
def make_anchor(task: str, sample_id: str) -> str:
    """Return a name for addresses: readable letters of the id, and 8 hex digits that depend on task and id."""
    digest = short_hash(task, sample_id)
    slug = make_slug(sample_id)
    return f"{slug}-{digest}" if slug else f"item-{digest}"


def short_hash(*names: str) -> str:
    """Return the first 8 hex digits of the sha256 of names, such as a task's and an item's."""
    content = "\0".join(names).encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()[:HASH_DIGITS]


def page_of(anchor: str) -> str:
    """Return the file with an item's page: by its hash, so that a link goes on leading there."""
    return f"{anchor[-HASH_DIGITS:][:PAGE_DIGITS]}.html"


def item_address(task: str, sample_id: str) -> str:
    """Return the address of an item's place on its page, from the folder of the report."""
    anchor = make_anchor(task, sample_id)
    return f"items/{page_of(anchor)}#{anchor}"


def make_slug(text: str) -> str:
    """Return what is left of a text as lower-case letters, digits and hyphens; at most 40 characters."""
    plain = unicodedata.normalize("NFKD", text[: 8 * MAX_SLUG]).casefold()
    ascii_only = plain.encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only)[:MAX_SLUG].strip("-")


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
