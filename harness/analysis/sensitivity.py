"""Sensitivity of each verdict to the treatment of missing, flagged and inconsistent items.

Variants, for each claim and for each comparison without a claim: missing judgements left out, at
their worst and at their best; without flagged answers; pairs with inconsistent orders as ties, or
left out; at equal length. The tipping point is the value of missing judgements that would change
the verdict. Every verdict here is the gate's own decision on altered scores. None of them decides.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparisons import Flagged, find_interval, find_own_interval, has_flag
from harness.analysis.length import find_length_effect
from harness.config import Claim, Gate, Metric
from harness.gate.decision import decide_gate
from harness.gate.estimators import is_about_own_mean
from harness.scoring.columns import PreferenceColumn, ScoreColumn
from harness.scoring.paired import PairedScores, fill_gaps, take_items
from harness.types import (
    ClaimResult,
    ClaimVerdict,
    GateDecision,
    HygieneFlag,
    Interval,
    LengthEffect,
    SensitivityRow,
    SensitivityTable,
    SensitivityVariant,
    TippingPoint,
)
from harness.types.samples import Responses

GRID = 33  # imputed values tried where a verdict may change and change back
HALVINGS = 20
Mask = NDArray[np.bool]
Judge = Callable[[PairedScores], ClaimResult]  # the claim's result with altered scores


def find_sensitivities(
    column: ScoreColumn,
    pair: PairedScores,
    metric: Metric,
    flagged: Flagged,
    responses: Mapping[str, Responses],
    gate: Gate | None,
    decided: Mapping[str, PairedScores],
    decision: GateDecision | None = None,
) -> Iterator[SensitivityTable]:
    """Yield a table for each claim about this comparison, or one without a claim.

    `decided` are the comparisons that the gate decides on, including this one if it is one. After
    interim looks, `decision` has the verdicts, some of them from earlier looks, and `gate` the
    alpha of the last look.
    """
    # The claims about this comparison, and their verdicts so far.
    verdicts = {c.claim: c.verdict for c in decision.claims} if decision else {}
    claims = [c for c in gate.claims if c.metric == pair.metric] if gate else []
    if decided.get(pair.metric) is not pair:
        claims = []
    claims_or_none: list[Claim | None] = [*claims] or [None]
    # One table for each, or one without a claim.
    for claim in claims_or_none:
        judge = None if claim is None or gate is None else _claim_judge(claim, gate, decided)
        variants = _variant_rows(column, pair, claim, flagged, judge)
        rows = [
            *_with_decided_verdict(variants, verdicts.get(str(claim))),
            *_at_equal_length(pair, metric, claim, responses, gate, judge),
        ]
        if claim is not None or len(rows) > 1:
            yield SensitivityTable(
                metric=pair.metric,
                baseline=pair.baseline,
                candidate=pair.candidate,
                claim=None if claim is None else str(claim),
                rows=tuple(rows),
                tipping=None
                if claim is None or judge is None
                else find_tipping_point(claim, pair, judge),
            )


def _claim_judge(claim: Claim, gate: Gate, decided: Mapping[str, PairedScores]) -> Judge:
    """Return the gate's verdict on one claim as a function of its scores.

    A claim is judged by itself only where all must hold.
    """
    judged_alone = gate.require == "all" or claim.kind.alarm
    gate_claims = (claim,) if judged_alone else gate.claims
    reduced_gate = gate.model_copy(
        update={
            "claims": gate_claims,
            "critical": (),
            "require": "all" if judged_alone else gate.require,
        }
    )
    place = gate_claims.index(claim)

    def judge(pair: PairedScores) -> ClaimResult:
        return decide_gate(reduced_gate, {**decided, pair.metric: pair}, advise=False).claims[place]

    return judge


# --- variants --------------------------------------------------------------------------------


def _variant_rows(
    column: ScoreColumn,
    pair: PairedScores,
    claim: Claim | None,
    flagged: Flagged,
    judge: Judge | None,
) -> Iterator[SensitivityRow]:
    def row(
        counting: SensitivityVariant,
        altered: PairedScores,
        without: str | None = None,
    ) -> SensitivityRow:
        return _make_row(counting, altered, claim, judge, without)

    yield row("as_decided", pair)
    gaps = _gaps(pair, claim)
    if gaps.any():
        yield row("complete_cases", take_items(pair, ~gaps))
        yield row("missing_at_worst", fill_gaps(pair, adverse=True))
        yield row("missing_at_best", fill_gaps(pair, adverse=False))
    for kind in _flag_kinds(flagged):
        dirty = {item for item, flags in flagged.items() if has_flag(flags, kind)}
        clean = np.array([item not in dirty for item in pair.sample_ids])
        yield row("without_flagged", take_items(pair, clean), kind)
    if isinstance(column, PreferenceColumn) and len(column.orders) > 1:
        yield from _by_consistency(column, pair, row)


def _with_decided_verdict(
    rows: Iterator[SensitivityRow], verdict: ClaimVerdict | None
) -> Iterator[SensitivityRow]:
    """Replace the verdict of the first row by the decided one, if there is one."""
    first = next(rows)
    yield first if verdict is None else first.model_copy(update={"verdict": verdict})
    yield from rows


def _by_consistency(
    column: PreferenceColumn,
    pair: PairedScores,
    row: Callable[[SensitivityVariant, PairedScores], SensitivityRow],
) -> Iterator[SensitivityRow]:
    """Yield rows without or with altered inconsistent pairs, whose winner depends on the order."""
    one, other = (column.by_order[order] for order in column.orders)
    judged = ~np.isnan(one) & ~np.isnan(other)
    inconsistent = column.order_dependent
    if inconsistent.any():
        tied = np.where(inconsistent, 0.5, pair.candidate_scores)
        as_ties = replace(pair, d=tied - 0.5, candidate_scores=tied, baseline_scores=1 - tied)
        yield row("inconsistent_as_ties", as_ties)
        yield row("consistent_only", take_items(pair, judged & ~inconsistent))


def _make_row(
    counting: SensitivityVariant,
    pair: PairedScores,
    claim: Claim | None,
    judge: Judge | None,
    without: str | None,
) -> SensitivityRow:
    observed = ~_gaps(pair, claim)
    if not observed.any():
        return SensitivityRow.model_validate(
            {
                "counting": counting,
                "without": without,
                "n": observed.size,
                "estimate": None,
                "problem": "no scored item is left",
            }
        )
    return SensitivityRow.model_validate(
        {
            "counting": counting,
            "without": without,
            "n": observed.size,
            "estimate": _estimate(pair, claim),
            "verdict": None if judge is None else judge(pair).verdict,
        }
    )


def _flag_kinds(flagged: Flagged) -> list[str]:
    """List the kinds of flags present, after "any_flag" where there is more than one."""
    kinds: list[str] = [
        f for f in get_args(HygieneFlag) if any(f in has for has in flagged.values())
    ]
    return ["any_flag", *kinds] if len(kinds) > 1 else kinds


# --- values that a claim is about ------------------------------------------------------------


def _claims_own_mean(pair: PairedScores, claim: Claim | None) -> bool:
    """Return whether the candidate's own mean is asked for rather than a difference."""
    return pair.alone or (claim is not None and is_about_own_mean(claim, pair))


