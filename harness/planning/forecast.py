"""What a run would do, and what its number of items can show, before anything is paid for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import EndpointSpec, load_profile, load_suite, metric_of
from harness.config.request import Request, judge_names, load_request
from harness.core.errors import InfrastructureError
from harness.core.store import Store
from harness.data.conversions import is_available
from harness.gate.feasibility import infeasible_claims
from harness.models.local import Prompt, make_prompt
from harness.models.session import EndpointSession
from harness.planning.claims import (
    ClaimForecast,
    RuleForecast,
    describe_claims,
    describe_rules,
    forecast_claims,
    forecast_rules,
)
from harness.planning.human import (
    PeopleForecast,
    describe_people,
    find_people,
    forecast_people,
    make_available_panels,
)
from harness.planning.interim import LooksForecast, describe_looks, forecast_looks
from harness.planning.judge_requirement import (
    RequirementForecast,
    describe_licences,
    forecast_licences,
)
from harness.planning.plan import make_plan
from harness.planning.training import (
    SamplingForecast,
    TrainingForecast,
    describe_training,
    forecast_training,
)
from harness.types import JudgeRequest, Plan, Record, Response, Task
from judges.factory import judge_loader
from judges.judging import make_requests, repeat_requests, verdicts_per_item
from judges.panel import Panel
from judges.prompts import build_prompt
from judges.response_stream import ResponseStream

if TYPE_CHECKING:
    from rich.table import Table


class TaskForecast(Record):
    """The work on one set of items; counts are upper bounds, before what the store has."""

    name: str
    source: str
    n_items: int
    items_hash: str
    answers: int
    judgements: int


class RemoteForecast(Record):
    """What would leave this machine for one endpoint, and cost at most.

    Input tokens are bytes over four, from the real prompts with answers of the full length;
    output tokens are the limit of each call.
    """

    who: str
    host: str
    work: str
    calls: int
    bytes_sent: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    currency: str | None


class Forecast(Record):
    """A plan with the work it stands for; nothing has been done.

    Where the items cannot be reached there is no plan yet: `missing` says so, and only what does
    not hang on them is told. Where those who are to judge have not voted yet, it has no hash.
    `obstacles` are claims that a run with --limit could not decide.
    """

    suite: str
    profile: str
    plan_hash: str
    models: tuple[str, ...]
    judges: dict[str, str]
    tasks: tuple[TaskForecast, ...]
    claims: tuple[ClaimForecast, ...]
    people: tuple[PeopleForecast, ...] = ()
    licences: tuple[RequirementForecast, ...] = ()
    rules: tuple[RuleForecast, ...] = ()
    obstacles: tuple[str, ...] = ()
    training: tuple[TrainingForecast, ...]
    sampling: tuple[SamplingForecast, ...]
    remote: tuple[RemoteForecast, ...]
    early: LooksForecast | None = None
    missing: str | None = None
    stored_answers: int
    stored_verdicts: int


def forecast_run(request: Request, workspace: Path) -> Forecast:
    """What `harness run` would do with the same options.

    Raises:
        HarnessError: whatever `harness run` would refuse before its first answer.
    """
    # An endpoint that would only write batch files needs no key.
    session = EndpointSession(Store(workspace), folder=workspace)
    people = find_people(request)
    find_judge = judge_loader(request.profile, request.profile_root, session)
    panels, settled = make_available_panels(request, find_judge, people)
    training = forecast_training(request)
    plan, missing = _plan_if_at_hand(request, panels)
    answers, verdicts = _stored(workspace)
    judging = [
        _remote_line(
            pairs.judge,
            pairs.endpoint,
            f"chooses {pairs.recipe}",
            [build_prompt(asked).messages for asked in pairs.requests],
            pairs.endpoint.max_tokens,
        )
        for pairs in training.to_judge
    ]
    n_models, gate = len(request.models), request.suite.gate
    models = request.models[0], request.models[-1]
    tasks = tuple(_forecast_task(task, panels, n_models) for task in plan.tasks) if plan else ()
    return Forecast(
        suite=request.suite.suite,
        profile=request.profile.profile,
        plan_hash=plan.hash if plan and settled else "",
        models=tuple(f"{m.name} ({m.kind}: {m.source})" for m in plan.models)
        if plan
        else request.models,
        judges={
            metric: _who(panels[metric]) if metric in panels else "nobody has voted yet"
            for metric in request.suite.metrics
        },
        tasks=tasks,
        claims=tuple(
            each
            for claim, each in zip(gate.claims, forecast_claims(gate, plan.tasks), strict=True)
            if metric_of(claim.metric) not in people
        )
        if plan and gate
        else (),
        people=tuple(forecast_people(gate, plan.tasks, models, people)) if plan and gate else (),
        licences=tuple(forecast_licences(gate, plan.tasks, request)) if plan and gate else (),
        rules=tuple(forecast_rules(plan.gate, plan.tasks)) if plan and plan.gate else (),
        obstacles=tuple(infeasible_claims(plan.gate, plan.tasks)) if plan and plan.gate else (),
        training=tuple(training.stages),
        sampling=tuple(training.sampling),
        remote=(*judging, *(_forecast_remote(plan, request) if plan else ())),
        early=forecast_looks(plan, sum(task.judgements for task in tasks)) if plan else None,
        missing=missing,
        stored_answers=answers,
        stored_verdicts=verdicts,
    )


def print_forecast(forecast: Forecast) -> None:
    """The forecast for people, on standard output."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    number = f"Plan {forecast.plan_hash[:12]}" if forecast.plan_hash else "No plan yet"
    console.print(f"{number} of suite {forecast.suite} ({forecast.profile})")
    for model in forecast.models:
        console.print(f"  model  {model}")
    for metric, judge in forecast.judges.items():
        console.print(f"  judge  {metric}: {judge}")
    if forecast.missing:
        console.print(f"The items are not here: {forecast.missing}")
    else:
        console.print(_work_table(forecast.tasks))
    for told in describe_looks(forecast.early) if forecast.early else ():
        console.print(told)
    for told in describe_training(forecast.training, forecast.sampling):
        console.print(told)
    for told in describe_claims(forecast.claims):
        console.print(told)
    for told in describe_people(forecast.people):
        console.print(told)
    for told in describe_licences(forecast.licences):
        console.print(told)
    for told in describe_rules(forecast.rules):
        console.print(told)
    for obstacle in forecast.obstacles:
        console.print(f"This trial cannot pass: {obstacle}")
    if forecast.remote:
        console.print(_remote_table(forecast.remote))
    elif not forecast.missing:
        console.print("Nothing leaves this machine.")
    console.print(
        f"The store holds {forecast.stored_answers} answers and {forecast.stored_verdicts} "
        "verdicts; what is stored is not asked again."
    )


