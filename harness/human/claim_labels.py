"""People's labels of what a claim is about: differences of two models, or one model's scores."""

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from harness.config import Claim, Metric, metric_of
from harness.gate.claim_tests import is_about_own_mean
from harness.gate.confirmation import confirm_claim
from harness.human.labels import HumanLabels
from harness.human.question_match import question_mismatch
from harness.human.summary import LabelTable, score_table, win_table
from harness.scoring.paired import PairedScores
from harness.stats.annotator_means import mean_votes
from harness.stats.judge_correction import FEWEST_LABELS
from harness.stats.vectors import Vector
from harness.types import Confirmation, GateDecision, Plan


def confirm_claims(
    plan: Plan,
    decision: GateDecision,
    pairs: Mapping[str, PairedScores],
    people_by_metric: Mapping[str, HumanLabels],
) -> Iterator[Confirmation]:
    """Yield each claim that a judge decided, tested again with its scores corrected by labels.

    Left out are claims on computed columns and on columns that people judged, and those that the
    labels do not answer. The labelled items must be a random sample.
    """
    assert plan.gate is not None
    metrics = {name: metric for task in plan.tasks for name, metric in task.metrics.items()}
    for claim, result in zip(plan.gate.claims, decision.claims, strict=True):
        name = metric_of(claim.metric)
        people, metric = people_by_metric.get(name), metrics[name]
        if people is None or metric.computed or plan.judges[name].people:
            continue
        labels = label_claim(claim, metric, pairs[claim.metric], people)
        if int((~np.isnan(labels)).sum()) < FEWEST_LABELS:
            continue
        confirmation = confirm_claim(
            claim,
            result,
            pairs[claim.metric],
            labels,
            judge=plan.judges[name].name,
            alpha=plan.gate.level_of(claim),
        )
        if confirmation is not None:
            yield confirmation


def label_claim(claim: Claim, metric: Metric, pair: PairedScores, people: HumanLabels) -> Vector:
    """Return people's value of the claim's quantity on each item; NaN where they gave none.

    Several annotators' labels of an item are averaged, and so are the criteria of a composite. On
    items whose answers nobody has to compare, as they are equal, the value is the judge's.
    """
    own = is_about_own_mean(claim, pair)
    if pair.kind == "preference":
        if question_mismatch(metric, "winner", people):
            return np.full(pair.d.size, np.nan)
        by_item = {i: win - pair.null for i, win in _by_item(win_table(people)).items()}
    else:
        keys = tuple(metric.parts_of(claim.metric).values())
        if any(question_mismatch(metric, key, people) for key in keys):
            return np.full(pair.d.size, np.nan)
        new = _mean_over_criteria(people, pair.candidate, keys)
        old = _mean_over_criteria(people, pair.baseline, keys)
        by_item = new if own else {i: new[i] - old[i] for i in new if i in old}
    labels = np.array([by_item.get(i, math.nan) for i in pair.sample_ids])
    if people.frame_ids is not None:
        known = set(people.metric_ids) - set(people.frame_ids)
        equal = np.array([i in known for i in pair.sample_ids])
        labels[equal] = (pair.candidate_scores if own else pair.d)[equal]
    return labels


def _mean_over_criteria(people: HumanLabels, model: str, keys: Iterable[str]) -> dict[str, float]:
    """Return the mean over criteria of one model's mean labels, of items labelled on all of them."""
    tables = [_by_item(score_table(people, model, key)) for key in keys]
    first, *others = tables
    shared = [i for i in first if all(i in other for other in others)]
    return {i: float(np.mean([table[i] for table in tables])) for i in shared}


def _by_item(table: LabelTable) -> dict[str, float]:
    means = mean_votes(table.values).tolist()
    return {i: m for i, m in zip(table.sample_ids, means, strict=True) if not math.isnan(m)}
