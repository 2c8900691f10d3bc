"""Comparison of two judges on the same answers, and whether the new one may succeed the old.

A verdict rests on the difference between two models, so the judges need not give equal scores: a judge
that is stricter with both models changes nothing, and one that leans to either changes everything. What
must be equivalent is the difference that each judge sees, item by item:

    d_i = (candidate - baseline by the new judge) - (candidate - baseline by the old judge)

Both one-sided tests (Schuirmann 1987, J Pharmacokinet Biopharm 15:657) are those of the gate, with its
rules on missing scores, clusters and answers that the items do not show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from harness.analysis.judge_reliability import Scale, rater_agreement
from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.scoring.columns import GradeColumn, PreferenceColumn, ScoreColumn
from harness.scoring.paired import PairedScores
from harness.stats.vectors import Vector
from harness.types import ClaimResult, GateDecision
from harness.types.succession import AgreementOn, JudgeShift, ScoreMap, ScoreStep, VerdictChange

MOST_STEPS = 11  # of a table of scores; others are rounded to whole points


class Contrast(NamedTuple):
    """What must be equivalent: a column's difference or the candidate's own mean, and the margin."""

    column: str
    own: bool
    margin: float

    @property
    def name(self) -> str:
        """Return the name of the contrast among claims."""
        return f"{self.column}, own mean" if self.own else self.column


def compare_contrasts(
    contrasts: Sequence[Contrast],
    old: Mapping[str, PairedScores],
    new: Mapping[str, PairedScores],
    judges: tuple[str, str],
    alpha: float,
) -> tuple[tuple[JudgeShift, ...], GateDecision]:
    """Test whether each contrast is equivalent by both judges; all must be, each at `alpha`.

    `old` and `new` are each judge's scores of the same items by column, `judges` their names.
    """
    shifts = {c.name: _shift(c, old[c.column], new[c.column], judges) for c in contrasts}
    claims = tuple(Claim(metric=c.name, claim="equivalent", margin=c.margin) for c in contrasts)
    decision = decide_gate(Gate(alpha=alpha, claims=claims), shifts)
    results = zip(contrasts, decision.claims, strict=True)
    return tuple(
        _describe_shift(c, shifts[c.name], result, pairs=old[c.column].kind == "preference")
        for c, result in results
    ), decision


def _shift(
    contrast: Contrast, old: PairedScores, new: PairedScores, judges: tuple[str, str]
) -> PairedScores:
    """Pair the old judge's values with the new judge's, which stand for baseline and candidate."""
    if contrast.own:
        old, new = _own_scores(old), _own_scores(new)
    low, high = old.bounds
    return replace(
        old,
        metric=contrast.name,
        kind="points",
        baseline=judges[0],
        candidate=judges[1],
        d=new.d - old.d,
        least=new.least - old.greatest,
        greatest=new.greatest - old.least,
        bounds=(low - high, high - low),
        baseline_scores=old.d + old.null,
        candidate_scores=new.d + new.null,
        score_bounds=old.bounds,
        null=0.0,
        own_limits=None,
    )


def _own_scores(pair: PairedScores) -> PairedScores:
    least, greatest = pair.own_ends
    return replace(
        pair,
        d=pair.candidate_scores,
        least=least,
        greatest=greatest,
        bounds=pair.score_bounds,
        null=0.0,
        seeds=pair.own_seeds,
    )


def _describe_shift(
    contrast: Contrast, pair: PairedScores, result: ClaimResult, *, pairs: bool
) -> JudgeShift:
    both = ~np.isnan(pair.d)
    return JudgeShift(
        column=contrast.column,
        of="own mean" if contrast.own else "win rate" if pairs else "difference",
        margin=contrast.margin,
        old=float(pair.baseline_scores[both].mean()) if both.any() else None,
        new=float(pair.candidate_scores[both].mean()) if both.any() else None,
        n=int(both.sum()),
        n_missing=pair.missing,
        result=result,
    )


def compare_verdicts(
    gate: Gate, old: Mapping[str, PairedScores], new: Mapping[str, PairedScores]
) -> Iterator[VerdictChange]:
    """Yield the verdict on each claim and rule of the gate by each judge's scores."""
    by_old, by_new = (decide_gate(gate, pairs, advise=False) for pairs in (old, new))
    for before, after in zip(by_old.claims, by_new.claims, strict=True):
        yield VerdictChange(claim=before.claim, old=before.verdict, new=after.verdict)
    for rule, later in zip(by_old.critical, by_new.critical, strict=True):
        yield VerdictChange(claim=rule.rule, old=rule.verdict, new=later.verdict)


# --- agreement and scores --------------------------------------------------------------------

Answered = Mapping[str, Sequence[bool]]  # by model: whether each item has an answer that was judged


def compare_agreement(
    scale: Scale, old: ScoreColumn, new: ScoreColumn, judges: tuple[str, str], answered: Answered
) -> Iterator[AgreementOn]:
    """Yield the agreement of both judges on a column: over all verdicts, then by model or order."""
    parts = _verdicts(old, new, answered)
    everything = np.concatenate([*parts.values()], axis=1)
    shown = {"all": everything, **(parts if len(parts) > 1 else {})}
    for over, ratings in shown.items():
        both = ratings[:, ~np.isnan(ratings).any(axis=0)]
        yield AgreementOn(over=over, agreement=rater_agreement(scale, judges, both))


def map_scores(old: ScoreColumn, new: ScoreColumn, answered: Answered) -> ScoreMap:
    """Return the new judge's mean score for each score of the old one.

    Of more than `MOST_STEPS` different scores each counts as the nearest whole number.
    """
    before, after = np.concatenate([*_verdicts(old, new, answered).values()], axis=1)
    both = ~np.isnan(before) & ~np.isnan(after)
    before, after = before[both], after[both]
    if np.unique(before).size > MOST_STEPS:
        before = np.rint(before)
    steps = tuple(
        ScoreStep(
            old=float(score),
            new=float(after[before == score].mean()),
            n=int((before == score).sum()),
        )
        for score in np.unique(before)
    )
    return ScoreMap(column=old.metric, steps=steps)


def _verdicts(old: ScoreColumn, new: ScoreColumn, answered: Answered) -> dict[str, Vector]:
    """Return both judges' scores (2 x items) by model, or by order of a pair; NaN without an answer."""
    if isinstance(old, PreferenceColumn) and isinstance(new, PreferenceColumn):
        there = np.logical_and(answered[old.baseline], answered[old.candidate])
        return {
            order.replace("_", " "): np.where(there, [old.by_order[order], new.by_order[order]], np.nan)
            for order in old.orders
        }  # fmt: skip
    assert isinstance(old, GradeColumn)
    assert isinstance(new, GradeColumn)
    return {
        f"answers of {model}": np.where(
            answered[model], [old.scores[model], new.scores[model]], np.nan
        )
        for model in old.scores
    }