def _work_table(tasks: Iterable[TaskForecast]) -> "Table":
    from rich.table import Table

    work = Table("items from", "items", "answers", "judgements", title="Work, at most")
    for task in tasks:
        work.add_row(task.name, str(task.n_items), str(task.answers), str(task.judgements))
    return work


def _remote_table(remote: Iterable[RemoteForecast]) -> "Table":
    from rich.table import Table

    head = ("asked", "for", "calls", "kB sent", "tokens", "cost")
    sent = Table(*head, title="Leaves this machine, at most")
    for line in remote:
        cost = "no price given" if line.cost is None else f"{line.cost:.2f} {line.currency}"
        tokens = f"{line.input_tokens:,} + {line.output_tokens:,}"
        sent.add_row(f"{line.who} at {line.host}", line.work, f"{line.calls:,}",
                     f"{line.bytes_sent / 1000:,.0f}", tokens, cost)  # fmt: skip
    return sent


def describe_suite(suite: str, profile: str) -> dict[str, str]:
    """What a sound suite holds, in a few words a line.

    Raises:
        HarnessError: a mistake in the suite or the profile, its prompts or its data.
    """
    loaded, _ = load_suite(suite)
    bound, _ = load_profile(profile)
    names = list(bound.models)
    plan = make_plan(load_request(suite, profile, names), {}) if len(names) > 1 else None
    columns = [c for name, metric in loaded.metrics.items() for c in metric.columns(name)]
    tasks = plan.tasks if plan else ()
    return {
        "suite": f"{loaded.suite}, valid",
        "title": loaded.title,
        "measures": ", ".join(columns),
        "claims": "; ".join(map(str, (*loaded.gate.claims, *loaded.gate.critical)))
        if loaded.gate
        else "none",
        "items": ", ".join(f"{task.name} {task.n_items}" for task in tasks),
        "profile": f"{bound.profile}, models {', '.join(names)}",
    }


