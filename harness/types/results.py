"""What a run finds: everything that a report shows."""

from typing import Literal

from pydantic import Field

from harness.types.analysis import CriticalResult, RankingTable, SensitivityTable, SliceComparison
from harness.types.base import ClaimVerdict, Interval, Record, Verdict
from harness.types.human import RequirementResult
from harness.types.judgements import JudgeAgreement
from harness.types.plan import Amendment, Plan, Stopping
from harness.types.samples import HygieneFlag
from harness.types.training import PairStatistics


class Coverage(Record):
    """How many of a column's cells have a score for one model, and why the others have none."""

    metric: str
    model: str
    n_items: int
    n_scored: int
    generation_failed: int
    judge_failed: int
    reasons: dict[str, int]


class ModelScore(Record):
    """One model's own mean on one column, with the distribution behind it.

    `histogram` maps each value (or the low edge of each of ten bins) to its count.
    `ceiling_share` is the share of items at the top of the scale.
    """

    metric: str
    model: str
    n: int
    mean: Interval
    histogram: dict[str, int]
    ceiling_share: float


class TestResult(Record):
    """A p-value with the name of the paired test that gave it."""

    name: str
    p_value: float


class PairwiseDetail(Record):
    """What stands behind a win rate.

    wins, ties and losses are items (the candidate's, averaged over orders); `first_share` is how
    often the first-shown answer won, `position_effect` the candidate's mean score when shown
    first minus when shown second with its interval; `consistency` the share of items with the
    same winner in both orders.
    """

    wins: int
    ties: int
    losses: int
    first_share: float
    position_effect: Interval | None
    position_p: float | None
    consistency: float | None
    single_order: bool


class Sensitivity(Record):
    """A comparison without the items on which either answer carries a flag.

    `difference` is None where no item is left.
    """

    without: HygieneFlag | Literal["any_flag"]
    n: int
    difference: Interval | None


class Comparison(Record):
    """Candidate minus baseline on one column, item by item.

    For a win rate `difference` is the win rate itself and its null value is 0.5.
    `adverse` and `favourable` are the estimates with every missing score at its worst and best
    for the candidate. `sensitivity` repeats the comparison without flagged answers: first without
    any, then without each kind of flag; it is empty where no answer carries one.
    """

    metric: str
    baseline: str
    candidate: str
    n: int
    n_missing: int
    n_clusters: int | None
    null: float
    difference: Interval
    se: float | None
    baseline_mean: float
    candidate_mean: float
    test: TestResult
    p_exploratory: float | None = None
    secondary: tuple[TestResult, ...]
    effect_size: float | None
    dominance: float
    minimum_detectable: float | None
    adverse: Interval | None
    favourable: Interval | None
    sensitivity: tuple[Sensitivity, ...]
    pairwise: PairwiseDetail | None = None
    flags: tuple[str, ...] = ()


class ClaimResult(Record):
    """The verdict on one claim: `boundary` is what the estimate is tested against.

    `bound` is the one-sided confidence bound that the verdict is read from, at the gate's alpha
    (at alpha over the number of claims, where one of them is enough). An equivalence must also
    keep `bound_high` below `ceiling`. `p_value` is that of the claim, of a regression alarm
    (`alarm`) that of harm. `simultaneous` is given where one claim is enough: those intervals of
    all claims hold at once with 1 - alpha. `n_needed` is the number of items that would settle an
    inconclusive claim with 80 % power. In an ordered family a claim behind one that does not hold
    is `not_tested`, and has no bound.
    """

    claim: str
    metric: str
    alarm: bool = False
    verdict: ClaimVerdict
    why: str
    estimate: float
    boundary: float
    ceiling: float | None = None
    bound: float | None
    bound_high: float | None = None
    simultaneous: Interval | None = None
    p_value: float | None
    p_adjusted: float | None
    n: int
    n_needed: int | None


class GateDecision(Record):
    """The verdict over the whole list of claims, in a sentence and by claim.

    `critical` are the rules on critical answers, which can only take a pass away; `licences` say
    whether the judges may decide, where the gate asks.
    """

    verdict: Verdict
    sentence: str
    claims: tuple[ClaimResult, ...]
    critical: tuple[CriticalResult, ...] = ()
    licences: tuple[RequirementResult, ...] = Field(default=(), exclude_if=lambda found: not found)


class HygieneCount(Record):
    """How many of a model's answers carry each flag."""

    task: str
    model: str
    n: int
    counts: dict[HygieneFlag, int]
    mean_words: float


