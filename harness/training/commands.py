"""The work of `harness train` and `harness pairs`: one recipe and the stages that it needs."""

from pathlib import Path
from typing import NamedTuple

from harness.config import load_profile
from harness.core.errors import HarnessError
from harness.training.checkpoints import make_best_of, make_checkpoint, make_pairs
from harness.training.context import RunContext
from harness.training.sampling import MadeBestOf, MadePairs
from judges.factory import load_judges
from reports.sections.preference_pairs import describe_pairs
from trainers.checkpoint import load_manifest, make_card
from trainers.distributed.config import check_launch
from trainers.recipe import BestOfRecipe, PairsRecipe, PretrainRecipe, load_recipe
from trainers.recipe_graph import require_pairs_recipe


class Summary(NamedTuple):
    """The product of one command: its place and its facts."""

    directory: str
    summary: dict[str, str]


def train_recipe(
    recipe_name: str, profile: str, context: RunContext, *, out: Path | None = None
) -> Summary:
    """Make the checkpoint of one recipe, in `out` or else in the workspace.

    The profile's judges choose its pairs. With `context.launch` the recipe and its parents are
    trained in several processes; all other work is done in this process.

    Raises:
        HarnessError: a mistake in the recipe, one that makes data, or one that cannot be launched.
        PendingRepliesError: verdicts are to come by batch first.
    """
    # Refuse a recipe that cannot be trained, or not in several processes.
    recipe, root = load_recipe(recipe_name)
    if isinstance(recipe, PairsRecipe | BestOfRecipe):
        raise HarnessError(
            f"{recipe_name}: makes {recipe.makes}; use `harness pairs {recipe_name}`."
        )
    if context.launch is not None:
        if isinstance(recipe, PretrainRecipe):
            raise HarnessError(
                f"{recipe_name}: is pre-trained by one process. Train it without --launch."
            )
        check_launch(recipe, context.launch)
    # Train, and describe the checkpoint.
    judges = load_judges(*load_profile(profile), context.session)
    with context.open():
        model = make_checkpoint(recipe, root, context, judges, out=out)
    described = make_card(load_manifest(Path(model.directory)), recipe.recipe)
    return Summary(model.directory, {"fingerprint": model.fingerprint} | described.facts)


def build_pairs(recipe_name: str, profile: str, context: RunContext) -> Summary:
    """Make the pairs or the best answers of one recipe, with counts of the kept and the dropped.

    Raises:
        HarnessError: a mistake in the recipe, or one that trains.
        PendingRepliesError: verdicts are to come by batch first.
    """
    recipe, root = load_recipe(recipe_name)
    judges = load_judges(*load_profile(profile), context.session)
    if isinstance(recipe, BestOfRecipe):
        with context.open():
            return _describe_best_of(make_best_of(recipe, root, context, judges))
    recipe = require_pairs_recipe(recipe, recipe_name)
    with context.open():
        return _describe_pairs(make_pairs(recipe, root, context, judges), recipe)


def _describe_pairs(made: MadePairs, recipe: PairsRecipe) -> Summary:
    teachers = ", ".join(teacher.name for teacher in made.teachers)
    facts = describe_pairs(made.pairs.statistics) | {"chosen by": teachers or recipe.unjudged}
    return Summary(made.place, facts)


def _describe_best_of(made: MadeBestOf) -> Summary:
    statistics = made.best.statistics
    facts = {"prompts": str(statistics.prompts), "kept": str(statistics.kept)}
    facts |= {f"dropped, {reason}": str(n) for reason, n in sorted(statistics.dropped.items())}
    facts |= {
        "answers": str(statistics.answers),
        "flagged answers": str(statistics.flagged),
        "unscored answers": str(statistics.unscored),
        "chosen by": ", ".join(teacher.name for teacher in made.teachers),
    }
    if statistics.mean_grade is not None and statistics.mean_grade_of_best is not None:
        facts["mean grade"] = f"{statistics.mean_grade:.4g}"
        facts["mean grade of the best"] = f"{statistics.mean_grade_of_best:.4g}"
    return Summary(str(made.path), facts)