def _who(panel: Panel) -> str:
    return f"{panel.card.name}: {panel.card.nature}"


def _plan_if_at_hand(
    request: Request, panels: Mapping[str, Panel]
) -> tuple[Plan, None] | tuple[None, str]:
    """The plan, or in a line which items cannot be reached from here."""
    absent = _absent_file(request)
    if absent is not None:
        return None, absent
    try:
        return make_plan(request, panels), None
    except InfrastructureError as error:
        return None, str(error)


def _absent_file(request: Request) -> str | None:
    """The first file of items that is not there."""
    suite, profile = request.suite, request.profile
    for data in [suite.data, *(m.data for m in suite.metrics.values() if m.data is not None)]:
        bound = profile.data.get(data.name) if data.name is not None else data.source
        root = request.suite_root if data.name is None else request.profile_root
        if bound is not None and bound.path is not None and not is_available(bound, root):
            return f"{bound.path}: no such file."
    return None


def _forecast_remote(plan: Plan, request: Request) -> Iterator[RemoteForecast]:
    """Every endpoint of the run, with the prompts that it would be sent."""
    models, judges = request.profile.models, request.profile.judges
    for task in plan.tasks:
        for name in request.models:
            spec = models[name].endpoint
            if spec is not None:
                prompts = [make_prompt(task.system, sample.input) for sample in task.samples]
                limit = task.generation.max_new_tokens
                yield _remote_line(name, spec, f"answers {task.name}", prompts, limit)
        for metric in task.metrics:
            for judge in judge_names(metric, request):
                spec = judges[judge].endpoint
                if spec is not None:
                    asked = _longest_requests(task, metric, plan)
                    prompts = [build_prompt(request).messages for request in asked]
                    yield _remote_line(judge, spec, f"judges {metric}", prompts, spec.max_tokens)


def _longest_requests(task: Task, metric: str, plan: Plan) -> Iterator[JudgeRequest]:
    """The judge's requests as they would be if every answer had its full length."""
    board = ResponseStream([model.name for model in plan.models], len(task.samples))
    answer = "word" * task.generation.max_new_tokens
    for model in board.models:
        for sample in task.samples:
            board.post(Response(sample_id=sample.id, model=model, text=answer, finish="length"))
    rounds = range(task.metrics[metric].repeats)
    requests = repeat_requests(make_requests(task, metric, board), rounds)
    yield from (request for request in requests if request is not None)


def _remote_line(
    who: str, spec: EndpointSpec, work: str, prompts: Sequence[Prompt], limit: int
) -> RemoteForecast:
    sent = sum(len(turn.content.encode()) for prompt in prompts for turn in prompt)
    tokens_in, tokens_out = sent // 4, limit * len(prompts)
    prices = spec.price_per_million
    return RemoteForecast(
        who=who,
        host=spec.host,
        work=work,
        calls=len(prompts),
        bytes_sent=sent,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost=prices.cost(tokens_in, tokens_out) if prices else None,
        currency=prices.currency if prices else None,
    )


def _forecast_task(task: Task, panels: Mapping[str, Panel], n_models: int) -> TaskForecast:
    per_item = sum(
        len(panels[name].judges) * verdicts_per_item(metric, n_models)
        for name, metric in task.metrics.items()
        if name in panels and not panels[name].card.people  # whose verdicts are read
    )
    return TaskForecast(
        name=task.name,
        source=task.source,
        n_items=task.n_items // task.answers,
        items_hash=task.items_hash,
        answers=n_models * task.n_items,
        judgements=per_item * task.n_items,
    )


def _stored(workspace: Path) -> tuple[int, int]:
    """Rows in the store, read without taking its lock; none where there is no store yet."""
    import sqlite3

    path = workspace / "store.sqlite"
    if not path.is_file():
        return 0, 0
    with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as connection:
        counts = dict(connection.execute("SELECT kind, count(*) FROM rows GROUP BY kind"))
    return counts.get("response", 0), counts.get("outcome", 0)
