"""The result of a run: from scores to the one record that every report is rendered from."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, get_args

import numpy as np

import harness
from harness.analysis.comparisons import adjust_exploratory, compare_scores
from harness.analysis.judge_reliability import JudgeFindings, summarise_judges
from harness.analysis.length import find_length_effect
from harness.analysis.rankings import rank_models
from harness.analysis.sensitivity import find_sensitivities
from harness.analysis.slices import compare_slices
from harness.config import metric_of
from harness.core.errors import InfrastructureError
from harness.core.hashing import content_hash, environment
from harness.data.thoughts import thoughts_of
from harness.gate.decision import decide_gate
from harness.gate.one_model import decide_alone
from harness.models.cost import spend_line
from harness.models.session import EndpointSession
from harness.planning.preregistration import Preregistration
from harness.runs.caveats import collect_caveats
from harness.runs.examples import largest_differences, pick_critical_examples
from harness.runs.prepare import Prepared
from harness.scoring.columns import GradeColumn, ScoreColumn, summarise_column, summarise_coverage
from harness.scoring.paired import PairedScores, pair_scores
from harness.scoring.reduce import group_by_judge
from harness.scoring.task_scores import Flags, RunScores, TaskScores
from harness.types import (
    ContaminationResult,
    GateDecision,
    HygieneCount,
    HygieneFlag,
    LengthEffect,
    ModelScore,
    Plan,
    RankingTable,
    RunResult,
    SensitivityTable,
    SliceComparison,
    SpendLine,
    Stopping,
)
from harness.types.judgements import describe_reasons


class NoScoresError(InfrastructureError):
    """A metric has no score to compare; `models` are those without any, if they can be told apart."""

    models: tuple[str, ...] = ()


class Stopwatch:
    """The start time of a run, and the time it has taken."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC)
        self._clock = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return the seconds since the start, by a monotonic clock."""
        return time.monotonic() - self._clock


def build_run_result(
    plan: Plan,
    preregistration: Preregistration,
    models: Mapping[str, Prepared],
    scores: RunScores,
    exposures: Sequence[ContaminationResult],
    stopwatch: Stopwatch,
) -> RunResult:
    """Build the result: comparisons, the gate's decision, and what a reader needs to trust them.

    If the items were judged in looks, `scores` hold the decision; otherwise the gate decides here.

    Raises:
        InfrastructureError: a metric has no score to compare.
    """
    measured, decision, stopping = scores
    # 1. Compare every later model with the baseline.
    compared = [
        _Compared(part, column, pair)
        for part in measured
        for column in part.columns
        for pair in _paired(column, plan, part)
    ]
    comparisons = [
        compare_scores(column, pair, _flagged_items(part.flags, pair))
        for part, column, pair in compared
        if not pair.alone
    ]
    pairs = [pair for _, _, pair in compared]
    # 2. Decide the gate on its own pair of models.
    decided = {p.metric: p for p in pairs if (p.baseline, p.candidate) == plan.gated}
    if plan.gate is not None and stopping is None:
        decision = decide_gate(plan.gate, decided)
    decision = decide_alone(decision, plan)
    # 3. Analyse what the decision depends on.
    columns = [column for part in measured for column in part.columns]
    judges = _summarise_all_judges(measured)
    answered = [part for part in measured if part.task.scored_options is None]
    fingerprints = {name: prepared.fingerprint for name, prepared in models.items()}
    # 4. Collect the record.
    result = RunResult(
        run_id=content_hash(plan.hash, fingerprints)[:12],
        harness_version=harness.__version__,
        started=stopwatch.started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(stopwatch.seconds, 1),
        plan=plan,
        fingerprints=fingerprints,
        decision=decision,
        comparisons=adjust_exploratory(comparisons, plan),
        scores=tuple(_model_scores(columns)),
        coverage=tuple(cover for column in columns for cover in summarise_coverage(column)),
        hygiene=tuple(count for part in answered for count in _count_flags(part)),
        examples=tuple(largest_differences(measured, decided, plan)),
        checkpoints=tuple(card for prepared in models.values() for card in prepared.cards),
        length_effects=tuple(_length_effects(compared)),
        sensitivities=tuple(_sensitivities(compared, decided, plan, decision, stopping)),
        slices=_slices(measured, decided, plan),
        strengths=tuple(_rankings(pairs, plan)),
        critical_examples=tuple(pick_critical_examples(measured, decision, plan)),
        tallies=tuple(judges.tallies),
        agreements=tuple(judges.agreements),
        opinions=tuple(judges.opinions),
        repeatability=tuple(judges.repeatability),
        spend=tuple(count_spend(plan, measured)),
        exposures=tuple(exposures),
        registered=preregistration.registered,
        amendments=preregistration.amendments,
        stopping=stopping,
        caveats=(),
        environment=environment(),
    )
    caveats = collect_caveats(result, measured, models, preregistration.rule)
    return result.model_copy(update={"caveats": tuple(caveats)})


def too_many_unscored(result: RunResult) -> bool:
    """Return whether the gate could not decide because too much is missing (exit code 4)."""
    if result.plan.gate is None:
        return False
    plan, gate = result.plan, result.plan.gate
    claimed = {claim.metric for claim in gate.claims}
    if plan.alone:
        counts = [
            (c.n_items - c.n_scored, c.n_items) for c in result.coverage if c.metric in claimed
        ]
    else:
        counts = [
            (c.n_missing, c.n + c.n_missing)
            for c in result.comparisons
            if c.metric in claimed and (c.baseline, c.candidate) == plan.gated
        ]
    return any(gate.lacks_scores(missing, n) for missing, n in counts)


# --- comparisons -----------------------------------------------------------------------------


class _Compared(NamedTuple):
    """Two models' scores on one column, and the task that they were measured on."""

    part: TaskScores
    column: ScoreColumn
    pair: PairedScores


