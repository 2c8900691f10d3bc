"""People's labels of what a claim is about: differences of two models, or one model's scores."""

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from harness.config import Claim, Metric, metric_of
from harness.gate.confirmation import ClaimLabels, confirm_claim, contradict_rule
from harness.gate.estimators import is_about_own_mean
from harness.human.labels import HumanLabels
from harness.human.question_match import question_mismatch
from harness.human.summary import LabelTable, score_table, win_table
from harness.scoring.paired import Mask, PairedScores
from harness.stats.annotator_means import mean_votes
from harness.stats.unequal_draw import FEWEST_LABELS
from harness.stats.vectors import Vector
from harness.types import Confirmation, GateDecision, Plan, Stopping


def confirm_claims(
    plan: Plan,
    decision: GateDecision,
    pairs: Mapping[str, PairedScores],
    people_by_metric: Mapping[str, HumanLabels],
    stopping: Stopping | None,
) -> Iterator[Confirmation]:
    """Yield each claim that a judge decided, tested again with its scores corrected by labels.

    Left out are claims on computed columns and on columns that people judged, and those that the
    labels do not answer. The labelled items must be a random sample, or all. A run that stopped
    early is tested at the level of its last look.
    """
    assert plan.gate is not None
    for claim, result in zip(plan.gate.claims, decision.claims, strict=True):
        name = metric_of(claim.metric)
        people, metric = people_by_metric.get(name), plan.metrics[name]
        if people is None or metric.computed or plan.judges[name].people:
            continue
        labels = label_claim(claim, metric, pairs[claim.metric], people)
        if labels.n < FEWEST_LABELS:
            continue
        yield confirm_claim(
            claim,
            result,
            pairs[claim.metric],
            labels,
            judge=plan.judges[name].name,
            alpha=_level(plan, claim, stopping),
        )


def find_broken_rules(
    plan: Plan,
    decision: GateDecision,
    pairs: Mapping[str, PairedScores],
    people_by_metric: Mapping[str, HumanLabels],
) -> Iterator[str]:
    """Yield how people's labels break rules on critical answers that pass by a judge."""
    assert plan.gate is not None
    for rule, result in zip(plan.gate.critical, decision.critical, strict=True):
        name = metric_of(rule.metric)
        people, metric = people_by_metric.get(name), plan.metrics[name]
        if people is None or metric.computed or plan.judges[name].people:
            continue
        own = Claim(metric=rule.metric, claim="at_least", value=rule.at_most)
        pair = pairs[rule.metric]
        labels = label_claim(own, metric, pair, people)
        broken = contradict_rule(rule, result, pair, labels, plan.gate.alpha)
        if broken is not None:
            yield broken


def unlabelled_columns(
    plan: Plan, pairs: Mapping[str, PairedScores], people_by_metric: Mapping[str, HumanLabels]
) -> Iterator[str]:
    """Yield the columns of claims of whose quantity people labelled too little to confirm anything."""
    assert plan.gate is not None
    for claim in plan.gate.claims:
        name = metric_of(claim.metric)
        if name in people_by_metric:
            labels = label_claim(
                claim, plan.metrics[name], pairs[claim.metric], people_by_metric[name]
            )
            if labels.n < FEWEST_LABELS:
                yield claim.metric


def label_claim(
    claim: Claim, metric: Metric, pair: PairedScores, people: HumanLabels
) -> ClaimLabels:
    """Return people's value of the claim's quantity on each item.

    Several annotators' labels of an item are averaged, and so are the criteria of a composite. On
    items whose answers nobody has to compare, as they are equal, the difference is the judge's; how
    good these answers are is unknown. Unknown is also a pair on which nobody could decide and, where
    the labelled items were not drawn at random, every item without a label.
    """
    own = is_about_own_mean(claim, pair)
    by_item = _values_by_item(claim, metric, pair, people, own=own)
    values = np.array([by_item.get(i, math.nan) for i in pair.sample_ids])
    given = ~np.isnan(values)
    unknown = np.full(values.size, bool(by_item) and not people.random and not people.chances)
    if pair.kind == "preference":
        asked = {label.sample_id for label in people.labels if label.asked_winner}
        unknown |= np.array([i in asked for i in pair.sample_ids])
    # Items outside the draw.
    if people.frame_ids is not None and by_item:
        outside = set(people.metric_ids) - set(people.frame_ids)
        equal = np.array([i in outside for i in pair.sample_ids])
        if own:
            unknown |= equal
        else:
            values[equal] = pair.d[equal]
            unknown |= equal
    unknown &= np.isnan(values)
    low, high = pair.score_bounds if own else pair.bounds
    return ClaimLabels(
        least=np.where(unknown, low, values),
        greatest=np.where(unknown, high, values),
        given=given,
        chances=_chances(pair, people, given | unknown),
    )


