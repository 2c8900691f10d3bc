"""The plan: everything that is decided before the first answer, under one hash.

It fixes the items, how models are asked, who judges, what is claimed and at which alpha.
Nothing is generated, judged or trained here.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.errors import HarnessError, did_you_mean
from harness.feasibility import find_obstacles
from harness.looks import gate_of_last_look, plan_looks, shuffle_items
from harness.provenance import content_hash
from harness.samples import load_rows, make_samples, read_prompt, repeat_samples
from harness.suite import (
    DataSpec,
    Gate,
    Generation,
    Metric,
    ModelSpec,
    PairwiseMetric,
    Profile,
    RougeMetric,
    Source,
    Suite,
    load_profile,
    load_suite,
)
from harness.types import JudgeCard, Plan, PlannedModel, Sample, Task, TaskLooks
from trainers.converted import plain_source


class Request(NamedTuple):
    """What the user asked for: a suite, a profile, models, and how to narrow the run.

    `by_batch` says that what endpoints are asked is written into files, which are made to be sent.
    """

    suite: Suite
    suite_root: Path
    profile: Profile
    profile_root: Path
    models: tuple[str, ...]
    limit: int | None = None
    seed: int | None = None
    judge: str | None = None
    allow_remote_phi: bool = False
    by_batch: bool = False
    allow_contamination: bool = False


def load_request(
    suite: str,
    profile: str,
    models: Iterable[str],
    *,
    limit: int | None = None,
    seed: int | None = None,
    judge: str | None = None,
    allow_remote_phi: bool = False,
    by_batch: bool = False,
    allow_contamination: bool = False,
) -> Request:
    """The files behind a command line, read and checked against each other.

    Raises:
        HarnessError: a file is wrong, or a model, judge or data set is not in the profile.
    """
    loaded_suite, suite_root = load_suite(suite)
    loaded_profile, profile_root = load_profile(profile)
    names = tuple(models)
    _check_models(names, loaded_profile)
    request = Request(
        loaded_suite,
        suite_root,
        loaded_profile,
        profile_root,
        names,
        limit,
        seed,
        judge,
        allow_remote_phi,
        by_batch,
        allow_contamination,
    )
    for metric_name in loaded_suite.metrics:
        name = judge_name(metric_name, request)
        if name is not None:
            loaded_profile.find_judge(name)
            _refuse_unrecorded_pairs(metric_name, request)
            _refuse_third_models(metric_name, name, request)
    return request


def judge_name(metric_name: str, request: Request) -> str | None:
    """The profile's name of the judge of a metric; None for ROUGE, which is computed."""
    metric = request.suite.metrics[metric_name]
    if isinstance(metric, RougeMetric):
        return None
    return request.judge or metric.judge


def judge_names(metric_name: str, request: Request) -> tuple[str, ...]:
    """The single judges of a metric, a jury's members each: none for ROUGE."""
    name = judge_name(metric_name, request)
    return () if name is None else request.profile.members_of(name)


def make_plan(
    request: Request,
    cards: Mapping[str, JudgeCard],
    covered: Mapping[str, Sequence[str] | None] | None = None,
) -> Plan:
    """The frozen plan; `cards` says who judges each metric, `covered` which items it is for.

    A metric that people judge is measured on the items that they were shown, and None is all.

    Raises:
        HarnessError: data that cannot be read, or a gate that could never be passed.
    """
    tasks, gate = _make_tasks(request, covered), request.suite.gate
    if gate is not None and gate.stop_early and any((covered or {}).values()):
        raise HarnessError(
            "gate: 'stop_early' spares verdicts that are not there yet, and people's are. Leave it "
            "out where people judge."
        )
    looks: tuple[TaskLooks, ...] = ()
    if gate is not None and gate.stop_early:
        tasks = tuple(shuffle_items(task, gate.order_seed) for task in tasks)
        looks = tuple(plan_looks(task, gate) for task in tasks)
    if gate is not None and request.limit is None:
        at_the_end = gate_of_last_look(gate, looks) if looks else gate
        _refuse_infeasible(at_the_end, tasks)
    plan = Plan(
        suite=request.suite.suite,
        title=request.suite.title,
        profile=request.profile.profile,
        note=" ".join(request.profile.note.split()),
        models=tuple(_planned(name, request.profile.models[name]) for name in request.models),
        judges=dict(cards),
        tasks=tasks,
        gate=gate,
        looks=looks,
        limit=request.limit,
        seed=request.seed,
        judge=request.judge,
        hash="",
    )
    stated = plan.model_dump(mode="json", exclude={"hash": True, "tasks": {"__all__": {"samples"}}})
    return plan.model_copy(update={"hash": content_hash(stated)})


