"""What a study would do, told before anything is trained: work, cost, time, and the differences that it can find."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from harness.analysis.arms import look_levels
from harness.config import metric_of
from harness.core.errors import HarnessError
from harness.core.store import Store
from harness.gate.feasibility import effective_sample_size
from harness.models.session import EndpointSession
from harness.planning.forecast import forecast_task
from harness.planning.plan import make_plan
from harness.planning.remote import RemoteForecast, forecast_remote
from harness.planning.seeds import SEED_SHARE
from harness.planning.training import (
    SamplingForecast,
    TrainingForecast,
    describe_training,
    forecast_stages,
)
from harness.scoring.checklist import task_of_column
from harness.stats.arm_differences import detectable_difference, pair_level
from harness.study.grid import Grid, Look, load_grid
from harness.types import Record
from judges.factory import load_judges
from judges.panel import make_panels
from trainers.checkpoint import load_manifest
from trainers.recipe import AdapterRecipe

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
    """A look: its seeds, items and alpha, and the difference at which a worse arm is dropped 80 % of the time.

    None where the scale is shorter.
    """

    number: int
    n_seeds: int
    n_items: int
    alpha: float
    detectable: float | None


class StudyForecast(Record):
    """What a study would take at most, and what it can find.

    `parents` are the trainings that arms start from, by recipe, and `sampling` the answers that are sampled and judged
    for training data. `detectable` is the smallest difference of two arms that is found 80 % of the time, by the
    number of seeds (None: no difference on the scale is), if items' differences have the standard deviation `sd` and trainings of one recipe `seed_sd`.
    `seconds_per_step` is the median of the checkpoints in the store, None without any.
    """

    study: str
    metric: str
    alpha: float
    n_items: int
    arms: tuple[ArmForecast, ...]
    parents: dict[str, int]
    sampling: tuple[SamplingForecast, ...]
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
    detectable: dict[int, float | None]
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
    graphs = [arm.stages(seed) for arm in grid.arms.values() for seed in study.training_seeds]
    made = {stage.key: stage for graph in graphs for stage in graph}
    trained = [key for key, stage in made.items() if isinstance(stage.recipe, AdapterRecipe)]
    before = made.keys() - {graph[-1].key for graph in graphs}
    parents = Counter(made[key].recipe.recipe for key in trained if key in before)
    whole = forecast_stages(made.values(), grid.profile)
    steps = [stage.steps for stage in whole.stages]
    per_step = _seconds_per_step(store)
    in_all = None if None in steps else sum(s or 0 for s in steps)
    hours = None if in_all is None or per_step is None else in_all * per_step / 3600
    price = study.budget.price_per_hour
    # What can be found.
    metric = grid.suite.metrics[metric_of(study.metric)]
    sd = metric.assumed_sd_of(study.metric)
    n_pairs = len(grid.names) * (len(grid.names) - 1) // 2
    levels = look_levels(study.alpha, len(looks))
    n_seeds = len(study.training_seeds)
    units, _ = effective_sample_size(task_of_column(grid.ranked_task, study.metric))

    widest = metric.max_difference_of(study.metric)

    def smallest(items: int, n_seeds: int, alpha: float) -> float | None:
        found = detectable_difference(
            level=pair_level(alpha, n_pairs),
            n_items=max(2, round(units * items / n_items)),
            n_seeds=n_seeds,
            n_arms=len(grid.names),
            sd=sd,
            seed_sd=SEED_SHARE * sd,
        )
        return found if found < widest else None

    return StudyForecast(
        study=study.study,
        metric=study.metric,
        alpha=study.alpha,
        n_items=n_items,
        arms=tuple(arms),
        parents=dict(parents),
        sampling=tuple(whole.sampling),
        models=study.models,
        trainings=len(trained),
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
    look: Look, alpha: float, smallest: Callable[[int, int, float], float | None]
) -> LookForecast:
    return LookForecast(
        number=look.number,
        n_seeds=len(look.seeds),
        n_items=look.n_items,
        alpha=alpha,
        detectable=smallest(look.n_items, len(look.seeds), alpha),
    )


def _forecast_arm(grid: Grid, name: str) -> ArmForecast:
    arm = grid.arms[name]
    forecast = forecast_stages(arm.stages(arm.recipe.seed), grid.profile)
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
    for name, n in forecast.parents.items():
        yield f"  {name}: what arms start from, {n} training{'s' if n > 1 else ''}"
    yield from describe_training([], forecast.sampling)
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
    seeds = f"{forecast.n_seeds} training seeds" if forecast.n_seeds > 1 else "one training each"
    yield (
        f"Two arms {_apart(forecast.detectable[forecast.n_seeds])} are told apart 80 % of the time with {seeds}, all "
        f"{forecast.n_pairs} pairs together at alpha {forecast.alpha:g}"
    )
    others = [
        f"{_apart(value)} with {n}"
        for n, value in forecast.detectable.items()
        if n != forecast.n_seeds
    ]
    yield (
        f"  ({', '.join(others)}), if items of single trainings differ by a standard deviation of {forecast.sd:.2g}, half of "
        f"it new in each training, and trainings of one recipe by {forecast.seed_sd:.2g}"
    )
    for look in forecast.looks[:-1]:
        yield (
            f"Look {look.number}, {look.n_items:,} items and {look.n_seeds} seeds: an arm "
            f"{_apart(look.detectable)} from a better one is dropped 80 % of the time (alpha {look.alpha:.3g})"
        )


def _apart(difference: float | None) -> str:
    return (
        "further apart than the scale reaches" if difference is None else f"{difference:.2g} apart"
    )
