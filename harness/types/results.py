"""The result of a run: everything that a report shows."""

from typing import Literal

from pydantic import Field

from harness.types.analysis import CriticalResult, RankingTable, SensitivityTable, SliceComparison
from harness.types.base import ClaimVerdict, Interval, Record, Verdict
from harness.types.human import Confirmation, RequirementResult
from harness.types.judgements import JudgeAgreement
from harness.types.plan import Amendment, Plan, Stopping
from harness.types.samples import HygieneFlag, Message
from harness.types.training import PairStatistics
from harness.types.tries import TryCount


class Coverage(Record):
    """The number of items of a column with a score for one model, and why the others have none.

    Without an answer of the model (`generation_failed`) an item has the worst score; it has none
    where the judge gave no verdict (`judge_failed`) or the request to a model never reached it.
    """

    metric: str
    model: str
    n_items: int
    n_scored: int
    generation_failed: int
    judge_failed: int
    reasons: dict[str, int]
    request_failed: int = Field(default=0, exclude_if=lambda n: n == 0)


class ModelScore(Record):
    """One model's own mean on one column, with the distribution of its scores.

    `histogram` maps each value (or the low edge of each of ten bins) to its count.
    `ceiling_share` is the share of items at the top of the scale. `overall_score` is that of HealthBench
    for a checklist: the mean, limited to [0, 1].
    """

    metric: str
    model: str
    n: int
    mean: Interval
    histogram: dict[str, int]
    ceiling_share: float
    overall_score: float | None = Field(default=None, exclude_if=lambda score: score is None)


class TestResult(Record):
    """The p-value and the name of a paired test."""

    name: str
    p_value: float


class PairwiseDetail(Record):
    """The wins, ties and losses behind a win rate, and the effect of position.

    Wins, ties and losses are items (the candidate's, averaged over orders); `first_share` is how
    often the first-shown answer won, `position_effect` the candidate's mean score when shown
    first minus when shown second with its interval; `consistency` the share of items with the
    same winner in both orders, `order_kappa` Cohen's kappa between the orders. `wins_in_both` and
    `losses_in_both` are items that the candidate wins, or loses, in both orders; None for one order.
    """

    wins: int
    ties: int
    losses: int
    first_share: float
    position_effect: Interval | None
    position_p: float | None
    consistency: float | None
    single_order: bool
    wins_in_both: int | None = Field(default=None, exclude_if=lambda n: n is None)
    losses_in_both: int | None = Field(default=None, exclude_if=lambda n: n is None)
    order_kappa: Interval | None = Field(default=None, exclude_if=lambda kappa: kappa is None)

    @property
    def n(self) -> int:
        """Return the number of judged items."""
        return self.wins + self.ties + self.losses


class Sensitivity(Record):
    """A comparison without the items on which either answer has a flag.

    `difference` is None if no item is left.
    """

    without: HygieneFlag | Literal["any_flag"]
    n: int
    difference: Interval | None


class SeedDifference(Record):
    """Candidate minus baseline, both of one training seed, on the `n` items that both have a score on."""

    seed: int
    n: int
    difference: float
    baseline_mean: float
    candidate_mean: float


class SeedSpread(Record):
    """The differences of each training seed, and their standard deviation between seeds.

    The deviation holds what the items add by chance, too, and is None of a single seed.
    """

    seeds: tuple[SeedDifference, ...]
    sd: float | None


class Comparison(Record):
    """Candidate minus baseline on one column, item by item.

    For a win rate `difference` is the win rate itself and its null value is 0.5.
    `adverse` and `favourable` are the estimates with every missing score at its worst and best
    for the candidate. `sensitivity` repeats the comparison without flagged answers: first without
    any, then without each kind of flag; it is empty if no answer has one. `seeds` is there where one of
    the models has several training seeds.
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
    seeds: SeedSpread | None = Field(default=None, exclude_if=lambda spread: spread is None)


class Unseen(Record):
    """What answers that the items do not show could do to a claim that passes.

    It would turn if the share of worst ones among all answers were above `turns_at`. A share of
    `not_excluded` shows none in `n` items (or clusters: `unit`) with chance alpha.
    """

    turns_at: float
    not_excluded: float
    n: int
    unit: str


class ClaimResult(Record):
    """The verdict on one claim: the estimate is tested against `boundary`.

    `bound` is the one-sided confidence bound that decides, at the gate's alpha (at alpha over the number of
    claims, if one of them is enough). An equivalence also needs `bound_high` below `ceiling`. `p_value` is
    that of the claim, for a regression alarm (`alarm`) that of harm. `simultaneous` is set if one claim is
    enough: these intervals cover all claims together with probability 1 - alpha. `n_needed` is the number
    of items that would settle an inconclusive claim with 80 % power if the truth were the estimate, and
    `n_needed_least` if it were as far from the boundary as the bounds allow: neither is known. `unseen`
    belongs to a pass on a mean. `low` to `high` is the gate's own interval, of `confidence`: each end is a
    one-sided bound. In an ordered family a claim after one that does not pass is `not_tested`, and has no
    bound.
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
    n_needed_least: int | None = Field(default=None, exclude_if=lambda n: n is None)
    unseen: Unseen | None = Field(default=None, exclude_if=lambda unseen: unseen is None)
    low: float | None = Field(default=None, exclude_if=lambda low: low is None)
    high: float | None = Field(default=None, exclude_if=lambda high: high is None)
    confidence: float | None = Field(default=None, exclude_if=lambda level: level is None)


