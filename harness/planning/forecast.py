"""The forecast of a run: its work, its cost and the power of its claims, before anything is done."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config import (
    Gate,
    JudgedMetric,
    Metric,
    load_profile,
    load_suite,
    measure_alone,
    metric_of,
)
from harness.config.request import Request, judge_names, load_request
from harness.core.errors import HarnessError, InfrastructureError, nearest_file
from harness.core.store import LEDGER, Store, open_to_read
from harness.data.conversions import is_available
from harness.data.criteria_lint import doubtful_criteria
from harness.data.recorded import RecordedModel
from harness.gate.best import gate_of_each
from harness.gate.feasibility import infeasible_claims
from harness.gate.rules import RULES, rule_of
from harness.human.labels import HumanLabels
from harness.models.generate import check_recorded_answers
from harness.models.gguf import require_model
from harness.models.seeds import asked_samples
from harness.models.session import EndpointSession
from harness.planning.claims import (
    ClaimForecast,
    RuleForecast,
    describe_claims,
    describe_rules,
    forecast_claims,
    forecast_rules,
)
from harness.planning.confirmation import LabelsForecast, describe_labels, forecast_labels
from harness.planning.human import (
    HumanClaimForecast,
    NoVotes,
    describe_human_claims,
    forecast_human_claims,
    load_human_judges,
    make_available_panels,
)
from harness.planning.interim import LooksForecast, describe_looks, forecast_looks
from harness.planning.judge_requirement import (
    RequirementForecast,
    describe_requirements,
    forecast_requirements,
)
from harness.planning.jury import JuryForecast, describe_juries, forecast_juries
from harness.planning.ledger import read_ledger
from harness.planning.plan import make_plan
from harness.planning.remote import (
    RemoteForecast,
    describe_left,
    forecast_remote,
    forecast_requests,
    remote_table,
)
from harness.planning.seeds import SeedForecast, describe_seeds, forecast_seeds
from harness.planning.training import (
    SamplingForecast,
    TrainingForecast,
    describe_training,
    forecast_training,
)
from harness.planning.tries import TryForecast, describe_try, forecast_try, plan_at_level
from harness.planning.unfitting import describe_unfitting
from harness.types import Plan, Record, Task
from judges.factory import load_judges
from judges.judging import count_verdicts
from judges.llm import LanguageModelJudge
from judges.panel import Panel
from judges.prompts import build_prompt

if TYPE_CHECKING:
    from rich.table import Table


class TaskForecast(Record):
    """The work on one set of items; counts are upper bounds that include stored rows."""

    name: str
    source: str
    n_items: int
    items_hash: str
    answers: int
    judgements: int


class Forecast(Record):
    """A plan with the work that it takes.

    Where the items are not available there is no plan yet: `missing` is the reason, and only what does not
    depend on items is forecast. Where votes of people are still to come, the plan has no hash. `doubts` are
    about the items' own criteria. `obstacles` are claims that the items cannot decide. `not_measured` and
    `not_decided` are metrics and claims of a run of one model that would take a baseline. `rule` is how the
    gate decides each claim, in words, and `max_unscored` the share of a claim's items that may be without a
    score. `plugin_judges` are judges of installed packages, whose requests cannot be counted. `unfitting` says
    which recorded answers and verdicts fit no item. `in_turn` are models that engines answer for one after another.
    """

    suite: str
    profile: str
    plan_hash: str
    models: tuple[str, ...]
    in_turn: tuple[str, ...] = ()
    judges: dict[str, str]
    plugin_judges: tuple[str, ...] = ()
    tasks: tuple[TaskForecast, ...] = ()
    claims: tuple[ClaimForecast, ...] = ()
    people: tuple[HumanClaimForecast, ...] = ()
    licences: tuple[RequirementForecast, ...] = ()
    labels: tuple[LabelsForecast, ...] = ()
    rules: tuple[RuleForecast, ...] = ()
    seeds: tuple[SeedForecast, ...] = ()
    juries: tuple[JuryForecast, ...] = ()
    doubts: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    unfitting: tuple[str, ...] = ()
    not_measured: tuple[str, ...] = ()
    not_decided: tuple[str, ...] = ()
    rule: str = ""
    max_unscored: float | None = None
    training: tuple[TrainingForecast, ...]
    sampling: tuple[SamplingForecast, ...]
    remote: tuple[RemoteForecast, ...]
    early: LooksForecast | None = None
    tries: TryForecast | None = None
    missing: str | None = None
    stored_answers: int
    stored_verdicts: int


def forecast_run(request: Request, workspace: Path, ledger: Path | None = None) -> Forecast:
    """Forecast what `harness run` would do with the same options.

    Claims are forecast at the alpha that the run would have as a try; tries are counted in `ledger`,
    or in the workspace's own.

    Raises:
        HarnessError: any error that `harness run` would raise before its first answer.
    """
    # Make the judges. An endpoint that would only write batch files needs no key.
    session = EndpointSession(Store(workspace), folder=workspace)
    people = load_human_judges(request)
    judges = load_judges(request.profile, request.profile_root, session)
    panels, panels_final = make_available_panels(request, judges, people)
    # Plan, and count the work.
    training = forecast_training(request)
    plan, missing = _make_plan_if_available(request, panels)
    tries = forecast_try(plan, read_ledger(ledger or workspace / LEDGER)) if plan else None
    if plan and tries:
        plan = plan_at_level(plan, tries.level)
    gate = plan.gate if plan else request.suite.gate
    gate = gate and gate_of_each(gate, len(request.models) - 1)
    of_plan = _forecast_plan(plan, request, panels) if plan else {}
    of_gate = _forecast_gate(plan, gate, request, people) if plan and gate else {}
    remote = [
        forecast_requests(
            pairs.judge,
            pairs.endpoint,
            f"chooses {pairs.recipe}",
            [build_prompt(pair_request).messages for pair_request in pairs.requests],
            pairs.endpoint.max_tokens,
        )
        for pairs in training.to_judge
    ]
    if plan:
        remote += forecast_remote(plan, request, panels, session)
    answers, verdicts = _count_stored_rows(workspace)
    return Forecast(
        suite=request.suite.suite,
        profile=request.profile.profile,
        plan_hash=plan.hash if plan and panels_final else "",
        models=tuple(f"{m.name} ({m.kind}: {m.described_source})" for m in plan.models)
        if plan
        else request.models,
        in_turn=_models_in_turn(request),
        judges={
            name: _describe_judge(metric, panels[name])
            if name in panels
            else "nobody has voted yet"
            for name, metric in request.suite.metrics.items()
        },
        plugin_judges=tuple(sorted(_plugin_judges(request))),
        not_measured=request.not_measured,
        not_decided=request.not_decided,
        rule=RULES[rule_of(gate)] if gate else "",
        max_unscored=gate.max_unscored if gate else None,
        tries=tries,
        training=tuple(training.stages),
        sampling=tuple(training.sampling),
        remote=tuple(remote),
        missing=missing,
        stored_answers=answers,
        stored_verdicts=verdicts,
        **of_plan,
        **of_gate,
    )


def _forecast_plan(plan: Plan, request: Request, panels: Mapping[str, Panel]) -> dict[str, Any]:
    """Return the fields of a forecast that take a plan's items."""
    tasks = tuple(forecast_task(task, panels, request) for task in plan.tasks)
    return {
        "tasks": tasks,
        "doubts": (*_missing_models(request), *doubtful_criteria(plan.tasks)),
        "unfitting": tuple(describe_unfitting(plan, _read_recorded(plan, request), panels)),
        "early": forecast_looks(plan, sum(task.judgements for task in tasks)),
    }


