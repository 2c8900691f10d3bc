"""Means and shares over all items: by the judge, by human labels, and by the judge corrected."""

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
    """Estimate a win rate, or each model's mean or share and their difference, in three ways.

    `models` are baseline and candidate. `half_width`, a share of the scale's range, is the
    precision for which the number of labels is computed.
    """
    labels = dict(zip(column.subjects, mean_votes(column.labels).tolist(), strict=True))
    # A preference has one score per item.
    if column.kind == "preference":
        by_item = {i: y for (i, _), y in labels.items()}
        of = f"{models[1]} against {models[0]}"
        yield from _correct_mean(column, of, by_item, column.all_scores[""], 0.5, half_width)
        return
    # Grades have one score per item and model.
    by_model = {
        model: {i: y for (i, of), y in labels.items() if of == model} for model in column.all_scores
    }
    width = half_width * (column.scale.values[-1] - column.scale.values[0])
    for model, by_item in by_model.items():
        if column.kind == "share":
            yield from _correct_share(column, model, by_item, half_width)
        else:
            yield from _correct_mean(column, model, by_item, column.all_scores[model], None, width)
    if models[0] == models[1]:
        return
    # Candidate minus baseline, on the items where both have a label.
    old, new = (by_model.get(model, {}) for model in models)
    label_differences = {i: new[i] - old[i] for i in new if i in old}
    first, second = (column.all_scores[model] for model in models)
    judge_differences = {i: second[i] - first[i] for i in second}
    of = f"{models[1]} minus {models[0]}"
    yield from _correct_mean(column, of, label_differences, judge_differences, 0.0, width)


def _correct_mean(
    column: LabelledColumn,
    of: str,
    labels: Mapping[str, float],
    judge_scores: Mapping[str, float],
    null: float | None,
    half_width: float,
) -> Iterator[Calibrated]:
    """Estimate a mean; nothing for fewer than two labels."""
    y, judged, elsewhere = _split(labels, judge_scores)
    if y.size < 2:
        return
    # The three estimates, within the bounds of a win rate, a scale, or a difference on it.
    low, high = column.scale.values[0], column.scale.values[-1]
    if null == 0:
        low, high = low - high, high - low
    everywhere = np.concatenate([judged, elsewhere])
    corrected = corrected_mean(y, judged, elsewhere)
    by_labels = t_interval(y, low, high)
    by_judge = t_interval(everywhere, low, high)
    assert by_labels is not None
    assert by_judge is not None
    needed = labels_for_mean(y, judged, elsewhere, half_width=half_width)
    yield Calibrated(
        column=column.scale.column,
        of=of,
        null=null,
        estimates=(
            Estimate(method="judge alone", n=everywhere.size, interval=by_judge),
            Estimate(method="labels alone", n=y.size, interval=by_labels),
            _corrected_estimate("corrected (PPI++)", corrected, y.size, low, high),
        ),
        half_width=half_width,
        n_labels_needed=needed,
        more_labels=None if needed is None else max(0, needed - y.size),
    )


def _correct_share(
    column: LabelledColumn, model: str, labels: Mapping[str, float], half_width: float
) -> Iterator[Calibrated]:
    """Estimate a share of yes by double sampling; items with split annotators are left out."""
    decided = {i: float(y > 0.5) for i, y in labels.items() if y != 0.5}
    y, judged, elsewhere = _split(decided, column.all_scores[model])
    if y.size == 0:
        return
    # Cross the judge's answers with the labels, and count the judge's yes on all items.
    judge_yes, people_yes = judged > 0.5, y > 0.5
    counts = Labelled(
        both=int((judge_yes & people_yes).sum()),
        judge_only=int((judge_yes & ~people_yes).sum()),
        people_only=int((~judge_yes & people_yes).sum()),
        neither=int((~judge_yes & ~people_yes).sum()),
    )
    n_yes_elsewhere = int((elsewhere > 0.5).sum())
    n_yes = int(judge_yes.sum()) + n_yes_elsewhere
    n_all = judged.size + elsewhere.size

    corrected = corrected_share(
        counts, judge_yes_elsewhere=n_yes_elsewhere, n_elsewhere=elsewhere.size
    )
    needed = labels_for_share(counts, n_yes / n_all, n_all, half_width=half_width)
    by_labels = _wilson(int(people_yes.sum()), y.size)
    yield Calibrated(
        column=column.scale.column,
        of=model,
        null=None,
        estimates=(
            Estimate(method="judge alone", n=n_all, interval=_wilson(n_yes, n_all)),
            Estimate(method="labels alone", n=y.size, interval=by_labels),
            _corrected_estimate("corrected (double sampling)", corrected, y.size, 0.0, 1.0),
        ),
        half_width=half_width,
        n_labels_needed=needed,
        more_labels=None if needed is None else max(0, needed - y.size),
    )


def _split(
    labels: Mapping[str, float], judge_scores: Mapping[str, float]
) -> tuple[Vector, Vector, Vector]:
    """Return labels and judge scores of the labelled items, and judge scores of the others.

    A labelled item without a verdict of the judge is in neither group.
    """
    labelled = [
        i
        for i in labels
        if not math.isnan(labels[i]) and not math.isnan(judge_scores.get(i, math.nan))
    ]
    others = [s for i, s in judge_scores.items() if i not in labels and not math.isnan(s)]
    return (
        np.array([labels[i] for i in labelled]),
        np.array([judge_scores[i] for i in labelled]),
        np.array(others, dtype=np.float64),
    )


def _corrected_estimate(
    method: str, corrected: Corrected, n: int, low: float, high: float
) -> Estimate:
    interval = Interval(
        estimate=min(max(corrected.estimate, low), high),
        low=max(corrected.interval.low, low),
        high=min(corrected.interval.high, high),
    )
    return Estimate(method=method, n=n, interval=interval, weight=corrected.weight)


def _wilson(k: int, n: int) -> Interval:
    low, high = wilson_interval(k, n)
    return Interval(estimate=k / n, low=low, high=high)