def plan_tasks(request: Request) -> tuple[Task, ...]:
    """What the request's models are asked, without the rest of a plan.

    Raises:
        HarnessError: data that cannot be read.
    """
    return _make_tasks(request)


def _check_models(names: tuple[str, ...], profile: Profile) -> None:
    for name in names:
        if name not in profile.models:
            hint = did_you_mean(name, profile.models)
            raise HarnessError(f"profile '{profile.profile}' has no model '{name}'. {hint}")
    if len(set(names)) < 2:
        raise HarnessError(
            "name at least two different models, baseline first and candidate last, "
            "for example: --models sft,dpo"
        )
    if len(set(names)) < len(names):
        raise HarnessError(f"a model is named twice in --models {','.join(names)}.")


def _refuse_unrecorded_pairs(metric_name: str, request: Request) -> None:
    """Recorded verdicts are kept by candidate, against the baseline."""
    metric = request.suite.metrics[metric_name]
    if not isinstance(metric, PairwiseMetric) or len(request.models) < 3 or metric.pairs != "all":
        return
    for judge in judge_names(metric_name, request):
        if request.profile.judges[judge].recorded is not None:
            raise HarnessError(
                f"metric '{metric_name}': 'pairs: all' compares every model with every other, but "
                f"judge '{judge}' has recorded verdicts, which are about the baseline and one "
                "candidate. Leave 'pairs' out, or use a judge that can be asked."
            )


def _refuse_third_models(metric_name: str, judge: str, request: Request) -> None:
    """A study is of two models, and has nothing on any other."""
    people = request.profile.judges[judge].people
    if people is not None and people.study is not None and len(request.models) > 2:
        raise HarnessError(
            f"metric '{metric_name}': judge '{judge}' is a study, in which people compared two models; "
            "name these two in --models."
        )


def _planned(name: str, spec: ModelSpec) -> PlannedModel:
    if spec.recipe is not None:
        return PlannedModel(name=name, kind="recipe", source=spec.recipe, seed=spec.seed)
    if spec.checkpoint is not None:
        source = spec.checkpoint + (f"@{spec.revision}" if spec.revision else "")
        return PlannedModel(name=name, kind="checkpoint", source=source, seed=spec.seed)
    if spec.endpoint is not None:
        source = f"{spec.endpoint.model} at {spec.endpoint.host}"
        prices = spec.endpoint.price_per_million
        return PlannedModel(
            name=name, kind="endpoint", source=source, prices=prices, seed=spec.seed
        )
    assert spec.recorded is not None
    return PlannedModel(name=name, kind="recorded", source=spec.recorded.label)


# --- tasks -----------------------------------------------------------------------------------


def _make_tasks(
    request: Request, covered: Mapping[str, Sequence[str] | None] | None = None
) -> tuple[Task, ...]:
    """Metrics on the same items and decoding share a task, so that answers are shared too."""
    suite = request.suite
    groups: list[tuple[DataSpec, Generation, Sequence[str] | None, dict[str, Metric]]] = []
    for name, metric in suite.metrics.items():
        data = metric.data or suite.data
        generation = metric.generation or suite.generation
        items = (covered or {}).get(name)
        for *group, metrics in groups:
            if group == [data, generation, items]:
                metrics[name] = metric
                break
        else:
            groups.append((data, generation, items, {name: metric}))
    return tuple(
        _keep_items(_make_task(data, generation, metrics, request), items)
        for data, generation, items, metrics in groups
    )


