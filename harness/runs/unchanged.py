"""How often an unchanged model passes a check: told at the blessing, before a check fails for nothing.

A model whose answers are drawn anew does not score the same. How much it moves is not known from one
run; the run's two models on the same items show it at least. So checks are simulated in which items are
drawn with replacement, and chance says which of an item's two scores is the baseline's. Of a win
rate there is one score an item: the other is that of another item.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.artifacts.run_folder import Run
from harness.config import Claim, Gate
from harness.gate.decision import decide_gate
from harness.runs.compare_runs import scores_of_run
from harness.runs.regression import Baseline
from harness.scoring.columns import GradeColumn, ScoreColumn
from harness.scoring.paired import PairedScores, pair_scores
from harness.stats.vectors import Vector

SIMULATIONS = 200
SEED = 1

Draw = tuple[NDArray[np.intp], NDArray[np.bool], NDArray[np.str_] | None]


def unchanged_pass_rate(run: Run, baseline: Baseline) -> float:
    """Simulate how often a model that is as good as the baseline passes the check of all columns."""
    claims = tuple(
        Claim(metric=metric, claim="non_inferior", margin=blessed.margin)
        for metric, blessed in baseline.columns.items()
    )
    gate = Gate(alpha=baseline.alpha, max_unscored=1.0, claims=claims)
    scores = {
        column.metric: _two_scores(column, run)
        for column in run.columns
        if column.metric in baseline.columns
    }
    rng = np.random.default_rng(SEED)
    passed = [
        decide_gate(gate, _draw_pairs(scores, rng)).verdict == "pass" for _ in range(SIMULATIONS)
    ]
    return float(np.mean(passed))


def describe_pass_rate(rate: float) -> str:
    """Say how often an unchanged model passes, and what makes it more often."""
    return (
        f"An unchanged model whose answers are drawn anew passes this check about {rate:.0%} of the time "
        f"({SIMULATIONS} simulated checks, from the scores of this run's models)."
        + ("" if rate >= 0.9 else " Wider margins, fewer columns or more items make it more.")
        + " For a check every day, `harness check --daily --unchanged` weighs all days together (an e-process): "
        "an alarm is wrong with probability at most alpha over all of them."
    )


def _two_scores(column: ScoreColumn, run: Run) -> GradeColumn:
    """Return the candidate's scores and another's of the same items, where both are scored."""
    own = scores_of_run(column, run)
    assert own is not None
    (new,) = own.scores.values()
    other = None
    if isinstance(column, GradeColumn):
        others = [s for name, s in column.scores.items() if name != run.candidate]
        other = others[0] if others else None
    if other is None:
        other = new[np.random.default_rng(SEED).permutation(new.size)]
    scored = ~np.isnan(new) & ~np.isnan(other)
    return GradeColumn(
        metric=own.metric,
        kind=own.kind,
        low=own.low,
        high=own.high,
        sample_ids=tuple(own.sample_ids[i] for i in np.flatnonzero(scored)),
        clusters=None if own.clusters is None else own.clusters[scored],
        scores={"baseline": other[scored], "unchanged": new[scored]},
        reasons={},
        generation_failed={"baseline": 0, "unchanged": 0},
    )


def _draw_pairs(
    columns: Mapping[str, GradeColumn], rng: np.random.Generator
) -> dict[str, PairedScores]:
    """Draw items, or whole clusters, with replacement: the same ones for columns on the same items."""
    draws: dict[tuple[str, ...], Draw] = {}
    pairs = {}
    for metric, column in columns.items():
        if column.sample_ids not in draws:
            draws[column.sample_ids] = _draw_items(column, rng)
        chosen, swapped, clusters = draws[column.sample_ids]
        old, new = (scores[chosen] for scores in column.scores.values())
        pairs[metric] = _pair(
            column, np.where(swapped, new, old), np.where(swapped, old, new), clusters
        )
    return pairs


def _draw_items(column: GradeColumn, rng: np.random.Generator) -> Draw:
    n = len(column.sample_ids)
    if column.clusters is None:
        return rng.integers(0, n, n), rng.random(n) < 0.5, None
    _, labels = np.unique(column.clusters, return_inverse=True)
    groups = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    drawn = [groups[i] for i in rng.integers(0, len(groups), len(groups))]
    names = np.repeat(np.arange(len(drawn)), [group.size for group in drawn]).astype(np.str_)
    swapped = np.repeat(rng.random(len(drawn)) < 0.5, [group.size for group in drawn])
    return np.concatenate(drawn), swapped, names


def _pair(
    column: GradeColumn, old: Vector, new: Vector, clusters: NDArray[np.str_] | None
) -> PairedScores:
    drawn = GradeColumn(
        metric=column.metric,
        kind=column.kind,
        low=column.low,
        high=column.high,
        sample_ids=tuple(map(str, range(old.size))),
        clusters=clusters,
        scores={"baseline": old, "unchanged": new},
        reasons={"baseline": [None] * old.size, "unchanged": [None] * old.size},
        generation_failed={"baseline": 0, "unchanged": 0},
    )
    return pair_scores(drawn, "baseline")[0]
