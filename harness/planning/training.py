"""The forecast of training: each stage behind a run's models, without a GPU or a key.

Data are fetched and converted if they can be; models are not. Where the rows of a stage or the sizes
of its model are not available, the stage has a note, and only what is known of it is counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import ChecklistMetric, EndpointSpec, Metric, Profile, Source
from harness.config.request import Request
from harness.data.conversions import resolve_conversion, unavailable_reason
from harness.data.preference_pairs import load_given_pairs
from harness.types import PreferenceRequest, Record
from judges.checklist import count_requests
from judges.judging import preference_requests
from trainers.adapter_kinds import Adapter, FullFineTuning, continued
from trainers.examples import (
    load_examples,
    load_labelled,
    load_rows_to_learn,
    load_samples,
    rows_to_learn,
)
from trainers.labelled import split_answers
from trainers.memory import (
    Memory,
    estimate_memory,
    find_obstacle,
    n_training_pairs,
    optimiser_steps,
)
from trainers.recipe import (
    METHODS,
    AdapterRecipe,
    BestOfRecipe,
    GivenPairsRecipe,
    GoldPairsRecipe,
    JudgedPairsRecipe,
    OnlineRecipe,
    PreferenceRecipe,
    PretrainRecipe,
    SampledRecipe,
    SftRecipe,
    TrainingSource,
    load_recipe,
)
from trainers.recipe_graph import (
    RecipeStage,
    TrainingSeed,
    recipe_graph,
    require_policy_recipe,
    require_servable,
    seeded_recipes,
)
from trainers.sft import split_rows
from trainers.shape import Shape, count_parameters, find_shape


class TrainingForecast(Record):
    """One training run, skipped if its checkpoint is stored. Unknown numbers are None; see `notes`.

    `rows` are the examples to learn from, pairs where the method takes pairs; an upper bound
    (`at_most`) where answers must be sampled first. `memory` is an estimate in bytes, see
    trainers/memory.py. `adapter` is what is trained, with its sizes.
    """

    recipe: str
    method: str
    start: str
    rows: int | None
    at_most: bool
    steps: int | None
    trained: int | None
    parameters: int | None
    memory: Memory | None
    adapter: str | None = None
    notes: tuple[str, ...] = ()


class SamplingForecast(Record):
    """The most answers that a recipe samples to make training data, and their verdicts.

    A judge is asked about each pair in both orders.
    """

    recipe: str
    method: str
    prompts: int | None
    answers: int | None
    verdicts: int | None
    judge: str | None
    notes: tuple[str, ...] = ()


class PairsToJudge(NamedTuple):
    """The requests of one pairs recipe to one endpoint, with answers of the full length."""

    recipe: str
    judge: str
    endpoint: EndpointSpec
    requests: list[PreferenceRequest]


class TrainingPlan(NamedTuple):
    """The stages that the models of a request need, in the order in which they would run."""

    stages: list[TrainingForecast]
    sampling: list[SamplingForecast]
    to_judge: list[PairsToJudge]


def forecast_training(request: Request) -> TrainingPlan:
    """Forecast the stages behind the request's models, each once.

    Raises:
        HarnessError: a mistake in a recipe, or in data that are available.
    """
    stages: dict[str, RecipeStage] = {}
    recipes = seeded_recipes(request.profile) if request.seeded else {}
    for name in request.models:
        spec = request.profile.models[name]
        if spec.recipe is not None:
            recipe, root = load_recipe(spec.recipe)
            require_policy_recipe(recipe, f"model '{name}': {spec.recipe}")
            for seed in spec.seeds or (None,):
                of_seed = None if seed is None else TrainingSeed(seed, recipes)
                graph = recipe_graph(recipe, root, seed=of_seed)
                require_servable(graph[-1], spec.serve, f"model '{name}'")
                stages |= {stage.key: stage for stage in graph}
    return forecast_stages(stages.values(), request.profile)


def forecast_stages(stages: Iterable[RecipeStage], profile: Profile) -> TrainingPlan:
    """Forecast stages of recipe graphs, each after those that it needs.

    Raises:
        HarnessError: a mistake in data that are available.
    """
    forecaster = _StageForecaster(profile)
    for stage in stages:
        forecaster.add(stage)
    return forecaster.plan


def describe_training(
    stages: Sequence[TrainingForecast], sampling: Sequence[SamplingForecast]
) -> Iterator[str]:
    """Yield lines on the training runs and on the answers sampled for them."""
    # Training runs.
    if stages:
        yield "Trained first, unless the store has it:"
    for stage in stages:
        trained = "" if stage.adapter is None else f" of {stage.adapter}"
        yield f"  {stage.recipe}: {stage.method}{trained}, from {stage.start}"
        if stage.rows is not None and stage.steps is not None:
            most = "at most " if stage.at_most else ""
            unit = _unit_of(stage.method)
            yield f"    {most}{stage.rows:,} {unit}, {stage.steps:,} optimiser steps on one GPU"
        if stage.trained is not None and stage.parameters is not None:
            share = stage.trained / (stage.parameters + stage.trained)
            yield f"    {stage.trained:,} parameters trained, {stage.parameters:,} frozen ({share:.2%})"
        if stage.memory is not None:
            yield f"    memory, estimated: {_in_gib(stage.memory.training)} to train ({_parts(stage.memory)})"
            yield f"    memory, estimated: {_in_gib(stage.memory.merging)} to merge and check the result"
        yield from (f"    {note}" for note in stage.notes)
    # Sampled answers.
    for work in sampling:
        judge = f", {work.verdicts:,} verdicts by {work.judge}" if work.verdicts else ""
        if work.answers is not None:
            yield (
                f"  {work.recipe}: {work.method}, at most {work.answers:,} answers to "
                f"{work.prompts:,} prompts{judge}"
            )
        yield from (f"  {work.recipe}: {work.method}, {note}" for note in work.notes)


def _unit_of(method: str) -> str:
    kind = METHODS[method]
    assert issubclass(kind, AdapterRecipe)
    return kind.unit


def _parts(memory: Memory) -> str:
    parts = ("weights", "adapter", "gradients", "optimiser", "activations")
    return ", ".join(f"{part} {getattr(memory, part) / 2**30:.2f}" for part in parts)


def _in_gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


class _Count(NamedTuple):
    """A number of rows, or an upper bound of it where they cannot be read, for the reason `absent`."""

    n: int | None = None
    absent: str | None = None

    @property
    def unknown(self) -> str:
        return ", so neither they nor what depends on them is counted" if self.n is None else " yet"


class _Result(NamedTuple):
    """The forecast product of a stage, for the stages that need it.

    A checkpoint has sizes, if they are known, and perhaps an adapter; data have a number of rows.
    """

    name: str
    shape: Shape | None = None
    adapter: Adapter | None = None
    rows: _Count = _Count()
    per_prompt: int = 1


class _StageForecaster:
    """Adds stages to a plan, and holds their results by the stages' keys."""

    def __init__(self, profile: Profile) -> None:
        self.plan = TrainingPlan([], [], [])
        self._profile = profile
        self._results: dict[str, _Result] = {}

    def add(self, stage: RecipeStage) -> None:
        match stage.recipe:
            case PretrainRecipe() as recipe:
                result = _Result(recipe.recipe)
            case GivenPairsRecipe() as recipe:
                result = _Result(recipe.recipe, rows=_count_pairs(recipe, stage.root))
            case JudgedPairsRecipe() | GoldPairsRecipe() | BestOfRecipe() as recipe:
                result = self._add_sampling(recipe, stage.root)
            case recipe:
                result = self._add_training(recipe, stage)
        self._results[stage.key] = result

    # --- training ----------------------------------------------------------------------------

    def _add_training(self, recipe: AdapterRecipe, stage: RecipeStage) -> _Result:
        start, rows = self._start_of(recipe, stage), self._rows_of(recipe, stage)
        adapter = recipe.new_adapter or start.adapter
        sizes_known = start.shape is not None and adapter is not None
        memory = estimate_memory(recipe, start.shape, adapter) if start.shape and adapter else None
        # The reasons why the run cannot start, or why its numbers are not known.
        notes = []
        obstacle = find_obstacle(start.name, recipe)
        if obstacle is not None:
            notes.append(f"cannot be trained as it is: {obstacle}")
        if rows.absent is not None:
            notes.append(f"its rows are not here{rows.unknown}: {rows.absent}")
        if not sizes_known:
            notes.append(f"the sizes of {start.name} are not known here")
        elif memory is None:
            notes.append(f"memory is not estimated for {recipe.method}")
        if adapter is not None and start.shape is not None:
            notes += adapter.advice(start.shape)
        if adapter is not None and not adapter.merges:
            notes.append("it is not merged: it is kept beside its base, and asked on it")
        # The numbers.
        self.plan.stages.append(
            TrainingForecast(
                recipe=recipe.recipe,
                method=recipe.method,
                start=start.name,
                rows=rows.n,
                at_most=not isinstance(recipe, SftRecipe)
                or recipe.best_of is not None
                or rows.absent is not None,
                steps=None if rows.n is None else optimiser_steps(rows.n, recipe.trainer),
                trained=adapter.count_trained(start.shape) if start.shape and adapter else None,
                parameters=_frozen(start.shape, adapter) if start.shape else None,
                memory=memory,
                adapter=adapter and adapter.description,
                notes=tuple(notes),
            )
        )
        return _Result(recipe.recipe, start.shape, adapter and continued(adapter))

    def _start_of(self, recipe: AdapterRecipe, stage: RecipeStage) -> _Result:
        if stage.parent is not None:
            return self._results[stage.parent.key]
        assert recipe.parent.checkpoint is not None
        return _Result(recipe.parent.checkpoint, find_shape(recipe.parent, stage.root))

    def _rows_of(self, recipe: AdapterRecipe, stage: RecipeStage) -> _Count:
        """Count the rows or pairs to learn from."""
        counts: list[_Count] = []
        if isinstance(recipe, SftRecipe):
            counts += [_count_examples(source, stage.root) for source in recipe.data]
            if recipe.rows is not None and not any(count.absent for count in counts):
                counts = [_Count(len(load_rows_to_learn(recipe, stage.root)))]
            if recipe.holdout and not any(count.absent for count in counts):
                rows = load_rows_to_learn(recipe, stage.root)
                counts = [_Count(len(split_rows(rows, recipe.holdout, recipe.seed).train))]
            if stage.best_of is not None:
                counts.append(self._results[stage.best_of.key].rows)
        elif isinstance(recipe, PreferenceRecipe) and recipe.labelled_source is not None:
            counts.append(_count_labelled(recipe, recipe.labelled_source, stage.root))
        elif isinstance(recipe, PreferenceRecipe):
            assert stage.pairs is not None
            pairs = self._results[stage.pairs.key]
            n = _at_most(recipe, pairs.rows.n)
            per_prompt = (
                pairs.per_prompt if n == pairs.rows.n else 1
            )  # some of each prompt's are left out
            n_examples = _count_training_examples(recipe, n, per_prompt)
            counts.append(pairs.rows._replace(n=n_examples))
        elif isinstance(recipe, OnlineRecipe):
            prompts = _count(recipe.data, stage.root, recipe.reward.graded_by)
            counts.append(prompts._replace(n=_at_most(recipe, prompts.n)))
        known_counts = [count.n for count in counts if count.n is not None]
        absent = "; ".join(dict.fromkeys(count.absent for count in counts if count.absent))
        return _Count(
            sum(known_counts) if len(known_counts) == len(counts) else None, absent or None
        )

    # --- sampling ----------------------------------------------------------------------------

    def _add_sampling(self, recipe: SampledRecipe, root: Path) -> _Result:
        grade = recipe.grade if isinstance(recipe, BestOfRecipe) else None
        counted = _count(recipe.data, root, grade)
        prompts = counted.n
        answers, verdicts, judge, rows_per_prompt = recipe.per_prompt
        if judge is not None:
            verdicts *= len(self._profile.members_of(judge))
        asked = prompts  # about each row, or each of its criteria
        if isinstance(grade, ChecklistMetric) and counted.absent is None:
            asked = count_requests(grade, load_samples(recipe.data, root, grade))
        self.plan.sampling.append(
            SamplingForecast(
                recipe=recipe.recipe,
                method=recipe.method,
                prompts=prompts,
                answers=None if prompts is None else answers * prompts,
                verdicts=None if asked is None else verdicts * asked,
                judge=judge,
                notes=()
                if counted.absent is None
                else (f"its prompts are not here{counted.unknown}: {counted.absent}",),
            )
        )
        if isinstance(recipe, JudgedPairsRecipe) and counted.absent is None:
            self._add_requests(recipe, root)
        rows = _Count(None if prompts is None else rows_per_prompt * prompts, counted.absent)
        return _Result(recipe.recipe, rows=rows, per_prompt=rows_per_prompt)

    def _add_requests(self, recipe: JudgedPairsRecipe, root: Path) -> None:
        """Add the requests to endpoints, as they would be with answers of the full length."""
        answer = "word" * recipe.generation.max_new_tokens
        sides = ("first", answer), ("second", answer)
        requests = [
            request
            for sample in load_samples(recipe.data, root)
            for request in preference_requests(sample, "pairs", recipe.prefer, *sides)
        ]
        requests *= recipe.draws * recipe.prefer.repeats
        for judge in self._profile.members_of(recipe.prefer.judge):
            endpoint = self._profile.find_judge(judge).asked
            if endpoint is not None:
                self.plan.to_judge.append(PairsToJudge(recipe.recipe, judge, endpoint, requests))


