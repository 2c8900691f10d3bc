"""The power of each claim's test with the items of a plan, computed before a run.

Nothing has been measured yet, so the spread of the scores and the true difference are assumed. The
forecast states both. The power is that of the rule by which the gate decides.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from harness.config import Claim, Gate, Metric
from harness.gate.claim_tests import MOST_ITEMS, POWER
from harness.gate.critical import max_critical
from harness.gate.feasibility import effective_sample_size, min_sample_size
from harness.scoring.checklist import task_of_column
from harness.stats.distributions import binomial_at_least
from harness.stats.gate_power import (
    detectable_by_gate,
    detectable_share,
    fewest_for_gate,
    fewest_for_shares,
    gate_power,
    share_power,
)
from harness.stats.power import (
    minimum_detectable_proportion,
    sample_size_proportion_threshold,
    threshold_successes,
)
from harness.types import Record, Task, find_metric

SMALL_EFFECT = 0.2  # standard deviations: "small" in Cohen 1988, section 2.2
HALVINGS = 20
LOW_POWER = 0.5  # below which a pass is less likely than not, and the plan warns


class ClaimForecast(Record):
    """The effect that the items can show for one claim, with 80 % power.

    `detectable` is the smallest distance of the truth from the boundary that `n_units` items (or
    clusters, taken as if all items of one were alike) show; None where the scale ends before it.
    `power` is the chance to decide the claim if the truth is `assumed_truth`, which the suite states
    as what to `expect` (`stated`) or the harness assumes; `n_needed` items would do so with 80 %, None
    beyond a million. With fewer than `least` no answers could decide the claim. With a larger share of
    unscored items than `most_missing`, of both models alike, it is more likely than not to stay open: they
    count at their worst. It is None where that is so with every score. The gate gives no verdict above
    `allowed_missing`. Shares are tested exactly; one
    that is compared with a threshold needs no assumed spread.
    """

    claim: str
    n_items: int
    n_units: int
    unit: str
    assumed_sd: float | None
    detectable: float | None
    assumed_truth: float
    stated: bool = False
    power: float | None = None
    n_needed: int | None
    least: int
    most_missing: float | None = None
    allowed_missing: float | None = None


class RuleForecast(Record):
    """The most critical answers with which a rule is still shown to hold.

    `most` is None where too few items are planned to show it at all.
    """

    rule: str
    n_items: int
    most: int | None


class AssumedTest(NamedTuple):
    """A claim as a test: its boundary, level and power, with an assumed truth and spread.

    `kind` is how it is tested: a `mean` (or `betting` on it), a `share` against a threshold, a
    `difference` of shares. `reach` is how far the scale goes from the boundary, away from the claim, and
    `room` how far to its own side.
    """

    boundary: float
    truth: float
    sd: float
    alpha: float
    power: float
    kind: str
    reach: float
    room: float
    stated: bool = False

    @property
    def lowest(self) -> float:
        """Return the boundary of a difference of shares as a claim upwards, for an alarm mirrored."""
        return self.boundary if self.truth >= self.boundary else -self.boundary

    @property
    def effect(self) -> float:
        """Return the distance of the assumed truth from the boundary."""
        return abs(self.truth - self.boundary)


def forecast_claims(gate: Gate, tasks: Sequence[Task]) -> Iterator[ClaimForecast]:
    for claim in gate.claims:
        metric, task = find_metric(claim.metric, tasks)
        task = task_of_column(task, claim.metric)
        n, unit = effective_sample_size(task)
        test = assume_test(claim, metric, gate, clustered=unit != "items")
        yield ClaimForecast(
            claim=str(claim),
            n_items=task.n_items,
            n_units=n,
            unit=unit,
            assumed_sd=None if test.kind == "share" else test.sd,
            detectable=_detectable(test, n),
            assumed_truth=test.truth,
            stated=test.stated,
            power=chance_to_decide(test, n),
            n_needed=_needed(test),
            least=min_sample_size(claim, gate, metric, clustered=unit != "items"),
            most_missing=most_missing(test, n, _gap(claim, metric, test)),
            allowed_missing=gate.max_unscored,
        )


def forecast_rules(gate: Gate, tasks: Sequence[Task]) -> Iterator[RuleForecast]:
    """Forecast each rule on critical answers."""
    for rule in gate.critical:
        task = task_of_column(find_metric(rule.metric, tasks)[1], rule.metric)
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
    """Yield two lines on each claim, and one on each that is more likely than not to stay open."""
    if claims:
        yield "What can be shown with 80 % power, by the gate's own test, if scores spread as assumed:"
    for c in claims:
        effect = "nothing" if c.detectable is None else f"{c.detectable:.3g} beyond the boundary"
        needed = "over a million" if c.n_needed is None else f"{c.n_needed:,}"
        spread = "" if c.assumed_sd is None else f" (sd {c.assumed_sd:.3g})"
        truth = f"{c.assumed_truth:.3g}{', as the suite expects' if c.stated else ''}"
        yield f"  {c.claim}"
        yield (
            f"    {c.n_units:,} {c.unit} show {effect}{spread}; if the truth is {truth}, "
            f"{_chance(c, needed)}"
        )
        if c.most_missing is not None:
            yield (
                f"    with more than {c.most_missing:.1%} of the items unscored, it is more likely than not to "
                f"stay open{_allowed(c)}"
            )
    for c in claims:
        if is_weak(c):
            yield f"WARNING: {describe_weakness(c)}"


def _chance(claim: ClaimForecast, needed: str) -> str:
    """Say how often these items decide the claim, and how many do so in 80 % of cases."""
    if claim.power is None:
        return f"{needed} decide it in 80 % of cases"
    return f"they decide it in {100 * claim.power:.0f} % of cases, {needed} in 80 %"


def _allowed(claim: ClaimForecast) -> str:
    """Say how much the gate allows, where that is more than the claim bears."""
    allowed, most = claim.allowed_missing, claim.most_missing
    if allowed is None or most is None or allowed <= most:
        return ""
    return f"; the gate allows {allowed:.0%} ('max_unscored')"


def is_weak(claim: ClaimForecast) -> bool:
    """Return whether the claim is more likely than not to stay open, even if it is true as assumed."""
    return claim.power is not None and claim.power < LOW_POWER


def describe_weakness(claim: ClaimForecast) -> str:
    """Return a sentence on a claim that these items seldom decide."""
    needed = "more than a million" if claim.n_needed is None else f"{claim.n_needed:,}"
    return (
        f"'{claim.claim}' would be decided only {claim.power or 0:.0%} of the time by {claim.n_units:,} "
        f"{claim.unit} if the truth is {claim.assumed_truth:.3g}. Use {needed} items, or state a claim "
        "that so few can show."
    )


def assume_test(claim: Claim, metric: Metric, gate: Gate, *, clustered: bool) -> AssumedTest:
    """Return a claim's test with the spread and the truth that are assumed before a run."""
    (low, high), sd = metric.bounds_of(claim.metric), metric.assumed_sd_of(claim.metric)
    share = metric.score_kind == "share" and not clustered
    kind = "betting" if gate.guarantee == "distribution_free" else "mean"
    if share:
        kind = "share" if claim.value is not None else "difference"
    boundary, truth = _assumed(claim, metric.null, SMALL_EFFECT * sd, high)
    if kind == "share":
        truth = (boundary + high) / 2
    if claim.expect is not None:
        truth = claim.expect
    least, most = low, high
    if claim.value is None and not metric.compares_pairs:
        least, most = low - high, high - low
    down, up = boundary - least, most - boundary
    return AssumedTest(
        boundary=boundary,
        truth=truth,
        sd=sd,
        alpha=gate.level_of(claim),
        # Of a two-sided claim both tests must reject: each may miss half of what the claim may.
        power=(1 + POWER) / 2 if claim.kind.two_sided else POWER,
        kind=kind,
        reach=up if claim.kind.alarm else down,
        room=_room(claim, down, up),
        stated=claim.expect is not None,
    )


