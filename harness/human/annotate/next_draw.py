"""A further draw of pairs, after a study that has labels: whose labels count together, and what they will tell.

    study        .2   .2   .2   .2      chance of each pair to have a label by now
    next draw    .1   .5   .1   .3      of all pairs, whether labelled or not
    together     .28  .6   .28  .44     1 - (1 - .2) (1 - .1), …

The new draw does not look at the labels, so that a pair's chance to be in either is known. People are shown the drawn
pairs without a label; the labels of the others are there already.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from harness.artifacts.run_folder import load_run
from harness.config import metric_of
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.gate.estimators import is_about_own_mean
from harness.human.claim_labels import label_claim
from harness.human.labels import HumanLabels, load_study_labels
from harness.human.votes import PEOPLE_FOLDER
from harness.scoring.paired import gated_pairs
from harness.stats.distributions import t_quantile
from harness.stats.missing import fill_missing
from harness.stats.unequal_draw import (
    chances_of_either,
    chances_of_more,
    draw_items,
    expected_error,
)
from harness.stats.vectors import Vector
from harness.types import Study

FEWEST_TO_FORECAST = 20  # labels, of whose spread the forecast is made


class NextDraw(NamedTuple):
    """A draw after another: the pairs to label, the chances in it, and those of the labels before it."""

    new_ids: tuple[str, ...] = ()
    chances: Mapping[str, float] = MappingProxyType({})
    carried: tuple[str, ...] = ()
    carried_chances: Mapping[str, float] = MappingProxyType({})


class NextForecast(NamedTuple):
    """Half the width of a corrected mean's 95 % interval: now, and with so many more labels.

    `by_draw` is of the pairs that were drawn, `drawn_evenly` of as many drawn with equal chances.
    """

    column: str
    n_labels: int
    n_more: int
    now: float
    by_draw: float
    drawn_evenly: float


def draw_next(
    earlier: HumanLabels, interest: Mapping[str, float] | None, more: int, seed: int, name: str
) -> NextDraw:
    """Draw about `more` pairs that have no label in `earlier`, with equal chances where there is no interest.

    `name` is the earlier study's; it keeps the draw independent of the one before with the same seed.

    Raises:
        HarnessError: nobody has voted on the earlier study yet, or fewer pairs are left.
    """
    frame = earlier.frame_ids or ()
    by_item = {label.sample_id for label in earlier.labels}
    labelled = np.array([i in by_item for i in frame])
    left = int((~labelled).sum())
    if not labelled.any() or not left:
        what = "has no votes that count" if left else "has labels of every pair"
        raise HarnessError(f"--after {name}: this study {what}; there is nothing to draw after it.")
    weights = np.zeros(len(frame)) if interest is None else np.array([interest[i] for i in frame])
    chances = chances_of_more(weights, min(more, left), labelled)
    own_seed = int(content_hash(seed, name, "next draw")[:12], 16)
    drawn = [frame[i] for i in draw_items(chances, own_seed)]
    carried = tuple(i for i in frame if i in by_item)
    return NextDraw(
        new_ids=tuple(i for i in drawn if i not in by_item),
        chances=dict(zip(frame, chances.tolist(), strict=True)),
        carried=carried,
        carried_chances=_labelled_by_now(earlier, len(carried)),
    )


def _labelled_by_now(earlier: HumanLabels, n_labelled: int) -> dict[str, float]:
    """Return each pair's chance to have a label: annotators see the drawn pairs in random order."""
    frame = earlier.frame_ids or ()
    if earlier.chances is None:
        return dict.fromkeys(frame, n_labelled / len(frame))
    done = n_labelled / len(earlier.sampled_ids)
    return {i: min(1.0, chance * done) for i, chance in earlier.chances.items()}


def forecast_next(run_folder: Path, study: Study) -> Iterator[NextForecast]:
    """Forecast how much narrower a study that was drawn after another makes each claim's corrected mean.

    Left out are claims on columns that the votes do not answer, and those with fewer than 20 labels.
    """
    run = load_run(run_folder)
    earlier = load_study_labels(run_folder / PEOPLE_FOLDER / study.after)
    plan, pairs = run.result.plan, gated_pairs(run.columns, run.result.plan)
    for claim in plan.gate.claims if plan.gate else ():
        metric, pair = plan.metrics[metric_of(claim.metric)], pairs.get(claim.metric)
        if pair is None or metric.computed:
            continue
        labels = label_claim(claim, metric, pair, earlier)
        if labels.n < FEWEST_TO_FORECAST:
            continue
        if is_about_own_mean(claim, pair):
            scores = pair.own_ends[0]
        else:
            scores = fill_missing(pair.d, low=pair.least, high=pair.greatest).adverse
        yield _forecast(claim.metric, labels.least, scores, pair.sample_ids, study)


def _forecast(
    column: str, people: Vector, judge: Vector, sample_ids: tuple[str, ...], study: Study
) -> NextForecast:
    """Compute the widths; pairs outside the draw are known, and have a label for certain."""
    now, drawn = (
        np.array([chances.get(i, 1.0) for i in sample_ids])
        for chances in (study.carried_chances, study.chances)
    )
    in_draw = np.array([i in study.chances for i in sample_ids])
    evenly = np.full(now.size, float(drawn[in_draw].sum()) / max(int(in_draw.sum()), 1))
    n_labels = int((~np.isnan(people)).sum())

    def half_width(later: Vector, n: int) -> float:
        error = expected_error(people, judge, now, np.where(in_draw, later, 1.0))
        return t_quantile(0.025, n - 1) * error

    return NextForecast(
        column=column,
        n_labels=len(study.carried),
        n_more=study.n,
        now=half_width(now, n_labels),
        by_draw=half_width(chances_of_either(now, drawn), n_labels + study.n),
        drawn_evenly=half_width(chances_of_either(now, evenly), n_labels + study.n),
    )


def describe_next(forecasts: list[NextForecast]) -> Iterator[str]:
    """Yield a line on each claim's column, or one that says why there is none."""
    if not forecasts:
        yield (
            f"no forecast of what these labels will tell: it takes {FEWEST_TO_FORECAST} labels of what a claim is about"
        )
    for f in forecasts:
        yield (
            f"{f.column}: corrected by {f.n_labels:,} labels it is known to ±{f.now:.3g}, and with these {f.n_more:,} "
            f"more to about ±{f.by_draw:.3g} (drawn evenly ±{f.drawn_evenly:.3g})"
        )