def _missing_models(request: Request) -> Iterator[str]:
    """Yield a line on each checkpoint that is not here, without which a run ends."""
    for name, spec in ((name, request.profile.models[name]) for name in request.models):
        # A GGUF file would be converted here, which is for the run to do.
        if spec.checkpoint and not spec.seeds and not spec.checkpoint.endswith(".gguf"):
            try:
                require_model(spec.checkpoint, spec.revision, request.profile_root)
            except HarnessError as error:
                yield f"model '{name}': {error}"


def _forecast_gate(
    plan: Plan, gate: Gate, request: Request, people: Mapping[str, HumanLabels | NoVotes]
) -> dict[str, Any]:
    """Return the fields of a forecast that take a plan's items and a gate."""
    claims = zip(gate.claims, forecast_claims(gate, plan.tasks), strict=True)
    models = request.models[0], request.models[-1]
    return {
        "claims": tuple(found for claim, found in claims if metric_of(claim.metric) not in people),
        "people": tuple(forecast_human_claims(gate, plan.tasks, models, people)),
        "licences": tuple(forecast_requirements(gate, plan.tasks, request)),
        "labels": tuple(forecast_labels(gate, plan.tasks, request)),
        "rules": tuple(forecast_rules(gate, plan.tasks)),
        "seeds": () if people else tuple(forecast_seeds(plan, gate)),
        "juries": tuple(forecast_juries(plan, gate)),
        "obstacles": tuple(infeasible_claims(gate, plan.tasks)),
    }


