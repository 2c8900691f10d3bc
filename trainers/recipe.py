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
from typing import Annotated, ClassVar, Literal, NamedTuple, get_args

from pydantic import Field, JsonValue, RootModel, model_validator

from harness.config import Generation, Name, PairwiseMetric, RubricMetric, Source, Spec
from harness.config.data import JudgedPairFilters, PairFilters
from harness.core.errors import HarnessError
from harness.core.paths import bundle_root, find_bundled
from harness.core.yaml_loader import field_error, load_spec
from trainers.chat_template import read_template


class TrainingSource(Source):
    """Rows to learn from: `fields` maps `input` and `reference` (and `id`, `context`) to columns.

    A row becomes a chat of the `system` prompt (a file), its input, and its reference as the answer.
    `fields` may also map `system`, a row's own system prompt, which goes before the file's, and
    `history`, the turns before its input: a list of {role, content}.
    A small source is read `repeat` times in each epoch, so that a large one does not drown it.
    """

    system: str | None = None
    repeat: int = Field(default=1, ge=1)


class Parent(Spec):
    """The model that training starts from: another recipe's checkpoint, or one that exists.

    A `checkpoint` is a directory, counted from the recipe's own folder, or a hub name with its
    `revision`. With `unpickle` its weights are a pickle, of which tensors alone are read.
    """

    recipe: str | None = None
    checkpoint: str | None = None
    revision: str | None = None
    unpickle: bool = False

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "Parent":
        if (self.recipe is None) == (self.checkpoint is None):
            raise ValueError("name exactly one of 'recipe' or 'checkpoint'")
        if self.unpickle and self.checkpoint is None:
            raise ValueError("'unpickle' is for a 'checkpoint'; a recipe's has no pickle")
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


Product = Literal["a model", "a reward model", "preference pairs", "rows to learn from"]


class RecipeSpec(Spec):
    """The base of every recipe, with the facts of a method that other packages ask for.

    Facts are class variables and properties, never fields, so that no key or file depends on them.

    Attributes:
        makes: The product, as messages name it.
    """

    makes: ClassVar[Product]


class PretrainRecipe(RecipeSpec):
    """A base model and its tokenizer from nothing but text."""

    makes: ClassVar[Product] = "a model"

    recipe: Name
    method: Literal["pretrain"]
    seed: int = 1
    data: tuple[TextSource, ...] = Field(min_length=1)
    model: TinyModel
    n_tokens: int = Field(ge=1)
    window: int = Field(ge=16)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0.0)


class Watched(Spec):
    """The suite that the model is scored on while it trains: `n` items, `every` so many steps.

    Its judges must be on this machine. The scores are curves in the report and choose nothing.
    """

    suite: str
    every: int = Field(ge=1)
    n: int = Field(default=16, ge=1)


class AdapterRecipe(RecipeSpec):
    """The fields of every recipe that trains an adapter on a parent.

    `chat_template` is a file beside the recipe or the name of one of ours; once the recipe is
    loaded, it is the template's text. Without it the parent's own is used.

    Attributes:
        unit: The name of the examples that the method learns from.
        sequences: Sequences that go through the model for each example of a batch; None where the
            method samples answers itself, so that its memory is not estimated.
        one_process: Why training cannot be launched in several processes; empty where it can.
    """

    makes: ClassVar[Product] = "a model"
    unit: ClassVar[str]
    sequences: ClassVar[int | None]
    one_process: ClassVar[str] = ""

    recipe: Name
    method: str
    seed: int = 1
    parent: Parent
    # Left out where they say nothing, so that the keys of older checkpoints stay theirs.
    chat_template: str | None = Field(default=None, exclude_if=lambda template: template is None)
    watch: Watched | None = Field(default=None, exclude_if=lambda watch: watch is None)
    quantisation: Quantisation | None = None
    trainer: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def adapter_copies(self) -> int:
        """Return how many copies of the adapter are kept in memory, a frozen reference included."""
        return 1


class SftRecipe(AdapterRecipe):
    """Supervised fine-tuning on the answers alone, through TRL's SFTTrainer.

    Rows come from `data`, from the `best_of` recipe (rejection sampling), or from both. `holdout`
    is the share of their questions that is kept for evaluation.
    """

    unit: ClassVar = "rows"
    sequences: ClassVar = 1

    method: Literal["sft"]
    data: tuple[TrainingSource, ...] = ()
    best_of: str | None = None
    holdout: float = Field(default=0.0, ge=0.0, lt=1.0, exclude_if=lambda share: share == 0)
    lora: Lora

    @model_validator(mode="after")
    def _there_are_rows(self) -> "SftRecipe":
        if not self.data and self.best_of is None:
            raise ValueError("nothing to learn from: name 'data', 'best_of' or both")
        return self


