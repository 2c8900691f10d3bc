"""A comparative study: arms ranked with what is not told apart, and what each of them took."""

from typing import Literal

from pydantic import Field

from harness.types.base import Interval, Record
from harness.types.results import Caveat, SpendLine


class ArmCost(Record):
    """What an arm took, as measured: the mean over its trainings.

    Bytes are those of the largest training. None where nothing was measured, or nothing was trained.
    """

    trainable_parameters: int | None = None
    peak_memory_bytes: int | None = None
    training_seconds: float | None = None
    training_tokens: int | None = None
    training_cost: float | None = None


class StudyArm(Record):
    """One arm of a study: a recipe with its overrides, or a model of the profile.

    `mean` has its own 95 % interval over items and seeds. `rank_best` and `rank_worst` limit its rank; arms
    that share one of the `letters` are not told apart. An arm with a `problem` has no rank and never wins.
    `dropped_at` is the look after which it could not be the best any more. `on_front` says that no arm is shown
    to be as cheap and better, by the cost of that name.
    """

    name: str
    base: str = ""
    method: str = ""
    rows: int | None = None
    recipe: str = ""
    seeds: tuple[int, ...] = ()
    fingerprints: tuple[str, ...] = ()
    problem: str = ""
    mean: Interval | None = None
    strength: Interval | None = None
    n_items: int = 0
    n_missing: int = 0
    missing_reasons: dict[str, int] = Field(default={})
    rank_best: int | None = None
    rank_worst: int | None = None
    letters: str = ""
    dropped_at: int | None = None
    cost: ArmCost = ArmCost()
    on_front: dict[str, bool] = Field(default={})


class ArmPair(Record):
    """Two arms at the last look at which both were compared: the second's mean less the first's.

    The interval is one of all pairs' together. `better` names the arm that is shown to be better, also where
    that `follows` from two other pairs' statements; None where they are not told apart.
    """

    first: str
    second: str
    look: int
    difference: Interval
    df: float
    better: str | None = None
    follows: bool = False


class StudyLook(Record):
    """One look: its seeds, items and share of alpha, the arms compared, and those dropped after it."""

    number: int
    seeds: tuple[int, ...]
    n_items: int
    alpha: float
    arms: tuple[str, ...]
    dropped: dict[str, str] = Field(default={})
    judgements: int = 0
    run_id: str = ""
    folder: str = ""


class StudySaving(Record):
    """What dropping arms saved: trainings, and judgements of the metric that ranks."""

    trainings: int
    trainings_planned: int
    judgements: int
    judgements_planned: int


class StudyResult(Record):
    """A study's ranking; the content of study.json.

    `alpha` bounds the chance that any statement "better than" is wrong. `arms` are the best first, those with
    a problem last. `registered` is when this study was stated in the workspace first, `changed` the times at
    which others of its name were.
    """

    schema_version: Literal[1] = 1
    study: str
    title: str
    suite: str
    metric: str
    low: float
    high: float
    preference: bool = False
    alpha: float
    confidence: float = 0.95
    sentence: str
    arms: tuple[StudyArm, ...]
    pairs: tuple[ArmPair, ...]
    looks: tuple[StudyLook, ...]
    saving: StudySaving | None = None
    spend: tuple[SpendLine, ...] = ()
    currency: str = ""
    caveats: tuple[Caveat, ...] = ()
    plan_hash: str
    registered: str
    changed: tuple[str, ...] = ()
    started: str
    finished: str
    harness_version: str
    environment: dict[str, str] = Field(default={})
