"""What a run would do, and what its number of items can show, before anything is paid for."""

from pathlib import Path

from harness.judging import judge_metrics, judges_of
from harness.plan import Request, load_request, make_plan
from harness.stats import minimum_detectable_effect
from harness.suite import (
    Gate,
    Metric,
    PairwiseMetric,
    bounds_of,
    columns_of,
    load_profile,
    load_suite,
)
from harness.types import Plan, Record, Task

# Standard deviations of paired differences when nothing is known yet, as a share of the range.
# Rubric: 2.07 points of 9 on ceiling-heavy judge scores; win scores: 0.40; shares: one item in
# ten changes. docs/how-it-works.md says where these come from.
ASSUMED_SPREAD = {"rubric": 2.07 / 9, "pairwise": 0.40, "evasion": 0.1**0.5, "rouge": 0.15}


class ClaimForecast(Record):
    """What the items can show about one claim: the smallest effect found with 80 % power."""

    claim: str
    n_items: int
    assumed_sd: float
    detectable: float


class TaskForecast(Record):
    """The work on one set of items; counts are upper bounds, before what the store has."""

    name: str
    source: str
    n_items: int
    items_hash: str
    answers: int
    judgements: int


class Forecast(Record):
    """A plan with the work it stands for; nothing has been done."""

    suite: str
    profile: str
    plan_hash: str
    models: tuple[str, ...]
    judges: dict[str, str]
    tasks: tuple[TaskForecast, ...]
    claims: tuple[ClaimForecast, ...]
    stored_answers: int
    stored_verdicts: int


def forecast_run(request: Request, workspace: Path) -> Forecast:
    """What `harness run` would do with the same options.

    Raises:
        HarnessError: whatever `harness run` would refuse before its first answer.
    """
    judges = judge_metrics(request, judges_of(request.profile, request.profile_root))
    plan = make_plan(request, {metric: judge.card for metric, judge in judges.items()})
    answers, verdicts = _stored(workspace)
    return Forecast(
        suite=plan.suite,
        profile=plan.profile,
        plan_hash=plan.hash,
        models=tuple(f"{m.name} ({m.kind}: {m.source})" for m in plan.models),
        judges={metric: f"{card.name}: {card.nature}" for metric, card in plan.judges.items()},
        tasks=tuple(_forecast_task(task, len(plan.models)) for task in plan.tasks),
        claims=tuple(_forecast_claims(plan.gate, plan)) if plan.gate else (),
        stored_answers=answers,
        stored_verdicts=verdicts,
    )


def print_forecast(forecast: Forecast) -> None:
    """The forecast for people, on standard output."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    console.print(f"Plan {forecast.plan_hash[:12]} of suite {forecast.suite} ({forecast.profile})")
    for model in forecast.models:
        console.print(f"  model  {model}")
    for metric, judge in forecast.judges.items():
        console.print(f"  judge  {metric}: {judge}")
    work = Table("items from", "items", "answers", "judgements", title="Work, at most")
    for task in forecast.tasks:
        work.add_row(task.name, str(task.n_items), str(task.answers), str(task.judgements))
    console.print(work)
    if forecast.claims:
        power = Table(
            "claim", "items", "assumed sd", "detectable (80 % power)", title="What can be shown"
        )
        for claim in forecast.claims:
            power.add_row(
                claim.claim,
                str(claim.n_items),
                f"{claim.assumed_sd:.3g}",
                f"{claim.detectable:.3g}",
            )
        console.print(power)
    console.print(
        f"The store holds {forecast.stored_answers} answers and {forecast.stored_verdicts} "
        "verdicts; what is stored is not asked again."
    )


def describe_suite(suite: str, profile: str) -> dict[str, str]:
    """What a sound suite holds, in a few words a line.

    Raises:
        HarnessError: a mistake in the suite or the profile, its prompts or its data.
    """
    loaded, _ = load_suite(suite)
    bound, _ = load_profile(profile)
    names = list(bound.models)
    plan = make_plan(load_request(suite, profile, names), {}) if len(names) > 1 else None
    columns = [c for name, metric in loaded.metrics.items() for c in columns_of(name, metric)]
    tasks = plan.tasks if plan else ()
    return {
        "suite": f"{loaded.suite}, valid",
        "title": loaded.title,
        "measures": ", ".join(columns),
        "claims": "; ".join(map(str, loaded.gate.claims)) if loaded.gate else "none",
        "items": ", ".join(f"{task.name} {task.n_items}" for task in tasks),
        "profile": f"{bound.profile}, models {', '.join(names)}",
    }


def _forecast_task(task: Task, n_models: int) -> TaskForecast:
    per_item = sum(_verdicts_per_item(metric, n_models) for metric in task.metrics.values())
    return TaskForecast(
        name=task.name,
        source=task.source,
        n_items=task.n_items,
        items_hash=task.items_hash,
        answers=n_models * task.n_items,
        judgements=per_item * task.n_items,
    )


def _verdicts_per_item(metric: Metric, n_models: int) -> int:
    return 2 * (n_models - 1) if isinstance(metric, PairwiseMetric) else n_models


def _forecast_claims(gate: Gate, plan: Plan) -> list[ClaimForecast]:
    metrics = {name: (metric, task) for task in plan.tasks for name, metric in task.metrics.items()}
    found = []
    for claim in gate.claims:
        metric, task = metrics[claim.metric.partition(".")[0]]
        low, high = bounds_of(metric)
        sd = ASSUMED_SPREAD[metric.kind] * (high - low)
        if task.n_items > 1:
            effect = minimum_detectable_effect(
                sd, task.n_items, alpha=gate.alpha, alternative="one-sided"
            )
            found.append(
                ClaimForecast(
                    claim=str(claim), n_items=task.n_items, assumed_sd=sd, detectable=effect
                )
            )
    return found


def _stored(workspace: Path) -> tuple[int, int]:
    """Rows in the store, read without taking its lock; none where there is no store yet."""
    import sqlite3

    path = workspace / "store.sqlite"
    if not path.is_file():
        return 0, 0
    with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as connection:
        counts = dict(connection.execute("SELECT kind, count(*) FROM rows GROUP BY kind"))
    return counts.get("response", 0), counts.get("outcome", 0)
