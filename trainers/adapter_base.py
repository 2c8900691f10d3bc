"""The facts of a kind of adapter, and the layers that it targets."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.config import Spec
from harness.core.errors import HarnessError
from harness.models.adapter_types import ADAPTER_TYPES
from trainers.shape import (
    UNADAPTED_FAMILIES,
    UNADAPTED_LAYERS,
    Linear,
    Shape,
    end_layers,
    linear_layers,
)

Reference = Literal[
    "the model without its adapter", "a frozen copy of the adapter", "a second model"
]
_NONE: Mapping[str, str] = MappingProxyType({})
ModuleNames = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class AdapterSpec(Spec):
    """The base of every kind, with the facts of a kind as class variables and methods.

    Attributes:
        title: The name in the literature.
        peft_type: PEFT's type of the adapter that is saved; None where all weights are trained.
        refused_bits: Quantisations of the base on which it is not trained, by their bits, and why.
        refused_methods: Training methods that do not train it, and why.
        starts_at_base: Whether the model with the untrained adapter answers as the base does.
        reference: What a method with a reference compares a new adapter with.
        one_process: Why its training is not launched in several processes; empty where it is.
        checkpointing: Whether activations may be computed again in the backward pass.
        adapts_ends: Whether the embeddings and the head can be among its targets.
    """

    title: ClassVar[str]
    peft_type: ClassVar[str | None]
    refused_bits: ClassVar[Mapping[int, str]] = MappingProxyType({})
    refused_methods: ClassVar[Mapping[str, str]] = _NONE
    starts_at_base: ClassVar[bool] = True
    reference: ClassVar[Reference] = "the model without its adapter"
    one_process: ClassVar[str] = (
        "it is known to train alike in several processes for LoRA and rsLoRA only"
    )
    checkpointing: ClassVar[bool] = True
    adapts_ends: ClassVar[bool] = False

    kind: str

    @property
    def merges(self) -> bool:
        """Return whether what is trained becomes part of the model's own weights."""
        return self.peft_type is None or ADAPTER_TYPES[self.peft_type].merges

    @property
    def sizes(self) -> Mapping[str, object]:
        """Return the keys that size the adapter, as pages name it."""
        return {}

    @property
    def description(self) -> str:
        """Return the kind with its sizes in a few words."""
        return ", ".join([self.title, *(f"{name} {value}" for name, value in self.sizes.items())])

    @property
    def added_tokens(self) -> int:
        """Return by how many tokens every sequence becomes longer."""
        return 0

    def targets(self, shape: Shape) -> Sequence[Linear]:
        """Return the layers that are adapted.

        Raises:
            HarnessError: a target is the name of no layer, or a layer is too small for the adapter.
        """
        return ()

    def advice(self, shape: Shape) -> Sequence[str]:
        """Return what a plan should say of the adapter on a model of this shape."""
        return ()

    def kept_inputs(self, shape: Shape) -> int:
        """Count the numbers a token that the adapter keeps for the backward pass, in float32."""
        return 0


class TargetedAdapter(AdapterSpec):
    """The base of the kinds that stand beside linear layers.

    `all-linear` are all linear layers but the head; others are named by the ends of their names.
    """

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    target_modules: Literal["all-linear"] | ModuleNames = "all-linear"

    def targets(self, shape: Shape) -> Sequence[Linear]:
        """Return the layers that are adapted, matched by the end of their names as PEFT does."""
        if self.target_modules == "all-linear":  # PEFT leaves the head out
            left_out = UNADAPTED_LAYERS if shape.family in UNADAPTED_FAMILIES else ()
            layers = linear_layers(shape)
            return [x for x in layers if x.name.rpartition(".")[2] not in left_out]
        return find_layers(shape, self.target_modules, ends=self.adapts_ends)

    def kept_inputs(self, shape: Shape) -> int:
        """Count each target's input, twice with dropout."""
        return (2 if self.dropout else 1) * sum(x.n_in for x in self.targets(shape))


def find_layers(shape: Shape, names: Sequence[str], *, ends: bool) -> list[Linear]:
    """Return the layers of these names, matched by the end of their names as PEFT does.

    With `ends` the embeddings and the head are among those that can be named.

    Raises:
        HarnessError: a name is that of no layer.
    """
    layers = (*linear_layers(shape), *(end_layers(shape) if ends else ()))
    unknown = [name for name in names if not any(matches(x.name, name) for x in layers)]
    if unknown:
        if any(matches(end.name, name) for end in end_layers(shape) for name in unknown):
            raise HarnessError(
                f"target_modules: {', '.join(sorted(unknown))}: embeddings and head are adapted by the kinds "
                "lora, rslora and lora_plus only."
            )
        known = dict.fromkeys(layer.name.rpartition(".")[2] for layer in layers)
        raise HarnessError(
            f"target_modules: the model has no {', '.join(sorted(unknown))}. Known: {', '.join(known)}."
        )
    return [x for x in layers if any(matches(x.name, name) for name in names)]


def targets_head(shape: Shape, adapter: AdapterSpec) -> bool:
    """Return whether an adapter would be put on the head."""
    head = end_layers(shape)[-1].name
    named = getattr(adapter, "target_modules", None)
    return isinstance(named, tuple) and any(matches(head, target) for target in named)


def matches(name: str, target: str) -> bool:
    """Return whether a target names the layer: by its whole name, or by the end of it."""
    return name == target or name.endswith(f".{target}")
