"""The checkpoints of a study's arms: made where they are missing, one after another or in several processes."""

import os
from collections.abc import Sequence
from multiprocessing import current_process
from pathlib import Path
from typing import NamedTuple

from harness.core.errors import HarnessError, InfrastructureError
from harness.core.processes import parallel_map
from harness.core.progress import QuietProgress
from harness.runs.prepare import Prepared, join_seeds, prepare_trained
from harness.study.costs import seconds_spent
from harness.study.grid import Arm, Grid, Look
from harness.training.checkpoints import make_checkpoint
from harness.training.context import RunContext, TrainedModel, make_context
from harness.types.samples import seed_suffix
from judges.factory import load_judges
from trainers.recipe import AdapterRecipe, TrainingRecipe
from trainers.recipe_graph import RecipeStage, TrainingSeed


class Trained(NamedTuple):
    """The checkpoints made so far, by arm and seed, and of arms that could not be trained the reason."""

    models: dict[tuple[str, int], TrainedModel]
    problems: dict[str, str]

    def of_arm(self, name: str) -> list[TrainedModel]:
        return [trained for (arm, _), trained in self.models.items() if arm == name]


def train_arms(
    grid: Grid,
    names: Sequence[str],
    look: Look,
    trained: Trained,
    context: RunContext,
    *,
    jobs: int = 1,
) -> None:
    """Train what a look needs and is missing, and add it to `trained`; every seed of an arm before the next arm.

    An arm that cannot be trained is kept with its error's own words, and the others go on.

    Raises:
        InfrastructureError: a disk or process failed, or the hours of the budget are spent.
    """
    arms = [grid.arms[name] for name in names if name in grid.arms]
    wanted = [
        (arm, seed) for arm in arms for seed in look.seeds if (arm.name, seed) not in trained.models
    ]
    judges = load_judges(grid.profile, grid.profile_root, context.session)
    if jobs > 1 and grid.study.budget.training_hours is None:  # hours are counted between trainings
        _train_in_processes(grid, wanted, context, jobs)
    for number, (arm, seed) in enumerate(wanted, start=1):
        if arm.name in trained.problems:
            continue
        _check_hours(grid, trained, len(wanted) - number + 1)
        name = arm.name + seed_suffix(seed)
        context.progress.log(f"training {number} of {len(wanted)}: {name}")
        try:
            with context.open():
                made = make_checkpoint(
                    arm.recipe, arm.root, context, judges, seed=TrainingSeed(seed)
                )
        except InfrastructureError:
            raise
        except HarnessError as error:
            trained.problems[arm.name] = f"seed {seed} could not be trained: {error}"
            context.progress.log(f"{name}: {trained.problems[arm.name]}")
            continue
        trained.models[arm.name, seed] = made


def prepare_arms(
    grid: Grid, names: Sequence[str], look: Look, trained: Trained, context: RunContext
) -> dict[str, Prepared]:
    """Return the trained arms as models that are ready to answer."""
    profile, several = grid.request(grid.names, look).profile, len(look.seeds) > 1
    prepared = {}
    for name in names:
        if name not in grid.arms:
            continue
        spec = profile.models[name]
        by_seed = {
            seed: prepare_trained(
                name + seed_suffix(seed) if several else name,
                spec.model_copy(update={"seeds": ()}),
                trained.models[name, seed],
                context,
            )
            for seed in look.seeds
        }
        prepared[name] = join_seeds(name, by_seed) if several else by_seed[look.seeds[0]]
    return prepared


def _check_hours(grid: Grid, trained: Trained, left: int) -> None:
    hours = grid.study.budget.training_hours
    if hours is None:
        return
    spent = seconds_spent(trained.models.values()) / 3600
    if spent >= hours:
        raise InfrastructureError(
            f"the {hours:g} training hours of the budget are spent ({spent:.2f}) with {left} trainings left at "
            "most. What is trained is kept: raise 'training_hours', and the same command goes on."
        )


# --- several processes -----------------------------------------------------------------------


class _Job(NamedTuple):
    """A training of another process: a recipe with its folder, and where checkpoints are kept."""

    recipe: TrainingRecipe
    root: Path
    workspace: Path
    profile: str
    n_devices: int


def _train_in_processes(
    grid: Grid,
    wanted: Sequence[tuple[Arm, int]],
    context: RunContext,
    jobs: int,
) -> None:
    """Train what needs nothing else made first in several processes, each on a device of its own where there are some.

    What fails here fails again, with its words, where its turn comes.
    """
    stages = {stage.key: stage for arm, seed in wanted for stage in arm.stages(seed)}
    ready = [
        training_job(grid, stage, context.store.workspace)
        for stage in stages.values()
        if isinstance(stage.recipe, AdapterRecipe) and not stage.needed
    ]
    with parallel_map(_train_job, min(jobs, max(len(ready), 1)), at_once=1) as each:
        for number, name in enumerate(each(ready), start=1):
            context.progress.advance(f"trainings ({name})", number, len(ready))


def training_job(grid: Grid, stage: RecipeStage, workspace: Path) -> _Job:
    """Return the job of one training."""
    assert isinstance(stage.recipe, AdapterRecipe)
    return _Job(stage.recipe, stage.root, workspace, grid.study.profile, count_devices())


def count_devices() -> int:
    """Return the number of accelerators on which trainings can run beside each other; 0 without any."""
    import torch

    return torch.cuda.device_count()


def _train_job(job: _Job) -> str:
    """Train one checkpoint in this process; an error is left to the process that asked."""
    from harness.config import load_profile

    if job.n_devices:
        place = (current_process()._identity or (1,))[0]
        os.environ["CUDA_VISIBLE_DEVICES"] = str((place - 1) % job.n_devices)
    profile, root = load_profile(job.profile)
    context = make_context(job.workspace, QuietProgress())
    try:
        make_checkpoint(job.recipe, job.root, context, load_judges(profile, root, context.session))
    except HarnessError:
        return f"{job.recipe.recipe} failed"
    return job.recipe.recipe
