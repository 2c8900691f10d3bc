"""Size estimates of a training run, from the model's shape alone: no weights, no GPU.

optimiser_steps(rows, recipe.trainer)            exact for one GPU without packing
estimate_memory(recipe, shape, adapter)          an estimate, see there
"""

import math
from collections.abc import Mapping

from pydantic import JsonValue

from harness.core.errors import HarnessError
from harness.types import Record
from trainers.adapter_kinds import Adapter, FullFineTuning
from trainers.quantisation import EightBits, Quantisation
from trainers.recipe import AdapterRecipe
from trainers.shape import Shape, count_parameters, linear_layers, linear_weights

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


def estimate_memory(recipe: AdapterRecipe, shape: Shape, adapter: Adapter) -> Memory | None:
    """Estimate one GPU's memory in bytes; None for a method without an estimate.

    With P weights in the layers' projections, E others, T trained ones, and B = batch x sequences
    x max_length tokens at a time (2 sequences a row where chosen and rejected go together):

        weights      2 (P + E), or in 4 bits 0.5 P + constants + 2 E; the constants are 4 bytes
                     for 64 weights, or with double quantisation 1 byte, and 4 for 256 of those. In
                     8 bits P + 2 E, and 4 bytes for each output. Where all weights are trained, 4 T
                     in float32, and again for a frozen reference
        adapter      4 T in float32; twice that where a frozen copy is the reference
        gradients    4 T
        optimiser    8 T, or 2 T with 8 bits; paged states count as if they stayed on the GPU
        activations  what backpropagation needs, in 2 bytes a number: of every layer its input
                     (checkpointed) or all (6 h + 2 q + 2 k + 4 m for hidden size h, query and
                     key widths q and k, and the MLP's m), which one layer always needs; each
                     target's input again in float32, twice with dropout; and the logits twice
                     in float32, for themselves and their gradient
        merge        2 (P + E) + 4 T: the base in full precision with its adapter; after it the merged
                     model, read back. Where all weights are trained, 4 T

    It assumes that every row has max_length tokens and that attention keeps no matrix of scores
    (sdpa). It leaves out the CUDA context (about half a GB), fragmentation, and buffers of kernels.
    """
    if recipe.sequences is None:
        return None
    trained, full = adapter.count_trained(shape), isinstance(adapter, FullFineTuning)
    states = 2 if "8bit" in str(_option("optim", recipe.trainer)) else 8
    return Memory(
        weights=_trained_weights(recipe, shape)
        if full
        else _weight_bytes(shape, recipe.quantisation),
        adapter=0 if full else 4 * trained * recipe.adapter_copies,
        gradients=4 * trained,
        optimiser=states * trained,
        activations=_activation_bytes(shape, adapter, recipe.trainer, recipe.sequences),
        merge=4 * trained if full else _weight_bytes(shape, None) + 4 * trained,
    )


# --- sizes -----------------------------------------------------------------------------------


def _trained_weights(recipe: AdapterRecipe, shape: Shape) -> int:
    """Return the bytes of weights that are all trained, with those of a frozen reference."""
    return 4 * count_parameters(shape) * (2 if recipe.has_reference else 1)


def _weight_bytes(shape: Shape, quantisation: Quantisation | EightBits | None) -> int:
    parameters = count_parameters(shape)
    if quantisation is None:
        return shape.bytes_per_weight * parameters
    layers = linear_weights(shape)
    if isinstance(quantisation, EightBits):
        scales = 4 * sum(layer.n_out for layer in linear_layers(shape))
        return layers + scales + shape.bytes_per_weight * (parameters - layers)
    blocks = layers / 64
    constants = blocks + 4 * blocks / 256 if quantisation.double else 4 * blocks
    return round(layers / 2 + constants) + shape.bytes_per_weight * (parameters - layers)


def _activation_bytes(shape: Shape, adapter: Adapter, options: Options, sequences: int) -> int:
    hidden, inner = shape.hidden_size, shape.intermediate_size
    query, key = shape.n_heads * shape.head_size, shape.n_kv_heads * shape.head_size
    layer = 2 * (6 * hidden + 2 * query + 2 * key + 4 * inner)
    layer += 4 * adapter.kept_inputs(shape) // shape.n_layers
    checkpointed = adapter.checkpointing and _option("gradient_checkpointing", options)
    layers = 2 * hidden * shape.n_layers + layer if checkpointed else layer * shape.n_layers
    logits = 2 * 4 * shape.vocab_size
    batch = _number("per_device_train_batch_size", options) * sequences
    length = _number("max_length", options) + adapter.added_tokens
    return round(batch * length * (layers + logits))


# --- options ---------------------------------------------------------------------------------


def _option(name: str, options: Options) -> JsonValue:
    return options.get(name, TRL_DEFAULTS[name])


def _number(name: str, options: Options) -> float:
    value = _option(name, options)
    if value is None and name == "max_length":  # TRL then truncates nothing; the default is a guess
        value = TRL_DEFAULTS[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HarnessError(f"trainer.{name}: must be a number, not {value!r}.")
    return value