class PreferenceRecipe(AdapterRecipe):
    """The fields of every recipe that learns from preference pairs.

    Without `lora` the parent's own adapter goes on training; with it a new one is put on the
    merged parent. `holdout` is the share of pairs that is kept for evaluation.

    Attributes:
        examples_per_pair: Training examples that one pair becomes.
        head: The head that is trained on the model.
    """

    unit: ClassVar = "pairs"
    sequences: ClassVar = 2  # the chosen and the rejected answer go together
    examples_per_pair: ClassVar[int] = 1
    head: ClassVar[Literal["language_model", "reward"]] = "language_model"

    pairs: str
    holdout: float = Field(default=0.15, ge=0.0, lt=1.0)
    lora: Lora | None = None


class DpoRecipe(PreferenceRecipe):
    """Direct preference optimisation through TRL's DPOTrainer; the reference is the parent.

    `trainer.loss_type` chooses the loss. `reference: base` puts the model under the parent's own
    adapter in the parent's place, as TRL did before 0.29, to reproduce results of that time.
    """

    method: Literal["dpo"]
    # Left out where it says nothing new, so that the keys of older checkpoints stay theirs.
    reference: Literal["parent", "base"] = Field(
        default="parent", exclude_if=lambda reference: reference == "parent"
    )

    @model_validator(mode="after")
    def _base_lies_under_the_parents_adapter(self) -> "DpoRecipe":
        if self.reference == "base" and self.lora is not None:
            raise field_error(
                "reference", "with a new adapter the parent is the base; remove this, or 'lora'"
            )
        return self

    @property
    def adapter_copies(self) -> int:
        """Return 2 where the parent's adapter goes on training: a frozen copy is the reference."""
        return 2 if self.lora is None else 1


class KtoRecipe(PreferenceRecipe):
    """Kahneman-Tversky optimisation through TRL's KTOTrainer; the reference is the parent.

    The chosen answer of each pair is a desirable one, the rejected an undesirable one; from there
    on the two are rows of their own.
    """

    unit: ClassVar = "answers"
    sequences: ClassVar = 1
    examples_per_pair: ClassVar = 2

    method: Literal["kto"]


class OrpoRecipe(PreferenceRecipe):
    """Odds ratio preference optimisation, which has no reference, through TRL's ORPOTrainer.

    That trainer is experimental: TRL may change or remove it in any release.
    """

    method: Literal["orpo"]


class SimpoRecipe(PreferenceRecipe):
    """Simple preference optimisation, which has no reference, through TRL's CPOTrainer.

    That trainer is experimental: TRL may change or remove it in any release. `trainer.beta` and
    `trainer.simpo_gamma` are those of the paper; the loss has no SFT term (`cpo_alpha` 0).
    """

    method: Literal["simpo"]

    @model_validator(mode="after")
    def _the_loss_is_simpo(self) -> "SimpoRecipe":
        for option in ("loss_type", "cpo_alpha"):
            if option in self.trainer:
                raise field_error(f"trainer.{option}", "is what makes it SimPO; remove it")
        return self


class RewardRecipe(PreferenceRecipe):
    """A model that gives an answer one number, through TRL's RewardTrainer.

    A new adapter and a head are put on the merged parent. The result answers nothing; GRPO and
    RLOO take it as their reward.
    """

    makes: ClassVar[Product] = "a reward model"
    head: ClassVar = "reward"

    method: Literal["reward"]
    lora: Lora

    @model_validator(mode="after")
    def _it_answers_nothing(self) -> "RewardRecipe":
        if self.watch is not None:
            raise field_error("watch", "a reward model answers nothing that a suite could score")
        return self


class RewardSource(Spec):
    """What rewards a sampled answer: a reward model's recipe, or a judge who grades on a rubric.

    A grade is the mean over the criteria, 0 at the low end of the scale and 1 at the high one.
    """

    recipe: str | None = None
    rubric: RubricMetric | None = None

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "RewardSource":
        if (self.recipe is None) == (self.rubric is None):
            raise ValueError("name exactly one of 'recipe' or 'rubric'")
        return self


class OnlineRecipe(AdapterRecipe):
    """The model answers while it trains, and what is rewarded becomes likelier.

    Through TRL's GRPOTrainer or RLOOTrainer. How answers are sampled is said in `trainer`
    (`num_generations`, `max_completion_length`, `temperature`). The reference, where
    `trainer.beta` is not 0, is the parent. `lora` is as for preference pairs.
    """

    unit: ClassVar = "prompts"
    sequences: ClassVar = None
    one_process: ClassVar = "its rewards are asked, and kept, by one"

    method: Literal["grpo", "rloo"]
    data: Source
    system: str | None = None
    reward: RewardSource
    lora: Lora | None = None


class PerPrompt(NamedTuple):
    """Sampling for one prompt: answers, one judge's verdicts, that judge, and the rows it gives."""

    answers: int
    verdicts: int
    judge: str | None
    rows: int


