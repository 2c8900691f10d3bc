"""What would be trained for a run, stage by stage, told without a GPU or a key.

Data that a recipe has converted are fetched and converted if they can be; no model is. A stage whose
rows or whose model's sizes are not at hand says so and is counted as far as it goes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.config import EndpointSpec, Source
from harness.config.request import Request
from harness.data.conversions import resolve_conversion, unavailable_reason
from harness.data.preference_pairs import load_given_pairs
from harness.types import PreferenceRequest, Record
from judges.judging import preference_requests
from trainers.examples import load_examples, load_samples
from trainers.memory import (
    Memory,
    Shape,
    count_parameters,
    estimate_memory,
    find_obstacle,
    find_shape,
    learnt_pairs,
    lora_parameters,
    optimiser_steps,
)
from trainers.recipe import (
    METHODS,
    AdapterRecipe,
    BestOfRecipe,
    GivenPairsRecipe,
    GoldPairsRecipe,
    JudgedPairsRecipe,
    Lora,
    OnlineRecipe,
    PreferenceRecipe,
    PretrainRecipe,
    Recipe,
    SampledRecipe,
    SftRecipe,
    TrainingSource,
    load_recipe,
)
from trainers.sft import split_rows


class TrainingForecast(Record):
    """One training run, if it is not in the store. What cannot be told is None; `notes` say why.

    `rows` are those learnt from, pairs where the method takes pairs; at most so many where answers
    must be sampled first. `memory` is an estimate in bytes, see trainers/estimate.py.
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
    notes: tuple[str, ...] = ()


class SamplingForecast(Record):
    """Answers that a recipe has sampled before something can learn from them, at most.

    `verdicts` are a judge's, who is asked about pairs in both orders.
    """

    recipe: str
    method: str
    prompts: int | None
    answers: int | None
    verdicts: int | None
    judge: str | None
    notes: tuple[str, ...] = ()


class PairsToJudge(NamedTuple):
    """What an endpoint would be asked for one pairs recipe, with answers of the full length."""

    recipe: str
    judge: str
    endpoint: EndpointSpec
    requests: list[PreferenceRequest]


class TrainingPlan(NamedTuple):
    """Every stage that the models of a request need, in the order in which they would run."""

    stages: list[TrainingForecast]
    sampling: list[SamplingForecast]
    to_judge: list[PairsToJudge]


def forecast_training(request: Request) -> TrainingPlan:
    """The stages behind the request's models, each once.

    Raises:
        HarnessError: a mistake in a recipe, or in data that are at hand.
    """
    walk = RecipeWalk(request)
    for name in request.models:
        recipe = request.profile.models[name].recipe
        if recipe is not None:
            walk.visit(recipe, None)
    return walk.plan


def describe_training(
    stages: Sequence[TrainingForecast], sampling: Sequence[SamplingForecast]
) -> Iterator[str]:
    """The stages in lines."""
    if stages:
        yield "Trained first, unless the store has it:"
    for stage in stages:
        yield f"  {stage.recipe}: {stage.method} from {stage.start}"
        if stage.rows is not None and stage.steps is not None:
            most = "at most " if stage.at_most else ""
            unit = _unit_of(stage.method)
            yield f"    {most}{stage.rows:,} {unit}, {stage.steps:,} optimiser steps on one GPU"
        if stage.trained is not None and stage.parameters is not None:
            share = stage.trained / (stage.parameters + stage.trained)
            yield f"    {stage.trained:,} parameters trained beside {stage.parameters:,} ({share:.2%})"
        if stage.memory is not None:
            yield f"    memory, estimated: {_in_gib(stage.memory.training)} to train ({_parts(stage.memory)})"
            yield f"    memory, estimated: {_in_gib(stage.memory.merging)} to merge and check the result"
        yield from (f"    {note}" for note in stage.notes)
    for made in sampling:
        judge = f", {made.verdicts:,} verdicts by {made.judge}" if made.verdicts else ""
        if made.answers is not None:
            yield (
                f"  {made.recipe}: {made.method}, at most {made.answers:,} answers to "
                f"{made.prompts:,} prompts{judge}"
            )
        yield from (f"  {made.recipe}: {made.method}, {note}" for note in made.notes)


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
    """Rows, or how many there are at most; `absent` says why they cannot be read now."""

    n: int | None = None
    absent: str | None = None

    @property
    def unknown(self) -> str:
        return (
            ", so neither they nor what hangs on them can be counted" if self.n is None else " yet"
        )


