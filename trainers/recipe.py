"""Recipes: the YAML file of one training run, or of one set of preference pairs.

    # harness train tiny/sft.yaml
    recipe: tiny_sft
    method: sft
    parent: {checkpoint: ../../tiny_base}
    data:
      - {path: data/consumer_health.jsonl, where: {split: train},
         fields: {id: id, input: question, reference: answer}, system: prompts/medical_assistant.md}
    lora: {r: 32, alpha: 32}
    trainer: {num_train_epochs: 3, learning_rate: 0.001}

`trainer` holds options of TRL's own configuration class; they are passed through and checked by TRL.
"""

from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field, RootModel

from harness.core.errors import HarnessError
from harness.core.paths import bundle_root, find_bundled
from harness.core.yaml_loader import Document, load_spec, validate_document
from trainers.adapter_kinds import Adapter, Lora
from trainers.chat_template import read_template
from trainers.data_recipes import (
    BestOfRecipe,
    GivenPairsRecipe,
    GoldPairsRecipe,
    JudgedPairsRecipe,
    PairsRecipeSpec,
    PerPrompt,
)
from trainers.quantisation import EightBits, Quantisation
from trainers.recipe_parts import (
    Parent,
    RecipeSpec,
    RewardSource,
    TextSource,
    TinyModel,
    TrainingEvalSpec,
    TrainingSource,
    parent_directory,
)
from trainers.training_recipes import (
    AdapterRecipe,
    DpoRecipe,
    KtoRecipe,
    OnlineRecipe,
    OrpoRecipe,
    PreferenceRecipe,
    PretrainRecipe,
    RewardRecipe,
    SftRecipe,
    SimpoRecipe,
)

__all__ = [
    "METHODS",
    "Adapter",
    "AdapterRecipe",
    "BestOfRecipe",
    "DpoRecipe",
    "EightBits",
    "GivenPairsRecipe",
    "GoldPairsRecipe",
    "JudgedPairsRecipe",
    "KtoRecipe",
    "Lora",
    "OnlineRecipe",
    "OrpoRecipe",
    "PairTrainedRecipe",
    "PairsRecipe",
    "PairsRecipeSpec",
    "Parent",
    "PerPrompt",
    "PreferenceRecipe",
    "PretrainRecipe",
    "Quantisation",
    "Recipe",
    "RecipeSpec",
    "RewardRecipe",
    "RewardSource",
    "SampledPairsRecipe",
    "SampledRecipe",
    "SftRecipe",
    "SimpoRecipe",
    "TextSource",
    "TinyModel",
    "TrainingEvalSpec",
    "TrainingRecipe",
    "TrainingSource",
    "change_recipe",
    "find_recipe",
    "known_recipes",
    "load_recipe",
    "parent_directory",
]

PairTrainedRecipe = DpoRecipe | KtoRecipe | OrpoRecipe | SimpoRecipe | RewardRecipe
TrainingRecipe = PretrainRecipe | SftRecipe | PairTrainedRecipe | OnlineRecipe
SampledPairsRecipe = JudgedPairsRecipe | GoldPairsRecipe
PairsRecipe = SampledPairsRecipe | GivenPairsRecipe
SampledRecipe = SampledPairsRecipe | BestOfRecipe
Recipe = TrainingRecipe | PairsRecipe | BestOfRecipe

METHODS: dict[str, type[Recipe]] = {
    method: kind
    for kind in get_args(Recipe)
    for method in get_args(kind.model_fields["method"].annotation)
}
"""The recipe class of every method."""


class _AnyRecipe(RootModel[Annotated[Recipe, Field(discriminator="method")]]):
    """A recipe of any method."""


def load_recipe(path_or_name: str, *, search_dir: Path | None = None) -> tuple[Recipe, Path]:
    """Load a recipe, and return it with the folder that its relative paths start from.

    Raises:
        HarnessError: as `find_recipe`, or a mistake in the recipe (with its line).
    """
    path = find_recipe(path_or_name, search_dir=search_dir)
    return _load_with_template(path), path.parent


def change_recipe(document: Document, path: Path, file: Path) -> Recipe:
    """Return the recipe of `path` with its keys as in the document; mistakes stand on lines of `file`.

    Raises:
        HarnessError: a mistake in what was changed.
    """
    recipe = validate_document(document, file, _AnyRecipe, root=path.parent).root
    return _with_template(recipe, path)


def find_recipe(path_or_name: str, *, search_dir: Path | None = None) -> Path:
    """Return the file of a recipe.

    The search order is `search_dir` (another recipe's folder), the working directory, and the bundled
    recipes.

    Raises:
        HarnessError: no such recipe (with a suggestion).
    """
    has_suffix = Path(path_or_name).suffix in {".yaml", ".yml"}
    name = path_or_name if has_suffix else f"{path_or_name}.yaml"
    candidates = (folder / name for folder in (search_dir or Path(), Path(), _bundled_dir()))
    return find_bundled(path_or_name, "recipe", candidates, known_recipes(), wanted=name)


def known_recipes() -> list[str]:
    """List the bundled recipes by their command-line names."""
    folder = _bundled_dir()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml"))


def _load_with_template(path: Path) -> Recipe:
    """Load a recipe with its chat template's text, which is what decides its checkpoint."""
    return _with_template(load_spec(path, _AnyRecipe).root, path)


def _with_template(recipe: Recipe, path: Path) -> Recipe:
    if not isinstance(recipe, AdapterRecipe) or recipe.chat_template is None:
        return recipe
    try:
        template = read_template(recipe.chat_template, path.parent)
    except HarnessError as error:
        raise HarnessError(f"{path}: {error}") from None
    return recipe.model_copy(update={"chat_template": template})


def _bundled_dir() -> Path:
    return bundle_root() / "trainers" / "recipes"
