"""The power of each claim about recipes, by the number of training seeds, computed before a run.

How far trainings of one recipe differ is not known before, and is assumed; the forecast states it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

from harness.config import Gate
from harness.gate.claim_tests import POWER
from harness.gate.feasibility import effective_sample_size
from harness.planning.claims import AssumedTest, assume_test, chance_to_decide
from harness.stats.distributions import noncentral_t_tail, t_quantile
from harness.types import Plan, Record, find_metric

SEED_SHARE = 0.1  # SD of a model's mean between trainings, as a share of the items' SD
SHOWN = (3, 5, 10)
MOST_SEEDS = 50


class SeedForecast(Record):
    """The chance to decide a claim about recipes, by the number of training seeds.

    A model's mean is assumed to differ by `seed_sd` points between trainings, and the truth to be
    `assumed_truth`. `planned` is the number of seeds in the profile, 0 without any. `needed` are the
    fewest with which the claim is decided with 80 % power; None where these items do not reach that with 50.
    """

    claim: str
    seed_sd: float
    assumed_truth: float
    planned: int
    power: dict[int, float]
    needed: int | None


def forecast_seeds(plan: Plan, gate: Gate) -> Iterator[SeedForecast]:
    """Forecast each claim on models that are trained here, or have several seeds."""
    varying, planned = _n_varying(plan), len(plan.seeds)
    for claim in gate.claims if varying else ():
        metric, task = find_metric(claim.metric, plan.tasks)
        n, _ = effective_sample_size(task)
        test = assume_test(claim, metric, gate, clustered=True)
        seed_sd = SEED_SHARE * test.sd
        of_mean = seed_sd * math.sqrt(1 if claim.kind.own_mean else varying)
        power = {s: two_way_power(test, n, s, of_mean) for s in range(2, MOST_SEEDS + 1)}
        yield SeedForecast(
            claim=str(claim),
            seed_sd=seed_sd,
            assumed_truth=test.truth,
            planned=planned,
            power={s: power[s] for s in sorted({*SHOWN, planned} - {0})},
            needed=next((s for s, chance in power.items() if chance >= POWER), None),
        )


def _n_varying(plan: Plan) -> int:
    """Return how many of the two compared models differ between trainings."""
    compared = {model.name: model for model in (plan.models[0], plan.models[-1])}
    return sum(bool(model.seeds) or model.kind == "recipe" for model in compared.values())


def two_way_power(test: AssumedTest, n: int, n_groups: int, group_sd: float) -> float:
    """Compute the chance that n items and that many seeds (or judges) decide a claim that is true as assumed.

    The two-way t test has the variance sd^2 / n + group_sd^2 / n_groups and the degrees of freedom of the groups;
    the gate's test over items must pass, too. `group_sd` is that of the mean the claim is about.
    """
    of_items = chance_to_decide(test, n)
    if of_items is None:
        return 0.0
    df = min(n, n_groups) - 1
    se = math.sqrt(test.sd**2 / n + group_sd**2 / n_groups)
    two_way = noncentral_t_tail(t_quantile(test.alpha, df), df, test.effect / se)
    two_way = max(0.0, 2 * two_way - 1) if test.power > POWER else two_way
    return min(of_items, two_way)


def describe_seeds(forecasts: Sequence[SeedForecast]) -> Iterator[str]:
    """Yield a line on each claim, after one on what is assumed."""
    if not forecasts:
        return
    yield (
        "About recipes, and not only about single checkpoints, with several training seeds of each "
        f"('seeds' in the profile), if trainings differ by {SEED_SHARE:g} of the items' standard deviation:"
    )
    for one in forecasts:
        chances = ", ".join(_chances(one))
        needed = f"{one.needed} seeds" if one.needed else "more items, and not seeds alone,"
        yield f"  {one.claim} (sd between seeds {one.seed_sd:.3g}; if the truth is {one.assumed_truth:.3g})"
        yield f"    decided {chances}; {needed} would do for 80 %"


def _chances(one: SeedForecast) -> Iterable[str]:
    for n_seeds, chance in one.power.items():
        planned = ", as planned" if n_seeds == one.planned else ""
        yield f"{chance:.0%} of the time with {n_seeds} seeds{planned}"
