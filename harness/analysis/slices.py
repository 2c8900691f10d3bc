"""Slices: the same comparison on parts of the items, so that the overall result hides no part.

Testing many parts finds a bad one by chance alone. So all slice tests of a run form one family,
whose p-values are corrected (Benjamini-Hochberg) and whose size is reported. A slice of too few
items is shown without a test, and no slice decides.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.analysis.comparisons import find_interval, find_own_interval, main_test
from harness.config import Gate
from harness.scoring.paired import PairedScores, take_items
from harness.stats.multiplicity import benjamini_hochberg
from harness.types import Sample, SliceComparison

FEWEST = 30  # scored items of a slice, or clusters of them, below which it is not tested
NO_VALUE = "(none)"


def compare_slices(
    parts: Sequence[tuple[Sequence[Sample], Sequence[PairedScores]]], gate: Gate | None
) -> tuple[SliceComparison, ...]:
    """Compare every slice of every gated column, or of every column where there is no gate.

    `parts` are the samples of a task with its comparisons, candidate against baseline. The worst
    tested slice of each column is marked; p-values are corrected over all of them.
    """
    gated = {claim.metric for claim in gate.claims} if gate else None
    lines = [
        line
        for samples, pairs in parts
        for pair in pairs
        if gated is None or pair.metric in gated
        for line in _compare_slices_of(pair, {sample.id: sample.slices for sample in samples})
    ]
    return tuple(_mark_worst(_adjust(lines)))


def slice_value(values: Mapping[str, str], column: str) -> str:
    """Return an item's value in a column by which slices are made."""
    return values.get(column) or NO_VALUE


def _compare_slices_of(
    pair: PairedScores, values: Mapping[str, Mapping[str, str]]
) -> Iterator[SliceComparison]:
    columns = dict.fromkeys(column for item in pair.sample_ids for column in values[item])
    for column in columns:
        values_of_items = np.array([slice_value(values[item], column) for item in pair.sample_ids])
        for value in np.unique(values_of_items).tolist():
            yield _compare_slice(take_items(pair, values_of_items == value), column, value)


def _compare_slice(pair: PairedScores, column: str, value: str) -> SliceComparison:
    scored = ~np.isnan(pair.d)
    clusters = None if pair.clusters is None else pair.clusters[scored]
    units = int(scored.sum()) if clusters is None else np.unique(clusters).size
    tested = units >= FEWEST and not pair.alone  # a mean alone has nothing to differ from
    interval = find_own_interval if pair.alone else find_interval
    return SliceComparison(
        metric=pair.metric,
        baseline=pair.baseline,
        candidate=pair.candidate,
        slice=column,
        value=value,
        n=int(scored.sum()),
        n_missing=pair.missing,
        null=pair.null,
        difference=interval(pair, scored) if scored.any() else None,
        p_value=main_test(pair, scored).p_value if tested else None,
    )


def _adjust(lines: Sequence[SliceComparison]) -> list[SliceComparison]:
    p_values = [line.p_value for line in lines if line.p_value is not None]
    adjusted = iter(benjamini_hochberg(np.array(p_values)).tolist() if p_values else ())
    return [
        line.model_copy(
            update={
                "n_tests": len(p_values),
                "p_adjusted": None if line.p_value is None else next(adjusted),
            }
        )
        for line in lines
    ]


def _mark_worst(lines: Sequence[SliceComparison]) -> Iterator[SliceComparison]:
    worst: dict[str, SliceComparison] = {}
    for line in lines:
        if line.p_value is None or line.difference is None:
            continue
        lowest = worst.get(line.metric)
        if lowest is None or _estimate(line) < _estimate(lowest):
            worst[line.metric] = line
    for line in lines:
        yield line.model_copy(update={"worst": line is worst.get(line.metric)})


def _estimate(line: SliceComparison) -> float:
    assert line.difference is not None
    return line.difference.estimate