def _models_in_turn(request: Request) -> tuple[str, ...]:
    """Return the models of which each waits for the engine of the one before to end."""
    specs = ((name, request.profile.models[name].serve) for name in request.models)
    started = [name for name, spec in specs if spec and spec.is_started and not spec.keep_running]
    return tuple(started) if len(started) > 1 else ()


def _read_recorded(plan: Plan, request: Request) -> list[RecordedModel]:
    """Read the recorded answers of the run, as it will."""
    specs = {name: request.profile.models[name] for name in request.models}
    models = [
        RecordedModel(name, one.recorded, request.profile_root)
        for name, spec in specs.items()
        for one in ([spec.of_seed(seed) for seed in spec.seeds] or [spec])
        if one.recorded is not None
    ]
    check_recorded_answers(plan.tasks, models)
    return models


def print_forecast(forecast: Forecast) -> None:
    """Print the forecast as text on standard output."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    # The plan, its models and its judges.
    number = f"Plan {forecast.plan_hash[:12]}" if forecast.plan_hash else "No plan yet"
    console.print(f"{number} of suite {forecast.suite} ({forecast.profile})")
    for model in forecast.models:
        console.print(f"  model  {model}")
    if forecast.in_turn:
        names = ", ".join(forecast.in_turn)
        console.print(f"  One engine runs at a time, so that these are answered in turn: {names}")
    for metric, judge in forecast.judges.items():
        console.print(f"  judge  {metric}: {judge}")
    # The work, and the power of the claims.
    if forecast.missing:
        console.print(f"The items are not here: {forecast.missing}")
    else:
        console.print(_work_table(forecast.tasks))
    for line in _describe_forecast(forecast):
        console.print(line)
    # The requests to endpoints, and the stored rows.
    here = [line for line in forecast.remote if line.here]
    elsewhere = [line for line in forecast.remote if not line.here]
    if here:
        console.print(remote_table(here, "Asked on this machine, at most"))
    if elsewhere:
        console.print(remote_table(elsewhere, "Leaves this machine, at most"))
    elif not forecast.missing and not forecast.plugin_judges:
        console.print("Nothing leaves this machine.")
    if forecast.plugin_judges:
        names = ", ".join(forecast.plugin_judges)
        console.print(f"What these plug-ins send where is not known here: {names}")
    for line in describe_left(forecast.remote):
        console.print(line)
    console.print(
        f"The store holds {forecast.stored_answers} answers and {forecast.stored_verdicts} "
        "verdicts; what is stored is not asked again."
    )


def _describe_forecast(forecast: Forecast) -> Iterator[str]:
    yield from (f"WARNING: {doubt}" for doubt in forecast.doubts)
    yield from (f"WARNING: {line}" for line in forecast.unfitting)
    if forecast.tries is not None:
        yield from describe_try(forecast.tries)
    if forecast.early is not None:
        yield from describe_looks(forecast.early)
    yield from describe_training(forecast.training, forecast.sampling)
    if forecast.rule:
        yield f"How claims are decided: {forecast.rule}."
    if forecast.max_unscored is not None:
        share = f"{forecast.max_unscored:.2%}".replace(".00", "")
        yield f"No verdict with more than {share} of a claim's items unscored ('max_unscored')."
    yield from describe_claims(forecast.claims)
    yield from describe_rules(forecast.rules)
    yield from describe_seeds(forecast.seeds)
    yield from describe_juries(forecast.juries)
    yield from describe_human_claims(forecast.people)
    yield from describe_requirements(forecast.licences)
    yield from describe_labels(forecast.labels)
    if forecast.not_measured:
        yield f"Not measured, as it compares two models: {', '.join(forecast.not_measured)}"
    for claim in forecast.not_decided:
        yield f"Not decided for want of a baseline, so there is no pass: {claim}"
    yield from (f"This run cannot pass: {obstacle}" for obstacle in forecast.obstacles)


def _work_table(tasks: Iterable[TaskForecast]) -> "Table":
    from rich.table import Table

    work = Table("items from", "items", "answers", "judgements", title="Work, at most")
    for task in tasks:
        work.add_row(task.name, str(task.n_items), str(task.answers), str(task.judgements))
    return work


def describe_suite(suite: str, profile: str) -> dict[str, str]:
    """Describe a valid suite: its metrics, claims, items and models, each in a few words.

    Raises:
        HarnessError: a mistake in the suite or the profile, its prompts or its data.
    """
    loaded, _ = load_suite(suite)
    bound, _ = load_profile(profile)
    names = list(bound.models)
    comparable = len(names) > 1 or bool(measure_alone(loaded).suite.metrics)
    plan = make_plan(load_request(suite, profile, names), {}) if comparable else None
    columns = [c for name, metric in loaded.metrics.items() for c in metric.columns(name)]
    tasks = plan.tasks if plan else ()
    doubts = "\n".join(doubtful_criteria(tasks))
    return {
        "suite": f"{loaded.suite}, valid",
        "title": loaded.title,
        "measures": ", ".join(columns),
        "claims": "; ".join(map(str, (*loaded.gate.claims, *loaded.gate.critical)))
        if loaded.gate
        else "none",
        "items": ", ".join(f"{task.name} {task.n_items}{task.kinds_of_items}" for task in tasks),
        "profile": f"{bound.profile}, models {', '.join(names)}",
        **({"warnings": doubts} if doubts else {}),
    }


def _describe_judge(metric: Metric, panel: Panel) -> str:
    card = panel.card
    own = isinstance(metric, JudgedMetric) and metric.prompt is not None
    prompt = ", asked with the suite's own prompt" if own else ""
    second = card.then and f"; where it cannot be read, {card.then.name}: {card.then.nature}"
    formats = "".join(
        f"; {judge.card.name} {judge.admitted}"
        for judge in panel.judges
        if isinstance(judge, LanguageModelJudge) and judge.admitted
    )
    return f"{card.name}: {card.nature}{prompt}{second or ''}{formats}"


def _plugin_judges(request: Request) -> set[str]:
    """Return the names of installed judges, of which it is not known what they send where."""
    judges = {name for metric in request.suite.metrics for name in judge_names(metric, request)}
    plugins = (request.profile.find_judge(name).plugin for name in judges)
    return {plugin.root for plugin in plugins if plugin is not None}


def _make_plan_if_available(
    request: Request, panels: Mapping[str, Panel]
) -> tuple[Plan, None] | tuple[None, str]:
    """Return the plan, or a line on the items that are not available."""
    missing = _missing_file(request)
    if missing is not None:
        return None, missing
    try:
        return make_plan(request, panels), None
    except InfrastructureError as error:
        return None, str(error)


def _missing_file(request: Request) -> str | None:
    """Return a line on the first file of items that does not exist."""
    suite, profile = request.suite, request.profile
    for data in [suite.data, *(m.data for m in suite.metrics.values() if m.data is not None)]:
        bound = profile.data.get(data.name) if data.name is not None else data.source
        root = request.suite_root if data.name is None else request.profile_root
        if bound is not None and bound.path is not None and not is_available(bound, root):
            meant = nearest_file(root / bound.path) or " It may also lie below HARNESS_DATA_DIR."
            return f"{bound.path}: no such file.{meant}"
    return None


def forecast_task(task: Task, panels: Mapping[str, Panel], request: Request) -> TaskForecast:
    """Count the answers to a task and the verdicts on them, at most."""
    n_models = len(request.models)
    n_verdicts = sum(
        len(panels[name].judges) * count_verdicts(task, name, n_models)
        for name in task.metrics
        if name in panels and not panels[name].card.people  # whose verdicts are read
    )
    return TaskForecast(
        name=task.name,
        source=task.source,
        n_items=task.n_distinct,
        items_hash=task.items_hash,
        answers=sum(len(asked_samples(task, name)) for name in request.models),
        judgements=n_verdicts,
    )


def _count_stored_rows(workspace: Path) -> tuple[int, int]:
    """Count stored responses and outcomes without taking the lock; none where there is no store."""
    with open_to_read(workspace) as connection:
        if connection is None:
            return 0, 0
        counts = dict(connection.execute("SELECT kind, count(*) FROM rows GROUP BY kind"))
    return counts.get("response", 0), counts.get("outcome", 0)
