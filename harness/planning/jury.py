"""Whom each claim that machines judge is about, and its power where a jury stands for judges like its members.

How far judges lean is not known before a run, and is assumed; the forecast states it.
"""

from collections.abc import Iterator, Sequence

from harness.config import Gate, metric_of
from harness.gate.claim_tests import POWER
from harness.gate.feasibility import effective_sample_size
from harness.planning.claims import assume_test
from harness.planning.seeds import two_way_power
from harness.types import Plan, Record, find_metric

LEAN_SHARE = 0.2  # SD of judges' own differences of two models, as a share of the items' SD
MOST_JUDGES = 20


class JuryForecast(Record):
    """The chance that `n_judges`, read as a sample of judges, decide a claim if it is true as assumed.

    `judge` is the name of who judges. `n_judges` is 0 where it is taken as it is, and nothing else is known.
    Judges' own differences are assumed to spread by `lean_sd`; `needed` are the fewest judges that decide
    the claim with 80 % power, None where 20 do not.
    """

    claim: str
    judge: str
    n_judges: int = 0
    lean_sd: float | None = None
    assumed_truth: float | None = None
    power: float | None = None
    needed: int | None = None


def forecast_juries(plan: Plan, gate: Gate) -> Iterator[JuryForecast]:
    """Forecast each claim that machines judge."""
    for claim in gate.claims:
        metric, task = find_metric(claim.metric, plan.tasks)
        card = plan.judges.get(metric_of(claim.metric))  # none where people are still to vote
        if card is None or metric.computed or card.people:
            continue
        if not card.sample:
            yield JuryForecast(claim=str(claim), judge=card.name)
            continue
        n, _ = effective_sample_size(task)
        test = assume_test(claim, metric, gate, clustered=True)
        lean_sd = LEAN_SHARE * test.sd
        power = {j: two_way_power(test, n, j, lean_sd) for j in range(2, MOST_JUDGES + 1)}
        yield JuryForecast(
            claim=str(claim),
            judge=card.name,
            n_judges=len(card.members),
            lean_sd=lean_sd,
            assumed_truth=test.truth,
            power=two_way_power(test, n, len(card.members), lean_sd),
            needed=next((j for j, chance in power.items() if chance >= POWER), None),
        )


def describe_juries(forecasts: Sequence[JuryForecast]) -> Iterator[str]:
    """Yield a line on the judges that are taken as they are, and two on each claim about others like them."""
    fixed = [f for f in forecasts if not f.n_judges]
    if fixed:
        judges = ", ".join(dict.fromkeys(f.judge for f in fixed))
        yield (
            f"About these judges and no others: {judges} ('judges_as: sample' in the gate reads a jury as a "
            "sample of judges)."
        )
    for f in forecasts:
        if f.power is None or f.lean_sd is None:
            continue
        needed = f"{f.needed} judges" if f.needed else "more items, and not judges alone,"
        yield f"  {f.claim}, about judges like those of {f.judge}"
        yield (
            f"    decided {f.power:.0%} of the time with {f.n_judges} judges, if their own differences spread "
            f"by {f.lean_sd:.3g} and the truth is {f.assumed_truth:.3g}; {needed} would do for 80 %"
        )
