"""What people would say of all items: by the judge, by labels, and by the one corrected by the other."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from harness.human.judge_agreement import t_interval
from harness.human.label_join import LabelledColumn
from harness.stats.annotator_means import mean_votes
from harness.stats.annotator_power import labels_for_mean, labels_for_share
from harness.stats.judge_correction import Corrected, Labelled, corrected_mean, corrected_share
from harness.stats.proportions import wilson_interval
from harness.stats.vectors import Vector
from harness.types import Calibrated, Estimate, Interval


def correct_column(
    column: LabelledColumn, models: tuple[str, str], half_width: float
) -> Iterator[Calibrated]:
    """The three estimates of a win rate, of each model's mean or share, and of their difference.

    `half_width` is a share of the scale's range.
    """
    labels = dict(zip(column.subjects, mean_votes(column.labels).tolist(), strict=True))
    if column.kind == "preference":
        known = {i: y for (i, _), y in labels.items()}
        of = f"{models[1]} against {models[0]}"
        yield from _mean_of(column, of, known, column.own[""], 0.5, half_width)
        return
    by_model = {m: {i: y for (i, of), y in labels.items() if of == m} for m in column.own}
    width = half_width * (column.scale.values[-1] - column.scale.values[0])
    for model, known in by_model.items():
        if column.kind == "share":
            yield from _share_of(column, model, known, half_width)
        else:
            yield from _mean_of(column, model, known, column.own[model], None, width)
    old, new = (by_model.get(model, {}) for model in models)
    known = {i: new[i] - old[i] for i in new if i in old}
    first, second = (column.own[model] for model in models)
    own = {i: second[i] - first[i] for i in second}
    yield from _mean_of(column, f"{models[1]} minus {models[0]}", known, own, 0.0, width)


def _mean_of(
    column: LabelledColumn,
    of: str,
    known: Mapping[str, float],
    own: Mapping[str, float],
    null: float | None,
    half_width: float,
) -> Iterator[Calibrated]:
    y, j, others = _split(known, own)
    if y.size < 2:
        return
    low, high = (0.0, 1.0) if column.kind == "preference" else (-math.inf, math.inf)
    everything = np.concatenate([j, others])
    fixed = corrected_mean(y, j, others)
    labelled = t_interval(y, low, high)
    raw = t_interval(everything, low, high)
    if labelled is None or raw is None:
        return
    needed = labels_for_mean(y, j, others, half_width=half_width)
    yield Calibrated(
        column=column.scale.column,
        of=of,
        null=null,
        estimates=(
            Estimate(method="judge alone", n=everything.size, interval=raw),
            Estimate(method="labels alone", n=y.size, interval=labelled),
            _corrected("corrected (PPI++)", fixed, y.size, low, high),
        ),
        half_width=half_width,
        n_labels_needed=needed,
        more_labels=None if needed is None else max(0, needed - y.size),
    )


def _share_of(
    column: LabelledColumn, model: str, known: Mapping[str, float], half_width: float
) -> Iterator[Calibrated]:
    decided = {i: float(y > 0.5) for i, y in known.items() if y != 0.5}
    y, j, others = _split(decided, column.own[model])
    if y.size == 0:
        return
    said, meant = j > 0.5, y > 0.5
    counts = Labelled(
        both=int((said & meant).sum()),
        judge_only=int((said & ~meant).sum()),
        people_only=int((~said & meant).sum()),
        neither=int((~said & ~meant).sum()),
    )
    elsewhere = int((others > 0.5).sum())
    everything = int(said.sum()) + elsewhere
    n_all = j.size + others.size
    fixed = corrected_share(counts, judge_yes_elsewhere=elsewhere, n_elsewhere=others.size)
    needed = labels_for_share(counts, everything / n_all, n_all, half_width=half_width)
    yield Calibrated(
        column=column.scale.column,
        of=model,
        null=None,
        estimates=(
            Estimate(method="judge alone", n=n_all, interval=_wilson(everything, n_all)),
            Estimate(method="labels alone", n=y.size, interval=_wilson(int(meant.sum()), y.size)),
            _corrected("corrected (double sampling)", fixed, y.size, 0.0, 1.0),
        ),
        half_width=half_width,
        n_labels_needed=needed,
        more_labels=None if needed is None else max(0, needed - y.size),
    )


def _split(known: Mapping[str, float], own: Mapping[str, float]) -> tuple[Vector, Vector, Vector]:
    """Labels and the judge's scores of the same items, then its scores of the others."""
    both = [i for i in known if not math.isnan(known[i]) and not math.isnan(own.get(i, math.nan))]
    others = [score for i, score in own.items() if i not in known and not math.isnan(score)]
    return (
        np.array([known[i] for i in both]),
        np.array([own[i] for i in both]),
        np.array(others, dtype=np.float64),
    )


def _corrected(method: str, found: Corrected, n: int, low: float, high: float) -> Estimate:
    span = Interval(
        estimate=min(max(found.estimate, low), high),
        low=max(found.interval.low, low),
        high=min(found.interval.high, high),
    )
    return Estimate(method=method, n=n, interval=span, weight=found.weight)


def _wilson(k: int, n: int) -> Interval:
    low, high = wilson_interval(k, n)
    return Interval(estimate=k / n, low=low, high=high)
