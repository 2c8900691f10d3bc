"""Feasibility: claims that the number of items cannot decide with any answers.

A claim is tested on the best possible scores, an alarm on the worst. One that is not decided on
these is a mistake in the suite, reported before anything is paid for.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from harness.config import Claim, Gate, Metric, ScoreKind
from harness.gate.claim_tests import evaluate_claim
from harness.gate.rules import rule_of
from harness.scoring.checklist import task_of_column
from harness.scoring.paired import PairedScores, independent_units
from harness.stats.proportions import minimum_n_for_threshold
from harness.stats.vectors import Vector, first_true
from harness.types import Task, find_metric

MOST_UNITS = 2**20  # a claim that needs more is practically impossible


def infeasible_claims(gate: Gate, tasks: Sequence[Task]) -> Iterator[str]:
    """Describe each claim or rule that these items cannot decide, with the number that could."""
    # Claims.
    for claim in gate.claims:
        metric, task = find_metric(claim.metric, tasks)
        task = task_of_column(task, claim.metric)
        units, unit = effective_sample_size(task)
        least = min_sample_size(claim, gate, metric, clustered=unit != "items")
        if units < least:
            needs = (
                f"cannot be raised by fewer than {least:,} {unit}, even if every answer is at its worst"
                if claim.kind.alarm
                else f"needs at least {least:,} {unit} even if every answer is at its best"
            )
            yield (
                f"'{claim}' at alpha {gate.alpha:g} {needs}; '{task.name}' has {units:,}. "
                f"Use more {_remedy(claim)}."
            )
    # Rules on critical answers.
    for rule in gate.critical:
        task = task_of_column(find_metric(rule.metric, tasks)[1], rule.metric)
        units, unit = effective_sample_size(task)
        least = minimum_n_for_threshold(1 - rule.allowed_share, gate.alpha)
        if units < least:
            yield (
                f"'{rule}' at alpha {gate.alpha:g} needs at least {least:,} {unit} even if not one "
                f"answer is critical; '{task.name}' has {units:,}. Use more items or allow a larger "
                "share."
            )


def effective_sample_size(task: Task) -> tuple[int, str]:
    """Return the number of independent units of a task's items, and the name of the unit.

    Clusters of unequal size count as the number of equal clusters with the same information.
    """
    labels = [sample.cluster for sample in task.samples]
    if not labels or None in labels:
        return task.n_items, "items"
    clusters = np.array(labels, dtype=np.str_)
    n, n_clusters = independent_units(clusters.size, clusters), len(set(labels))
    return n, "clusters" if n == n_clusters else "clusters of equal size"


def min_sample_size(claim: Claim, gate: Gate, metric: Metric, *, clustered: bool = False) -> int:
    """Return the fewest items (or clusters) with which the claim could be decided."""
    share = metric.score_kind == "share" and not clustered
    if share and claim.value is not None:
        return minimum_n_for_threshold(claim.value, gate.alpha)

    def decides(n: int) -> bool:
        return _is_decided(claim, gate, metric, n, share=share)

    low, high = 0, 1
    while high < MOST_UNITS and not decides(high):
        low, high = high, min(2 * high, MOST_UNITS)
    return first_true(decides, low + 1, high)


def _is_decided(claim: Claim, gate: Gate, metric: Metric, n: int, *, share: bool) -> bool:
    scores = _extreme_scores(claim, metric, n, share=share)
    test = evaluate_claim(claim, scores, gate.level_of(claim), rule_of(gate))
    return test.rejected if claim.kind.alarm else test.p_value <= gate.level_of(claim)


def _remedy(claim: Claim) -> str:
    can_be_eased = claim.value is not None or claim.margin
    return f"items or {claim.kind.easier_with}" if can_be_eased else "items"


# --- the best possible scores ----------------------------------------------------------------


def _extreme_scores(claim: Claim, metric: Metric, n: int, *, share: bool) -> PairedScores:
    """Return the scores of `n` items that favour the claim most, or raise the alarm most clearly."""
    low, high = metric.bounds_of(claim.metric)
    reach = metric.max_difference_of(claim.metric)
    old, new = np.full(n, float(low)), np.full(n, float(high))
    if claim.kind.alarm:
        old, new = new, old
    if claim.kind.two_sided:
        old = new
    if metric.compares_pairs:
        wins = (1 + new - old) / 2
        return _make_pair(
            "preference", wins - 0.5, 1 - wins, wins, bounds=(-reach, reach), limits=(0, 1)
        )
    kind: ScoreKind = "share" if share else "points"
    return _make_pair(kind, new - old, old, new, bounds=(-reach, reach), limits=(low, high))


def _make_pair(
    kind: ScoreKind,
    d: Vector,
    old: Vector,
    new: Vector,
    *,
    bounds: tuple[float, float],
    limits: tuple[float, float],
) -> PairedScores:
    return PairedScores(
        metric="",
        kind=kind,
        baseline="",
        candidate="",
        sample_ids=("",) * d.size,
        clusters=None,
        d=d,
        least=d,
        greatest=d,
        bounds=bounds,
        baseline_scores=old,
        candidate_scores=new,
        score_bounds=limits,
        null=0.5 if kind == "preference" else 0.0,
    )
