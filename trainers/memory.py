"""Size estimates of a training run, from the model's shape alone: no weights, no GPU.

shape = find_shape(parent, root)             sizes of the model that training starts from
lora_parameters(shape, lora)                 exact
optimiser_steps(rows, recipe.trainer)        exact for one GPU without packing
estimate_memory(recipe, shape, lora)         an estimate, see there
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import JsonValue

from harness.core.errors import HarnessError
from harness.models.gguf import find_gguf, read_config
from harness.models.local import context_length
from harness.types import Record
from trainers.recipe import AdapterRecipe, Lora, Parent, Quantisation, parent_directory

Options = Mapping[str, JsonValue]

# TRL's defaults (SFTConfig and DPOConfig agree on these).
TRL_DEFAULTS: Options = {
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 3.0,
    "max_steps": -1,
    "max_length": 1024,
    "gradient_checkpointing": True,
    "optim": "adamw_torch_fused",
}

# Families whose fused layers PEFT refuses to adapt, and those layers.
UNADAPTED_FAMILIES = frozenset({"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"})
UNADAPTED_LAYERS = ("out_proj", "conv1d")

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Linear(NamedTuple):
    """A linear layer that an adapter can be put on: its name in the model, its inputs and outputs."""

    name: str
    n_in: int
    n_out: int


class Shape(NamedTuple):
    """The sizes of a language model; `tied` if the head is the embedding again.

    Those of a Llama or Mistral follow from the numbers. Of any other family, `linears` and `n_weights` are
    counted on the model that transformers makes of its `config` without weights.
    """

    family: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    context: int
    rope_theta: float
    rms_eps: float
    tied: bool
    bytes_per_weight: int = 2  # as published: bfloat16
    linears: tuple[Linear, ...] = ()
    ends: tuple[Linear, ...] = ()  # the embeddings and the head
    n_weights: int = 0
    config: Any = None


LLAMA_3_8B = Shape("llama", 128256, 4096, 14336, 32, 32, 8, 128, 8192, 500_000.0, 1e-5, tied=False)

MISTRAL_7B = Shape("mistral", 32000, 4096, 14336, 32, 32, 8, 128, 32768, 10_000.0, 1e-5, tied=False)
SMOLLM2_135M = Shape("llama", 49152, 576, 1536, 30, 9, 3, 64, 8192, 100_000.0, 1e-5, tied=True)

# From the models' published config.json, so that a plan need not fetch them.
HUB_SHAPES = {
    "meta-llama/Meta-Llama-3-8B": LLAMA_3_8B,
    "meta-llama/Llama-3.1-8B-Instruct": LLAMA_3_8B._replace(context=131072),
    "BioMistral/BioMistral-7B": MISTRAL_7B,
    "HuggingFaceTB/SmolLM2-135M-Instruct": SMOLLM2_135M,
}

# Hub models that cannot be trained as their pinned commits have them.
HUB_MODELS_WITHOUT_TEMPLATE = {"meta-llama/Meta-Llama-3-8B"}
HUB_PICKLES = {"BioMistral/BioMistral-7B"}


class Memory(Record):
    """An estimate of one GPU's memory in bytes, while it trains and while it merges at the end."""

    weights: int
    adapter: int
    gradients: int
    optimiser: int
    activations: int
    merge: int

    @property
    def training(self) -> int:
        """Return the total of a training step."""
        return self.weights + self.adapter + self.gradients + self.optimiser + self.activations

    @property
    def merging(self) -> int:
        """Return the total while the adapter is merged and checked, after training freed its memory."""
        return self.merge


def find_shape(parent: Parent, root: Path) -> Shape | None:
    """Return the shape of a checkpoint here, a GGUF file too, or of a known hub model; None of any other.

    It is None too of a family that this release of transformers does not know.

    Raises:
        HarnessError: a local checkpoint has no config.json, or one that cannot be read.
    """
    assert parent.checkpoint is not None
    gguf = find_gguf(parent.checkpoint, root)
    if gguf is not None:
        return measure_shape(read_config(gguf))
    source = parent_directory(parent, root)
    return _read_shape(Path(source)) if Path(source).is_dir() else HUB_SHAPES.get(source)


