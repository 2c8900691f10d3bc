"""One recipe by itself: `harness train` and `harness pairs`."""

from pathlib import Path
from typing import NamedTuple

from harness.config import load_profile
from harness.core.errors import HarnessError
from harness.training.checkpoints import (
    load_best_of_recipe,
    load_pairs_recipe,
    make_best_of,
    make_checkpoint,
    make_pairs,
)
from harness.training.context import RunOptions, make_context
from harness.training.sampling import MadeBestOf
from reports.sections.preference_pairs import describe_pairs
from trainers.checkpoint import card, load_manifest
from trainers.distributed.config import check_launch
from trainers.recipe import BestOfRecipe, PairsRecipe, PretrainRecipe, load_recipe


class Summary(NamedTuple):
    """What one command made, and where it lies."""

    directory: str
    summary: dict[str, str]


def train_recipe(
    recipe: str, profile: str, resources: RunOptions, *, out: Path | None = None
) -> Summary:
    """The checkpoint of one recipe, in `out` or else in the workspace.

    The profile's judges choose its pairs. With `resources.launch` it and its parents are trained in
    several processes; all else is done in this one.

    Raises:
        HarnessError: a mistake in the recipe, one that makes pairs, or one that cannot be launched.
        RepliesAwaitedError: verdicts are to come by batch first.
    """
    loaded, root = load_recipe(recipe)
    if isinstance(loaded, PairsRecipe | BestOfRecipe):
        raise HarnessError(f"{recipe}: makes {loaded.makes}; use `harness pairs {recipe}`.")
    if resources.launch is not None:
        if isinstance(loaded, PretrainRecipe):
            raise HarnessError(
                f"{recipe}: is pre-trained by one process. Train it without --launch."
            )
        check_launch(loaded, resources.launch)
    with make_context(*load_profile(profile), resources).open() as workshop:
        made = make_checkpoint(loaded, root, workshop, out=out)
    manifest = load_manifest(Path(made.directory))
    described = card(manifest, loaded.recipe)
    return Summary(made.directory, {"fingerprint": made.fingerprint} | described.facts)


def build_pairs(recipe: str, profile: str, resources: RunOptions) -> Summary:
    """The pairs or the best answers of one recipe, with what was kept and dropped.

    Raises:
        HarnessError: a mistake in the recipe, or one that trains.
        RepliesAwaitedError: verdicts are to come by batch first.
    """
    found, _ = load_recipe(recipe)
    with make_context(*load_profile(profile), resources).open() as workshop:
        if isinstance(found, BestOfRecipe):
            return _describe(make_best_of(*load_best_of_recipe(recipe, Path()), workshop))
        loaded, root = load_pairs_recipe(recipe, Path())
        made = make_pairs(loaded, root, workshop)
    facts = describe_pairs(made.pairs.statistics)
    teachers = ", ".join(teacher.name for teacher in made.teachers)
    facts |= {"chosen by": teachers or loaded.unjudged}
    return Summary(made.place, facts)


def _describe(made: MadeBestOf) -> Summary:
    told = made.best.statistics
    facts = {"prompts": str(told.prompts), "kept": str(told.kept)}
    facts |= {f"dropped, {reason}": str(n) for reason, n in sorted(told.dropped.items())}
    facts |= {
        "answers": str(told.answers),
        "flagged answers": str(told.flagged),
        "unscored answers": str(told.unscored),
        "chosen by": ", ".join(teacher.name for teacher in made.teachers),
    }
    if told.mean_grade is not None and told.mean_grade_of_best is not None:
        facts["mean grade"] = f"{told.mean_grade:.4g}"
        facts["mean grade of the best"] = f"{told.mean_grade_of_best:.4g}"
    return Summary(str(made.path), facts)