def _room(claim: Claim, down: float, up: float) -> float:
    """Return how far from its boundary the truth can be on the side of the claim."""
    if claim.kind.two_sided:
        return claim.margin or 0.0
    return down if claim.kind.alarm else up


def _assumed(claim: Claim, null: float, small: float, high: float) -> tuple[float, float]:
    """Return the boundary and an assumed truth beyond it: no difference if that is, or a small one."""
    if claim.value is not None:
        return claim.value, min(claim.value + small, high)
    boundary = null + claim.boundaries(null)[0]
    if claim.kind.assumes_no_difference:
        return boundary, null
    return boundary, boundary - small if claim.kind.alarm else boundary + small


def chance_to_decide(test: AssumedTest, n: int) -> float | None:
    """Return the chance that `n` items decide the claim if it is true as assumed.

    A two-sided claim takes two tests, which miss it at most as often as both together.
    """
    if n < 2:
        return None
    if test.kind == "share":
        needed = threshold_successes(test.boundary, n, alpha=test.alpha)
        return binomial_at_least(needed, n, test.truth) if needed <= n else 0.0
    if test.kind == "difference":
        one = share_power(test.effect, test.lowest, test.sd**2, n, test.alpha)
    else:
        one = gate_power(
            test.effect,
            test.sd,
            n,
            reach=test.reach,
            alpha=test.alpha,
            betting=test.kind == "betting",
        )
    return max(0.0, 2 * one - 1) if test.power > POWER else one