def find_obstacle(source: str, recipe: AdapterRecipe | None) -> str | None:
    """Return why a training run on a hub model would fail, if known before anything is fetched."""
    if source in HUB_PICKLES and (recipe is None or not recipe.parent.unpickle):
        return (
            "its weights at the pinned commit are a pickle, which may run code and is not loaded; "
            "'unpickle: true' next to its revision reads the tensors alone"
        )
    if source in HUB_MODELS_WITHOUT_TEMPLATE and (recipe is None or recipe.chat_template is None):
        return "its tokenizer has no chat template; give the recipe a 'chat_template'"
    return None


def count_parameters(shape: Shape) -> int:
    """Count all weights of the model."""
    if shape.n_weights:
        return shape.n_weights
    norms = (2 * shape.n_layers + 1) * shape.hidden_size
    return _linear_weights(shape) + norms + _embeddings(shape)


def lora_parameters(shape: Shape, lora: Lora) -> int:
    """Count the trained weights: r for each input and each output of a target.

    Raises:
        HarnessError: the model lacks a target module.
    """
    return sum(lora.r * (linear.n_in + linear.n_out) for linear in _targets(shape, lora))


def optimiser_steps(rows: int, options: Options) -> int:
    """Count the optimiser's steps on one GPU, as transformers does; packing makes them fewer."""
    limit = _number("max_steps", options)
    if limit > 0:
        return int(limit)
    batches = math.ceil(rows / _number("per_device_train_batch_size", options))
    per_epoch = math.ceil(batches / _number("gradient_accumulation_steps", options))
    return math.ceil(per_epoch * _number("num_train_epochs", options))


def n_training_pairs(pairs: int, holdout: float, *, per_prompt: int = 1) -> int:
    """Count the pairs to train on when those of a share of the prompts are held out."""
    prompts = pairs // per_prompt
    return (prompts - round(holdout * prompts)) * per_prompt


def estimate_memory(recipe: AdapterRecipe, shape: Shape, lora: Lora) -> Memory | None:
    """Estimate one GPU's memory in bytes; None for a method without an estimate.

    With P weights in the layers' projections, E others, T trained ones, and B = batch x sequences
    x max_length tokens at a time (2 sequences a row where chosen and rejected go together):

        weights      2 (P + E), or in 4 bits 0.5 P + constants + 2 E; the constants are 4 bytes
                     for 64 weights, or with double quantisation 1 byte, and 4 for 256 of those
        adapter      4 T in float32; twice that where DPO keeps a frozen copy as its reference
        gradients    4 T
        optimiser    8 T, or 2 T with 8 bits; paged states count as if they stayed on the GPU
        activations  what backpropagation needs, in 2 bytes a number: of every layer its input
                     (checkpointed) or all (6 h + 2 q + 2 k + 4 m for hidden size h, query and
                     key widths q and k, and the MLP's m), which one layer always needs; each
                     target's input again in float32, twice with dropout; and the logits twice
                     in float32, for themselves and their gradient
        merge        2 (P + E) + 4 T: the base in full precision with its adapter; after it the merged
                     model, read back

    It assumes that every row has max_length tokens and that attention keeps no matrix of scores
    (sdpa). It leaves out the CUDA context (about half a GB), fragmentation, and buffers of kernels.
    """
    if recipe.sequences is None:
        return None
    trained = lora_parameters(shape, lora)
    states = 2 if "8bit" in str(_option("optim", recipe.trainer)) else 8
    return Memory(
        weights=_weight_bytes(shape, recipe.quantisation),
        adapter=4 * trained * recipe.adapter_copies,
        gradients=4 * trained,
        optimiser=states * trained,
        activations=_activation_bytes(shape, lora, recipe.trainer, recipe.sequences),
        merge=_weight_bytes(shape, None) + 4 * trained,
    )


# --- sizes -----------------------------------------------------------------------------------


