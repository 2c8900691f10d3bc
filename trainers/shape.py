"""The sizes of a language model, from its configuration alone: no weights, no GPU.

shape = find_shape(parent, root)             sizes of the model that training starts from
count_parameters(shape)                      exact
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import JsonValue

from harness.core.errors import HarnessError
from harness.models.gguf import find_gguf, read_config
from harness.models.local import context_length
from trainers.recipe_parts import Parent, parent_directory

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


def count_parameters(shape: Shape) -> int:
    """Count all weights of the model."""
    if shape.n_weights:
        return shape.n_weights
    norms = (2 * shape.n_layers + 1) * shape.hidden_size
    return linear_weights(shape) + norms + _embeddings(shape)


def linear_layers(shape: Shape) -> tuple[Linear, ...]:
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


def linear_weights(shape: Shape) -> int:
    return sum(linear.n_in * linear.n_out for linear in linear_layers(shape))


def end_layers(shape: Shape) -> tuple[Linear, ...]:
    """Return the embeddings and the head, on which an adapter is put only where a recipe names them."""
    rows, hidden = shape.vocab_size, shape.hidden_size
    return shape.ends or (Linear("embed_tokens", rows, hidden), Linear("lm_head", hidden, rows))


def _embeddings(shape: Shape) -> int:
    return shape.vocab_size * shape.hidden_size * (1 if shape.tied else 2)


# --- files ---------------------------------------------------------------------------------


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
