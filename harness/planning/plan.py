"""The plan: everything that is decided before the first answer, under one hash.

It fixes the items, the decoding, the judges, the claims and their alpha. Nothing is generated,
judged or trained here.
"""

from collections.abc import Mapping, Sequence

from harness.config import Gate, ModelSpec
from harness.config.request import Request, is_all_recorded
from harness.config.suite import find_gate_problems
from harness.core.errors import HarnessError
from harness.data.tasks import plan_tasks
from harness.gate.best import gate_of_each
from harness.gate.feasibility import infeasible_claims
from harness.gate.interim import final_look_gate, plan_looks, shuffle_items
from harness.models.serving.servers import describe_serving
from harness.retrieval.retriever import find_retriever
from harness.scoring.checklist import task_of_column
from harness.types import Plan, PlannedModel, Task, TaskLooks, find_metric
from judges.panel import Panel


def make_plan(request: Request, panels: Mapping[str, Panel]) -> Plan:
    """Make the frozen plan; `panels` holds the panel of each metric.

    A metric that people judge is measured on the items that they were shown.

    Raises:
        HarnessError: data that cannot be read, or a gate that could never be passed.
    """
    shown_items = {metric: panel.covers for metric, panel in panels.items()}
    tasks, gate = plan_tasks(request, shown_items), request.suite.gate
    _refuse_undecidable(gate, tasks)
    # Interim looks: a fixed random order of the items.
    looks: tuple[TaskLooks, ...] = ()
    if gate is not None and gate.stop_early:
        if any(shown_items.values()):
            raise HarnessError(
                "gate: 'stop_early' saves verdicts that are still to be made, but people's votes exist "
                "already. Remove it where people judge."
            )
        tasks = tuple(shuffle_items(task, gate.order_seed) for task in tasks)
        looks = tuple(plan_looks(task, gate) for task in tasks)
    if gate is not None and gate.judges_as == "sample":
        _refuse_seeds(request)
    # A trial run with a limit may be too small for its gate, and so may one that is free of cost.
    if gate is not None and request.limit is None and not is_all_recorded(request):
        final_gate = final_look_gate(gate, looks) if looks else gate
        final_gate = gate_of_each(final_gate, len(request.models) - 1)
        _refuse_infeasible(final_gate, tasks)
    plan = Plan(
        suite=request.suite.suite,
        title=request.suite.title,
        profile=request.profile.profile,
        note=" ".join(request.profile.note.split()),
        models=tuple(_planned_model(name, request) for name in request.models),
        judges={metric: panel.card for metric, panel in panels.items()},
        tasks=tasks,
        gate=gate,
        looks=looks,
        limit=request.limit,
        seed=request.seed,
        judge=request.judge,
        not_measured=request.not_measured,
        not_decided=request.not_decided,
        hash="",
    )
    return plan.model_copy(update={"hash": plan.content_hash()})


def _planned_model(name: str, request: Request) -> PlannedModel:
    spec = request.profile.models[name]
    served_by = None if spec.serve is None else describe_serving(spec.serve)
    retriever = find_retriever(spec, request.profile, request.profile_root)
    update = {
        "seeds": spec.seeds,
        "served_by": served_by,
        "retrieval": retriever.card if retriever else None,
    }
    return _model_of_kind(name, spec).model_copy(update=update)


def _model_of_kind(name: str, spec: ModelSpec) -> PlannedModel:
    if spec.recipe is not None:
        return PlannedModel(name=name, kind="recipe", source=spec.recipe, seed=spec.seed)
    if spec.checkpoint is not None:
        source = spec.checkpoint + (f"@{spec.revision}" if spec.revision else "")
        return PlannedModel(name=name, kind="checkpoint", source=source, seed=spec.seed)
    if spec.served is not None:
        revision = f", revision {spec.served.revision}" if spec.served.revision else ""
        source = f"{spec.served.model} at {spec.served.host}{revision}"
        prices = spec.served.price_per_million
        return PlannedModel(
            name=name, kind="endpoint", source=source, prices=prices, seed=spec.seed
        )
    assert spec.recorded is not None
    return PlannedModel(name=name, kind="recorded", source=spec.recorded.label)


def _refuse_undecidable(gate: Gate | None, tasks: Sequence[Task]) -> None:
    """Refuse claims and rules that fit no column, or its range, now that the items are known."""
    metrics = {name: metric for task in tasks for name, metric in task.metrics.items()}
    for at, problem in find_gate_problems(gate, metrics):
        raise HarnessError(f"{at}: {problem}")
    for claim in gate.claims if gate is not None and gate.stop_early else ():
        _, task = find_metric(claim.metric, tasks)
        covered = task_of_column(task, claim.metric).n_items
        if covered < task.n_items:
            raise HarnessError(
                f"gate: 'stop_early' counts looks by the items of '{task.name}', and {covered:,} of its "
                f"{task.n_items:,} have a score on '{claim.metric}'. Remove it, or the claim."
            )


def _refuse_seeds(request: Request) -> None:
    """Refuse to read judges as a sample where training seeds already are the second source of uncertainty."""
    for name in request.models:
        if request.profile.models[name].seeds:
            raise HarnessError(
                f"gate: 'judges_as: sample' takes judges, beside the items, as what might have been others, and "
                f"'seeds' of '{name}' training seeds. Both at once are not supported: leave one out."
            )


def _refuse_infeasible(gate: Gate, tasks: Sequence[Task]) -> None:
    """Refuse a gate with a claim that no answers could decide on these few items."""
    obstacles = list(infeasible_claims(gate, tasks))
    if obstacles:
        hint = "With --limit they are compared all the same, as a trial."
        raise HarnessError("\n".join(["gate: " + obstacles[0], *obstacles[1:], hint]))
