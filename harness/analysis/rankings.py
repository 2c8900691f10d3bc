"""Three or more models on one line: Bradley-Terry strengths beside the direct win rates.

Where every model was only compared with the baseline, strengths say just what the direct win rates
say; `pairs: all` on the metric has every pair judged, and then a pair also learns from the others,
and preferences that go round in a circle can be seen.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.analysis.comparisons import find_interval
from harness.scoring.paired import PairedScores
from harness.stats.bradley_terry import Strengths, bradley_terry, expected_win_rate, find_cycles
from harness.types import BradleyTerryScore, Cycle, Interval, PairWinRate, RankingTable

FEWEST_MODELS = 3


def rank_models(models: Sequence[str], pairs: Sequence[PairedScores]) -> RankingTable | None:
    """Rank three or more models on one pairwise metric, the baseline first; None for fewer.

    `pairs` are the metric's comparisons. Pairs without a verdict are left out: ranking decides
    nothing, and the comparisons bound what is missing.
    """
    if len(models) < FEWEST_MODELS:
        return None
    place = {model: i for i, model in enumerate(models)}
    found = _fit(pairs, place)
    rates = np.full((len(models), len(models)), np.nan)
    for pair in pairs:
        rate = _direct(pair).estimate
        rates[place[pair.baseline], place[pair.candidate]] = rate
        rates[place[pair.candidate], place[pair.baseline]] = 1 - rate
    return RankingTable(
        metric=pairs[0].metric,
        n_items=len(pairs[0].sample_ids),
        every_pair=len(pairs) == len(models) * (len(models) - 1) // 2,
        strengths=tuple(_strength(model, i, found) for model, i in place.items()),
        pairs=tuple(_direct_pair(pair, place, found) for pair in pairs),
        cycles=tuple(_cycles(models, rates, pairs)),
        unidentified=found.unidentified,
    )


def _fit(pairs: Sequence[PairedScores], place: dict[str, int]) -> Strengths:
    """Fit all scored pairs; those about one item, or one cluster of items, form a cluster."""
    known = [(pair, ~np.isnan(pair.d)) for pair in pairs]
    labels = [pair.sample_ids if pair.clusters is None else pair.clusters for pair in pairs]
    sizes = [int(scored.sum()) for _, scored in known]
    return bradley_terry(
        np.repeat([place[pair.baseline] for pair in pairs], sizes),
        np.repeat([place[pair.candidate] for pair in pairs], sizes),
        np.concatenate([pair.candidate_scores[scored] for pair, scored in known]),
        items=np.concatenate([np.array(its)[scored] for its, (_, scored) in zip(labels, known, strict=True)]),
        n_models=len(place),
    )  # fmt: skip


def _strength(model: str, i: int, found: Strengths) -> BradleyTerryScore:
    if found.unidentified:
        return BradleyTerryScore(model=model, log_strength=None, against_baseline=None)
    value, low, high = (float(each[i]) for each in (found.log_strength, found.low, found.high))
    return BradleyTerryScore(
        model=model,
        log_strength=Interval(estimate=value, low=low, high=high),
        against_baseline=Interval(
            estimate=expected_win_rate(value),
            low=expected_win_rate(low),
            high=expected_win_rate(high),
        ),
    )


def _direct(pair: PairedScores) -> Interval:
    return find_interval(pair, ~np.isnan(pair.d))


def _direct_pair(pair: PairedScores, place: dict[str, int], found: Strengths) -> PairWinRate:
    one, other = (found.log_strength[place[m]] for m in (pair.baseline, pair.candidate))
    return PairWinRate(
        baseline=pair.baseline,
        candidate=pair.candidate,
        n=pair.d.size - pair.missing,
        win_rate=_direct(pair),
        expected=None if found.unidentified else expected_win_rate(float(other), float(one)),
    )


def _cycles(
    models: Sequence[str], rates: NDArray[np.float64], pairs: Sequence[PairedScores]
) -> list[Cycle]:
    clear = {
        frozenset((pair.baseline, pair.candidate))
        for pair in pairs
        if (direct := _direct(pair)).low > pair.null or direct.high < pair.null
    }
    found = []
    for a, b, c in find_cycles(rates):
        names = (models[a], models[b], models[c])
        sides = ({names[0], names[1]}, {names[1], names[2]}, {names[2], names[0]})
        found.append(Cycle(models=names, shown=all(frozenset(side) in clear for side in sides)))
    return found
