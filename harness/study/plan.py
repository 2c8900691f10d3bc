"""What a study would do, told before anything is trained: work, cost, time, and the differences that it can find."""

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from harness.analysis.arms import look_levels
from harness.config import metric_of
from harness.core.errors import HarnessError
from harness.core.store import Store
from harness.models.session import EndpointSession
from harness.planning.forecast import forecast_task
from harness.planning.plan import make_plan
from harness.planning.remote import RemoteForecast, forecast_remote
from harness.planning.seeds import SEED_SHARE
from harness.planning.training import TrainingForecast, forecast_stages
from harness.stats.arm_differences import detectable_difference, pair_level
from harness.study.grid import Grid, Look, load_grid
from harness.types import Record
from judges.factory import load_judges
from judges.panel import make_panels
from trainers.checkpoint import load_manifest
from trainers.recipe_graph import RecipeStage, recipe_graph

SHOWN_SEEDS = (3, 5, 10)


class ArmForecast(Record):
    """One arm's trainings, each with the same rows, steps, parameters and memory; None where not known."""

    name: str
    source: str
    trainings: int
    rows: int | None = None
    steps: int | None = None
    trained_parameters: int | None = None
    memory_bytes: int | None = None
    notes: tuple[str, ...] = ()


class LookForecast(Record):
    """A look: its seeds, items and alpha, and the difference at which a worse arm is dropped 80 % of the time."""

    number: int
    n_seeds: int
    n_items: int
    alpha: float
    detectable: float


class StudyForecast(Record):
    """What a study would take at most, and what it can find.

    `detectable` is the smallest difference of two arms that is found 80 % of the time, by the number of
    seeds, if items' differences have the standard deviation `sd` and trainings of one recipe `seed_sd`.
    `seconds_per_step` is the median of the checkpoints in the store, None without any.
    """

    study: str
    metric: str
    alpha: float
    n_items: int
    arms: tuple[ArmForecast, ...]
    parents: tuple[str, ...]
    models: tuple[str, ...]
    trainings: int
    answers: int
    judgements: int
    steps: int | None
    seconds_per_step: float | None
    training_cost: float | None
    currency: str
    looks: tuple[LookForecast, ...]
    n_pairs: int
    sd: float
    seed_sd: float
    n_seeds: int
    detectable: dict[int, float]
    remote: tuple[RemoteForecast, ...]


def forecast_study(path_or_name: str, store: Path) -> StudyForecast:
    """Forecast a study without training or asking; the store is only looked at.

    Raises:
        HarnessError: a mistake in one of its files.
    """
    grid = load_grid(path_or_name)
    study, n_items = grid.study, grid.ranked_task.n_distinct
    # The run with every arm, seed and item.
    looks = grid.looks(n_items)
    request = grid.request(grid.names, looks[-1])
    session = EndpointSession(Store(store), folder=store)  # which would only write: it needs no key
    panels = make_panels(request, load_judges(request.profile, request.profile_root, session))
    plan = make_plan(request, panels)
    tasks = [forecast_task(task, panels, request) for task in plan.tasks]
    # The trainings.
    arms = [_forecast_arm(grid, name) for name in grid.arms]
    own = {grid.arms[name].recipe.recipe for name in grid.arms}
    parents = {stage.recipe.recipe for stage in _stages(grid)} - own
    steps = [arm.steps for arm in arms]
    per_step = _seconds_per_step(store)
    in_all = None if None in steps else sum(s or 0 for s in steps) * len(study.training_seeds)
    hours = None if in_all is None or per_step is None else in_all * per_step / 3600
    price = study.budget.price_per_hour
    # What can be found.
    sd = grid.suite.metrics[metric_of(study.metric)].assumed_sd_of(study.metric)
    n_pairs = len(grid.names) * (len(grid.names) - 1) // 2
    levels = look_levels(study.alpha, len(looks))
    n_seeds = len(study.training_seeds)

    def smallest(n_items: int, n_seeds: int, alpha: float) -> float:
        level = pair_level(alpha, n_pairs)
        return detectable_difference(
            level=level, n_items=n_items, n_seeds=n_seeds, sd=sd, seed_sd=SEED_SHARE * sd
        )

    return StudyForecast(
        study=study.study,
        metric=study.metric,
        alpha=study.alpha,
        n_items=n_items,
        arms=tuple(arms),
        parents=tuple(sorted(parents)),
        models=study.models,
        trainings=n_seeds * len(arms),
        answers=sum(task.answers for task in tasks),
        judgements=sum(task.judgements for task in tasks),
        steps=in_all,
        seconds_per_step=per_step,
        training_cost=None if hours is None or price is None else hours * price,
        currency=study.budget.currency,
        looks=tuple(
            _forecast_look(look, alpha, smallest) for look, alpha in zip(looks, levels, strict=True)
        ),
        n_pairs=n_pairs,
        sd=sd,
        seed_sd=SEED_SHARE * sd,
        n_seeds=n_seeds,
        detectable={n: smallest(n_items, n, levels[-1]) for n in sorted({n_seeds, *SHOWN_SEEDS})},
        remote=tuple(forecast_remote(plan, request, panels, session)),
    )


