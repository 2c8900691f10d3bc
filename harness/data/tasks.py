from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import DataSpec, Generation, Metric, Source
from harness.config.request import Request, judge_names
from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash
from harness.data.conversions import resolve_conversion
from harness.data.samples import make_samples, read_prompt, repeat_samples
from harness.data.tables import load_rows
from harness.types import Sample, Task

# --- tasks -----------------------------------------------------------------------------------


class _Group(NamedTuple):
    """Metrics on the same data, decoded alike; `shown` are the items that people judged, None all."""

    data: DataSpec
    generation: Generation
    item_ids: Sequence[str] | None
    metrics: dict[str, Metric]


def plan_tasks(
    request: Request, item_ids: Mapping[str, Sequence[str] | None] | None = None
) -> tuple[Task, ...]:
    """Plan the tasks that the request's models answer, without the rest of a plan.

    Metrics on the same items and decoding share a task, so that answers are shared too. `shown` are
    the items of a metric that people judge; of one that is left out it is all.

    Raises:
        HarnessError: data that cannot be read.
    """
    suite, groups = request.suite, list[_Group]()
    for name, metric in suite.metrics.items():
        data, generation = metric.data or suite.data, metric.generation or suite.generation
        alone = _Group(data, generation, (item_ids or {}).get(name), {})
        group = next((each for each in groups if each[:3] == alone[:3]), alone)
        group.metrics[name] = metric
        if group is alone:
            groups.append(group)
    return tuple(
        _keep_items(
            _make_task(group.data, group.generation, group.metrics, request), group.item_ids
        )
        for group in groups
    )


def _keep_items(task: Task, items: Sequence[str] | None) -> Task:
    """Limit the task to these items, under a name of its own."""
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
    source = resolve_conversion(named, root)
    if source.phi and not request.allow_remote_phi:
        _refuse_remote_phi(source, metrics, request)
    table = load_rows(source, root)
    samples = make_samples(table, source.fields, data.take, data.slices)
    for name, metric in metrics.items():
        if metric.needs_reference:
            _require_references(name, samples, table.origin)
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
        phi=source.phi,
        answers=data.answers,
        slices=data.slices,
        generation=generation,
        system=read_prompt(generation.system, request.suite_root),
        metrics=metrics,
    )


def hash_items(samples: Iterable[Sample]) -> str:
    """Hash the texts of the items, in order."""
    return content_hash([s.model_dump(exclude={"row", "slices"}) for s in samples])


def _refuse_equal_answers(data: DataSpec, generation: Generation, request: Request) -> None:
    """Refuse several answers to an item where they cannot differ."""
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
    """Refuse to send protected health information to another machine unless it is allowed."""
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


def _require_references(metric: str, samples: Iterable[Sample], origin: str) -> None:
    without = [sample.id for sample in samples if not (sample.reference or "").strip()]
    if without:
        raise HarnessError(
            f"{origin}: metric '{metric}' needs a reference, but item '{without[0]}' "
            f"(and {len(without) - 1} more) has none. Name its column in 'fields: {{reference: …}}'."
        )