def _keep_items(task: Task, items: Sequence[str] | None) -> Task:
    """The task on these items alone, under a name that tells it from the whole one."""
    if items is None:
        return task
    samples = tuple(sample for sample in task.samples if sample.id in set(items))
    if not samples:
        named = ", ".join(task.metrics)
        raise HarnessError(
            f"{named}: people have judged none of the items of '{task.name}'. Draw a study from a "
            "run of this suite, without --limit."
        )
    return task.model_copy(
        update={
            "name": f"{task.name} shown to people",
            "items_hash": hash_items(samples),
            "n_items": len(samples),
            "samples": samples,
        }
    )


def _make_task(
    data: DataSpec, generation: Generation, metrics: dict[str, Metric], request: Request
) -> Task:
    named, root = _bind(data, request)
    source = plain_source(named, root)
    if source.phi and not request.allow_remote_phi:
        _refuse_remote_phi(source, metrics, request)
    table = load_rows(source, root)
    samples = make_samples(table, source.fields, data.take, data.slices)
    if any(isinstance(metric, RougeMetric) for metric in metrics.values()):
        _require_references(samples, table.origin)
    if request.limit is not None:
        samples = samples[: request.limit]
    if data.answers > 1:
        _refuse_equal_answers(data, generation, request)
        samples = repeat_samples(samples, data.answers)
    if request.seed is not None:
        generation = generation.model_copy(update={"seed": request.seed})
    return Task(
        name=data.name or "items",
        source=named.label,
        items_hash=hash_items(samples),
        n_items=len(samples),
        samples=samples,
        answers=data.answers,
        slices=data.slices,
        generation=generation,
        system=read_prompt(generation.system, request.suite_root),
        metrics=metrics,
    )


def hash_items(samples: Iterable[Sample]) -> str:
    """What tells two sets of items apart: their texts, in order."""
    return content_hash([s.model_dump(exclude={"row", "slices"}) for s in samples])


def _refuse_equal_answers(data: DataSpec, generation: Generation, request: Request) -> None:
    """Several answers to an item tell more than one only if they can differ."""
    stated = f"'answers: {data.answers}'"
    if generation.temperature == 0:
        raise HarnessError(
            f"{stated} asks for the same answer again: 'temperature: 0' is greedy. Set a "
            "temperature above 0, or leave 'answers' out."
        )
    for name in request.models:
        if request.profile.models[name].recorded is not None:
            raise HarnessError(
                f"{stated}: model '{name}' has recorded answers, one for each item. Leave 'answers' "
                "out; where items were asked more than once, give every time an id of its own, and "
                "name the item's column as their 'cluster'."
            )


def _bind(data: DataSpec, request: Request) -> tuple[Source, Path]:
    if data.source is not None:
        return data.source, request.suite_root
    assert data.name is not None
    profile = request.profile
    if data.name not in profile.data:
        hint = did_you_mean(data.name, profile.data)
        raise HarnessError(f"profile '{profile.profile}' has no data set '{data.name}'. {hint}")
    return profile.data[data.name], request.profile_root


def _refuse_remote_phi(source: Source, metrics: Iterable[str], request: Request) -> None:
    """Protected health information stays on this machine unless somebody says otherwise."""
    profile = request.profile
    judges = {name for metric in metrics for name in judge_names(metric, request)}
    endpoints = [profile.models[name].endpoint for name in request.models]
    endpoints += [profile.judges[name].endpoint for name in judges]
    sent = [spec for spec in endpoints if spec and (spec.elsewhere or request.by_batch)]
    remote = sorted({spec.host for spec in sent})
    if remote:
        raise HarnessError(
            f"{source.label}: is marked phi (protected health information), and this run would send "
            f"it to {', '.join(remote)}. Use models and judges on this machine, or say "
            "--allow-remote-phi if you may."
        )


def _require_references(samples: Iterable[Sample], origin: str) -> None:
    without = [sample.id for sample in samples if not (sample.reference or "").strip()]
    if without:
        raise HarnessError(
            f"{origin}: ROUGE needs a reference, but item '{without[0]}' "
            f"(and {len(without) - 1} more) has none. Name its column in 'fields: {{reference: …}}'."
        )


def _refuse_infeasible(gate: Gate, tasks: Iterable[Task]) -> None:
    """A gate that no answers whatever could pass on these items is a mistake."""
    obstacles = list(find_obstacles(gate, tasks))
    if obstacles:
        raise HarnessError("gate: " + "\n".join(obstacles))
