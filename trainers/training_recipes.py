"""Recipes that train a model: from scratch, or an adapter of any kind on a parent, by one method each."""

from typing import Any, ClassVar, Literal

from pydantic import (
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from harness.config import Conversion, Name, Source
from harness.core.yaml_loader import field_error
from trainers.adapter_kinds import Adapter, AdapterBlock, Lora
from trainers.quantisation import AnyQuantisation
from trainers.recipe_parts import (
    Parent,
    Product,
    RecipeSpec,
    RewardSource,
    TextSource,
    TinyModel,
    TrainingEvalSpec,
    TrainingSource,
)

# DPO's losses that smooth labels in TRL.
_SMOOTHED = ("robust", "exo_pair", "aot", "aot_unpaired")


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


class AdapterRecipe(RecipeSpec):
    """The keys of every recipe that trains an adapter on a parent.

    `chat_template` is a file in the recipe's folder or the name of a bundled template; a loaded
    recipe holds the template's text. By default the parent's own template is used. `thinking` sets
    the template's switch of thinking, in training and as the default of the checkpoint. `adapter` says
    what is trained; `lora` is its short form for that kind. `rows` of the examples (see `unit`) are learnt, drawn
    at random; fewer are a part of more.

    Attributes:
        unit: The name of the examples that the method learns from.
        sequences: Sequences that go through the model for each example of a batch; None where the
            method samples answers itself, so that its memory is not estimated.
        least_rows: Rows at a time, below which the method does not work.
        one_process: Why training cannot be launched in several processes; empty where it can.
        needs_adapter: Why the recipe must say what it trains; empty where the parent's adapter can go on.
        has_reference: Whether the policy is compared with a frozen reference.
    """

    makes: ClassVar[Product] = "a model"
    unit: ClassVar[str]
    sequences: ClassVar[int | None]
    least_rows: ClassVar[int] = 1
    one_process: ClassVar[str] = ""
    needs_adapter: ClassVar[str] = ""
    has_reference: ClassVar[bool] = False

    recipe: Name
    method: str
    seed: int = 1
    parent: Parent
    # Omitted when unset, so that the keys of older checkpoints remain valid.
    chat_template: str | None = Field(default=None, exclude_if=lambda template: template is None)
    thinking: bool | None = Field(default=None, exclude_if=lambda switch: switch is None)
    watch: TrainingEvalSpec | None = Field(default=None, exclude_if=lambda watch: watch is None)
    lora: Lora | None = None
    adapter: AdapterBlock | None = Field(default=None, exclude_if=lambda adapter: adapter is None)
    quantisation: AnyQuantisation | None = None
    rows: int | None = Field(default=None, ge=1, exclude_if=lambda n: n is None)
    trainer: dict[str, JsonValue] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _write_short(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write an adapter of the kind lora in its short form, so that both are one checkpoint."""
        written: dict[str, Any] = write(self)
        lora = written.pop("adapter") if isinstance(self.adapter, Lora) else written.get("lora")
        if lora is not None:
            written["lora"] = {name: value for name, value in lora.items() if name != "kind"}
        return written

    @model_validator(mode="after")
    def _check_adapter(self) -> "AdapterRecipe":
        if self.adapter is not None and self.lora is not None:
            raise field_error("adapter", "'lora' is its short form; keep one of the two")
        kind = self.new_adapter
        if kind is None and self.needs_adapter:
            raise field_error("adapter", f"is missing: {self.needs_adapter}")
        if kind is None:
            return self
        reason = kind.refused_methods.get(self.method)
        if reason is not None:
            raise field_error(
                "adapter", f"'{kind.kind}' is not trained by '{self.method}': {reason}"
            )
        refused = kind.refused_bits.get(self.quantisation.bits) if self.quantisation else None
        if refused is not None:
            raise field_error("quantisation", f"does not go with '{kind.kind}': {refused}")
        if self.trainer.get("gradient_checkpointing") and not kind.checkpointing:
            raise field_error(
                "trainer.gradient_checkpointing", f"does not go with '{kind.kind}'; remove it"
            )
        return self

    @property
    def new_adapter(self) -> Adapter | None:
        """Return what is trained anew; None where the parent's own adapter goes on training."""
        return self.adapter or self.lora

    @property
    def starts_at_parent(self) -> bool:
        """Return whether the model answers as the parent does before its first step."""
        return self.new_adapter is None or self.new_adapter.starts_at_base

    @property
    def adapter_copies(self) -> int:
        """Return the number of copies of the adapter in memory, including a frozen reference."""
        kind = self.new_adapter
        copied = kind is None or kind.reference == "a frozen copy of the adapter"
        return 2 if self.has_reference and copied else 1


class SftRecipe(AdapterRecipe):
    """Supervised fine-tuning on the completions alone, with TRL's SFTTrainer.

    Rows come from `data`, from the `best_of` recipe (rejection sampling), or from both. `rows` of those
    of `data` are learnt. `holdout` is the share of their questions that is held out for evaluation.
    """

    unit: ClassVar = "rows"
    sequences: ClassVar = 1
    needs_adapter: ClassVar = "say what is trained, as 'adapter: {kind: …}' or 'lora: {…}'"

    method: Literal["sft"]
    data: tuple[TrainingSource, ...] = ()
    best_of: str | None = None
    holdout: float = Field(default=0.0, ge=0.0, lt=1.0, exclude_if=lambda share: share == 0)

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

    Without `adapter` the parent's own adapter continues to train; with it a new adapter is added to the
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

    has_reference: ClassVar = True

    method: Literal["dpo"]
    # Omitted when it is the default, so that the keys of older checkpoints remain valid.
    reference: Literal["parent", "base"] = Field(
        default="parent", exclude_if=lambda reference: reference == "parent"
    )

    @model_validator(mode="after")
    def _check_smoothing(self) -> "DpoRecipe":
        loss = self.trainer.get("loss_type", "sigmoid")
        losses = loss if isinstance(loss, list) else [loss]
        if self.trainer.get("label_smoothing") and not any(name in _SMOOTHED for name in losses):
            raise field_error(
                "trainer.label_smoothing",
                f"has no effect on this loss, but on {', '.join(_SMOOTHED)}; name one as 'loss_type', or remove it",
            )
        return self

    @model_validator(mode="after")
    def _check_reference(self) -> "DpoRecipe":
        if self.reference == "base" and self.new_adapter is not None:
            raise field_error(
                "reference", "with a new adapter the parent is the base; remove this, or 'adapter'"
            )
        return self


class KtoRecipe(PreferenceRecipe):
    """Kahneman-Tversky optimisation with TRL's KTOTrainer; the reference is the parent.

    Each pair becomes two unpaired rows: the chosen answer is desirable, the rejected one undesirable.
    `labelled` names answers with a label of their own instead: rows of `prompt`, `completion` and
    `label`, or of `messages` and `label`, as `harness convert --to labelled` reads them.
    """

    unit: ClassVar = "answers"
    sequences: ClassVar = 1
    has_reference: ClassVar = True
    least_rows: ClassVar = 2  # the divergence is estimated from the other answers of a batch
    examples_per_pair: ClassVar = 2

    method: Literal["kto"]
    labelled: Source | None = Field(default=None, exclude_if=lambda source: source is None)

    # After the field: what a validator before it returns is no longer read as JSON, whose lists are tuples.
    @field_validator("labelled")
    @classmethod
    def _convert_labelled(cls, source: Source | None) -> Source | None:
        """Make a conversion of a source of labelled answers, so that dropped rows are counted."""
        if source is None or source.convert is not None:
            return source
        if source.path is None or source.model_fields_set - {"phi"} != {"path"}:
            raise ValueError(
                "takes a 'path' alone, or a 'convert' with 'to: labelled' for other columns"
            )
        return Source(convert=Conversion(source=source.path, to="labelled"), phi=source.phi)

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
    needs_adapter: ClassVar = "a reward model is a new adapter with a new head on the parent"

    method: Literal["reward"]

    @model_validator(mode="after")
    def _refuse_training_eval(self) -> "RewardRecipe":
        if self.watch is not None:
            raise field_error("watch", "a reward model generates nothing that a suite could score")
        return self


class OnlineRecipe(AdapterRecipe):
    """Online reinforcement learning from rewarded answers, with TRL's GRPOTrainer or RLOOTrainer.

    `trainer` also holds the sampling options (`num_generations`, `max_completion_length`,
    `temperature`). The reference, where `trainer.beta` is not 0, is the parent. `adapter` is as for
    preference pairs.
    """

    unit: ClassVar = "prompts"
    sequences: ClassVar = None
    one_process: ClassVar = "one process requests and stores its rewards"

    method: Literal["grpo", "rloo"]
    data: Source
    system: str | None = None
    reward: RewardSource