class PairsRecipeSpec(RecipeSpec):
    """The base of recipes that make preference pairs.

    Attributes:
        unjudged: Who chose the better answer of each pair, where no judge did.
    """

    makes: ClassVar[Product] = "preference pairs"
    unjudged: ClassVar[str] = ""


class JudgedPairsRecipe(PairsRecipeSpec):
    """Pairs of two sampled answers of the parent; a judge who sees both orders picks the better.

    `draws` pairs of answers are sampled for each prompt. The judge may be a jury.
    """

    recipe: Name
    method: Literal["judged_pairs"]
    parent: Parent
    data: Source
    generation: Generation
    draws: int = Field(default=1, ge=1)
    prefer: PairwiseMetric
    filters: JudgedPairFilters = JudgedPairFilters()

    @property
    def per_prompt(self) -> PerPrompt:
        """Return what each prompt takes and gives; a judge sees every pair in both orders."""
        verdicts = 2 * self.draws * self.prefer.repeats
        return PerPrompt(2 * self.draws, verdicts, self.prefer.judge, rows=self.draws)


class GoldPairsRecipe(PairsRecipeSpec):
    """Pairs of the reference answer, chosen, and the parent's own answer, rejected."""

    unjudged: ClassVar = "gold answers"

    recipe: Name
    method: Literal["gold_pairs"]
    parent: Parent
    data: Source
    generation: Generation
    filters: PairFilters = PairFilters()

    @property
    def per_prompt(self) -> PerPrompt:
        """Return what each prompt takes and gives; nothing is judged."""
        return PerPrompt(answers=1, verdicts=0, judge=None, rows=1)


class GivenPairsRecipe(PairsRecipeSpec):
    """Pairs that others made, in a file that `harness convert --to preference` wrote."""

    unjudged: ClassVar = "whoever made the file"

    recipe: Name
    method: Literal["given_pairs"]
    data: Source
    filters: PairFilters = PairFilters()

    @model_validator(mode="after")
    def _columns_are_fixed(self) -> "GivenPairsRecipe":
        if self.data.fields:
            raise field_error(
                "data.fields",
                "pairs have fixed columns; `harness convert --to preference` makes them of others",
            )
        return self


class BestOfRecipe(RecipeSpec):
    """Rows of a prompt and the best of the parent's own `n` answers (rejection sampling).

    A judge grades each answer on a rubric. An answer with a hygiene flag is never the best, nor is
    one without a grade; the first draw wins a tie.
    """

    makes: ClassVar[Product] = "rows to learn from"

    recipe: Name
    method: Literal["best_of"]
    parent: Parent
    data: Source
    generation: Generation
    n: int = Field(default=4, ge=2)
    grade: RubricMetric

    @property
    def per_prompt(self) -> PerPrompt:
        """Return what each prompt takes and gives: every answer is graded, the best is kept."""
        return PerPrompt(self.n, self.n * self.grade.repeats, self.grade.judge, rows=1)


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
    """Return the recipe and the folder its relative paths start from.

    Raises:
        HarnessError: as `find_recipe`, or a mistake in the recipe (with its line).
    """
    path = find_recipe(path_or_name, search_dir=search_dir)
    return _with_template(path), path.parent


def find_recipe(path_or_name: str, *, search_dir: Path | None = None) -> Path:
    """Return the file of a recipe.

    It is looked for in `search_dir` (the folder of the recipe that names it), in the working
    directory, and among the bundled recipes.

    Raises:
        HarnessError: no such recipe (with a suggestion).
    """
    has_suffix = Path(path_or_name).suffix in {".yaml", ".yml"}
    name = path_or_name if has_suffix else f"{path_or_name}.yaml"
    candidates = (folder / name for folder in (search_dir or Path(), Path(), _bundled_dir()))
    return find_bundled(path_or_name, "recipe", candidates, known_recipes(), wanted=name)


def known_recipes() -> list[str]:
    """Return the bundled recipes, as they are named on the command line."""
    bundled = _bundled_dir()
    return sorted(path.relative_to(bundled).as_posix() for path in bundled.rglob("*.yaml"))


def parent_directory(parent: Parent, root: Path) -> str:
    """What to load a `checkpoint` parent from: a directory, or the hub name as it stands."""
    assert parent.checkpoint is not None
    directory = root / parent.checkpoint
    return str(directory.resolve()) if directory.is_dir() else parent.checkpoint


def _with_template(path: Path) -> Recipe:
    """The recipe with the text of its chat template, which is what decides its checkpoint."""
    recipe = load_spec(path, _AnyRecipe).root
    if not isinstance(recipe, AdapterRecipe) or recipe.chat_template is None:
        return recipe
    try:
        template = read_template(recipe.chat_template, path.parent)
    except HarnessError as error:
        raise HarnessError(f"{path}: {error}") from None
    return recipe.model_copy(update={"chat_template": template})


def _bundled_dir() -> Path:
    return bundle_root() / "trainers" / "recipes"
