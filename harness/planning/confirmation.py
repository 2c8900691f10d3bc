"""The differences that people's labels can confirm, before anybody has labelled.

A verdict of a judge that must be confirmed (`judge_licence`), or that is corrected in the first place
(`decide_on: corrected`), is bounded by the labels (harness/gate/confirmation.py). How well a judge
will agree with people is not known beforehand, so the forecast is of the labels alone; a judge that
agrees narrows their bounds.
"""

import math
from collections.abc import Iterator, Sequence

from harness.config import Claim, Gate, Metric, metric_of
from harness.config.request import Request, judge_name
from harness.gate.confirmation import FEWEST_TO_DECIDE
from harness.planning.claims import AssumedTest, assume_test
from harness.stats.distributions import normal_quantile
from harness.stats.judge_correction import FEWEST_LABELS
from harness.stats.power import minimum_detectable_effect
from harness.types import Record, Task, find_metric

NUMBERS = (50, 100, 200, 400)  # of labels


class LabelsForecast(Record):
    """What so many labels by themselves confirm of one claim, with 80 % power.

    `distances` are those of the truth from the boundary, by the number of labels; None where not
    even the best possible truth would be confirmed. With fewer than `least` labels nothing is decided.
    """

    claim: str
    assumed_sd: float
    distances: dict[int, float | None]
    least: int


def forecast_labels(
    gate: Gate, tasks: Sequence[Task], request: Request
) -> Iterator[LabelsForecast]:
    """Forecast each claim that a judge scores and labels must confirm, or decide."""
    if gate.judge_licence is None and gate.decide_on == "judge":
        return
    for claim in gate.claims:
        name = metric_of(claim.metric)
        metric, task = find_metric(claim.metric, tasks)
        judge = judge_name(name, request)
        if judge is None or request.profile.find_judge(judge).people is not None:
            continue
        test = assume_test(claim, metric, gate, clustered=False)
        numbers = sorted({*(n for n in NUMBERS if n < task.n_items), task.n_items})
        yield LabelsForecast(
            claim=str(claim),
            assumed_sd=test.sd,
            distances={n: _distance(claim, metric, test, n) for n in numbers},
            least=FEWEST_TO_DECIDE if gate.decide_on == "corrected" else 0,
        )


def describe_labels(forecasts: Sequence[LabelsForecast]) -> Iterator[str]:
    """Yield a line on each claim."""
    if forecasts:
        yield (
            "What people's labels by themselves confirm with 80 % power, if they spread as assumed; a "
            "judge that agrees with people narrows it:"
        )
    for f in forecasts:
        shown = ", ".join(
            f"{n:,} labels {'nothing' if distance is None else f'{distance:.3g}'}"
            for n, distance in f.distances.items()
            if n >= f.least
        )
        few = f"fewer than {f.least} labels decide nothing"
        yield f"  {f.claim} (sd {f.assumed_sd:.3g}), distance from the boundary: {shown or few}"


def _distance(claim: Claim, metric: Metric, test: AssumedTest, n: int) -> float | None:
    """Return the distance from the boundary at which both bounds of n labels clear it.

    With the share e = 1 - alpha^(1/n) that n labels do not exclude at the worst value, the second
    one is (1 - e) theta + e least.
    """
    if n < FEWEST_LABELS:
        return None
    low, high = metric.bounds_of(claim.metric)
    least, greatest = (low, high)
    if claim.value is None and not metric.compares_pairs:
        least, greatest = low - high, high - low
    sampling = minimum_detectable_effect(
        test.sd, n, alpha=test.alpha, power=test.power, alternative="one-sided"
    )
    share = 1 - math.pow(test.alpha, 1 / n)
    chance = normal_quantile(1 - test.power) * test.sd / math.sqrt(n)
    unseen = (share * (test.boundary - least) + chance) / (1 - share)
    distance = max(sampling, unseen)
    return distance if test.boundary + distance <= greatest else None