class Example(Record):
    """One item shown side by side in the report; `moved` is what its choice was based on."""

    sample_id: str
    input: str
    reference: str | None
    baseline: str | None
    candidate: str | None
    moved: float
    metric: str
    flags: dict[str, tuple[HygieneFlag, ...]]


class LengthEffect(Record):
    """A comparison at equal length: a sensitivity analysis, which never decides a gate.

    `adjusted` is None where it cannot be identified, and `unidentified` says why.
    """

    metric: str
    baseline: str
    candidate: str
    raw: float
    adjusted: Interval | None
    unidentified: str | None
    share_longer: float
    share_shorter: float


class JudgeCounts(Record):
    """What became of everything that one judge was asked on one metric about one model.

    `abstained` counts where the judge itself said that it cannot tell; `reasons` counts by kind
    what else is unscored. `asked_again` are the verdicts that were unreadable at first. For pairs
    `model` is the candidate.
    """

    metric: str
    judge: str
    model: str
    asked: int
    scored: int
    abstained: int
    asked_again: int
    reasons: dict[str, int]


class SingleJudgeComparison(Record):
    """What one member of a jury finds by itself: its own comparison on one column."""

    column: str
    judge: str
    baseline: str
    candidate: str
    n: int
    difference: Interval


class Repeatability(Record):
    """How far one judge, asked the same `repeats` times, repeats itself on one column.

    `n` are the answers (or ordered pairs) judged every time. `icc` is ICC(1,1), the share of the
    variance that is not the judge's own noise; `flip_rate` how often two of its verdicts differ.
    """

    column: str
    judge: str
    repeats: int
    n: int
    icc: Interval | None
    flip_rate: Interval


class SpendLine(Record):
    """What asking one endpoint took, over all verdicts and answers this result rests on.

    `cost` is None without prices. Seconds are those of one call, retries included.
    """

    who: str
    work: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    currency: str | None
    median_seconds: float
    slowest_seconds: float


class Curve(Record):
    """One training curve: values at steps."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


class CheckpointCard(Record):
    """What the report says of a trained checkpoint; `pairs` are those that it learnt from, if any."""

    model: str
    recipe: str
    method: str
    parent: str | None
    fingerprint: str
    facts: dict[str, str]
    curves: tuple[Curve, ...]
    pairs: PairStatistics | None = None


class ContaminationResult(Record):
    """How much of a task's items stands in what one model was trained on, as far as recipes tell.

    Counts are of items: `exact` ones are training questions word for word, `contaminated` ones are
    exact or mostly there, `touched` ones share at least one n-gram; of `unchecked` ones only exact
    matches can be found. `worst` names the gravest with their training rows.
    """

    task: str
    model: str
    n_rows: int
    n_items: int
    exact: int
    contaminated: int
    touched: int
    unchecked: int
    worst: tuple[str, ...]


class Caveat(Record):
    """Something the reader of a verdict should know before trusting it."""

    code: str
    text: str


class RunResult(Record):
    """Everything a report shows: the typed content of `results.json`.

    `started`, `finished` and `seconds` are the only fields that differ between two runs of the
    same plan on the same answers in one workspace. `registered` is when the plan was first frozen
    there, before anything was answered; `amendments` are earlier plans on the same items.
    """

    schema_version: Literal[1] = 1
    run_id: str
    harness_version: str
    started: str
    finished: str
    seconds: float
    plan: Plan
    fingerprints: dict[str, str]
    decision: GateDecision | None
    comparisons: tuple[Comparison, ...]
    scores: tuple[ModelScore, ...]
    coverage: tuple[Coverage, ...]
    hygiene: tuple[HygieneCount, ...]
    examples: tuple[Example, ...]
    checkpoints: tuple[CheckpointCard, ...]
    length_effects: tuple[LengthEffect, ...] = ()
    sensitivities: tuple[SensitivityTable, ...] = ()
    slices: tuple[SliceComparison, ...] = ()
    strengths: tuple[RankingTable, ...] = ()
    critical_examples: tuple[Example, ...] = ()
    tallies: tuple[JudgeCounts, ...] = ()
    agreements: tuple[JudgeAgreement, ...] = ()
    opinions: tuple[SingleJudgeComparison, ...] = ()
    repeatability: tuple[Repeatability, ...] = ()
    spend: tuple[SpendLine, ...] = ()
    exposures: tuple[ContaminationResult, ...] = ()
    registered: str = ""
    amendments: tuple[Amendment, ...] = ()
    stopping: Stopping | None = None
    caveats: tuple[Caveat, ...]
    environment: dict[str, str]