def _linears(shape: Shape) -> tuple[Linear, ...]:
    """Return the linear layers of all of the model's layers, without the head."""
    if shape.linears:
        return shape.linears
    hidden, inner = shape.hidden_size, shape.intermediate_size
    query, key = shape.n_heads * shape.head_size, shape.n_kv_heads * shape.head_size
    sizes = [
        (hidden, query),
        (hidden, key),
        (hidden, key),
        (query, hidden),
        (hidden, inner),
        (hidden, inner),
        (inner, hidden),
    ]
    layer = [Linear(name, *size) for name, size in zip(PROJECTIONS, sizes, strict=True)]
    return tuple(layer * shape.n_layers)


def _linear_weights(shape: Shape) -> int:
    return sum(linear.n_in * linear.n_out for linear in _linears(shape))


def _targets(shape: Shape, lora: Lora) -> list[Linear]:
    """Return the layers that get an adapter, matched by the end of their names as PEFT does.

    Raises:
        HarnessError: a target is the name of no layer.
    """
    linears = _linears(shape)
    targets = lora.target_modules
    if targets == "all-linear":  # PEFT leaves the head out
        left_out = UNADAPTED_LAYERS if shape.family in UNADAPTED_FAMILIES else ()
        return [x for x in linears if x.name.rpartition(".")[2] not in left_out]
    linears = (*linears, *_ends(shape))
    unknown = [t for t in targets if not any(_matches(x.name, t) for x in linears)]
    if unknown:
        known = dict.fromkeys(linear.name.rpartition(".")[2] for linear in linears)
        raise HarnessError(
            f"lora.target_modules: the model has no {', '.join(sorted(unknown))}. "
            f"Known: {', '.join(known)}."
        )
    return [x for x in linears if any(_matches(x.name, t) for t in targets)]


def targets_head(shape: Shape, lora: Lora) -> bool:
    """Return whether an adapter would be put on the head."""
    head = _ends(shape)[-1].name
    return lora.target_modules != "all-linear" and any(
        _matches(head, target) for target in lora.target_modules
    )


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _ends(shape: Shape) -> tuple[Linear, ...]:
    """Return the embeddings and the head, on which an adapter is put only where a recipe names them."""
    rows, hidden = shape.vocab_size, shape.hidden_size
    return shape.ends or (Linear("embed_tokens", rows, hidden), Linear("lm_head", hidden, rows))


def _embeddings(shape: Shape) -> int:
    return shape.vocab_size * shape.hidden_size * (1 if shape.tied else 2)


def _weight_bytes(shape: Shape, quantisation: Quantisation | None) -> int:
    parameters = count_parameters(shape)
    if quantisation is None:
        return shape.bytes_per_weight * parameters
    layers = _linear_weights(shape)
    blocks = layers / 64
    constants = blocks + 4 * blocks / 256 if quantisation.double else 4 * blocks
    return round(layers / 2 + constants) + shape.bytes_per_weight * (parameters - layers)


def _activation_bytes(shape: Shape, lora: Lora, options: Options, sequences: int) -> int:
    hidden, inner = shape.hidden_size, shape.intermediate_size
    query, key = shape.n_heads * shape.head_size, shape.n_kv_heads * shape.head_size
    layer = 2 * (6 * hidden + 2 * query + 2 * key + 4 * inner)
    copies = 2 if lora.dropout else 1
    layer += 4 * copies * sum(x.n_in for x in _targets(shape, lora)) // shape.n_layers
    checkpointed = _option("gradient_checkpointing", options)
    layers = 2 * hidden * shape.n_layers + layer if checkpointed else layer * shape.n_layers
    logits = 2 * 4 * shape.vocab_size
    batch = _number("per_device_train_batch_size", options) * sequences
    return round(batch * _number("max_length", options) * (layers + logits))


# --- options and files -----------------------------------------------------------------------


def _option(name: str, options: Options) -> JsonValue:
    return options.get(name, TRL_DEFAULTS[name])


