"""What a recipe trains: the kinds of adapters, with their keys and the facts that other code asks for.

    lora: {r: 16, alpha: 32}                         short for adapter: {kind: lora, r: 16, alpha: 32}
    adapter: {kind: dora, r: 16, alpha: 32}
    adapter: {kind: ia3}
    adapter: {kind: prompt, tokens: 16}
    adapter: {kind: full}                            no adapter: all weights are trained

A new kind is a class here with its place in `Adapter`, and a branch in trainers/peft_config.py.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from harness.core.errors import HarnessError
from harness.core.yaml_loader import field_error
from trainers.adapter_base import AdapterSpec, ModuleNames, TargetedAdapter, find_layers, matches
from trainers.shape import Linear, Shape, count_parameters


class LowRank(TargetedAdapter):
    """The base of the kinds that add a product of two matrices of rank r to each target."""

    peft_type: ClassVar = "LORA"
    adapts_ends: ClassVar = True

    r: int = Field(ge=1)
    alpha: int = Field(ge=1)

    @property
    def sizes(self) -> Mapping[str, object]:
        return {"r": self.r, "alpha": self.alpha}

    def advice(self, shape: Shape) -> Sequence[str]:
        """Say so where the rank is higher than that of a target, whose weights would be fewer."""
        low = [x for x in self.targets(shape) if self.r > min(x.n_in, x.n_out)]
        if not low:
            return ()
        smallest = min(low, key=lambda layer: min(layer.n_in, layer.n_out))
        return (
            f"rank {self.r} is more than {smallest.name} ({smallest.n_out} x {smallest.n_in}) can have",
        )

    def count_trained(self, shape: Shape) -> int:
        """Count r for each input and each output of a target."""
        return sum(self.r * (x.n_in + x.n_out) for x in self.targets(shape))


class Lora(LowRank):
    """A low-rank adapter (https://arxiv.org/abs/2106.09685), scaled by alpha / r."""

    title: ClassVar = "LoRA"
    one_process: ClassVar = ""

    kind: Literal["lora"] = "lora"


class RsLora(LowRank):
    """LoRA scaled by alpha / sqrt(r), so that a high rank learns as fast (https://arxiv.org/abs/2312.03732)."""

    title: ClassVar = "rsLoRA"
    one_process: ClassVar = ""

    kind: Literal["rslora"]


class Dora(LowRank):
    """LoRA of the direction of each weight, with a trained length of each output (https://arxiv.org/abs/2402.09353)."""

    title: ClassVar = "DoRA"
    refused_bits: ClassVar = MappingProxyType(
        {8: "bitsandbytes loses the scales of a layer in 8 bits whose lengths were read"}
    )
    adapts_ends: ClassVar = False

    kind: Literal["dora"]

    def count_trained(self, shape: Shape) -> int:
        """Count those of LoRA, and a length for each output of a target."""
        return super().count_trained(shape) + sum(x.n_out for x in self.targets(shape))


class Pissa(LowRank):
    """LoRA that starts as the largest singular values of each weight (https://arxiv.org/abs/2404.02948).

    They are taken out of the frozen weight. What was learnt is saved as a LoRA of rank 2 r on the base as it
    was: the trained product minus the first one.
    """

    title: ClassVar = "PiSSA"
    adapts_ends: ClassVar = False
    refused_bits: ClassVar = MappingProxyType(
        dict.fromkeys((4, 8), "its start is a part of the weights, which a few bits no longer hold")
    )
    refused_methods: ClassVar = MappingProxyType(
        {"reward": "PEFT's conversion to a LoRA leaves the reward's head out"}
    )
    reference: ClassVar = "a frozen copy of the adapter"

    kind: Literal["pissa"]

    def targets(self, shape: Shape) -> Sequence[Linear]:
        """Return the layers that are adapted, each with at least r singular values."""
        targets = super().targets(shape)
        for layer in targets:
            if self.r > min(layer.n_in, layer.n_out):
                raise HarnessError(
                    f"adapter.r: {self.r} is more than the {min(layer.n_in, layer.n_out)} singular values of "
                    f"{layer.name} ({layer.n_out} x {layer.n_in}). Lower it, or name other target_modules."
                )
        return targets


class LoraPlus(LowRank):
    """LoRA whose second matrix learns `ratio` times as fast as its first (https://arxiv.org/abs/2402.12354).

    The learning rate of the first is that of `trainer`.
    """

    title: ClassVar = "LoRA+"

    kind: Literal["lora_plus"]
    ratio: float = Field(default=16.0, ge=1.0)

    @property
    def sizes(self) -> Mapping[str, object]:
        return {**super().sizes, "ratio": f"{self.ratio:g}"}


class Vera(TargetedAdapter):
    """Two trained vectors between random frozen matrices that all targets share (https://arxiv.org/abs/2310.11454).

    Its rank is usually far higher than that of LoRA. `initial` is the first value of the vector of length r.
    """

    title: ClassVar = "VeRA"
    peft_type: ClassVar = "VERA"

    kind: Literal["vera"]
    r: int = Field(ge=1)
    initial: float = Field(default=0.1, gt=0.0)

    @property
    def sizes(self) -> Mapping[str, object]:
        return {"r": self.r}

    def count_trained(self, shape: Shape) -> int:
        """Count r and each output of a target."""
        return sum(self.r + x.n_out for x in self.targets(shape))


class Ia3(AdapterSpec):
    """Trained factors of keys, values, and the inputs of the MLP's last layer (https://arxiv.org/abs/2205.05638).

    Targets are PEFT's for the model's family, or those that are named; of `feedforward_modules`, some of the
    targets, the inputs have factors, and of the others the outputs.
    """

    title: ClassVar = "IA3"
    peft_type: ClassVar = "IA3"

    kind: Literal["ia3"]
    target_modules: ModuleNames | None = None
    feedforward_modules: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _feedforward_is_targeted(self) -> "Ia3":
        for name in self.feedforward_modules:
            if name not in (self.target_modules or ()):
                raise field_error(
                    "feedforward_modules",
                    f"'{name}' is not in 'target_modules', which lists all layers that have factors",
                )
        return self

    def layers_of(self, family: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of all targets, and of those among them whose inputs have factors.

        Raises:
            HarnessError: none are named, and PEFT has none for the family.
        """
        if self.target_modules is not None:
            return self.target_modules, self.feedforward_modules
        if family in ("llama", "mistral"):  # as PEFT has them; its import takes seconds
            return ("k_proj", "v_proj", "down_proj"), ("down_proj",)
        from peft.utils import constants

        targets = constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING.get(family)
        inputs = constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING.get(family)
        if targets is None or inputs is None:
            raise HarnessError(
                f"adapter: PEFT has no layers of its own for IA3 on models of the family '{family}'. Name "
                "'target_modules', and those of the MLP among them in 'feedforward_modules'."
            )
        return tuple(targets), tuple(inputs)

    def targets(self, shape: Shape) -> Sequence[Linear]:
        """Return the layers that have factors."""
        return find_layers(shape, self.layers_of(shape.family)[0], ends=False)

    def count_trained(self, shape: Shape) -> int:
        """Count each input of an MLP's target, and each output of another."""
        inputs = self.layers_of(shape.family)[1]
        return sum(
            x.n_in if any(matches(x.name, name) for name in inputs) else x.n_out
            for x in self.targets(shape)
        )

    def kept_inputs(self, shape: Shape) -> int:
        """Count what each factor was multiplied with."""
        return self.count_trained(shape)


_NOT_BEFORE_PROMPTS = {
    "reward": "a reward model is kept merged, which this cannot be",
    **dict.fromkeys(
        ("grpo", "rloo"),
        "TRL samples padded batches there, in which answers after virtual tokens are not exact",
    ),
}


class VirtualTokens(AdapterSpec):
    """The base of the kinds that put learnt tokens before every prompt."""

    starts_at_base: ClassVar = False
    refused_methods: ClassVar = MappingProxyType(_NOT_BEFORE_PROMPTS)

    tokens: int = Field(ge=1)

    @property
    def sizes(self) -> Mapping[str, object]:
        return {"tokens": self.tokens}

    def targets(self, shape: Shape) -> Sequence[Linear]:
        """Return no layer; but the tokens must leave room for a prompt in the model's context."""
        if self.tokens >= shape.context:
            raise HarnessError(
                f"adapter.tokens: {self.tokens} leave no room for a prompt: the model reads {shape.context} tokens."
            )
        return ()


class PromptTuning(VirtualTokens):
    """Learnt embeddings before every prompt (https://arxiv.org/abs/2104.08691).

    They start as the embeddings of `text`, repeated or cut to the number of tokens, or of random tokens of
    the vocabulary.
    """

    title: ClassVar = "prompt tuning"
    peft_type: ClassVar = "PROMPT_TUNING"
    refused_methods: ClassVar = MappingProxyType(
        _NOT_BEFORE_PROMPTS
        | dict.fromkeys(("orpo", "simpo"), "their trainers in TRL take no more outputs than tokens")
    )

    kind: Literal["prompt"]
    text: str | None = Field(default=None, min_length=1)

    @property
    def added_tokens(self) -> int:
        return self.tokens

    def count_trained(self, shape: Shape) -> int:
        """Count an embedding for each token."""
        return self.tokens * shape.hidden_size


class PrefixTuning(VirtualTokens):
    """Learnt keys and values before every prompt, in every layer (https://arxiv.org/abs/2101.00190).

    They start at random.
    """

    title: ClassVar = "prefix tuning"
    peft_type: ClassVar = "PREFIX_TUNING"
    checkpointing: ClassVar = False

    kind: Literal["prefix"]

    def count_trained(self, shape: Shape) -> int:
        """Count a key and a value of every key head for each token and layer."""
        return 2 * self.tokens * shape.n_layers * shape.n_kv_heads * shape.head_size


class FullFineTuning(AdapterSpec):
    """All weights of the model, and no adapter."""

    title: ClassVar = "full fine-tuning"
    peft_type: ClassVar = None
    refused_bits: ClassVar = MappingProxyType(
        dict.fromkeys((4, 8), "all weights are trained, and a few bits cannot follow small steps")
    )
    reference: ClassVar = "a second model"

    kind: Literal["full"]

    def count_trained(self, shape: Shape) -> int:
        """Count all weights."""
        return count_parameters(shape)


AnyLowRank = Lora | RsLora | Dora | Pissa | LoraPlus
Adapter = AnyLowRank | Vera | Ia3 | PromptTuning | PrefixTuning | FullFineTuning
AdapterBlock = Annotated[Adapter, Field(discriminator="kind")]


def continued(adapter: Adapter) -> Adapter | None:
    """Return the adapter that a later recipe finds and may train on; None where it finds none."""
    match adapter:
        case Pissa():
            return _as_lora(adapter, times=2)
        case LoraPlus():  # the optimiser is then the usual one
            return _as_lora(adapter)
        case PromptTuning() | PrefixTuning() | FullFineTuning():
            return None
        case _:
            return adapter


def _as_lora(adapter: LowRank, times: int = 1) -> Lora:
    return Lora(
        r=times * adapter.r,
        alpha=times * adapter.alpha,
        dropout=adapter.dropout,
        target_modules=adapter.target_modules,
    )