def _gaps(pair: PairedScores, claim: Claim | None) -> Mask:
    return np.isnan(pair.candidate_scores if _claims_own_mean(pair, claim) else pair.d)


def _estimate(pair: PairedScores, claim: Claim | None) -> Interval:
    """Estimate with a 95 % interval; with gaps, from the worst case's low to the best case's high."""
    if not _gaps(pair, claim).any():
        return _interval(pair, claim)
    worst = _interval(fill_gaps(pair, adverse=True), claim)
    best = _interval(fill_gaps(pair, adverse=False), claim)
    return Interval(estimate=worst.estimate, low=worst.low, high=best.high)


def _interval(pair: PairedScores, claim: Claim | None) -> Interval:
    everything = np.ones(pair.d.size, dtype=np.bool)
    if _claims_own_mean(pair, claim):
        return find_own_interval(pair, everything)
    return find_interval(pair, everything)


# --- equal length ----------------------------------------------------------------------------


def _at_equal_length(
    pair: PairedScores,
    metric: Metric,
    claim: Claim | None,
    responses: Mapping[str, Responses],
    gate: Gate | None,
    judge: Judge | None,
) -> Iterator[SensitivityRow]:
    """Yield the row at equal length, for preferences and rubric scores of answered items."""
    if not metric.length_adjusted or _claims_own_mean(pair, claim):
        return
    effect = find_length_effect(pair, responses)
    verdict: ClaimVerdict | None = None
    if gate and claim and judge and effect.adjusted:
        level = gate.level_of(claim)
        at_level = find_length_effect(pair, responses, confidence=1 - 2 * level)
        verdict = _verdict_within(at_level, judge(pair))
    yield SensitivityRow(
        counting="equal_length",
        n=pair.d.size - pair.missing,
        estimate=effect.adjusted,
        verdict=verdict,
        problem=effect.unidentified,
    )