class _Result(NamedTuple):
    """What a recipe gives to what comes after it.

    A checkpoint has sizes, if they are known, and perhaps an adapter; pairs and rows have a number.
    """

    name: str
    shape: Shape | None = None
    lora: Lora | None = None
    rows: _Count = _Count()
    per_prompt: int = 1


class RecipeWalk:
    """Follows recipes to what they need, and remembers where it has been."""

    def __init__(self, request: Request) -> None:
        self.plan = TrainingPlan([], [], [])
        self._request = request
        self._seen: dict[Path, _Result] = {}

    def visit(self, name: str, beside: Path | None) -> _Result:
        recipe, root = load_recipe(name, search_dir=beside)
        place = (root / Path(name).name).resolve()
        if place not in self._seen:
            self._seen[place] = self._forecast(recipe, root)
        return self._seen[place]

    def _forecast(self, recipe: Recipe, root: Path) -> _Result:
        match recipe:
            case PretrainRecipe():
                return _Result(recipe.recipe)
            case GivenPairsRecipe():
                return _Result(recipe.recipe, rows=_count_pairs(recipe, root))
            case JudgedPairsRecipe() | GoldPairsRecipe() | BestOfRecipe():
                return self._sample(recipe, root)
            case _:
                return self._train(recipe, root)

    # --- training ----------------------------------------------------------------------------

    def _train(self, recipe: AdapterRecipe, root: Path) -> _Result:
        start = self._start(recipe, root)
        rows = self._rows(recipe, root)
        lora = _own_adapter(recipe) or start.lora
        known = start.shape is not None and lora is not None
        memory = estimate_memory(recipe, start.shape, lora) if start.shape and lora else None
        notes = []
        obstacle = find_obstacle(start.name, recipe)
        if obstacle is not None:
            notes.append(f"cannot be trained as it is: {obstacle}")
        if rows.absent is not None:
            notes.append(f"its rows are not here{rows.unknown}: {rows.absent}")
        if not known:
            notes.append(f"the sizes of {start.name} are not known here")
        elif memory is None:
            notes.append(f"memory is not estimated for {recipe.method}")
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
                trained=lora_parameters(start.shape, lora) if start.shape and lora else None,
                parameters=count_parameters(start.shape) if start.shape else None,
                memory=memory,
                notes=tuple(notes),
            )
        )
        return _Result(recipe.recipe, start.shape, lora)

    def _start(self, recipe: AdapterRecipe, root: Path) -> _Result:
        parent = recipe.parent
        if parent.recipe is not None:
            return self.visit(parent.recipe, root)
        assert parent.checkpoint is not None
        return _Result(parent.checkpoint, find_shape(parent, root))

    def _rows(self, recipe: AdapterRecipe, root: Path) -> "_Count":
        """Rows or pairs to learn from."""
        counts: list[_Count] = []
        if isinstance(recipe, SftRecipe):
            counts += [_count_examples(source, root) for source in recipe.data]
            if recipe.holdout and not any(count.absent for count in counts):
                rows = load_examples(recipe.data, root)
                counts = [_Count(len(split_rows(rows, recipe.holdout, recipe.seed).learn))]
            if recipe.best_of is not None:
                counts.append(self.visit(recipe.best_of, root).rows)
        elif isinstance(recipe, PreferenceRecipe):
            made = self.visit(recipe.pairs, root)
            counts.append(made.rows._replace(n=_learnt(recipe, made.rows.n, made.per_prompt)))
        elif isinstance(recipe, OnlineRecipe):
            counts.append(_count(recipe.data, root))
            if recipe.reward.recipe is not None:
                self.visit(recipe.reward.recipe, root)
        known = [count.n for count in counts if count.n is not None]
        absent = "; ".join(dict.fromkeys(count.absent for count in counts if count.absent))
        return _Count(sum(known) if len(known) == len(counts) else None, absent or None)

    # --- sampling ----------------------------------------------------------------------------

    def _sample(self, recipe: SampledRecipe, root: Path) -> _Result:
        if recipe.parent.recipe is not None:
            self.visit(recipe.parent.recipe, root)
        counted = _count(recipe.data, root)
        prompts = counted.n
        answers, verdicts, judge, rows_per_prompt = recipe.per_prompt
        if judge is not None:
            verdicts *= len(self._request.profile.members_of(judge))
        self.plan.sampling.append(
            SamplingForecast(
                recipe=recipe.recipe,
                method=recipe.method,
                prompts=prompts,
                answers=None if prompts is None else answers * prompts,
                verdicts=None if prompts is None else verdicts * prompts,
                judge=judge,
                notes=()
                if counted.absent is None
                else (f"its prompts are not here{counted.unknown}: {counted.absent}",),
            )
        )
        if isinstance(recipe, JudgedPairsRecipe) and counted.absent is None:
            self._judge(recipe, root)
        rows = _Count(None if prompts is None else rows_per_prompt * prompts, counted.absent)
        return _Result(recipe.recipe, rows=rows, per_prompt=rows_per_prompt)

    def _judge(self, recipe: JudgedPairsRecipe, root: Path) -> None:
        """Keep what endpoints would be asked, as it is with answers of the full length."""
        answer = "word" * recipe.generation.max_new_tokens
        sides = ("first", answer), ("second", answer)
        requests = [
            request
            for sample in load_samples(recipe.data, root)
            for request in preference_requests(sample, "pairs", recipe.prefer, *sides)
        ]
        requests *= recipe.draws * recipe.prefer.repeats
        profile = self._request.profile
        for judge in profile.members_of(recipe.prefer.judge):
            endpoint = profile.find_judge(judge).endpoint
            if endpoint is not None:
                self.plan.to_judge.append(PairsToJudge(recipe.recipe, judge, endpoint, requests))