def _paired(column: ScoreColumn, plan: Plan, part: TaskScores) -> Iterator[PairedScores]:
    """Pair every later model with the baseline; a model alone with nothing."""
    for pair in pair_scores(column, plan.baseline):
        if pair.missing == pair.d.size:
            models = f"'{pair.candidate}'"
            if not pair.alone:
                models = f"both '{pair.baseline}' and {models}"
            raise _without_scores(
                column,
                f"{pair.metric}: none of the {pair.d.size} items has a score for {models} "
                f"({_describe_missing(column, part)})."
                f"{_example_reply(metric_of(column.metric), part)}",
            )
        _require_every_seed(column, pair)
        yield pair


def _without_scores(column: ScoreColumn, message: str) -> NoScoresError:
    """Return the error, with the models that have no score, or none with one of their training seeds."""
    error = NoScoresError(message)
    if isinstance(column, GradeColumn):
        error.models = tuple(
            model
            for model, scores in column.scores.items()
            for seeds in [column.seeds.get(model, np.zeros(scores.size, dtype=np.int64))]
            if np.setdiff1d(seeds, seeds[~np.isnan(scores)]).size
        )
    return error


def _require_every_seed(column: ScoreColumn, pair: PairedScores) -> None:
    """Raise where a training seed has no score at all: fewer seeds would be another comparison."""
    if pair.seeds is None:
        return
    for seed in np.setdiff1d(pair.seeds, pair.seeds[~np.isnan(pair.d)]):
        raise _without_scores(
            column,
            f"{pair.metric}: no item has a score of '{pair.candidate}' against '{pair.baseline}' with the "
            f"training seed {seed}. Answer and judge it again, or leave it out of 'seeds'.",
        )


def _example_reply(metric: str, part: TaskScores) -> str:
    """Format a judge's reply without a readable verdict, as an example.

    Replies on protected items are never shown: messages end in logs, and a judge may repeat what it
    was shown.
    """
    if part.task.phi:
        return ""
    for judge_round in part.judge_rounds.get(metric, ()):
        for judgement in judge_round.judgements:
            if judgement.reason and judgement.exchange and any(judgement.exchange.replies):
                reply = " ".join(judgement.exchange.replies[-1].split())[:80]
                return f" For example, '{judge_round.judge.name}' replied: {reply}"
    return ""


def _describe_missing(column: ScoreColumn, part: TaskScores) -> str:
    by_model = column.reasons.values() if isinstance(column, GradeColumn) else [column.reasons]
    reasons = [reason for cells in by_model for reason in cells if reason]
    return describe_reasons(reasons, protected=part.task.phi) or "nothing was judged"


def _flagged_items(flags: Flags, pair: PairedScores) -> dict[str, set[HygieneFlag]]:
    """Collect the flags of either answer to an item, by the ids of the items that have any."""
    flagged: defaultdict[str, set[HygieneFlag]] = defaultdict(set)
    for model in (pair.baseline, pair.candidate):
        for sample_id, found in flags[model].items():
            if found:
                flagged[sample_id].update(found)
    return dict(flagged)


