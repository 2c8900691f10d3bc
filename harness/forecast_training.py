"""What would be trained for a run, stage by stage, told without a GPU, the hub or a key.

A stage whose rows or whose model's sizes are not at hand says so and is counted as far as it goes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.judging import preference_requests
from harness.plan import Request
from harness.suite import EndpointSpec, Source
from harness.types import PreferenceRequest, Record
from trainers.at_hand import at_hand
from trainers.estimate import (
    HUB_OBSTACLES,
    Memory,
    Shape,
    count_parameters,
    estimate_memory,
    find_shape,
    learnt_pairs,
    lora_parameters,
    optimiser_steps,
)
from trainers.examples import load_examples, load_samples
from trainers.pairs import load_given_pairs
from trainers.recipe import (
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
    load_recipe,
)

UNITS = {"sft": "rows", "kto": "answers", "grpo": "prompts", "rloo": "prompts"}


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
    walk = _Walk(request)
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
            what = UNITS.get(stage.method, "pairs")
            yield f"    {most}{stage.rows:,} {what}, {stage.steps:,} optimiser steps on one GPU"
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


def _parts(memory: Memory) -> str:
    parts = ("weights", "adapter", "gradients", "optimiser", "activations")
    return ", ".join(f"{part} {getattr(memory, part) / 2**30:.2f}" for part in parts)


def _in_gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


class _Result(NamedTuple):
    """What a recipe gives to what comes after it.

    A checkpoint has sizes, if they are known, and perhaps an adapter; pairs and rows have a number.
    """

    name: str
    shape: Shape | None = None
    lora: Lora | None = None
    rows: int | None = None
    per_prompt: int = 1


class _Walk:
    """Follows recipes to what they need, and remembers where it has been."""

    def __init__(self, request: Request) -> None:
        self.plan = TrainingPlan([], [], [])
        self._request = request
        self._seen: dict[Path, _Result] = {}

    def visit(self, name: str, beside: Path | None) -> _Result:
        recipe, root = load_recipe(name, beside=beside)
        place = (root / Path(name).name).resolve()
        if place not in self._seen:
            self._seen[place] = self._forecast(recipe, root)
        return self._seen[place]

    def _forecast(self, recipe: Recipe, root: Path) -> _Result:
        match recipe:
            case PretrainRecipe():
                return _Result(recipe.recipe)
            case GivenPairsRecipe():
                here = at_hand(recipe.data, root)
                n = len(load_given_pairs(recipe.data, root).pairs) if here else None
                return _Result(recipe.recipe, rows=n)
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
        if start.name in HUB_OBSTACLES:
            notes.append(f"cannot be trained as it is: {HUB_OBSTACLES[start.name]}")
        if rows is None:
            notes.append("its rows are not here, so neither they nor its steps can be counted")
        if not known:
            notes.append(f"the sizes of {start.name} are not known here")
        elif memory is None:
            notes.append(f"memory is not estimated for {recipe.method}")
        self.plan.stages.append(
            TrainingForecast(
                recipe=recipe.recipe,
                method=recipe.method,
                start=start.name,
                rows=rows,
                at_most=not isinstance(recipe, SftRecipe) or recipe.best_of is not None,
                steps=None if rows is None else optimiser_steps(rows, recipe.trainer),
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

    def _rows(self, recipe: AdapterRecipe, root: Path) -> int | None:
        """Rows or pairs to learn from; None where some of them are not here."""
        counts: list[int | None] = []
        if isinstance(recipe, SftRecipe):
            here = all(at_hand(source, root) for source in recipe.data)
            counts.append(len(load_examples(recipe.data, root)) if here else None)
            if recipe.best_of is not None:
                counts.append(self.visit(recipe.best_of, root).rows)
        elif isinstance(recipe, PreferenceRecipe):
            made = self.visit(recipe.pairs, root)
            counts.append(_learnt(recipe, made.rows, made.per_prompt))
        elif isinstance(recipe, OnlineRecipe):
            counts.append(_count(recipe.data, root))
            if recipe.reward.recipe is not None:
                self.visit(recipe.reward.recipe, root)
        known = [n for n in counts if n is not None]
        return sum(known) if len(known) == len(counts) else None

    # --- sampling ----------------------------------------------------------------------------

    def _sample(self, recipe: SampledRecipe, root: Path) -> _Result:
        if recipe.parent.recipe is not None:
            self.visit(recipe.parent.recipe, root)
        prompts = _count(recipe.data, root)
        answers, verdicts, judge = _per_prompt(recipe)
        self.plan.sampling.append(
            SamplingForecast(
                recipe=recipe.recipe,
                method=recipe.method,
                prompts=prompts,
                answers=None if prompts is None else answers * prompts,
                verdicts=None if prompts is None else verdicts * prompts,
                judge=judge,
                notes=() if prompts is not None else ("its prompts are not here",),
            )
        )
        if isinstance(recipe, JudgedPairsRecipe) and prompts is not None:
            self._judge(recipe, root)
        pairs = recipe.draws if isinstance(recipe, JudgedPairsRecipe) else 1
        rows = None if prompts is None else pairs * prompts
        return _Result(recipe.recipe, rows=rows, per_prompt=pairs)

    def _judge(self, recipe: JudgedPairsRecipe, root: Path) -> None:
        """Keep what an endpoint would be asked, as it is with answers of the full length."""
        endpoint = self._request.profile.find_judge(recipe.prefer.judge).endpoint
        if endpoint is None:
            return
        answer = "word" * recipe.generation.max_new_tokens
        sides = ("first", answer), ("second", answer)
        requests = [
            request
            for sample in load_samples(recipe.data, root)
            for request in preference_requests(sample, "pairs", recipe.prefer, *sides)
        ]
        self.plan.to_judge.append(
            PairsToJudge(recipe.recipe, recipe.prefer.judge, endpoint, requests * recipe.draws)
        )


def _own_adapter(recipe: AdapterRecipe) -> Lora | None:
    if isinstance(recipe, SftRecipe | PreferenceRecipe | OnlineRecipe):
        return recipe.lora
    return None


def _learnt(recipe: PreferenceRecipe, pairs: int | None, per_prompt: int) -> int | None:
    if pairs is None:
        return None
    learnt = learnt_pairs(pairs, recipe.holdout, per_prompt=per_prompt)
    return 2 * learnt if recipe.method == "kto" else learnt  # there each answer is a row


def _count(source: Source, root: Path) -> int | None:
    return len(load_samples(source, root)) if at_hand(source, root) else None


def _per_prompt(recipe: SampledRecipe) -> tuple[int, int, str | None]:
    """Answers and verdicts for each prompt, and who gives the verdicts."""
    match recipe:
        case JudgedPairsRecipe():
            return 2 * recipe.draws, 2 * recipe.draws, recipe.prefer.judge
        case BestOfRecipe():
            return recipe.n, recipe.n, recipe.grade.judge
        case GoldPairsRecipe():
            return 1, 0, None