def _own_adapter(recipe: AdapterRecipe) -> Lora | None:
    if isinstance(recipe, SftRecipe | PreferenceRecipe | OnlineRecipe):
        return recipe.lora
    return None


def _learnt(recipe: PreferenceRecipe, pairs: int | None, per_prompt: int) -> int | None:
    if pairs is None:
        return None
    return recipe.examples_per_pair * learnt_pairs(pairs, recipe.holdout, per_prompt=per_prompt)


def _count(source: Source, root: Path) -> _Count:
    absent = unavailable_reason(source, root)
    return _Count(len(load_samples(source, root))) if absent is None else _bound(source, absent)


def _count_examples(source: TrainingSource, root: Path) -> _Count:
    absent = unavailable_reason(source, root)
    return _Count(len(load_examples([source], root))) if absent is None else _bound(source, absent)


def _count_pairs(recipe: GivenPairsRecipe, root: Path) -> _Count:
    absent = unavailable_reason(recipe.data, root)
    if absent is not None:
        return _bound(recipe.data, absent)
    plain = resolve_conversion(recipe.data, root)
    return _Count(len(load_given_pairs(plain, root, recipe.filters).pairs))


def _bound(source: Source, absent: str) -> _Count:
    """A conversion that takes a subset says how large it is at most."""
    return _Count(source.convert.take if source.convert else None, absent)