def _sensitivities(
    compared: Sequence[_Compared],
    decided: Mapping[str, PairedScores],
    plan: Plan,
    decision: GateDecision | None,
    stopping: Stopping | None,
) -> Iterator[SensitivityTable]:
    looks = {looks.task: looks.alphas for looks in plan.looks}
    for part, column, pair in compared:
        gate = plan.gate
        if gate is not None and stopping is not None:
            alpha = looks[part.task.name][stopping.look - 1]
            gate = gate.model_copy(update={"alpha": alpha})
        metric = part.task.metrics[metric_of(pair.metric)]
        flagged = _flagged_items(part.flags, pair)
        yield from find_sensitivities(
            column, pair, metric, flagged, part.responses, gate, decided, decision
        )


def _length_effects(compared: Sequence[_Compared]) -> Iterator[LengthEffect]:
    for part, _, pair in compared:
        name = metric_of(pair.metric)
        metric = part.task.metrics[name]
        if (
            not pair.alone
            and metric.length_adjusted
            and pair.metric in metric.summary_columns(name)
        ):
            yield find_length_effect(pair, part.responses)


def _slices(
    measured: Sequence[TaskScores], decided: Mapping[str, PairedScores], plan: Plan
) -> tuple[SliceComparison, ...]:
    parts = []
    for part in measured:
        names = [column.metric for column in part.columns if column.metric in decided]
        parts.append((part.task.samples, [decided[name] for name in dict.fromkeys(names)]))
    return compare_slices(parts, plan.gate)


def _rankings(pairs: Sequence[PairedScores], plan: Plan) -> Iterator[RankingTable]:
    models = [model.name for model in plan.models]
    by_metric: dict[str, list[PairedScores]] = {}
    for pair in pairs:
        if pair.kind == "preference":
            by_metric.setdefault(pair.metric, []).append(pair)
    for metric_pairs in by_metric.values():
        table = rank_models(models, metric_pairs)
        if table is not None:
            yield table


def _model_scores(columns: Sequence[ScoreColumn]) -> Iterator[ModelScore]:
    for column in columns:
        if isinstance(column, GradeColumn):
            yield from summarise_column(column)


# --- judges ----------------------------------------------------------------------------------


def _summarise_all_judges(measured: Sequence[TaskScores]) -> JudgeFindings:
    by_metric = [
        summarise_judges(part.task, metric, judge_rounds, part.responses)
        for part in measured
        for metric, judge_rounds in part.judge_rounds.items()
    ]
    return JudgeFindings(
        tallies=[line for findings in by_metric for line in findings.tallies],
        agreements=[line for findings in by_metric for line in findings.agreements],
        opinions=[line for findings in by_metric for line in findings.opinions],
        repeatability=[line for findings in by_metric for line in findings.repeatability],
    )


# --- spend -----------------------------------------------------------------------------------


def count_spend(plan: Plan, measured: Sequence[TaskScores]) -> Iterator[SpendLine]:
    """Count the requests to each endpoint and their cost, models first."""
    prices = {model.name: model.prices for model in plan.models}
    for part in measured:
        for model, responses in part.responses.items():
            exchanges = (response.exchange for response in responses.values())
            yield from spend_line(model, f"answers {part.task.name}", exchanges, prices[model])
    for part in measured:
        for metric, judge_rounds in part.judge_rounds.items():
            for card, rounds in group_by_judge(judge_rounds).items():
                exchanges = (
                    judgement.exchange
                    for judge_round in rounds
                    for judgement in judge_round.judgements
                )
                yield from spend_line(card.name, f"judges {metric}", exchanges, card.prices)


def count_probes(plan: Plan, session: EndpointSession) -> Iterator[SpendLine]:
    """Count what this run asked once more, to see whether servers still hold the same models."""
    cards = [card for named in plan.judges.values() for card in named.singles]
    prices = {card.name: card.prices for card in cards}
    prices |= {model.name: model.prices for model in plan.models}
    for who, exchanges in sorted(session.probes.items()):
        yield from spend_line(who, "stored replies asked once more", exchanges, prices.get(who))


# --- hygiene ---------------------------------------------------------------------------------


def _count_flags(part: TaskScores) -> Iterator[HygieneCount]:
    for model, responses in part.responses.items():
        counts = Counter(flag for flags in part.flags[model].values() for flag in flags)
        words = [len((response.text or "").split()) for response in responses.values()]
        thoughts = [len(text.split()) for text in map(thoughts_of, responses.values()) if text]
        tokens = [r.n_tokens for r in responses.values() if r.n_tokens is not None]
        yield HygieneCount(
            task=part.task.name,
            model=model,
            n=len(responses),
            counts={flag: counts[flag] for flag in get_args(HygieneFlag)},
            mean_words=float(np.mean(words)),
            thoughts=len(thoughts),
            mean_thought_words=float(np.mean(thoughts)) if thoughts else 0.0,
            mean_tokens=float(np.mean(tokens)) if tokens else None,
        )
