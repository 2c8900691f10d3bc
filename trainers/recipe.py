"""What people write about one training run, or about one set of preference pairs.

    # harness train tiny/sft.yaml
    recipe: tiny_sft
    method: sft
    parent: {checkpoint: ../../tiny_base}
    data:
      - {path: data/consumer_health.jsonl, where: {split: train},
         fields: {id: id, input: question, reference: answer}, system: prompts/medical_assistant.md}
    lora: {r: 32, alpha: 32}
    trainer: {num_train_epochs: 3, learning_rate: 0.001}

`trainer` is TRL's own configuration, passed through; TRL says what it knows.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, RootModel, model_validator

from harness.bundle import bundle_root
from harness.errors import HarnessError, did_you_mean
from harness.strict_yaml import load_spec
from harness.suite import Generation, Name, PairwiseMetric, Source, Spec


class TrainingSource(Source):
    """Rows to learn from: `fields` maps `input` and `reference` (and `id`, `context`) to columns.

    A row becomes a chat of the `system` prompt (a file), its input, and its reference as the answer.
    A small source is read `repeat` times in each epoch, so that a large one does not drown it.
    """

    system: str | None = None
    repeat: int = Field(default=1, ge=1)


class Parent(Spec):
    """The model that training starts from: another recipe's checkpoint, or one that exists.

    A `checkpoint` is a directory, counted from the recipe's own folder, or a hub name with its
    `revision`.
    """

    recipe: str | None = None
    checkpoint: str | None = None
    revision: str | None = None

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "Parent":
        if (self.recipe is None) == (self.checkpoint is None):
            raise ValueError("name exactly one of 'recipe' or 'checkpoint'")
        return self


class Lora(Spec):
    """A low-rank adapter (https://arxiv.org/abs/2106.09685)."""

    r: int = Field(ge=1)
    alpha: int = Field(ge=1)
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"


class Quantisation(Spec):
    """The frozen parent in 4 bits while its adapter trains (https://arxiv.org/abs/2305.14314)."""

    bits: Literal[4]
    kind: Literal["nf4", "fp4"] = "nf4"
    double: bool = True
    compute: Literal["bfloat16", "float16", "float32"] = "bfloat16"


class TextSource(Source):
    """Rows to pre-train on, and how they are read.

    chat       the input is what a person says, the reference what the assistant answers
    prose      the input alone
    sentences  the sentences of input and reference, mixed with all others of their `cluster`
    """

    read: Literal["chat", "prose", "sentences"]


class TinyModel(Spec):
    """The shape of a small Llama that is trained from nothing."""

    vocab_size: int = Field(ge=300)
    hidden_size: int = Field(ge=8)
    intermediate_size: int = Field(ge=8)
    n_layers: int = Field(ge=1)
    n_heads: int = Field(ge=1)
    context: int = Field(ge=32)


class PretrainRecipe(Spec):
    """A base model and its tokenizer from nothing but text."""

    recipe: Name
    method: Literal["pretrain"]
    seed: int = 1
    data: tuple[TextSource, ...] = Field(min_length=1)
    model: TinyModel
    n_tokens: int = Field(ge=1)
    window: int = Field(ge=16)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0.0)


class SftRecipe(Spec):
    """Supervised fine-tuning on the answers alone, through TRL's SFTTrainer."""

    recipe: Name
    method: Literal["sft"]
    seed: int = 1
    parent: Parent
    data: tuple[TrainingSource, ...] = Field(min_length=1)
    lora: Lora
    quantisation: Quantisation | None = None
    trainer: dict[str, JsonValue] = Field(default_factory=dict)


class DpoRecipe(Spec):
    """Direct preference optimisation through TRL's DPOTrainer; the reference is the parent.

    Without `lora` the parent's own adapter goes on training; with it a new one is put on the
    merged parent. `holdout` is the share of pairs that is kept for evaluation.
    """

    recipe: Name
    method: Literal["dpo"]
    seed: int = 1
    parent: Parent
    pairs: str
    holdout: float = Field(default=0.15, ge=0.0, lt=1.0)
    lora: Lora | None = None
    quantisation: Quantisation | None = None
    trainer: dict[str, JsonValue] = Field(default_factory=dict)


class JudgedPairsRecipe(Spec):
    """Pairs of two sampled answers of the parent; a judge who sees both orders picks the better.

    `draws` pairs of answers are sampled for each prompt.
    """

    recipe: Name
    method: Literal["judged_pairs"]
    parent: Parent
    data: Source
    generation: Generation
    draws: int = Field(default=1, ge=1)
    prefer: PairwiseMetric


class GoldPairsRecipe(Spec):
    """Pairs of the reference answer, chosen, and the parent's own answer, rejected."""

    recipe: Name
    method: Literal["gold_pairs"]
    parent: Parent
    data: Source
    generation: Generation


TrainingRecipe = PretrainRecipe | SftRecipe | DpoRecipe
PairsRecipe = JudgedPairsRecipe | GoldPairsRecipe
Recipe = TrainingRecipe | PairsRecipe


class _AnyRecipe(RootModel[Annotated[Recipe, Field(discriminator="method")]]):
    """A recipe of any method."""


def load_recipe(path_or_name: str, *, beside: Path | None = None) -> tuple[Recipe, Path]:
    """The recipe and the folder its relative paths start from.

    It is looked for `beside` another recipe, in the working directory, and among the recipes
    that come with the harness.

    Raises:
        HarnessError: no such recipe (with a suggestion), or a mistake in it (with its line).
    """
    given = Path(path_or_name)
    name = given if given.suffix in {".yaml", ".yml"} else given.with_name(f"{given.name}.yaml")
    for folder in (beside or Path(), Path(), _shelf()):
        if (folder / name).is_file():
            return load_spec(folder / name, _AnyRecipe).root, (folder / name).parent
    raise HarnessError(
        f"{path_or_name}: no such recipe. {did_you_mean(str(name), known_recipes())}"
    )


def known_recipes() -> list[str]:
    """The recipes that come with the harness, as they are named on the command line."""
    shelf = _shelf()
    return sorted(path.relative_to(shelf).as_posix() for path in shelf.rglob("*.yaml"))


def parent_directory(parent: Parent, root: Path) -> str:
    """What to load a `checkpoint` parent from: a directory, or the hub name as it stands."""
    assert parent.checkpoint is not None
    directory = root / parent.checkpoint
    return str(directory.resolve()) if directory.is_dir() else parent.checkpoint


def _shelf() -> Path:
    return bundle_root() / "trainers" / "recipes"
