"""A dry run of a recipe: two steps of it and of its parents, with a small model.

Settings, target modules and code path are those of the real run; sizes are not. Everything is
written into a temporary folder, which is removed afterwards.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.core.progress import Progress
from harness.training.commands import train_recipe
from harness.training.context import make_context
from harness.types import Record
from trainers.adapter_kinds import Adapter, FullFineTuning, continued
from trainers.checkpoint import CheckpointManifest, load_manifest
from trainers.distributed.config import Launch
from trainers.dry_run import SmallRecipe, shrink_recipe
from trainers.memory import find_obstacle
from trainers.shape import Shape, count_parameters


class DryRunStage(Record):
    """Two steps of one recipe: losses, and trained and all parameters, small and at full size."""

    recipe: str
    method: str
    losses: tuple[float, ...]
    trained: int
    parameters: int
    trained_full_size: int
    parameters_full_size: int


class DryRun(Record):
    """The stages of a dry run, parents first.

    `replaced` lists the settings that this machine does not support, `data` the rows that were
    learnt from, and `obstacle` is a known reason why the real run cannot start.
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
        HarnessError: a mistake in a recipe, sizes that are not known, or an error that would end
            the real run in its first two steps.
    """
    from harness.models.weights import quiet_torch

    quiet_torch()
    import torch

    # Write the small recipes, and train the last one with its parents.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = shrink_recipe(recipe, folder, cuda=torch.cuda.is_available())
        last = folder / small.stages[-1].file
        context = make_context(folder / "store", progress, launch=launch)
        train_recipe(str(last), profile, context)
        manifests = {m.recipe: m for m in _manifests(context.checkpoints)}
    return DryRun(
        stages=tuple(_stages(small, manifests)),
        replaced=tuple(small.replaced),
        data=tuple(small.data),
        obstacle=find_obstacle(small.start, small.stages[0].recipe),
        size=f"{_sizes(small.small)}, random, in place of {_sizes(small.original)}",
    )


def describe_dry_run(result: DryRun) -> Iterator[str]:
    """Yield lines on the stages, and on what the dry run replaced."""
    yield f"model: {result.size}"
    for line in result.data:
        yield f"data: {line}"
    for line in result.replaced:
        yield f"replaced: {line}"
    if not result.replaced:
        yield "replaced: nothing but the sizes"
    for stage in result.stages:
        losses = ", ".join(f"{loss:.4f}" for loss in stage.losses)
        share = stage.trained_full_size / stage.parameters_full_size
        yield f"{stage.recipe}: {stage.method}, two steps, loss {losses}"
        yield f"  trained {stage.trained:,} of {stage.parameters:,} parameters here"
        yield (
            f"  at full size {stage.trained_full_size:,} of {stage.parameters_full_size:,} "
            f"({share:.2%})"
        )
    if result.obstacle is not None:
        yield f"The real run cannot start from this base: {result.obstacle}."
    yield "Nothing was kept."


def _manifests(checkpoints: Path) -> Iterator[CheckpointManifest]:
    for directory in checkpoints.iterdir():
        yield load_manifest(directory)


def _stages(small: SmallRecipe, manifests: dict[str, CheckpointManifest]) -> Iterator[DryRunStage]:
    found: Adapter | None = None
    for stage in small.stages:
        adapter = stage.recipe.new_adapter or found
        assert adapter is not None  # a first recipe without an adapter has been refused
        found = continued(adapter)
        manifest = manifests[stage.recipe.recipe]
        trained, _, parameters = manifest.facts["trainable parameters"].partition(" of ")
        trained_full_size = adapter.count_trained(small.original)
        added = 0 if isinstance(adapter, FullFineTuning) else trained_full_size
        yield DryRunStage(
            recipe=stage.recipe.recipe,
            method=stage.recipe.method,
            losses=next(curve.values for curve in manifest.curves if curve.name == "loss"),
            trained=int(trained.replace(",", "")),
            parameters=int(parameters.replace(",", "")),
            trained_full_size=trained_full_size,
            parameters_full_size=count_parameters(small.original) + added,
        )


def _sizes(shape: Shape) -> str:
    return (
        f"a {shape.family} of {count_parameters(shape):,} weights ({shape.n_layers} layers, "
        f"{shape.n_heads} heads over {shape.n_kv_heads})"
    )
