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
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import Field, JsonValue, RootModel, model_validator

from harness.config import (
    ChecklistMetric,
    Generation,
    Name,
    PairwiseMetric,
    RubricMetric,
    ServeSpec,
    Source,
    Spec,
)
from harness.config.data import JudgedPairFilters, PairFilters
from harness.core.errors import HarnessError
from harness.core.paths import bundle_root, find_bundled
from harness.core.yaml_loader import field_error, load_spec
from harness.models.gguf import locate_model
from trainers.chat_template import read_template

# Columns of chats, and the format in which `harness convert` reads each.
MESSAGE_FORMATS = {"messages": "chatml", "conversations": "sharegpt"}


class TrainingSource(Source):
    """Rows to train on: `fields` maps `input` and `reference` (and `id`, `context`) to columns.

    A row becomes a chat of the `system` prompt (a file), its input, and its reference as the answer.
    `fields` may also map `system`, a row's own system prompt, which replaces the file's, and
    `history`, the turns before its input: a list of {role, content}. Each epoch reads the rows
    `repeat` times, which upweights a small source in a mix with a large one. A file of chats is read
    with `fields: {messages: messages}` (or `conversations`) alone, as `harness convert` reads it.
    """

    system: str | None = None
    repeat: int = Field(default=1, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _convert_messages(cls, value: Any) -> Any:
        """Make a conversion of a source whose rows are chats, so that dropped rows are counted."""
        fields = value.get("fields") if isinstance(value, dict) else None
        if not isinstance(fields, dict) or "messages" not in fields:
            return value
        column = fields["messages"]
        if column not in MESSAGE_FORMATS or len(fields) > 1 or "path" not in value:
            raise ValueError(
                "'fields: {messages: …}' stands alone, beside a 'path', and names a column called "
                f"{' or '.join(MESSAGE_FORMATS)}; `harness convert --from` reads other files"
            )
        if "where" in value:
            raise ValueError("'where' does not go with 'fields: {messages: …}'")
        convert = {
            "source": value["path"],
            "to": "sft",
            "source_format": MESSAGE_FORMATS[column],
        }
        kept = {name: part for name, part in value.items() if name not in ("path", "fields")}
        columns = ("id", "input", "reference", "system", "history")
        return {**kept, "convert": convert, "fields": {name: name for name in columns}}


class Parent(Spec):
    """The model that training starts from: another recipe's checkpoint, or one that exists.

    A `checkpoint` is a directory or a GGUF file, relative to the recipe's own folder, a GGUF file in a
    package (`package:NAME==VERSION/PATH.gguf`), or a hub name with its `revision`. With `unpickle` its
    weights are a pickle, from which only tensors are read.
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
            raise ValueError("'unpickle' needs a 'checkpoint'; a recipe's has no pickle")
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

    chat       a chat of the input as the user's turn and the reference as the assistant's
    prose      the input alone
    sentences  the sentences of input and reference, shuffled with all others of their `cluster`
    """

    read: Literal["chat", "prose", "sentences"]


class TinyModel(Spec):
    """The shape of a small Llama that is trained from scratch."""

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
    """A base model and its tokenizer, trained from scratch on text."""

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


class TrainingEvalSpec(Spec):
    """Evaluation during training: `n` items of a suite every `every` steps.

    The suite's judges must run on this machine. The scores are curves in the report; no checkpoint is
    selected by them.
    """

    suite: str
    every: int = Field(ge=1)
    n: int = Field(default=16, ge=1)


class AdapterRecipe(RecipeSpec):
    """The keys of every recipe that trains an adapter on a parent.

    `chat_template` is a file in the recipe's folder or the name of a bundled template; a loaded
    recipe holds the template's text. By default the parent's own template is used. `thinking` sets
    the template's switch of thinking, in training and as the default of the checkpoint.

    Attributes:
        unit: The name of the examples that the method learns from.
        sequences: Sequences that go through the model for each example of a batch; None where the
            method samples answers itself, so that its memory is not estimated.
        least_rows: Rows at a time, below which the method does not work.
        one_process: Why training cannot be launched in several processes; empty where it can.
    """

    makes: ClassVar[Product] = "a model"
    unit: ClassVar[str]
    sequences: ClassVar[int | None]
    least_rows: ClassVar[int] = 1
    one_process: ClassVar[str] = ""

    recipe: Name
    method: str
    seed: int = 1
    parent: Parent
    # Omitted when unset, so that the keys of older checkpoints remain valid.
    chat_template: str | None = Field(default=None, exclude_if=lambda template: template is None)
    thinking: bool | None = Field(default=None, exclude_if=lambda switch: switch is None)
    watch: TrainingEvalSpec | None = Field(default=None, exclude_if=lambda watch: watch is None)
    quantisation: Quantisation | None = None
    trainer: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def adapter_copies(self) -> int:
        """Return the number of copies of the adapter in memory, including a frozen reference."""
        return 1


class SftRecipe(AdapterRecipe):
    """Supervised fine-tuning on the completions alone, with TRL's SFTTrainer.

    Rows come from `data`, from the `best_of` recipe (rejection sampling), or from both. `holdout`
    is the share of their questions that is held out for evaluation.
    """

    unit: ClassVar = "rows"
    sequences: ClassVar = 1

    method: Literal["sft"]
    data: tuple[TrainingSource, ...] = ()
    best_of: str | None = None
    holdout: float = Field(default=0.0, ge=0.0, lt=1.0, exclude_if=lambda share: share == 0)
    lora: Lora

    @property
    def all_turns(self) -> bool:
        """Return whether all of a chat's assistant turns are learnt, and not its last answer alone."""
        return bool(self.trainer.get("assistant_only_loss"))

    @model_validator(mode="after")
    def _check_loss(self) -> "SftRecipe":
        if self.all_turns and self.trainer.get("completion_only_loss"):
            raise field_error(
                "trainer.completion_only_loss",
                "learns the last answer alone, and 'assistant_only_loss' all of them; remove one",
            )
        return self

    @model_validator(mode="after")
    def _require_rows(self) -> "SftRecipe":
        if not self.data and self.best_of is None:
            raise ValueError("nothing to learn from: name 'data', 'best_of' or both")
        return self


class PreferenceRecipe(AdapterRecipe):
    """The keys of every recipe that trains on preference pairs.

    Without `lora` the parent's own adapter continues to train; with it a new adapter is added to the
    merged parent. `holdout` is the share of prompts whose pairs are held out for evaluation.

    Attributes:
        examples_per_pair: Training examples that one pair becomes.
        head: The head that is trained on the model.
    """

    unit: ClassVar = "pairs"
    sequences: ClassVar = 2  # the chosen and the rejected answer go together
    examples_per_pair: ClassVar[int] = 1
    head: ClassVar[Literal["language_model", "reward"]] = "language_model"

    pairs: str | None = None
    holdout: float = Field(default=0.15, ge=0.0, lt=1.0)
    lora: Lora | None = None

    @model_validator(mode="after")
    def _require_pairs(self) -> "PreferenceRecipe":
        if self.pairs is None and self.labelled_source is None:
            raise ValueError("'pairs' is missing: name the recipe whose pairs are learnt from")
        return self

    @property
    def labelled_source(self) -> Source | None:
        """Return the labelled answers that are learnt from in the place of pairs, if any."""
        return None


class DpoRecipe(PreferenceRecipe):
    """Direct preference optimisation with TRL's DPOTrainer; the reference is the parent.

    `trainer.loss_type` selects the loss. With `reference: base` the reference is the model under the
    parent's own adapter, as in TRL before 0.29, to reproduce results of that time.
    """

    method: Literal["dpo"]
    # Omitted when it is the default, so that the keys of older checkpoints remain valid.
    reference: Literal["parent", "base"] = Field(
        default="parent", exclude_if=lambda reference: reference == "parent"
    )

    @model_validator(mode="after")
    def _check_reference(self) -> "DpoRecipe":
        if self.reference == "base" and self.lora is not None:
            raise field_error(
                "reference", "with a new adapter the parent is the base; remove this, or 'lora'"
            )
        return self

    @property
    def adapter_copies(self) -> int:
        """Return 2 where the parent's adapter continues to train, as a frozen copy is the reference."""
        return 2 if self.lora is None else 1


class KtoRecipe(PreferenceRecipe):
    """Kahneman-Tversky optimisation with TRL's KTOTrainer; the reference is the parent.

    Each pair becomes two unpaired rows: the chosen answer is desirable, the rejected one undesirable.
    `labelled` names answers with a label of their own instead: rows of `prompt`, `completion` and
    `label`, or of `messages` and `label`, as `harness convert --to labelled` reads them.
    """

    unit: ClassVar = "answers"
    sequences: ClassVar = 1
    least_rows: ClassVar = 2  # the divergence is estimated from the other answers of a batch
    examples_per_pair: ClassVar = 2

    method: Literal["kto"]
    labelled: Source | None = Field(default=None, exclude_if=lambda source: source is None)

    @model_validator(mode="before")
    @classmethod
    def _convert_labelled(cls, value: Any) -> Any:
        """Make a conversion of a source of labelled answers, so that dropped rows are counted."""
        source = value.get("labelled") if isinstance(value, dict) else None
        if not isinstance(source, dict) or "convert" in source:
            return value
        kept = {name: part for name, part in source.items() if name == "phi"}
        if set(source) - {"phi"} != {"path"}:
            raise field_error(
                "labelled",
                "takes a 'path' alone, or a 'convert' with 'to: labelled' for other columns",
            )
        converted = kept | {"convert": {"source": source["path"], "to": "labelled"}}
        return {**value, "labelled": converted}

    @model_validator(mode="after")
    def _check_batch(self) -> "KtoRecipe":
        size = self.trainer.get("per_device_train_batch_size")
        if size == 1 and self.trainer.get("loss_type", "kto") == "kto":
            raise field_error(
                "trainer.per_device_train_batch_size",
                "KTO estimates its divergence from the other answers of a batch, so it takes 2 at least; "
                "accumulate fewer times instead",
            )
        return self

    @model_validator(mode="after")
    def _one_kind_of_answers(self) -> "KtoRecipe":
        if self.labelled is None:
            return self
        if self.pairs is not None:
            raise field_error("labelled", "stands in the place of 'pairs'; name one of them")
        if self.labelled.convert is None or self.labelled.convert.to != "labelled":
            raise field_error("labelled", "needs a conversion 'to: labelled'")
        return self

    @property
    def labelled_source(self) -> Source | None:
        """Return the labelled answers that are learnt from in the place of pairs, if any."""
        return self.labelled


class OrpoRecipe(PreferenceRecipe):
    """Odds ratio preference optimisation, which has no reference, with TRL's ORPOTrainer.

    That trainer is experimental: TRL may change or remove it in any release.
    """

    method: Literal["orpo"]


class SimpoRecipe(PreferenceRecipe):
    """Simple preference optimisation, which has no reference, with TRL's CPOTrainer.

    That trainer is experimental: TRL may change or remove it in any release. `trainer.beta` and
    `trainer.simpo_gamma` are those of the paper; the loss has no SFT term (`cpo_alpha` 0).
    """

    method: Literal["simpo"]

    @model_validator(mode="after")
    def _refuse_loss_options(self) -> "SimpoRecipe":
        for option in ("loss_type", "cpo_alpha"):
            if option in self.trainer:
                raise field_error(f"trainer.{option}", "is set by the method 'simpo'; remove it")
        return self


class RewardRecipe(PreferenceRecipe):
    """A model that scores an answer with one number, with TRL's RewardTrainer.

    A new adapter and a new head are added to the merged parent. The result generates no text; GRPO
    and RLOO use it as their reward.
    """

    makes: ClassVar[Product] = "a reward model"
    head: ClassVar = "reward"

    method: Literal["reward"]
    lora: Lora

    @model_validator(mode="after")
    def _refuse_training_eval(self) -> "RewardRecipe":
        if self.watch is not None:
            raise field_error("watch", "a reward model generates nothing that a suite could score")
        return self


class RewardSource(Spec):
    """The reward of a sampled answer: a reward model's recipe, or a judge's grade on a rubric or checklist.

    On a rubric a grade is the mean over the criteria, 0 at the low end of the scale and 1 at the high end; on
    a checklist it is the score by the row's own criteria, at most 1 and not clipped below.
    """

    recipe: str | None = None
    rubric: RubricMetric | None = None
    checklist: ChecklistMetric | None = Field(default=None, exclude_if=lambda named: named is None)

    @model_validator(mode="after")
    def _exactly_one_kind(self) -> "RewardSource":
        if sum(named is not None for named in (self.recipe, self.rubric, self.checklist)) != 1:
            raise ValueError("name exactly one of 'recipe', 'rubric' or 'checklist'")
        return self

    @property
    def graded_by(self) -> RubricMetric | ChecklistMetric | None:
        """Return the metric on which a judge grades answers; None for a reward model."""
        return self.rubric or self.checklist


class OnlineRecipe(AdapterRecipe):
    """Online reinforcement learning from rewarded answers, with TRL's GRPOTrainer or RLOOTrainer.

    `trainer` also holds the sampling options (`num_generations`, `max_completion_length`,
    `temperature`). The reference, where `trainer.beta` is not 0, is the parent. `lora` is as for
    preference pairs.
    """

    unit: ClassVar = "prompts"
    sequences: ClassVar = None
    one_process: ClassVar = "one process requests and stores its rewards"

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
    """Pairs of two sampled answers of the parent: the one that a judge prefers in both orders is chosen.

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
    serve: ServeSpec | None = Field(default=None, exclude_if=lambda serve: serve is None)

    @property
    def per_prompt(self) -> PerPrompt:
        """Return what each prompt takes and gives; a judge sees every pair in both orders."""
        verdicts = 2 * self.draws * self.prefer.repeats
        return PerPrompt(2 * self.draws, verdicts, self.prefer.judge, rows=self.draws)


class GoldPairsRecipe(PairsRecipeSpec):
    """Pairs of the reference answer (chosen) and the parent's own answer (rejected)."""

    unjudged: ClassVar = "gold answers"

    recipe: Name
    method: Literal["gold_pairs"]
    parent: Parent
    data: Source
    generation: Generation
    filters: PairFilters = PairFilters()
    serve: ServeSpec | None = Field(default=None, exclude_if=lambda serve: serve is None)

    @property
    def per_prompt(self) -> PerPrompt:
        """Return what each prompt takes and gives; nothing is judged."""
        return PerPrompt(answers=1, verdicts=0, judge=None, rows=1)


class GivenPairsRecipe(PairsRecipeSpec):
    """Existing pairs, from a file that `harness convert --to preference` wrote."""

    unjudged: ClassVar = "whoever made the file"

    recipe: Name
    method: Literal["given_pairs"]
    data: Source
    filters: PairFilters = PairFilters()

    @model_validator(mode="after")
    def _refuse_fields(self) -> "GivenPairsRecipe":
        if self.data.fields:
            raise field_error(
                "data.fields",
                "pairs have fixed columns; `harness convert --to preference` makes them of others",
            )
        return self


class BestOfRecipe(RecipeSpec):
    """Rows of a prompt and the best of the parent's own `n` answers (rejection sampling).

    A judge grades each answer on a rubric, or on a checklist of the row's own criteria. An answer with a
    hygiene flag or without a grade is never the best; the first draw wins a tie.
    """

    makes: ClassVar[Product] = "rows to learn from"

    recipe: Name
    method: Literal["best_of"]
    parent: Parent
    data: Source
    generation: Generation
    n: int = Field(default=4, ge=2)
    grade: RubricMetric | ChecklistMetric = Field(discriminator="kind")
    serve: ServeSpec | None = Field(default=None, exclude_if=lambda serve: serve is None)

    @property
    def per_prompt(self) -> PerPrompt:
        """Return what each prompt takes and gives: every answer is graded, the best is kept.

        A verdict on a checklist is one on all of a row's criteria.
        """
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
    """Load a recipe, and return it with the folder that its relative paths start from.

    Raises:
        HarnessError: as `find_recipe`, or a mistake in the recipe (with its line).
    """
    path = find_recipe(path_or_name, search_dir=search_dir)
    return _load_with_template(path), path.parent


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


def parent_directory(parent: Parent, root: Path) -> str:
    """Return what to load a `checkpoint` parent from, as `locate_model` does."""
    assert parent.checkpoint is not None
    return locate_model(parent.checkpoint, root)


def _load_with_template(path: Path) -> Recipe:
    """Load a recipe with its chat template's text, which is what decides its checkpoint."""
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