class GateDecision(Record):
    """The verdict over the whole list of claims, in a sentence and by claim.

    `critical` are the rules on critical answers, which can only take a pass away; `licences` are
    the gate's requirements on the judges, which must be met for them to decide; `confirmations` are
    the judge's verdicts compared with those corrected by people's labels. `rule` names how each
    claim was tested (harness/gate/rules.py); results of earlier versions have none.
    """

    verdict: Verdict
    sentence: str
    claims: tuple[ClaimResult, ...]
    rule: str = Field(default="", exclude_if=lambda rule: not rule)
    critical: tuple[CriticalResult, ...] = ()
    licences: tuple[RequirementResult, ...] = Field(
        default=(), exclude_if=lambda results: not results
    )
    confirmations: tuple[Confirmation, ...] = Field(
        default=(), exclude_if=lambda results: not results
    )


class HygieneCount(Record):
    """The number of a model's answers with each flag, and how many came with thoughts, and how long.

    `mean_thought_words` is over the answers with thoughts. `mean_tokens` counts what the model
    generated, thoughts and answer together, over the answers whose tokens are known.
    """

    task: str
    model: str
    n: int
    counts: dict[HygieneFlag, int]
    mean_words: float
    thoughts: int = Field(default=0, exclude_if=lambda n: n == 0)
    mean_thought_words: float = Field(default=0.0, exclude_if=lambda n: n == 0)
    mean_tokens: float | None = Field(default=None, exclude_if=lambda n: n is None)


class Example(Record):
    """One item shown side by side in the report, chosen for its difference in score, `moved`."""

    sample_id: str
    input: str
    reference: str | None
    baseline: str | None
    candidate: str | None
    moved: float
    metric: str
    flags: dict[str, tuple[HygieneFlag, ...]]
    history: tuple[Message, ...] = Field(default=(), exclude_if=lambda turns: not turns)


class LengthEffect(Record):
    """A comparison at equal length: a sensitivity analysis, which never decides a gate.

    `adjusted` is None if it cannot be identified, and `unidentified` is the reason.
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
    """The outcomes of all requests to one judge on one metric about one model, counted.

    `abstained` counts the requests that the judge declined to decide; `reasons` counts the other
    unscored ones by kind. `asked_again` are the verdicts that were unreadable at first. For pairs
    `model` is the candidate; of a checklist each criterion is counted.
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
    """The comparison on one column by one member of a jury alone."""

    column: str
    judge: str
    baseline: str
    candidate: str
    n: int
    difference: Interval


class Repeatability(Record):
    """The agreement of one judge with itself over `repeats` identical requests on one column.

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
    """Calls, tokens, cost and time of one endpoint, over all verdicts and answers of this result.

    `cost` is None without prices. Seconds are those of one call with its retries; `tokens_per_second` are
    output tokens over the seconds of all calls, None where no tokens were counted.
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
    tokens_per_second: float | None = None


class Curve(Record):
    """One training curve: values at steps."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


class CheckpointCard(Record):
    """A trained checkpoint as the report shows it; `pairs` are its training pairs, if any.

    `data_hash` is of the rows that it was trained on; results of earlier versions have none.
    """

    model: str
    recipe: str
    method: str
    parent: str | None
    fingerprint: str
    facts: dict[str, str]
    curves: tuple[Curve, ...]
    pairs: PairStatistics | None = None
    data_hash: str = Field(default="", exclude_if=lambda hashed: not hashed)


class ContaminationResult(Record):
    """The overlap of a task's items with one model's training data, as its recipes name them.

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


ANSWERED_BEFORE = "answered_before_plan"  # the code of the caveat on a plan stated after answers


class Caveat(Record):
    """A warning that qualifies a verdict."""

    code: str
    text: str


class NextStep(Record):
    """What to do after a run: `code` is its kind, and `items` are the samples that `text` names."""

    code: str
    text: str
    items: tuple[str, ...] = Field(default=(), exclude_if=lambda ids: not ids)


class RunResult(Record):
    """Everything a report shows: the typed content of `results.json`.

    `started`, `finished` and `seconds` are the only fields that differ between two runs of the
    same plan on the same answers in one workspace. `registered` is when the plan was first frozen
    there, before the first answer; `amendments` are earlier plans on the same items. `tries` says
    which try on these items the run was: the alpha of the plan's gate is then what that try had.
    `stated_alpha` is the alpha that the plan's hash is of. `tables` are the sha256 of the run's
    tables by file name, and `next_steps` say what to do now, the most important first; neither is in results of
    earlier versions.
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
    tries: TryCount | None = None
    stated_alpha: float | None = None
    caveats: tuple[Caveat, ...]
    next_steps: tuple[NextStep, ...] = ()
    environment: dict[str, str]
    tables: dict[str, str] = Field(default={})
