"""The plan: everything that is decided before the first answer, under one hash.

It fixes the items, how models are asked, who judges, what is claimed and at which alpha.
Nothing is generated, judged or trained here.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from harness.errors import HarnessError, did_you_mean
from harness.provenance import content_hash
from harness.samples import load_rows, make_samples, read_prompt
from harness.stats import minimum_n_for_threshold
from harness.suite import (
    DataSpec,
    EvasionMetric,
    Gate,
    Generation,
    Metric,
    ModelSpec,
    Profile,
    RougeMetric,
    Source,
    Suite,
    load_profile,
    load_suite,
)
from harness.types import JudgeCard, Plan, PlannedModel, Sample, Task


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


def make_plan(request: Request, cards: Mapping[str, JudgeCard]) -> Plan:
    """The frozen plan; `cards` says who judges each metric.

    Raises:
        HarnessError: data that cannot be read, or a gate that could never be passed.
    """
    tasks = _make_tasks(request)
    if request.suite.gate is not None and request.limit is None:
        _refuse_infeasible(request.suite.gate, tasks)
    plan = Plan(
        suite=request.suite.suite,
        title=request.suite.title,
        profile=request.profile.profile,
        note=" ".join(request.profile.note.split()),
        models=tuple(_planned(name, request.profile.models[name]) for name in request.models),
        judges=dict(cards),
        tasks=tasks,
        gate=request.suite.gate,
        limit=request.limit,
        seed=request.seed,
        judge=request.judge,
        hash="",
    )
    stated = plan.model_dump(mode="json", exclude={"hash": True, "tasks": {"__all__": {"samples"}}})
    return plan.model_copy(update={"hash": content_hash(stated)})


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


def _planned(name: str, spec: ModelSpec) -> PlannedModel:
    if spec.recipe is not None:
        return PlannedModel(name=name, kind="recipe", source=spec.recipe)
    if spec.checkpoint is not None:
        revision = f"@{spec.revision}" if spec.revision else ""
        return PlannedModel(name=name, kind="checkpoint", source=spec.checkpoint + revision)
    if spec.endpoint is not None:
        source = f"{spec.endpoint.model} at {spec.endpoint.host}"
        prices = spec.endpoint.price_per_million
        return PlannedModel(name=name, kind="endpoint", source=source, prices=prices)
    assert spec.recorded is not None
    return PlannedModel(name=name, kind="recorded", source=spec.recorded.label)


# --- tasks -----------------------------------------------------------------------------------


def _make_tasks(request: Request) -> tuple[Task, ...]:
    """Metrics on the same items and decoding share a task, so that answers are shared too."""
    suite = request.suite
    groups: list[tuple[DataSpec, Generation, dict[str, Metric]]] = []
    for name, metric in suite.metrics.items():
        data = metric.data or suite.data
        generation = metric.generation or suite.generation
        for group_data, group_generation, metrics in groups:
            if (group_data, group_generation) == (data, generation):
                metrics[name] = metric
                break
        else:
            groups.append((data, generation, {name: metric}))
    return tuple(_make_task(*group, request) for group in groups)


def _make_task(
    data: DataSpec, generation: Generation, metrics: dict[str, Metric], request: Request
) -> Task:
    source, root = _bind(data, request)
    if source.phi and not request.allow_remote_phi:
        _refuse_remote_phi(source, metrics, request)
    table = load_rows(source, root)
    samples = make_samples(table, source.fields, data.take)
    if any(isinstance(metric, RougeMetric) for metric in metrics.values()):
        _require_references(samples, table.origin)
    if request.limit is not None:
        samples = samples[: request.limit]
    if request.seed is not None:
        generation = generation.model_copy(update={"seed": request.seed})
    return Task(
        name=data.name or "items",
        source=source.label,
        items_hash=content_hash([s.model_dump(exclude={"row"}) for s in samples]),
        n_items=len(samples),
        samples=samples,
        generation=generation,
        system=read_prompt(generation.system, request.suite_root),
        metrics=metrics,
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
    """A share of n items cannot be shown to reach a threshold when n is too small for it."""
    metrics = {name: (metric, task) for task in tasks for name, metric in task.metrics.items()}
    for claim in gate.claims:
        metric, task = metrics[claim.metric.partition(".")[0]]
        if claim.claim != "at_least" or not isinstance(metric, EvasionMetric):
            continue
        assert claim.value is not None
        if claim.value >= 1.0:
            raise HarnessError(
                f"gate: '{claim}' cannot be shown with any number of items; ask for less than 1."
            )
        needed = minimum_n_for_threshold(claim.value, gate.alpha)
        if task.n_items < needed:
            raise HarnessError(
                f"gate: '{claim}' at alpha {gate.alpha:g} needs at least {needed} items even if "
                f"none is evasive; '{task.name}' has {task.n_items}. Use more items or a lower value."
            )