def _forecast_look(
    look: Look, alpha: float, smallest: Callable[[int, int, float], float]
) -> LookForecast:
    return LookForecast(
        number=look.number,
        n_seeds=len(look.seeds),
        n_items=look.n_items,
        alpha=alpha,
        detectable=smallest(look.n_items, len(look.seeds), alpha),
    )


def _stages(grid: Grid) -> Iterator[RecipeStage]:
    for arm in grid.arms.values():
        yield from recipe_graph(arm.recipe, arm.root)


def _forecast_arm(grid: Grid, name: str) -> ArmForecast:
    arm = grid.arms[name]
    forecast = forecast_stages(recipe_graph(arm.recipe, arm.root), grid.profile)
    own: TrainingForecast | None = forecast.stages[-1] if forecast.stages else None
    stated = ArmForecast(name=name, source=arm.source, trainings=len(grid.study.training_seeds))
    if own is None:
        return stated
    return stated.model_copy(
        update={
            "rows": own.rows,
            "steps": own.steps,
            "trained_parameters": own.trained,
            "memory_bytes": None if own.memory is None else own.memory.training,
            "notes": own.notes,
        }
    )


def _seconds_per_step(store: Path) -> float | None:
    """Return the median seconds of a step of the checkpoints in a store, their loading and merging included."""
    seconds = []
    for folder in (store / "checkpoints").glob("*"):
        try:
            manifest = load_manifest(folder)
        except HarnessError:
            continue
        steps = max((curve.steps[-1] for curve in manifest.curves if curve.steps), default=0)
        took = manifest.facts.get("seconds", "")
        if steps and took.isdecimal():
            seconds.append(int(took) / steps)
    return median(seconds) if seconds else None


# --- in words --------------------------------------------------------------------------------


def describe_study_plan(forecast: StudyForecast) -> Iterator[str]:
    """Yield lines for a terminal on what the study takes and what it can find."""
    n_arms = len(forecast.arms) + len(forecast.models)
    yield f"Study {forecast.study}: {n_arms} arms ranked by {forecast.metric} on {forecast.n_items:,} items"
    for arm in forecast.arms:
        facts = [f"{arm.trainings} trainings"]
        facts += [f"{arm.rows:,} rows"] if arm.rows is not None else []
        facts += [f"{arm.steps:,} steps"] if arm.steps is not None else []
        facts += (
            [f"{arm.trained_parameters:,} parameters trained"] if arm.trained_parameters else []
        )
        facts += [f"{arm.memory_bytes / 2**30:.2f} GiB estimated"] if arm.memory_bytes else []
        yield f"  {arm.name}: {arm.source}: {', '.join(facts)}"
        yield from (f"    {note}" for note in arm.notes)
    yield from (f"  {name}: a model of the profile" for name in forecast.models)
    if forecast.parents:
        yield f"  trained once for all of them, unless the store has it: {', '.join(forecast.parents)}"
    yield (
        f"At most {forecast.trainings} trainings, {forecast.answers:,} answers and {forecast.judgements:,} "
        "verdicts; what the store has is not made again."
    )
    yield from _describe_time(forecast)
    for line in forecast.remote:
        cost = "no price given" if line.cost is None else f"{line.cost:.2f} {line.currency}"
        yield f"  {line.who} at {line.host}: {line.work}: {line.calls:,} calls, at most {cost}"
    yield from _describe_power(forecast)


def _describe_time(forecast: StudyForecast) -> Iterator[str]:
    if forecast.steps is None:
        yield "Time: the steps of a recipe are not known before its data are made."
    elif forecast.seconds_per_step is None:
        yield (
            f"Time: {forecast.steps:,} steps in all; how long one takes here is known once the store has a checkpoint."
        )
    else:
        minutes = forecast.steps * forecast.seconds_per_step / 60
        cost = forecast.training_cost
        money = "" if cost is None else f", {cost:.2f} {forecast.currency}"
        yield (
            f"Time: {forecast.steps:,} steps in all, about {minutes:,.0f} min of training at the "
            f"{forecast.seconds_per_step:.2f} s that the store's checkpoints took a step{money}"
        )


def _describe_power(forecast: StudyForecast) -> Iterator[str]:
    planned = forecast.detectable[forecast.n_seeds]
    seeds = f"{forecast.n_seeds} training seeds" if forecast.n_seeds > 1 else "one training each"
    yield (
        f"Two arms {planned:.2g} apart are told apart 80 % of the time with {seeds}, all {forecast.n_pairs} pairs "
        f"together at alpha {forecast.alpha:g}"
    )
    others = [
        f"{value:.2g} with {n}" for n, value in forecast.detectable.items() if n != forecast.n_seeds
    ]
    yield (
        f"  ({', '.join(others)}), if items differ by a standard deviation of {forecast.sd:.2g} and trainings "
        f"of one recipe by {forecast.seed_sd:.2g}"
    )
    for look in forecast.looks[:-1]:
        yield (
            f"Look {look.number}, {look.n_items:,} items and {look.n_seeds} seeds: an arm that is {look.detectable:.2g} "
            f"worse than another is dropped 80 % of the time (alpha {look.alpha:.3g})"
        )
