"""Slices corrected by people's labels: a judge that is right on average may be wrong about a part of the items."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from harness.analysis.slices import FEWEST, slice_value
from harness.config import metric_of
from harness.gate.confirmation import ClaimLabels, correct_difference
from harness.human.claim_labels import claim_on, label_claim
from harness.human.labels import HumanLabels
from harness.scoring.paired import PairedScores, take_items
from harness.types import Plan, SliceComparison

CONFIDENCE = 0.95


def correct_slices(
    slices: Iterable[SliceComparison],
    plan: Plan,
    pairs: Mapping[str, PairedScores],
    people_by_metric: Mapping[str, HumanLabels],
) -> Iterator[SliceComparison]:
    """Yield the slices, each with its number of labels, and corrected by them where there are 30 of its items.

    Left as they are: slices of computed columns, of columns that people judged or that the labels do not
    answer, and of other models than the gate decides on.
    """
    values = {sample.id: sample.slices for task in plan.tasks for sample in task.samples}
    labels: dict[str, ClaimLabels] = {}
    for line in slices:
        name, pair = metric_of(line.metric), pairs.get(line.metric)
        people = people_by_metric.get(name)
        decided = (line.baseline, line.candidate) == plan.gated
        if pair is None or people is None or not decided or plan.judges[name].people:
            yield line
            continue
        if line.metric not in labels:
            labels[line.metric] = label_claim(claim_on(pair), plan.metrics[name], pair, people)
        chosen = np.array(
            [slice_value(values[i], line.slice) == line.value for i in pair.sample_ids]
        )
        yield _correct(line, take_items(pair, chosen), labels[line.metric].take(chosen))


def _correct(line: SliceComparison, pair: PairedScores, labels: ClaimLabels) -> SliceComparison:
    corrected = correct_difference(pair, labels, CONFIDENCE) if labels.n >= FEWEST else None
    return line.model_copy(update={"n_labels": labels.n, "corrected": corrected})