def claim_on(pair: PairedScores) -> Claim:
    """Return a claim about what a comparison shows: the difference, or a lone model's score."""
    if pair.alone:
        return Claim(metric=pair.metric, claim="at_least", value=sum(pair.score_bounds) / 2)
    return Claim(metric=pair.metric, claim="superior")


def people_differences(metric: Metric, pair: PairedScores, people: HumanLabels) -> dict[str, float]:
    """Return what people's labels say in place of the judge's `d`, by the ids of the labelled items."""
    labels = label_claim(claim_on(pair), metric, pair, people)
    found = zip(pair.sample_ids, labels.least.tolist(), labels.given.tolist(), strict=True)
    return {sample_id: value for sample_id, value, given in found if given}


def _chances(pair: PairedScores, people: HumanLabels, labelled: Mask) -> Vector | None:
    """Return the chance of each item to be labelled by now; None where all chances are equal.

    Annotators see the drawn items in random order, so that of an unfinished study each item's chance
    is smaller by the same factor. Items that nobody has to compare are known for certain.
    """
    if people.chances is None:
        return None
    in_frame = np.array([i in people.chances for i in pair.sample_ids])
    done = int((labelled & in_frame).sum()) / max(len(people.sampled_ids), 1)
    chances = np.array([people.chances.get(i, 1.0) for i in pair.sample_ids])
    return np.where(in_frame, np.minimum(chances * done, 1.0), 1.0)


def _values_by_item(
    claim: Claim, metric: Metric, pair: PairedScores, people: HumanLabels, *, own: bool
) -> dict[str, float]:
    """Return people's values by item; empty where they answered another question."""
    fields = metric.label_keys(metric_of(claim.metric))
    keys = tuple(fields[part] for part in metric.parts_of(claim.metric))
    if any(question_mismatch(metric, key, people) for key in keys):
        return {}
    if pair.kind == "preference":
        return {i: win - pair.null for i, win in _by_item(win_table(people)).items()}
    new = _mean_over_criteria(people, pair.candidate, keys)
    if own:
        return new
    old = _mean_over_criteria(people, pair.baseline, keys)
    return {i: new[i] - old[i] for i in new if i in old}


def _level(plan: Plan, claim: Claim, stopping: Stopping | None) -> float:
    """Return the level of a claim's test: of a run that stopped early, that of its look."""
    assert plan.gate is not None
    if stopping is None:
        return plan.gate.level_of(claim)
    name = metric_of(claim.metric)
    looks = next(
        looks for task, looks in zip(plan.tasks, plan.looks, strict=True) if name in task.metrics
    )
    return looks.alphas[stopping.look - 1]


def _mean_over_criteria(people: HumanLabels, model: str, keys: Iterable[str]) -> dict[str, float]:
    """Return the mean over criteria of one model's mean labels, of items labelled on all of them."""
    tables = [_by_item(score_table(people, model, key)) for key in keys]
    first, *others = tables
    shared = [i for i in first if all(i in other for other in others)]
    return {i: float(np.mean([table[i] for table in tables])) for i in shared}


def _by_item(table: LabelTable) -> dict[str, float]:
    means = mean_votes(table.values).tolist()
    return {i: m for i, m in zip(table.sample_ids, means, strict=True) if not math.isnan(m)}
