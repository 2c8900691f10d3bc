"""The power of each claim's test with the items of a plan, computed before a run.

Nothing has been measured yet, so the spread of the scores and the true difference are assumed. The
forecast states both.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from harness.config import Claim, Gate, Metric, metric_of
from harness.gate.claim_tests import MOST_ITEMS, POWER, SMALL_SAMPLE
from harness.gate.critical import max_critical
from harness.gate.feasibility import effective_sample_size, min_sample_size
from harness.stats.power import (
    minimum_detectable_effect,
    minimum_detectable_proportion,
    sample_size,
    sample_size_proportion_threshold,
)
from harness.types import Record, Task

SMALL_SAMPLE_NOTE = (
    f"Below {SMALL_SAMPLE} items a mean must also clear a bound that holds at every sample size, and "
    "shows less than stated here."
)

SMALL_EFFECT = 0.2  # standard deviations: "small" in Cohen 1988, section 2.2


class ClaimForecast(Record):
    """The effect that the items can show for one claim, with 80 % power.

    `detectable` is the smallest distance of the truth from the boundary that `n_units` items (or
    clusters, taken as if all items of one were alike) show. `n_needed` is the number that would
    decide the claim if the truth were `assumed_truth`, and None beyond a million. With fewer than
    `least` no answers could decide the claim. A share that is compared with a threshold is tested
    exactly, and needs no assumed spread.
    """

    claim: str
    n_items: int
    n_units: int
    unit: str
    assumed_sd: float | None
    detectable: float | None
    assumed_truth: float
    n_needed: int | None
    least: int


class RuleForecast(Record):
    """The most critical answers with which a rule is still shown to hold.

    `most` is None where too few items are planned to show it at all.
    """

    rule: str
    n_items: int
    most: int | None


class AssumedTest(NamedTuple):
    """A claim as a test: its boundary, level and power, with an assumed truth and spread."""

    boundary: float
    truth: float
    sd: float
    alpha: float
    power: float
    exact: bool


def forecast_claims(gate: Gate, tasks: Iterable[Task]) -> Iterator[ClaimForecast]:
    """Forecast each claim of the gate."""
    metrics = {name: (metric, task) for task in tasks for name, metric in task.metrics.items()}
    for claim in gate.claims:
        metric, task = metrics[metric_of(claim.metric)]
        n, unit = effective_sample_size(task)
        test = assume_test(claim, metric, gate, clustered=unit != "items")
        yield ClaimForecast(
            claim=str(claim),
            n_items=task.n_items,
            n_units=n,
            unit=unit,
            assumed_sd=None if test.exact else test.sd,
            detectable=_detectable(test, n),
            assumed_truth=test.truth,
            n_needed=_needed(test),
            least=min_sample_size(claim, gate, metric, clustered=unit != "items"),
        )


def forecast_rules(gate: Gate, tasks: Iterable[Task]) -> Iterator[RuleForecast]:
    """Forecast each rule on critical answers."""
    by_metric = {name: task for task in tasks for name in task.metrics}
    for rule in gate.critical:
        task = by_metric[metric_of(rule.metric)]
        units, _ = effective_sample_size(task)
        yield RuleForecast(
            rule=str(rule),
            n_items=task.n_items,
            most=max_critical(rule, task.n_items, units, gate.alpha),
        )


def describe_rules(rules: Iterable[RuleForecast]) -> Iterator[str]:
    """Yield a line on each rule that the items can show."""
    for rule in rules:
        if rule.most is not None:
            yield f"  {rule.rule}: shown with at most {rule.most:,} of {rule.n_items:,}"


def describe_claims(claims: Sequence[ClaimForecast]) -> Iterator[str]:
    """Yield two lines on each claim."""
    if claims:
        yield "What can be shown with 80 % power, if scores spread as assumed:"
    for c in claims:
        effect = "nothing" if c.detectable is None else f"{c.detectable:.3g} from the boundary"
        needed = "over a million" if c.n_needed is None else f"{c.n_needed:,}"
        spread = "" if c.assumed_sd is None else f" (sd {c.assumed_sd:.3g})"
        yield f"  {c.claim}"
        yield (
            f"    {c.n_units:,} {c.unit} show {effect}{spread}; if the truth is "
            f"{c.assumed_truth:.3g}, {needed} are needed"
        )
    if any(c.n_units < SMALL_SAMPLE for c in claims):
        yield f"  {SMALL_SAMPLE_NOTE}"


def assume_test(claim: Claim, metric: Metric, gate: Gate, *, clustered: bool) -> AssumedTest:
    """Return a claim's test with the spread and the truth that are assumed before a run."""
    high, sd = metric.bounds[1], metric.assumed_sd
    exact = metric.score_kind == "share" and not clustered and claim.value is not None
    boundary, truth = _assumed(claim, metric.null, SMALL_EFFECT * sd, high)
    if exact:
        truth = (boundary + high) / 2
    return AssumedTest(
        boundary=boundary,
        truth=truth,
        sd=sd,
        alpha=gate.level_of(claim),
        # Of a two-sided claim both tests must reject: each may miss half of what the claim may.
        power=(1 + POWER) / 2 if claim.kind.two_sided else POWER,
        exact=exact,
    )


def _assumed(claim: Claim, null: float, small: float, high: float) -> tuple[float, float]:
    """Return the boundary and an assumed truth beyond it: no difference if that is, or a small one."""
    if claim.value is not None:
        return claim.value, min(claim.value + small, high)
    boundary = null + claim.boundaries(null)[0]
    if claim.kind.assumes_no_difference:
        return boundary, null
    return boundary, boundary - small if claim.kind.alarm else boundary + small


def _detectable(test: AssumedTest, n: int) -> float | None:
    if n < 2:
        return None
    if test.exact:
        share = minimum_detectable_proportion(test.boundary, n, alpha=test.alpha, power=test.power)
        return None if share is None else share - test.boundary
    return minimum_detectable_effect(
        test.sd, n, alpha=test.alpha, power=test.power, alternative="one-sided"
    )


def _needed(test: AssumedTest) -> int | None:
    """Return the number of items that decides the claim, or None if it is above a million.

    Below a hundred items most claims need a stricter bound, so fewer are never enough.
    """
    if test.exact:
        size = sample_size_proportion_threshold(
            test.boundary, test.truth, alpha=test.alpha, power=test.power
        )
        return size.n if size.n <= MOST_ITEMS else None
    effect = test.truth - test.boundary
    needed = sample_size(
        test.sd, effect, alpha=test.alpha, power=test.power, alternative="one-sided"
    )
    if needed > MOST_ITEMS:
        return None
    return max(needed, SMALL_SAMPLE)
