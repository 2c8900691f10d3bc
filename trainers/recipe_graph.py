"""The stages behind a recipe, each once, after all stages that it needs.

    tiny/dpo.yaml → tiny/sft.yaml, tiny/pairs_judged.yaml, tiny/dpo.yaml

Making, the forecast and the dry run follow this one graph. The lineage of a checkpoint that exists
is read from its manifests instead (`trainers.checkpoint.trace_manifests`), because a recipe may
have changed since.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from trainers.recipe import (
    BestOfRecipe,
    GivenPairsRecipe,
    OnlineRecipe,
    PairsRecipe,
    PreferenceRecipe,
    PretrainRecipe,
    Recipe,
    RewardRecipe,
    SftRecipe,
    TrainingRecipe,
    load_recipe,
)


@dataclass(frozen=True, eq=False)
class RecipeStage:
    """A recipe, the folder that its relative paths start from, and the stages that it needs.

    `name` is the recipe's name in the recipe that needs it, for messages. `key` is equal for equal
    recipes of one folder. `parent` is None where training starts from nothing, or from a model that
    exists.
    """

    key: str
    name: str
    recipe: Recipe
    root: Path
    pairs: "RecipeStage | None" = None
    parent: "RecipeStage | None" = None
    best_of: "RecipeStage | None" = None
    reward: "RecipeStage | None" = None

    def lineage(self) -> "list[RecipeStage]":
        """Return the stages that train the same weights one after another; this stage is last."""
        return [*(self.parent.lineage() if self.parent else ()), self]


def recipe_graph(recipe: Recipe, root: Path, *, name: str = "") -> list[RecipeStage]:
    """Return the stages that the recipe needs, in the order in which they are made; it is last.

    Pairs come before the parent of the recipe that learns from them.

    Raises:
        HarnessError: a recipe that is missing, has a mistake, is of another kind than the recipe
            that names it needs, or needs itself.
    """
    graph = _Graph()
    graph.add(recipe, root, name or recipe.recipe)
    return list(graph.stages.values())


class _Graph:
    """Stages by key in the order in which they are made, and the keys of those under way."""

    def __init__(self) -> None:
        self.stages: dict[str, RecipeStage] = {}
        self._under_way: set[str] = set()

    def add(self, recipe: Recipe, root: Path, name: str) -> RecipeStage:
        key = content_hash(recipe, str(root.resolve()))
        if key in self._under_way:
            raise HarnessError(f"{name}: needs itself, through the recipes that it names.")
        if key not in self.stages:
            self._under_way.add(key)
            needed_stages = {
                role: self._add_needed(reference, root, require)
                for role, reference, require in _references(recipe)
            }
            self._under_way.remove(key)
            self.stages[key] = RecipeStage(key, name, recipe, root, **needed_stages)
        return self.stages[key]

    def _add_needed(
        self, name: str, search_dir: Path, require: Callable[[Recipe, str], Recipe]
    ) -> RecipeStage:
        recipe, root = load_recipe(name, search_dir=search_dir)
        return self.add(require(recipe, name), root, name)


def _references(recipe: Recipe) -> Iterator[tuple[str, str, Callable[[Recipe, str], Recipe]]]:
    """Yield role, name and check of each recipe that this one needs, in the order of making."""
    if isinstance(recipe, PreferenceRecipe) and recipe.pairs is not None:
        yield "pairs", recipe.pairs, require_pairs_recipe
    if (
        not isinstance(recipe, PretrainRecipe | GivenPairsRecipe)
        and recipe.parent.recipe is not None
    ):
        yield "parent", recipe.parent.recipe, require_policy_recipe
    if isinstance(recipe, SftRecipe) and recipe.best_of is not None:
        yield "best_of", recipe.best_of, require_best_of_recipe
    if isinstance(recipe, OnlineRecipe) and recipe.reward.recipe is not None:
        yield "reward", recipe.reward.recipe, require_reward_recipe


# --- kinds -----------------------------------------------------------------------------------


def require_policy_recipe(recipe: Recipe, name: str) -> TrainingRecipe:
    """Return the recipe if it trains a model that answers.

    Raises:
        HarnessError: it makes data, or trains a reward model.
    """
    if isinstance(recipe, PairsRecipe | BestOfRecipe):
        raise HarnessError(f"{name}: makes {recipe.makes}, not a model.")
    if isinstance(recipe, RewardRecipe):
        raise HarnessError(
            f"{name}: trains a reward model, which generates no text. Only the 'reward' of a GRPO or "
            "RLOO recipe can name it."
        )
    return recipe


def require_pairs_recipe(recipe: Recipe, name: str) -> PairsRecipe:
    """Return the recipe if it makes preference pairs.

    Raises:
        HarnessError: it trains, or makes rows.
    """
    if not isinstance(recipe, PairsRecipe):
        raise HarnessError(f"{name}: makes {recipe.makes}, not preference pairs.")
    return recipe


def require_best_of_recipe(recipe: Recipe, name: str) -> BestOfRecipe:
    """Return the recipe if it is for rejection sampling.

    Raises:
        HarnessError: it is of another kind.
    """
    if not isinstance(recipe, BestOfRecipe):
        raise HarnessError(f"{name}: is no recipe of 'method: best_of'.")
    return recipe


def require_reward_recipe(recipe: Recipe, name: str) -> RewardRecipe:
    """Return the recipe if it trains a reward model.

    Raises:
        HarnessError: it is of another kind.
    """
    if not isinstance(recipe, RewardRecipe):
        raise HarnessError(f"{name}: trains no reward model ('method: reward').")
    return recipe
