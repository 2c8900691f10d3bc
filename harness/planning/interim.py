"""The expected number of judgements where a plan may stop early, for `harness plan`.

It is computed for one claim, by the recursion that gives the boundaries. A gate of several claims
ends with the slowest of those that hold, or with the first that fails.
"""

from collections.abc import Iterator

from harness.gate.claim_tests import POWER
from harness.gate.interim import LEAST_CHANCE
from harness.stats.distributions import normal_quantile
from harness.stats.group_sequential import futile_below, survival
from harness.types import Plan, Record, TaskLooks


class StopCase(Record):
    """The mean share of items judged, and so of judgements made, under one assumed `truth`."""

    truth: str
    share_judged: float
    judgements: int


class LooksForecast(Record):
    """The sizes of the looks, and the expected number of judgements."""

    tasks: tuple[TaskLooks, ...]
    cases: tuple[StopCase, ...]


def forecast_looks(plan: Plan, judgements: int) -> LooksForecast | None:
    """Forecast the looks of a plan that may stop early; `judgements` is the number on all items."""
    if not plan.looks:
        return None
    return LooksForecast(tasks=plan.looks, cases=tuple(_cases(plan.looks[0], judgements)))


def describe_looks(forecast: LooksForecast) -> Iterator[str]:
    """Yield lines on the looks and on the expected number of judgements."""
    for looks in forecast.tasks:
        sizes = ", ".join(f"{size:,}" for size in looks.sizes)
        yield f"May stop early: looks at {sizes} items of {looks.task}, in random order (seed {looks.order_seed})."
    yield "Judgements to be expected for a single claim (several take longer):"
    for case in forecast.cases:
        yield f"  {case.judgements:,} ({case.share_judged:.0%}) if the candidate is {case.truth}"


def mean_share_judged(looks: TaskLooks, drift: float) -> float:
    """Compute the mean share of items judged for one claim, whose z has mean `drift` on all items."""
    fractions = [size / looks.sizes[-1] for size in looks.sizes]
    last, bands = looks.z[-1], []
    for number, (z, fraction) in enumerate(zip(looks.z, fractions, strict=True), start=1):
        least = (
            futile_below(fraction, last, power=LEAST_CHANCE) if 1 < number < len(fractions) else 0
        )
        bands.append([(-z, -least), (least, z)] if least > 0 else [(-z, z)])
    reached = (1.0, *survival(fractions, bands, drift=drift)[:-1])
    steps = [b - a for a, b in zip([0.0, *fractions], fractions, strict=False)]
    return sum(chance * step for chance, step in zip(reached, steps, strict=True))


def _cases(looks: TaskLooks, judgements: int) -> Iterator[StopCase]:
    detectable = looks.z[-1] + normal_quantile(1 - POWER)
    truths = {
        "exactly at the claim's boundary": 0.0,
        "beyond it by what is found with 80 % power": detectable,
        "beyond it by twice that": 2 * detectable,
    }
    for truth, drift in truths.items():
        share = mean_share_judged(looks, drift)
        yield StopCase(truth=truth, share_judged=share, judgements=round(share * judgements))
