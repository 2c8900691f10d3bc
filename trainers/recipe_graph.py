"""The stages behind a recipe, each once, after all stages that it needs.

    tiny/dpo.yaml → tiny/sft.yaml, tiny/pairs_judged.yaml, tiny/dpo.yaml

Making, the forecast and the dry run follow this one graph. The lineage of a checkpoint that exists
is read from its manifests instead (`trainers.checkpoint.trace_manifests`), because a recipe may
have changed since.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.config import Profile, ServeSpec
from harness.core.errors import HarnessError
from harness.core.hashing import content_hash
from harness.models.adapter_types import NOT_MERGED
from harness.types.samples import seed_suffix
from trainers.adapter_kinds import Adapter, continued
from trainers.recipe import (
    AdapterRecipe,
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
    recipes of one folder that need equal stages. `parent` is None where training starts from nothing, or from a model that
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

    @property
    def needed(self) -> "list[RecipeStage]":
        """Return the stages that this one needs."""
        return [s for s in (self.pairs, self.parent, self.best_of, self.reward) if s is not None]

    @property
    def adapter(self) -> Adapter | None:
        """Return what this stage trains: an adapter of its own, or the one that it goes on with."""
        if not isinstance(self.recipe, AdapterRecipe):
            return None
        inherited = self.parent.adapter if self.parent else None
        return self.recipe.new_adapter or (inherited and continued(inherited))


class TrainingSeed(NamedTuple):
    """A training seed, and the seeds of each recipe that is trained with several, by its own key.

    Without `recipes` every recipe that trains on a parent has this seed, and a base that is trained from
    nothing keeps its own.
    """

    seed: int
    recipes: Mapping[str, tuple[int, ...]] | None = None

    def of_stage(self, recipe: Recipe, key: str, name: str) -> Recipe:
        """Return the recipe with this seed if it has several, else the recipe as it is.

        Raises:
            HarnessError: it has several seeds without this one, so that it cannot be paired.
        """
        if self.recipes is None:
            varied = isinstance(recipe, AdapterRecipe)
            return recipe.model_copy(update={"seed": self.seed}) if varied else recipe
        seeds = self.recipes.get(key, (self.seed,))
        if self.seed not in seeds:
            raise HarnessError(
                f"{name}: has the training seeds {', '.join(map(str, seeds))} in the profile, and a model "
                f"that starts from it has {self.seed}, too. Give both the same seeds."
            )
        return recipe.model_copy(update={"seed": self.seed}) if key in self.recipes else recipe


def seeded_recipes(profile: Profile) -> dict[str, tuple[int, ...]]:
    """Return the training seeds of the profile's recipes with several, by their own keys."""
    specs = [spec for spec in profile.models.values() if spec.seeds]
    return {
        _stage_key(*load_recipe(spec.recipe)): spec.seeds
        for spec in specs
        if spec.recipe is not None
    }


def recipe_graph(
    recipe: Recipe, root: Path, *, name: str = "", seed: TrainingSeed | None = None
) -> list[RecipeStage]:
    """Return the stages that the recipe needs, in the order in which they are made; it is last.

    Pairs come before the parent of the recipe that learns from them. With a `seed` every stage that has
    several is the one of that seed: seed 2 of DPO starts from seed 2 of SFT.

    Raises:
        HarnessError: a recipe that is missing, has a mistake, is of another kind than the recipe
            that names it needs, or needs itself.
    """
    graph = _Graph(seed)
    graph.add(recipe, root, name or recipe.recipe)
    return list(graph.stages.values())


class _Graph:
    """Stages by key in the order in which they are made, and the keys of those under way."""

    def __init__(self, seed: TrainingSeed | None) -> None:
        self.stages: dict[str, RecipeStage] = {}
        self._seed = seed
        self._under_way: set[str] = set()

    def add(self, recipe: Recipe, root: Path, name: str) -> RecipeStage:
        key = _stage_key(recipe, root)
        if self._seed is not None:
            seeded = self._seed.of_stage(recipe, key, name)
            if seeded is not recipe:
                recipe, name = seeded, name + seed_suffix(self._seed.seed)
                key = _stage_key(recipe, root)
        if key in self._under_way:
            raise HarnessError(f"{name}: needs itself, through the recipes that it names.")
        if key not in self.stages:
            self._under_way.add(key)
            needed_stages = {
                role: self._add_needed(reference, root, require)
                for role, reference, require in _references(recipe)
            }
            self._under_way.remove(key)
            needed_keys = [needed.key for needed in needed_stages.values()]
            whole = content_hash(key, *needed_keys) if needed_keys else key
            stage = RecipeStage(whole, name, recipe, root, **needed_stages)
            _require_trainable(stage)
            self.stages[key] = stage
        return self.stages[key]

    def _add_needed(
        self, name: str, search_dir: Path, require: Callable[[Recipe, str], Recipe]
    ) -> RecipeStage:
        recipe, root = load_recipe(name, search_dir=search_dir)
        return self.add(require(recipe, name), root, name)


def _stage_key(recipe: Recipe, root: Path) -> str:
    return content_hash(recipe, str(root.resolve()))


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


# --- adapters --------------------------------------------------------------------------------


def _require_trainable(stage: RecipeStage) -> None:
    """Check that a recipe can start from what its parent's recipe leaves.

    Raises:
        HarnessError: that is no model of its own, or has no adapter to go on with.
    """
    recipe, parent = stage.recipe, stage.parent
    if not isinstance(recipe, AdapterRecipe) or parent is None or parent.adapter is None:
        return
    kind = parent.adapter
    if not kind.merges:
        raise HarnessError(
            f"{stage.name}: cannot start from {parent.name}, an adapter of {kind.title}: {NOT_MERGED}. Start "
            "from the model that it was trained on."
        )
    if recipe.new_adapter is None and continued(kind) is None:
        raise HarnessError(
            f"{stage.name}: {parent.name} trains all weights, so there is no adapter to go on with. Give the "
            "recipe an 'adapter' block."
        )


def require_servable(stage: RecipeStage, serve: ServeSpec | None, named: str) -> None:
    """Check that an inference engine can hold what a recipe trains, before it is trained.

    Raises:
        HarnessError: an engine holds whole models and LoRA adapters only.
    """
    kind = stage.adapter
    if serve is not None and serve.engine is not None and kind is not None and not kind.merges:
        raise HarnessError(
            f"{named}: serve: {serve.engine} holds whole models and LoRA adapters, and {stage.name} is an "
            f"adapter of {kind.title}: {NOT_MERGED}. Leave 'serve' out."
        )


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
