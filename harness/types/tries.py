"""Tries: comparisons of a candidate with a baseline on items, as a ledger counts them."""

from typing import Literal

from pydantic import Field

from harness.types.base import Record, Verdict


class ItemSet(Record):
    """The questions that a gate decided on, as short hashes of their texts, in order.

    Of a set of many thousands the smallest hashes stand for all: of two sets that share items, the
    smallest shared ones are in both lists.
    """

    record: Literal["items"] = "items"
    key: str
    hashes: tuple[str, ...]


class Try(Record):
    """One comparison that a gate decided, or that was shown beside such a one (`seen`).

    `models` are names, the baseline's first; `baseline` and `candidates` are fingerprints. A model alone
    has no baseline. `claims`,
    `measured` and `seed` are hashes of what was claimed, how it was measured, and from which seeds
    answers were sampled. `answers` are hashes of the first answers of models behind endpoints, and of
    the first scores of recorded judges, which may change under one name; empty where one is missing.
    `level` is the alpha at which the gate decided, and `stands_to` the last number of a
    try at whose level a pass would still be one.
    """

    record: Literal["try"] = "try"
    key: str
    registered: str
    suite: str
    models: tuple[str, ...]
    baseline: str
    candidates: tuple[str, ...]
    columns: tuple[str, ...]
    items: str
    n_items: int
    claims: str
    measured: str
    seed: str = ""
    answers: tuple[str, ...] = ()
    alpha: float = Field(gt=0.0, lt=1.0)
    seen: bool = False
    decided: str = ""
    level: float | None = None
    verdict: Verdict | None = None
    stands_to: int | None = None


class EarlierTry(Record):
    """A try on the same items before this one: what differed, and its verdict if it had one."""

    registered: str
    models: tuple[str, ...]
    differs: str
    verdict: Verdict | None


class TryCount(Record):
    """Which try on these items against this baseline a run was, and what alpha that left to it.

    The first has the whole `alpha` while it is the only one (`alone`), and 0.9 of it otherwise; the
    `number`-th has 0.6 / (pi^2 (number - 1)^2) of it. `total` counts the later ones too. Where the same comparison was made
    under another seed before, that one decides (`first_seed`): this run has its number, and passes only
    if it passed. `stands_to` is the last number
    of a try at whose level a pass of this run would still be one: 0 if only the whole alpha allows it.
    """

    key: str
    number: int
    total: int
    alone: bool
    alpha: float
    level: float
    next_level: float
    stands_to: int | None = None
    first_seed: EarlierTry | None = None
    earlier: tuple[EarlierTry, ...] = ()
