"""What runs produce: the records that travel from stage to stage.

    Sample → Response → Grade | Preference → Score → Comparison → GateDecision → RunResult

A value that could not be read is None with a reason; it is never a number.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from harness.suite import Gate, Generation, Metric, Prices


class Record(BaseModel):
    """Base of everything that runs produce: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- items and answers -----------------------------------------------------------------------


class Sample(Record):
    """One item of an evaluation. `row` is its place in the source file, counted from 0."""

    id: str
    input: str
    reference: str | None = None
    cluster: str | None = None
    row: int


class Response(Record):
    """One model's answer to one item; `text` is None when there is none, and `reason` says why.

    `system` is the system prompt a recorded answer was given, when its record tells.
    """

    sample_id: str
    model: str
    text: str | None
    finish: Literal["stop", "length", "recorded", "failed"]
    n_tokens: int | None = None
    reason: str | None = None
    system: str | None = None
    exchange: "Exchange | None" = None


HygieneFlag = Literal[
    "prompt_leak_sentence",  # a whole sentence of the system prompt
    "prompt_leak_words",  # eight consecutive words of the system prompt
    "empty",
    "cut_off",  # stopped at the token limit
    "repetition_loop",
    "special_tokens",  # <|im_end|> and its kin inside the text
    "suspected_injection",  # reads as if it spoke to the judge
]


class Message(Record):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


# --- judgements ------------------------------------------------------------------------------


class Grade(Record):
    """A judge's verdict on one answer: `values` by column, or None with a `reason`.

    Rubric: one value per criterion. Evasion: `helpful` 0 or 1, and the `label`.
    ROUGE: precision, recall and F1 of each variant.
    """

    sample_id: str
    model: str
    metric: str
    values: dict[str, float] | None
    label: str | None = None
    rationale: str | None = None
    reason: str | None = None
    exchange: "Exchange | None" = None


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
    exchange: "Exchange | None" = None


Judgement = Grade | Preference


class JudgeCard(Record):
    """Who judged: shown at the head of every report. `fingerprint` decides what is judged anew.

    A `replayed` judge reads verdicts from a file, which stays their only home. A `remote` one
    works elsewhere, so that asking it takes no time from answering. `model` is the language model
    that judges, if one does; `evidence` is what was measured of the judge itself. A jury has
    `members`, and nothing else speaks for it.
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


class Exchange(Record):
    """What a model or judge that was asked replied, and what that took.

    `replies` are kept word for word: one for each time it was asked, of which the last was read.
    Tokens that an endpoint does not count are 0.
    """

    replies: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    seconds: float


class Outcome(Record):
    """What a judge says of one request, before it is given its item, model and metric.

    Exactly one of `values` (a grade), `winner` (a preference) or `reason` (unscored) is set.
    `exchange` is what stands behind it, where a language model was asked.
    """

    values: dict[str, float] | None = None
    label: str | None = None
    winner: Literal["first", "second", "tie"] | None = None
    rationale: str | None = None
    reason: str | None = None
    exchange: Exchange | None = None


class GradeRequest(Record):
    """One answer to be graded on one metric. `round` counts repeats of the same request."""

    sample: Sample
    metric_name: str
    metric: Metric
    model: str
    answer: str
    round: int = 0


class PreferenceRequest(Record):
    """Two answers to be compared, in the order in which the judge sees them.

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


# --- the plan --------------------------------------------------------------------------------


class PlannedModel(Record):
    """A model under test as the plan names it.

    `source` is a recipe, a checkpoint, a model at a host, or a file.
    """

    name: str
    kind: Literal["recipe", "checkpoint", "endpoint", "recorded"]
    source: str
    prices: Prices | None = None


class Task(Record):
    """The items that one group of metrics is measured on, and how models are asked.

    Files carry the items' hash and number, not the `samples` themselves.
    """

    name: str
    source: str
    items_hash: str
    n_items: int
    samples: tuple[Sample, ...] = ()
    generation: Generation
    system: str | None
    metrics: dict[str, Metric]


