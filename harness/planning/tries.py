"""Which try on its items a run would be, and the plan at the alpha that it would then have."""

from collections.abc import Iterator
from datetime import UTC, datetime

from harness.gate.best import gate_of_each, is_best_of
from harness.gate.feasibility import infeasible_claims
from harness.gate.interim import final_look_gate, plan_looks
from harness.planning.ledger import Ledger, find_claimed_items, hash_claims
from harness.types import Plan, Record, Try


class TryForecast(Record):
    """The number of the try that a run would be, by the names of its models, and its alpha.

    `repeats` says that the ledger has a try of these models, items and claims. If that measured the
    same, the run is that try; otherwise it is a later one.
    """

    number: int
    total: int
    alpha: float
    level: float
    repeats: bool
    next_level: float


def can_pass(plan: Plan) -> bool:
    """Return whether some answers could pass the gate on these items, at the alpha of the plan."""
    if plan.gate is None:
        return False
    gate = final_look_gate(plan.gate, plan.looks) if plan.looks else plan.gate
    gate = gate_of_each(gate, len(plan.models) - 1)
    return next(infeasible_claims(gate, plan.tasks), None) is None


def plan_at_level(plan: Plan, level: float) -> Plan:
    """Return the plan with another alpha; its hash remains that of what was stated."""
    assert plan.gate is not None
    gate = plan.gate.model_copy(update={"alpha": level})
    looks = tuple(plan_looks(task, gate) for task in plan.tasks) if plan.looks else ()
    return plan.model_copy(update={"gate": gate, "looks": looks})


def forecast_try(plan: Plan, ledger: Ledger) -> TryForecast | None:
    """Forecast which try a run would be; None where it would not be counted.

    Fingerprints are not known before models are made, so that models are known by their names.
    """
    metrics = {name for task in plan.tasks for name in task.metrics}
    if plan.gate is None or not metrics <= plan.judges.keys() or not can_pass(plan):
        return None
    columns, item_set = find_claimed_items(plan)
    names: tuple[str, ...] = (plan.candidate,) if plan.alone else plan.gated
    if is_best_of(plan):
        names = tuple(model.name for model in plan.models)
    baseline = "" if plan.alone else plan.baseline
    of_baseline = [
        one for one in ledger.tries if ("" if len(one.models) == 1 else one.models[0]) == baseline
    ]
    same = [
        one
        for one in of_baseline
        if (one.models, one.columns, one.items, one.claims)
        == (names, columns, item_set.key, hash_claims(plan))
    ]
    attempt = Try(
        key="",
        registered=datetime.now(UTC).isoformat(timespec="microseconds"),
        suite=plan.suite,
        models=names,
        baseline=of_baseline[-1].baseline if of_baseline else "new",
        candidates=("new",),
        columns=columns,
        items=item_set.key,
        n_items=0,
        claims="",
        measured="",
        alpha=plan.gate.alpha,
    )
    ledger = Ledger(ledger.tries, {**ledger.items, item_set.key: item_set})
    count, new = ledger.count_for(same[-1] if same else attempt), ledger.count_for(attempt)
    return TryForecast(
        number=count.number,
        total=max(count.total, new.total - 1) if same else new.total,
        alpha=count.alpha,
        level=count.level,
        repeats=bool(same),
        next_level=count.next_level,
    )


def describe_try(forecast: TryForecast) -> Iterator[str]:
    """Yield a line on the try, unless it is the only one so far."""
    if forecast.total == 1:
        return
    by_name = "by the names of the models"
    yield (
        f"Try {forecast.number} of {forecast.total} on these items, {by_name}: it has {forecast.level:.2g} of "
        f"alpha {forecast.alpha:g}, and a next one {forecast.next_level:.2g} (see `harness ledger`)."
    )
