"""Tasks of a request: sets of items with their metrics, decoding and data protection checks."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import ChoiceLayout, DataSpec, Generation, Metric, RetrievalMetric, Source
from harness.config.request import Request, judge_names
from harness.core.errors import HarnessError, did_you_mean
from harness.core.hashing import content_hash
from harness.core.text_files import read_prompt
from harness.data.choices import put_choices
from harness.data.conversions import resolve_conversion
from harness.data.criteria import find_ranges, put_criteria
from harness.data.references import NO_REFERENCE, reference_problem
from harness.data.samples import make_samples, repeat_by_seed, repeat_samples
from harness.data.tables import load_rows
from harness.data.text import word_rule
from harness.types import Sample, Task


class _Group(NamedTuple):
    """Metrics with the same data, decoding, prompts and items; `item_ids` None means all items."""

    data: DataSpec
    generation: Generation
    layout: ChoiceLayout | None
    item_ids: Sequence[str] | None
    metrics: dict[str, Metric]


def plan_tasks(
    request: Request, item_ids: Mapping[str, Sequence[str] | None] | None = None
) -> tuple[Task, ...]:
    """Make the tasks that the request's models answer.

    Metrics with the same items, prompts and decoding share a task, and so its answers. `item_ids` limits a
    metric to the items that people judged; a metric that is not in it has all items.

    Raises:
        HarnessError: the data cannot be read, or may not be sent where the request would send them.
    """
    # Group the metrics that can share a task.
    suite, groups = request.suite, list[_Group]()
    # What no layout matters to comes last, and joins the items of metrics that have one.
    for name, metric in sorted(suite.metrics.items(), key=lambda named: named[1].any_layout):
        data, layout = metric.data or suite.data, metric.layout
        generation = metric.generation or suite.generation
        if layout is not None and layout.template is not None:
            generation = Generation()  # nothing is generated
        new = _Group(data, generation, layout, (item_ids or {}).get(name), {})
        group = next((group for group in groups if _fits(group, new, metric)), new)
        group.metrics[name] = metric
        if group is new:
            groups.append(group)
    tasks = (_limit_to_items(_make_task(group, request), group.item_ids) for group in groups)
    return tuple(_with_own_names(tasks))


def _fits(group: _Group, new: _Group, metric: Metric) -> bool:
    """Return whether a metric, in a group of its own, can share another group's answers."""
    if metric.any_layout:
        new = new._replace(layout=group.layout)
    return group[:4] == new[:4]


def _with_own_names(tasks: Iterable[Task]) -> Iterator[Task]:
    """Yield the tasks; one with the name of another before it is also named after its metrics."""
    names = set[str]()
    for task in tasks:
        own = f"{task.name} for {', '.join(task.metrics)}" if task.name in names else task.name
        names.add(own)
        yield task.model_copy(update={"name": own})


def _limit_to_items(task: Task, item_ids: Sequence[str] | None) -> Task:
    """Limit a task to the items that people judged, under another name."""
    if item_ids is None:
        return task
    judged_ids = set(item_ids)
    samples = tuple(sample for sample in task.samples if sample.id in judged_ids)
    if not samples:
        metrics = ", ".join(task.metrics)
        raise HarnessError(
            f"{metrics}: people have judged none of the items of '{task.name}'. Draw a study from a "
            "run of this suite, without --limit."
        )
    return task.model_copy(
        update={
            "name": f"{task.name} shown to people",
            "items_hash": hash_items(samples, task.metrics.values()),
            "n_items": len(samples),
            "samples": samples,
            **_count_conversations(samples),
        }
    )