class Plan(Record):
    """Everything stated before the first answer. `hash` covers all of it.

    The first model is the baseline, the last the candidate. `limit`, `seed` and `judge` are what
    the command line put in place of the suite's own.
    """

    suite: str
    title: str
    profile: str
    note: str
    models: tuple[PlannedModel, ...]
    judges: dict[str, JudgeCard]
    tasks: tuple[Task, ...]
    gate: Gate | None
    limit: int | None = None
    seed: int | None = None
    judge: str | None = None
    hash: str

    @property
    def baseline(self) -> str:
        """The model that the others are compared with."""
        return self.models[0].name

    @property
    def candidate(self) -> str:
        """The model that the gate decides on."""
        return self.models[-1].name


# --- results ---------------------------------------------------------------------------------


class Interval(Record):
    """An estimate with its confidence interval; NaN never occurs, None means not estimable."""

    estimate: float
    low: float
    high: float


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
    secondary: tuple[TestResult, ...]
    effect_size: float | None
    dominance: float
    minimum_detectable: float | None
    adverse: Interval | None
    favourable: Interval | None
    sensitivity: tuple["Sensitivity", ...]
    pairwise: PairwiseDetail | None = None
    flags: tuple[str, ...] = ()


class Sensitivity(Record):
    """A comparison without the items on which either answer carries a flag.

    `difference` is None where no item is left.
    """

    without: HygieneFlag | Literal["any_flag"]
    n: int
    difference: Interval | None


Verdict = Literal["pass", "fail", "inconclusive"]


class ClaimResult(Record):
    """The verdict on one claim: `boundary` is what the estimate is tested against.

    `bound` is the one-sided confidence bound at the gate's alpha, adverse to the candidate;
    `n_needed` the number of items that would settle an inconclusive claim with 80 % power.
    """

    claim: str
    metric: str
    verdict: Verdict
    why: str
    estimate: float
    boundary: float
    bound: float | None
    p_value: float | None
    p_adjusted: float | None
    n: int
    n_needed: int | None


class GateDecision(Record):
    """The verdict over the whole list of claims, in a sentence and by claim."""

    verdict: Verdict
    sentence: str
    claims: tuple[ClaimResult, ...]


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


class JudgeTally(Record):
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


class JudgeAgreement(Record):
    """How far the members of a jury gave the same items the same verdicts.

    `column` is a column of the metric, `n` the verdicts that at least two members gave. `percent`
    is the share of exactly equal verdicts among pairs of members, `alpha` Krippendorff's (ordinal
    for scores, nominal for labels), `ac1` Gwet's (with quadratic weights for scores, where it is
    also called AC2), `kappa` Cohen's (likewise), for two judges only. None means not estimable.
    """

    column: str
    judges: tuple[str, ...]
    n: int
    percent: Interval | None
    alpha: Interval | None
    ac1: Interval | None
    kappa: Interval | None


class JudgeOpinion(Record):
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
    """What the report says of a trained checkpoint."""

    model: str
    recipe: str
    method: str
    parent: str | None
    fingerprint: str
    facts: dict[str, str]
    curves: tuple[Curve, ...]


class Exposure(Record):
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
    same plan on the same answers.
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
    tallies: tuple[JudgeTally, ...] = ()
    agreements: tuple[JudgeAgreement, ...] = ()
    opinions: tuple[JudgeOpinion, ...] = ()
    repeatability: tuple[Repeatability, ...] = ()
    spend: tuple[SpendLine, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    caveats: tuple[Caveat, ...]
    environment: dict[str, str]


# --- runs held to each other ------------------------------------------------------------------


class Flip(Record):
    """One item whose score moved."""

    sample_id: str
    before: float
    after: float


class Flips(Record):
    """The items that moved most on one column, each way, and how many moved at all."""

    metric: str
    n_better: int
    n_worse: int
    better: tuple[Flip, ...]
    worse: tuple[Flip, ...]


class RunComparison(Record):
    """The new run's candidate against the old one's; `skipped` says why a column is not there."""

    old: str
    new: str
    comparisons: tuple[Comparison, ...]
    flips: tuple[Flips, ...]
    skipped: tuple[str, ...]


class Check(Record):
    """A run held to a baseline: the verdict by column, and the items that moved."""

    model: str
    baseline: str
    decision: GateDecision
    flips: tuple[Flips, ...]