def _verdict_within(effect: LengthEffect, decided: ClaimResult) -> ClaimVerdict | None:
    """Decide from the interval, whose ends are one-sided bounds at the claim's level."""
    if effect.adjusted is None:
        return None
    low, high = effect.adjusted.low, effect.adjusted.high
    if low > decided.boundary and (decided.ceiling is None or high < decided.ceiling):
        return "pass"
    if high < decided.boundary or (decided.ceiling is not None and low > decided.ceiling):
        return "fail"
    return "inconclusive"


# --- tipping point ---------------------------------------------------------------------------


def find_tipping_point(claim: Claim, pair: PairedScores, judge: Judge) -> TippingPoint | None:
    """Find the value that changes the verdict when put into every gap; None without gaps.

    A value outside an item's range is clipped to it. Yes-or-no judgements have no value in
    between: a growing share of them is taken at their best.
    """
    gaps = _gaps(pair, claim)
    if not gaps.any():
        return None
    stepwise = pair.kind == "share" and pair.clusters is None
    own_mean = _claims_own_mean(pair, claim)
    if stepwise:
        scale, low, high, shift = "share_at_best", 0.0, 1.0, 0.0
    elif own_mean:
        scale, (low, high), shift = "score", pair.score_bounds, 0.0
    else:
        scale = "win_rate" if pair.kind == "preference" else "difference"
        low, high = float(pair.least[gaps].min()), float(pair.greatest[gaps].max())
        shift = pair.null

    def verdict_at(value: float) -> ClaimVerdict:
        filled = (
            _fill_share_at_best(pair, gaps, value)
            if stepwise
            else _impute(pair, value, own_mean=own_mean)
        )
        return judge(filled).verdict

    n = int(gaps.sum())
    # Better values make better verdicts, but for a two-sided claim, which holds in the middle.
    points = GRID if claim.kind.two_sided else 2
    grid = np.linspace(low, high, points).tolist()
    flips = [flip for ends in pairwise(grid) for flip in _flips_between(verdict_at, *ends)]
    return TippingPoint.model_validate(
        {
            "n_missing": n,
            "scale": scale,
            "at_worst": verdict_at(low),
            "flips": tuple(
                (round(value * n) / n if stepwise else value + shift, verdict)
                for value, verdict in flips
            ),
        }
    )


def _flips_between(
    verdict_at: Callable[[float], ClaimVerdict], low: float, high: float
) -> Iterator[tuple[float, ClaimVerdict]]:
    """Yield where the verdict changes between two values, and what it changes to."""
    verdict, last_verdict = verdict_at(low), verdict_at(high)
    while verdict != last_verdict:
        before, after = low, high
        for _ in range(HALVINGS):
            middle = (before + after) / 2
            before, after = (middle, after) if verdict_at(middle) == verdict else (before, middle)
        low, verdict = after, verdict_at(after)
        yield low, verdict


def _impute(pair: PairedScores, value: float, *, own_mean: bool) -> PairedScores:
    if own_mean:
        scores = pair.candidate_scores
        return replace(pair, candidate_scores=np.where(np.isnan(scores), value, scores))
    d = np.where(np.isnan(pair.d), np.clip(value, pair.least, pair.greatest), pair.d)
    return replace(pair, d=d)


def _fill_share_at_best(pair: PairedScores, gaps: Mask, share: float) -> PairedScores:
    """Fill that share of the gaps at their best and the rest at their worst, in any order of items."""
    worst, best = fill_gaps(pair, adverse=True), fill_gaps(pair, adverse=False)
    missing = np.flatnonzero(gaps)
    ranked = missing[np.lexsort((pair.greatest[missing], pair.least[missing]))]
    chosen = np.zeros(gaps.size, dtype=np.bool)
    chosen[ranked[: round(share * ranked.size)]] = True
    return replace(
        pair,
        d=np.where(chosen, best.d, worst.d),
        baseline_scores=np.where(chosen, best.baseline_scores, worst.baseline_scores),
        candidate_scores=np.where(chosen, best.candidate_scores, worst.candidate_scores),
    )