def _make_task(group: _Group, request: Request) -> Task:
    data, generation, metrics = group.data, group.generation, group.metrics
    # Find the source, and check that it may be sent to the models and judges.
    named_source, root = _find_source(data, request)
    source = resolve_conversion(named_source, root)
    protected = next((one for one in (source, *_corpora(request)) if one.phi), None)
    if protected is not None and not request.allow_remote_phi:
        _require_local_models(protected, metrics, request)

    # Make the samples.
    table = load_rows(source, root).with_columns((*data.slices, *data.keep))
    samples = make_samples(table, source.fields, data.take, data.slices, data.keep)
    if group.layout is not None:
        samples = put_choices(samples, group.layout, table, source.fields)
        if group.layout.template is not None:
            _require_weights(next(iter(metrics)), data, request)
    samples = put_criteria(samples, metrics.values(), table)
    for name, metric in metrics.items():
        _require_references(name, metric, samples, table.origin)
        _require_sources(name, metric, samples, table.origin)
        _require_passages(name, metric, request)
    if request.order_seed is not None:
        samples = _shuffle(samples, request.order_seed)
    if request.limit is not None:
        samples = samples[: request.limit]
    metrics = {name: find_ranges(name, metric, samples) for name, metric in metrics.items()}
    if data.answers > 1:
        _require_varying_answers(data, generation, request)
        samples = repeat_samples(samples, data.answers)
    samples = repeat_by_seed(samples, request.seeds)

    if request.seed is not None:
        generation = generation.model_copy(update={"seed": request.seed})
    return Task(
        name=data.name or "items",
        source=named_source.label,
        items_hash=hash_items(samples, metrics.values()),
        n_items=len(samples),
        samples=samples,
        **_count_conversations(samples),
        phi=protected is not None,
        answers=data.answers,
        seeded=request.seeded,
        seeds=request.seeds,
        slices=data.slices,
        equal_answers=data.equal_answers,
        generation=generation,
        system=read_prompt(generation.system, request.suite_root),
        metrics=metrics,
    )


def _shuffle(samples: Sequence[Sample], seed: int) -> tuple[Sample, ...]:
    """Return the samples in a random order, those of one cluster beside each other."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.id if sample.cluster is None else sample.cluster, []).append(
            sample
        )
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    return tuple(sample for group in order for sample in group)


def _count_conversations(samples: Sequence[Sample]) -> dict[str, int]:
    """Count the items with turns before the question, and those with a system prompt of their own."""
    return {
        "n_conversations": len({s.row for s in samples if len(s.history) > (s.system is not None)}),
        "n_own_system": len({s.row for s in samples if s.system is not None}),
    }


def hash_items(samples: Sequence[Sample], metrics: Iterable[Metric] = ()) -> str:
    """Hash the texts of the items, in order, and the word rule where a metric depends on it."""
    texts = [s.model_dump(exclude={"row", "slices", "kept"}) for s in samples]
    by_words = any(metric.reads_words for metric in metrics)
    return content_hash(texts, *(word_rule(*(s.reference or "" for s in samples)) * by_words))


def _require_weights(metric: str, data: DataSpec, request: Request) -> None:
    """Raise if a model gives no log-probabilities of stated texts, or is to give the same ones again."""
    for name in request.models:
        spec = request.profile.models.get(name)  # none of a model in training
        endpoint = spec.endpoint if spec else None
        if endpoint is not None:
            raise HarnessError(
                f"metric '{metric}': model '{name}' is asked at {endpoint.host}, and endpoints give no "
                "log-probabilities of texts that are stated to them. Use a checkpoint on this machine "
                "('checkpoint' or 'recipe' in the profile), or 'scoring: spoken'."
            )
    if data.answers > 1:
        raise HarnessError(
            f"metric '{metric}': 'answers: {data.answers}' asks again for log-probabilities, which are the "
            "same each time. Leave 'answers' out, or give the metric 'data' of its own."
        )


def _require_varying_answers(data: DataSpec, generation: Generation, request: Request) -> None:
    """Raise if several answers to an item cannot differ: greedy decoding, or recorded answers."""
    key = f"'answers: {data.answers}'"
    if generation.temperature == 0:
        raise HarnessError(
            f"{key} asks for the same answer again: 'temperature: 0' is greedy. Set a "
            "temperature above 0, or leave 'answers' out."
        )
    for name in request.models:
        if request.profile.models[name].recorded is not None:
            raise HarnessError(
                f"{key}: model '{name}' has recorded answers, one for each item. Leave 'answers' "
                "out; where items were asked more than once, give every time an id of its own, and "
                "name the item's column as their 'cluster'."
            )


def _find_source(data: DataSpec, request: Request) -> tuple[Source, Path]:
    if data.source is not None:
        return data.source, request.suite_root
    assert data.name is not None
    profile = request.profile
    if data.name not in profile.data:
        hint = did_you_mean(data.name, profile.data)
        raise HarnessError(f"profile '{profile.profile}' has no data set '{data.name}'. {hint}")
    return profile.data[data.name], request.profile_root


def _corpora(request: Request) -> Iterator[Source]:
    """Yield what the request's models retrieve from, whose passages go where the questions go."""
    for name in request.models:
        model = request.profile.models.get(name)  # none of a model in training
        corpus = model.retrieval.corpus if model and model.retrieval else None
        named = request.profile.data.get(corpus) if isinstance(corpus, str) else corpus
        if named is not None:
            yield resolve_conversion(named, request.profile_root)


