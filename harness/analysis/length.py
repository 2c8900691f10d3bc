"""Length control: a comparison adjusted to answers of equal length, next to the raw figure."""

from collections.abc import Mapping

import numpy as np

from harness.scoring.paired import PairedScores
from harness.stats.length_control import length_adjusted_difference, length_controlled_win_rate
from harness.types import Interval, LengthEffect
from harness.types.samples import Responses


def find_length_effect(
    pair: PairedScores, responses: Mapping[str, Responses], *, confidence: float = 0.95
) -> LengthEffect:
    """Adjust the comparison to answers of equal length, in characters."""
    observed = ~np.isnan(pair.d)
    clusters = None if pair.clusters is None else pair.clusters[observed]
    lengths = _lengths(pair, responses[pair.candidate]) - _lengths(pair, responses[pair.baseline])
    if pair.kind == "preference":
        effect = length_controlled_win_rate(
            pair.candidate_scores[observed],
            lengths[observed],
            clusters=clusters,
            confidence=confidence,
        )
    else:
        effect = length_adjusted_difference(
            pair.d[observed], lengths[observed], clusters=clusters, confidence=confidence
        )
    adjusted = Interval(estimate=effect.estimate, low=effect.ci_low, high=effect.ci_high)
    return LengthEffect(
        metric=pair.metric,
        baseline=pair.baseline,
        candidate=pair.candidate,
        raw=effect.raw,
        adjusted=None if effect.unidentified else adjusted,
        unidentified=effect.unidentified,
        share_longer=effect.share_longer,
        share_shorter=effect.share_shorter,
    )


def _lengths(
    pair: PairedScores, responses: Responses
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    lengths = [len(responses[i].text or "") for i in pair.sample_ids]
    return np.array(lengths, dtype=np.float64)
