"""A recipe tried out before it costs anything: two steps of it and of its parents, made small.

Settings, targets and the way through the harness are those of the real run; sizes are not. What is
written lies in a temporary folder and is gone afterwards.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.core.progress import Progress
from harness.training.commands import train_recipe
from harness.training.context import RunOptions
from harness.types import Record
from trainers.checkpoint import CheckpointManifest, load_manifest
from trainers.distributed.config import Launch
from trainers.dry_run import SmallRecipe, SmallStage, shrink_recipe
from trainers.memory import Shape, count_parameters, find_obstacle, lora_parameters
from trainers.recipe import Lora, PreferenceRecipe, SftRecipe


class DryRunStage(Record):
    """Two steps of one recipe; parameters are those trained, and all, small and at full size."""

    recipe: str
    method: str
    losses: tuple[float, ...]
    trained: int
    parameters: int
    trained_full_size: int
    parameters_full_size: int


class DryRun(Record):
    """What ran, parents first; `replaced` is what this machine could not do, `data` what was learnt.

    `obstacle` is what is known to stop the real run.
    """

    stages: tuple[DryRunStage, ...]
    replaced: tuple[str, ...]
    data: tuple[str, ...]
    size: str
    obstacle: str | None = None


def dry_run(
    recipe: str, profile: str, *, progress: Progress, launch: Launch | None = None
) -> DryRun:
    """Train the recipe and its parents for two steps each at a small size; keep nothing.

    Raises:
        HarnessError: a mistake in a recipe, sizes that are not known, or whatever would end the
            real run in its first two steps.
    """
    from harness.models.weights import quiet_torch

    quiet_torch()
    import torch

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = shrink_recipe(recipe, folder, cuda=torch.cuda.is_available())
        last = folder / small.stages[-1].file
        train_recipe(str(last), profile, RunOptions(folder / "store", progress, launch))
        made = {m.recipe: m for m in _manifests(folder / "store" / "checkpoints")}
    return DryRun(
        stages=tuple(_stages(small, made)),
        replaced=tuple(small.replaced),
        data=tuple(small.data),
        obstacle=find_obstacle(small.start, small.stages[0].recipe),
        size=f"{_sizes(small.small)}, random, in place of {_sizes(small.original)}",
    )


def describe_rehearsal(rehearsal: DryRun) -> Iterator[str]:
    """What ran, in lines."""
    yield f"model: {rehearsal.size}"
    for line in rehearsal.data:
        yield f"data: {line}"
    for line in rehearsal.replaced:
        yield f"replaced: {line}"
    if not rehearsal.replaced:
        yield "replaced: nothing but the sizes"
    for stage in rehearsal.stages:
        losses = ", ".join(f"{loss:.4f}" for loss in stage.losses)
        share = stage.trained_full_size / stage.parameters_full_size
        yield f"{stage.recipe}: {stage.method}, two steps, loss {losses}"
        yield f"  trained {stage.trained:,} of {stage.parameters:,} parameters here"
        yield (
            f"  at full size {stage.trained_full_size:,} of {stage.parameters_full_size:,} "
            f"({share:.2%})"
        )
    if rehearsal.obstacle is not None:
        yield f"The real run cannot start from this base: {rehearsal.obstacle}."
    yield "Nothing was kept."


def _manifests(checkpoints: Path) -> Iterator[CheckpointManifest]:
    for directory in checkpoints.iterdir():
        yield load_manifest(directory)


def _stages(small: SmallRecipe, made: dict[str, CheckpointManifest]) -> Iterator[DryRunStage]:
    lora: Lora | None = None
    for stage in small.stages:
        lora = _own_adapter(stage) or lora
        assert lora is not None  # the first recipe of a chain has an adapter, or has been refused
        manifest = made[stage.recipe.recipe]
        trained, _, parameters = manifest.facts["trainable parameters"].partition(" of ")
        full = lora_parameters(small.original, lora)
        yield DryRunStage(
            recipe=stage.recipe.recipe,
            method=stage.recipe.method,
            losses=next(curve.values for curve in manifest.curves if curve.name == "loss"),
            trained=int(trained.replace(",", "")),
            parameters=int(parameters.replace(",", "")),
            trained_full_size=full,
            parameters_full_size=count_parameters(small.original) + full,
        )


def _own_adapter(stage: SmallStage) -> Lora | None:
    recipe = stage.recipe
    return recipe.lora if isinstance(recipe, SftRecipe | PreferenceRecipe) else None


def _sizes(shape: Shape) -> str:
    return (
        f"a {shape.family} of {count_parameters(shape):,} weights ({shape.n_layers} layers, "
        f"{shape.n_heads} heads over {shape.n_kv_heads})"
    )