def _require_local_models(source: Source, metrics: Iterable[str], request: Request) -> None:
    """Raise if protected health information (phi) would be sent to another machine."""
    profile = request.profile
    judges = {name for metric in metrics for name in judge_names(metric, request)}
    endpoints = [profile.models[name].asked for name in request.models]
    endpoints += [profile.judges[name].asked for name in judges]
    sent = [spec for spec in endpoints if spec and (spec.elsewhere or request.by_batch)]
    remote = sorted({spec.host for spec in sent})
    serving = [profile.models[name].serve for name in request.models]
    if request.by_batch and any(serve and serve.version for serve in serving):
        remote.append("batch files")  # for an engine on any machine
    # What a plug-in does with a text is not known here.
    plugins = [profile.judges[name].plugin for name in judges]
    remote += sorted(f"plug-in '{plugin.root}'" for plugin in plugins if plugin is not None)
    if remote:
        raise HarnessError(
            f"{source.label}: is marked phi (protected health information), and this run would send "
            f"it to {', '.join(remote)}. Use models and judges on this machine, or give "
            "--allow-remote-phi if you may."
        )


def _require_sources(name: str, metric: Metric, samples: Iterable[Sample], origin: str) -> None:
    missing = [s.id for s in samples if metric.needs_sources and not s.sources]
    if missing:
        raise HarnessError(
            f"{origin}: metric '{name}' asks whether the sources of each item were found, and those of item "
            f"'{missing[0]}' are not known. Name the column with their ids in 'fields: {{sources: …}}'."
        )


def _require_passages(name: str, metric: Metric, request: Request) -> None:
    """Raise if no model has the passages that a metric is about, or fewer than it counts, or unknown ones.

    A model whose verdicts are recorded needs none here: whoever judged it saw them.
    """
    if not metric.about_passages:
        return
    judges = [request.profile.find_judge(judge) for judge in judge_names(name, request)]
    judged = {model for judge in judges for model in (judge.recorded or {}).get(name, {})}
    specs = {model: request.profile.models.get(model) for model in request.models}
    found = {model: spec.retrieval for model, spec in specs.items() if spec and spec.retrieval}
    if not isinstance(
        metric, RetrievalMetric
    ):  # which needs the documents that might have been found
        judged |= {
            m
            for m, spec in specs.items()
            if spec and spec.recorded and "passages" in spec.recorded.fields
        }
    if not found and judged.isdisjoint(request.models):
        raise HarnessError(
            f"metric '{name}' is about the passages that a model is given, and none of "
            f"{', '.join(request.models)} has 'retrieval' in the profile."
        )
    for model, spec in specs.items():
        if spec and spec.recorded and model not in judged:
            raise HarnessError(
                f"metric '{name}' is about the passages that a model is given, and those behind the recorded "
                f"answers of '{model}' are not known. Name their column in 'fields: {{passages: …}}' (for grounded and "
                "citation), or recorded verdicts on them too."
            )
    for model, retrieval in found.items():
        if (
            isinstance(metric, RetrievalMetric)
            and metric.at is not None
            and metric.at > retrieval.k
        ):
            raise HarnessError(
                f"metric '{name}' counts the first {metric.at} documents, and model '{model}' is given "
                f"{retrieval.k} passages. Raise its 'k', or lower 'at'."
            )


def _require_references(name: str, metric: Metric, samples: Iterable[Sample], origin: str) -> None:
    problems = {s.id: problem for s in samples if (problem := reference_problem(metric, s))}
    if not problems:
        return
    (first, problem), n_more = next(iter(problems.items())), len(problems) - 1
    hint = " Name its column in 'fields: {reference: …}'." if problem == NO_REFERENCE else ""
    more = f" (and {n_more} more)" if n_more else ""
    raise HarnessError(
        f"{origin}: metric '{name}' needs a reference, but item '{first}'{more} {problem}.{hint}"
    )