def most_missing(test: AssumedTest, n: int, gap: float) -> float | None:
    """Return the largest share of missing scores with which the claim is decided half of the time.

    `gap` is how far beyond the boundary a missing score counts, away from the claim. None where the claim
    is decided less often with every score.
    """

    def chance(share: float) -> float:
        effect = (1 - share) * test.effect - share * gap
        if effect <= 0:
            return 0.0
        away = test.effect + gap
        spread = math.sqrt(test.sd**2 + share * (1 - share) * away**2)
        side = 1 if test.truth >= test.boundary else -1
        altered = test._replace(truth=test.boundary + side * effect, sd=spread)
        return chance_to_decide(altered, n) or 0.0

    if chance(0.0) < LOW_POWER:
        return None
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) >= LOW_POWER else (low, middle)
    return low


def _gap(claim: Claim, metric: Metric, test: AssumedTest) -> float:
    """Return how far a missing score counts beyond the boundary, on average over both models.

    A difference with one model's score missing is on average half the scale worse than none, wherever
    the other's scores lie.
    """
    low, high = metric.bounds_of(claim.metric)
    both = claim.value is None and not metric.compares_pairs
    return test.reach - (high - low) / 2 if both else test.reach


def detectable_mean(test: AssumedTest, n: float) -> float:
    """Return the distance from the boundary that a mean of `n` items shows, whatever the scale."""
    return detectable_by_gate(
        test.sd,
        n,
        reach=test.reach,
        alpha=test.alpha,
        power=test.power,
        betting=test.kind == "betting",
    )


def _detectable(test: AssumedTest, n: int) -> float | None:
    if n < 2:
        return None
    if test.kind == "share":
        share = minimum_detectable_proportion(test.boundary, n, alpha=test.alpha, power=test.power)
        return None if share is None else share - test.boundary
    if test.kind == "difference":
        return detectable_share(test.lowest, test.sd**2, n, alpha=test.alpha, power=test.power)
    distance = detectable_mean(test, n)
    return distance if distance <= test.room else None


def _needed(test: AssumedTest) -> int | None:
    """Return the number of items that decides the claim, or None if it is above a million."""
    if test.kind == "share":
        n = sample_size_proportion_threshold(
            test.boundary, test.truth, alpha=test.alpha, power=test.power
        )
        return n if n <= MOST_ITEMS else None
    if test.kind == "difference":
        return fewest_for_shares(
            test.lowest,
            test.effect,
            test.sd**2,
            alpha=test.alpha,
            power=test.power,
            most=MOST_ITEMS,
        )
    needed = fewest_for_gate(
        test.sd,
        test.effect,
        reach=test.reach,
        alpha=test.alpha,
        power=test.power,
        betting=test.kind == "betting",
    )
    return math.ceil(needed) if needed <= MOST_ITEMS else None