def _frozen(shape: Shape, adapter: Adapter | None) -> int:
    """Count the weights that are not trained."""
    return 0 if isinstance(adapter, FullFineTuning) else count_parameters(shape)


def _count_training_examples(
    recipe: PreferenceRecipe, pairs: int | None, per_prompt: int
) -> int | None:
    """Count the examples that pairs become, without those that are held out."""
    if pairs is None:
        return None
    return recipe.examples_per_pair * n_training_pairs(pairs, recipe.holdout, per_prompt=per_prompt)


def _at_most(recipe: AdapterRecipe, n: int | None) -> int | None:
    """Return so many examples, or no more than the recipe's `rows`."""
    return n if n is None or recipe.rows is None else min(n, recipe.rows)


def _count(source: Source, root: Path, graded_by: Metric | None = None) -> _Count:
    absent = unavailable_reason(source, root)
    if absent is not None:
        return _bound(source, absent)
    return _Count(len(load_samples(source, root, graded_by)))


def _count_examples(source: TrainingSource, root: Path) -> _Count:
    absent = unavailable_reason(source, root)
    return _Count(len(load_examples([source], root))) if absent is None else _bound(source, absent)


def _count_pairs(recipe: GivenPairsRecipe, root: Path) -> _Count:
    absent = unavailable_reason(recipe.data, root)
    if absent is not None:
        return _bound(recipe.data, absent)
    plain = resolve_conversion(recipe.data, root)
    return _Count(len(load_given_pairs(plain, root, recipe.filters).pairs))


def _count_labelled(recipe: PreferenceRecipe, source: Source, root: Path) -> _Count:
    absent = unavailable_reason(source, root)
    if absent is not None:
        return _bound(source, absent)
    answers = rows_to_learn(recipe, load_labelled(source, root))
    return _Count(len(split_answers(answers, recipe.holdout, recipe.seed).train))


def _bound(source: Source, absent: str) -> _Count:
    """Return the size of the subset that a conversion takes, an upper bound of its rows."""
    return _Count(source.convert.take if source.convert else None, absent)