def _number(name: str, options: Options) -> float:
    value = _option(name, options)
    if value is None and name == "max_length":  # TRL then truncates nothing; the default is a guess
        value = TRL_DEFAULTS[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HarnessError(f"trainer.{name}: must be a number, not {value!r}.")
    return value


def _read_shape(directory: Path) -> Shape | None:
    try:
        config = json.loads((directory / "config.json").read_bytes())
        if not isinstance(config, dict):
            raise ValueError("no object")
        if config["model_type"] in ("llama", "mistral"):
            return _shape_of(config)
    except (OSError, ValueError, KeyError) as error:
        raise HarnessError(f"{directory}: its config.json cannot be read: {error!r}.") from None
    return _shape_without_weights(directory)


def _shape_without_weights(directory: Path) -> Shape | None:
    """Return the shape of a model of any family that transformers knows; None of others."""
    from harness.models.weights import quiet_torch

    quiet_torch()
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
        return measure_shape(config.get_text_config())
    # A family without a causal model, or with code of its own; configurations differ in what they lack.
    except (ValueError, KeyError, AttributeError, TypeError, ImportError):
        return None


def measure_shape(config: Any) -> Shape:
    """Return the shape of the text model that transformers makes of a configuration, without weights."""
    import torch
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    with init_empty_weights():
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    linears = tuple(
        # GPT-2's layers hold their weights transposed.
        Linear(
            name,
            *(module.weight.shape if isinstance(module, Conv1D) else module.weight.shape[::-1]),
        )
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    )
    ends = tuple(
        Linear(name, *(module.weight.shape if kind == 0 else module.weight.shape[::-1]))
        for kind, part in enumerate((model.get_input_embeddings(), head))
        for name, module in model.named_modules()
        if module is part and part is not None
    )
    tied = bool(getattr(config, "tie_word_embeddings", False))
    weights = {id(p): p.numel() for p in model.parameters()}
    if tied and head is not None:
        weights.pop(id(head.weight), None)
        weights[id(model.get_input_embeddings().weight)] = head.weight.numel()
    heads, hidden = int(getattr(config, "num_attention_heads", 0) or 1), int(config.hidden_size)
    return Shape(
        family=str(config.model_type),
        vocab_size=int(config.vocab_size),
        hidden_size=hidden,
        intermediate_size=int(getattr(config, "intermediate_size", 0) or 4 * hidden),
        n_layers=int(config.num_hidden_layers),
        n_heads=heads,
        n_kv_heads=int(getattr(config, "num_key_value_heads", 0) or heads),
        head_size=int(getattr(config, "head_dim", 0) or hidden // heads),
        context=context_length(config),
        rope_theta=0.0,
        rms_eps=0.0,
        tied=tied,
        bytes_per_weight=4 if config.dtype in (None, torch.float32) else 2,
        linears=linears,
        ends=ends,
        n_weights=sum(weights.values()),
        config=config,
    )


def _shape_of(config: dict[str, JsonValue]) -> Shape:
    family = str(config["model_type"])

    def number(name: str, default: float | None = None) -> float:
        value = config.get(name, default)
        if not isinstance(value, int | float):
            raise ValueError(f"no number '{name}'")
        return value

    heads, hidden = int(number("num_attention_heads")), int(number("hidden_size"))
    rope = config.get("rope_parameters")
    theta = rope.get("rope_theta") if isinstance(rope, dict) else config.get("rope_theta")
    return Shape(
        family=family,
        vocab_size=int(number("vocab_size")),
        hidden_size=hidden,
        intermediate_size=int(number("intermediate_size")),
        n_layers=int(number("num_hidden_layers")),
        n_heads=heads,
        n_kv_heads=int(number("num_key_value_heads", heads)),
        head_size=int((config.get("head_dim") and number("head_dim")) or hidden // heads),
        context=int(number("max_position_embeddings")),
        rope_theta=float(theta) if isinstance(theta, int | float) else 10_000.0,
        rms_eps=number("rms_norm_eps", 1e-6),
        tied=bool(config.get("tie_word_embeddings", False)),
        bytes_per_weight=4 if _dtype(config) == "float32" else 2,
    )


def _dtype(config: dict[str, JsonValue]) -> JsonValue:
    return config.get("dtype", config.get("torch_dtype"))
