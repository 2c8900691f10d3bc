"""Rankings of three or more models: Bradley-Terry strengths next to the direct win rates.

Where every model was compared only with the baseline, strengths carry the same information as the
direct win rates. With `pairs: all` on the metric every pair is judged; then the other pairs inform
the estimate of a pair too, and cyclic preferences become visible.
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
    strengths = _fit(pairs, place)
    rates = np.full((len(models), len(models)), np.nan)
    for pair in pairs:
        rate = _direct(pair).estimate
        rates[place[pair.baseline], place[pair.candidate]] = rate
        rates[place[pair.candidate], place[pair.baseline]] = 1 - rate
    return RankingTable(
        metric=pairs[0].metric,
        n_items=len(pairs[0].sample_ids),
        every_pair=len(pairs) == len(models) * (len(models) - 1) // 2,
        strengths=tuple(_strength(model, i, strengths) for model, i in place.items()),
        pairs=tuple(_direct_pair(pair, place, strengths) for pair in pairs),
        cycles=tuple(_cycles(models, rates, pairs)),
        unidentified=strengths.unidentified,
    )


def _fit(pairs: Sequence[PairedScores], place: dict[str, int]) -> Strengths:
    """Fit all scored pairs; those about one item, or one cluster of items, form a cluster."""
    scored_pairs = [(pair, ~np.isnan(pair.d)) for pair in pairs]
    labels = [pair.sample_ids if pair.clusters is None else pair.clusters for pair in pairs]
    sizes = [int(scored.sum()) for _, scored in scored_pairs]
    return bradley_terry(
        np.repeat([place[pair.baseline] for pair in pairs], sizes),
        np.repeat([place[pair.candidate] for pair in pairs], sizes),
        np.concatenate([pair.candidate_scores[scored] for pair, scored in scored_pairs]),
        items=np.concatenate([np.array(labels_of_pair)[scored] for labels_of_pair, (_, scored) in zip(labels, scored_pairs, strict=True)]),
        n_models=len(place),
    )  # fmt: skip


def _strength(model: str, i: int, strengths: Strengths) -> BradleyTerryScore:
    if strengths.unidentified or np.isnan(strengths.low[i]):
        return BradleyTerryScore(model=model, log_strength=None, against_baseline=None)
    value, low, high = (
        float(values[i]) for values in (strengths.log_strength, strengths.low, strengths.high)
    )
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


def _direct_pair(pair: PairedScores, place: dict[str, int], strengths: Strengths) -> PairWinRate:
    one, other = (strengths.log_strength[place[m]] for m in (pair.baseline, pair.candidate))
    return PairWinRate(
        baseline=pair.baseline,
        candidate=pair.candidate,
        n=pair.d.size - pair.missing,
        win_rate=_direct(pair),
        expected=None if strengths.unidentified else expected_win_rate(float(other), float(one)),
    )


def _cycles(
    models: Sequence[str], rates: NDArray[np.float64], pairs: Sequence[PairedScores]
) -> list[Cycle]:
    clear = {
        frozenset((pair.baseline, pair.candidate))
        for pair in pairs
        if (direct := _direct(pair)).low > pair.null or direct.high < pair.null
    }
    cycles = []
    for a, b, c in find_cycles(rates):
        names = (models[a], models[b], models[c])
        sides = ({names[0], names[1]}, {names[1], names[2]}, {names[2], names[0]})
        cycles.append(Cycle(models=names, shown=all(frozenset(side) in clear for side in sides)))
    return cycles
