"""Training on preference pairs, with the method that the recipe names."""

from collections.abc import Sequence
from pathlib import Path

from harness.types.training import LabelledAnswer, PreferencePair
from trainers.checkpoint import CheckpointManifest
from trainers.distributed.config import Launch
from trainers.dpo import Dpo
from trainers.examples import data_hash
from trainers.kto import Kto, KtoOnLabels
from trainers.labelled import split_answers
from trainers.method import Method, ProgressCallback, RunSettings
from trainers.orpo_simpo import Orpo, Simpo
from trainers.pair_dataset import SplitPairs, split_pairs
from trainers.recipe import (
    DpoRecipe,
    KtoRecipe,
    OrpoRecipe,
    PairTrainedRecipe,
    RewardRecipe,
    SimpoRecipe,
)
from trainers.reward import RewardModel
from trainers.starting_model import StartingPoint, find_starting_point
from trainers.training import train_adapter


def train_on_pairs(
    recipe: PairTrainedRecipe,
    parent: str | Path,
    out: Path,
    *,
    pairs: Sequence[PreferencePair],
    progress: ProgressCallback,
    launch: Launch | None = None,
    settings: RunSettings = RunSettings(),  # noqa: B008 - an immutable tuple
) -> CheckpointManifest:
    """Train `parent` on the pairs, and write a merged checkpoint in `out`.

    With `launch` the training runs in several processes.

    Raises:
        HarnessError: options that TRL refuses, too few pairs, a run that did not start where its
            method begins, or one that learnt nothing.
    """
    start = find_starting_point(recipe, parent)
    split = split_pairs(pairs, recipe.holdout, recipe.seed)
    return train_adapter(
        recipe,
        _make_method(recipe, start, split, settings.reference_dir),
        out,
        start=start,
        data_hash=data_hash(pairs),
        progress=progress,
        head=recipe.head,
        launch=launch,
        settings=settings,
    )


def train_on_labelled(
    recipe: KtoRecipe,
    parent: str | Path,
    out: Path,
    *,
    answers: Sequence[LabelledAnswer],
    progress: ProgressCallback,
    launch: Launch | None = None,
    settings: RunSettings = RunSettings(),  # noqa: B008 - an immutable tuple
) -> CheckpointManifest:
    """Train `parent` on labelled answers, and write a merged checkpoint in `out`.

    Raises:
        HarnessError: as `train_on_pairs`, or one of the two labels is missing.
    """
    start = find_starting_point(recipe, parent)
    split = split_answers(answers, recipe.holdout, recipe.seed)
    return train_adapter(
        recipe,
        KtoOnLabels(recipe, start, SplitPairs([], []), answers=split),
        out,
        start=start,
        data_hash=data_hash(answers),
        progress=progress,
        launch=launch,
        settings=settings,
    )


def _make_method(
    recipe: PairTrainedRecipe, start: StartingPoint, pairs: SplitPairs, reference_dir: Path | None
) -> Method:
    match recipe:
        case DpoRecipe():
            return Dpo(recipe, start, pairs, reference_dir)
        case KtoRecipe():
            return Kto(recipe, start, pairs)
        case OrpoRecipe():
            return Orpo(recipe, start, pairs)
        case SimpoRecipe():
            return Simpo(recipe, start, pairs)
        case RewardRecipe():
            return RewardModel(recipe, start, pairs)
