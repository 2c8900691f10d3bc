"""LoRA adapters: loading the model to train one on, and merging it into that model."""

import gc
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from harness.core.errors import HarnessError
from harness.models.adapters import attach_adapter
from harness.models.model_folder import is_adapter
from harness.models.stops import set_stops
from harness.models.weights import disable_inference_repacking, load_weights, quiet_torch
from trainers.distributed.config import sharding_strategy
from trainers.four_bits import check_quantisation, dequantise
from trainers.memory import UNADAPTED_FAMILIES, UNADAPTED_LAYERS
from trainers.portable import add_version_4_words
from trainers.recipe import Lora, Quantisation

# Mean KL divergence between an adapter and its merged model. Merging into full precision gives
# 1e-4 in bfloat16 and less than 1e-6 in float32; merging into 4 bits gives 1e-2.
MERGE_TOLERANCE = 1e-3

# Largest difference of a reward between an adapter and its merged model, as a share of 1 plus the
# reward. In bfloat16, with 8 bits of precision, a few roundings make 1e-2; in float32 it is 1e-5.
REWARD_TOLERANCE = 3e-2
Head = Literal["language_model", "reward"]


def load_base(
    source: str | Path,
    *,
    revision: str | None,
    quantisation: Quantisation | None,
    head: Head = "language_model",
) -> tuple[Any, Any]:
    """Load the model to train an adapter on, optionally in 4 bits, and its tokenizer.

    A model that is in 4 bits already stays so.

    Raises:
        HarnessError: `source` is an adapter or quantised otherwise, quantisation is asked for without
            an NVIDIA GPU, or the model cannot be loaded.
    """
    refuse_adapter(source)
    options: dict[str, Any] = {}
    if quantisation is not None:
        options["quantization_config"] = _quantisation_config(quantisation)
    if sharding_strategy():
        options["device_map"] = None  # FSDP or DeepSpeed places the model
    model, tokenizer = _load(source, revision, head, **options)
    check_quantisation(model.config, source)
    return model, tokenizer


def refuse_adapter(source: str | Path) -> None:
    """Refuse to train on an adapter: its base would be loaded with it, and a second one laid on top.

    Raises:
        HarnessError: `source` is one.
    """
    if is_adapter(Path(source)):
        raise HarnessError(
            f"{source}: is an adapter, not a model. Merge it into its base, and train on that."
        )


def check_vocabulary(model: Any, tokenizer: Any, source: str | Path) -> None:
    """Check that the model has an embedding for every token of its tokenizer.

    Raises:
        HarnessError: it has not; training would end at the first such token, or learn nothing of it.
    """
    embeddings = model.get_input_embeddings().weight
    # Of a ZeRO 3 shard: the full shape.
    n_rows = getattr(embeddings, "ds_shape", embeddings.shape)[0]
    if len(tokenizer) > n_rows:
        raise HarnessError(
            f"{source}: has embeddings for {n_rows} tokens, and its tokenizer has {len(tokenizer)}. Resize "
            "the base, save it, and train on that."
        )


def _quantisation_config(quantisation: Quantisation) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise HarnessError(
            "The recipe asks for 'quantisation', which needs an NVIDIA GPU, and this machine has none. "
            "Remove the block to train in full precision, or run the recipe on a machine with a GPU."
        )
    compute = getattr(torch, quantisation.compute)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantisation.kind,
        bnb_4bit_use_double_quant=quantisation.double,
        bnb_4bit_compute_dtype=compute,
        # Bytes cannot be sharded; the same bits stored as a floating type can.
        bnb_4bit_quant_storage=compute if sharding_strategy() else torch.uint8,
    )


def _load(source: str | Path, revision: str | None, head: Head, **options: Any) -> tuple[Any, Any]:
    if head == "language_model":
        return load_weights(source, revision=revision, **options)
    return load_reward_weights(source, revision=revision, **options)


def load_reward_weights(
    source: str | Path, *, revision: str | None = None, **options: Any
) -> tuple[Any, Any]:
    """Load a model that outputs one number for a chat, on the GPU if there is one, and its tokenizer.

    On a language model the head is new: all zeros, so that every answer scores 0 at first.

    Raises:
        HarnessError: it cannot be loaded, or its architecture has no such head.
    """
    quiet_torch()
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    # Load model and tokenizer.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"dtype": "auto", "device_map": device, "revision": revision, **options}
    try:
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            source,
            num_labels=1,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise HarnessError(f"{source}: cannot be loaded as a reward model: {first_line}") from None
    disable_inference_repacking(model)
    # Start a new head at zero.
    if loading["missing_keys"]:
        torch.nn.init.zeros_(model.score.weight)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def lora_config(lora: Lora, model: Any, head: Head = "language_model") -> Any:
    """Return PEFT's configuration of an adapter on the model; a reward model's head is trained in full.

    All linear layers are those of the text's decoder: what reads pictures or sound sees nothing here, so
    an adapter on it would never move. Of Mamba and its kin, those that PEFT can adapt.
    """
    from peft import LoraConfig

    targets = lora.target_modules
    excluded = None
    if targets == "all-linear":
        text = _decoder_prefix(model)
        excluded = None if text is None else rf"(?!{re.escape(text)}\.).*"
        if model.config.model_type in UNADAPTED_FAMILIES:
            excluded = rf".*\.({'|'.join(UNADAPTED_LAYERS)})"
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        exclude_modules=excluded,
        task_type="CAUSAL_LM" if head == "language_model" else "SEQ_CLS",
    )


def _decoder_prefix(model: Any) -> str | None:
    """Return the name of the part that decodes text, in a model that has other parts; else None."""
    config = model.config
    if config.get_text_config() is config:
        return None
    decoder = model.get_decoder()
    names = (name for name, module in model.named_modules() if module is decoder and name)
    return next(names, None)


def remember_adapter_weights(model: Any) -> None:
    """Store a copy of the adapter's weights on the model, for `upcast_adapter` to restore."""
    model.as_loaded = {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def complete_reference(model: Any) -> None:
    """Copy what TRL leaves out of its frozen copy of an adapter, named "ref": that of the embeddings.

    It copies the parameters with ".default." in their names, and the embeddings' end in ".default".
    """
    if "ref" not in getattr(model, "peft_config", {}):
        return
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if name.endswith(".default"):
            parameters[f"{name.removesuffix('default')}ref"].data.copy_(parameter.data)


def upcast_adapter(model: Any) -> None:
    """Cast all that is trained, and the frozen reference's adapter, to float32.

    TRL casts what is trained on a quantised model to bfloat16, in which most steps of a small learning
    rate are rounded away. This also rounds a parent's adapter that continues to train, but not its
    frozen copy, the reference. So its weights are restored from `remember_adapter_weights`.
    """
    remembered = model.__dict__.pop("as_loaded", {})
    for name, parameter in model.named_parameters():
        if "lora_" in name or parameter.requires_grad:  # a reward's head is no adapter
            parameter.data = remembered.get(name, parameter.data).float()


def adapter_hash(model: Any) -> str:
    """Return a hash of the trained weights; for a sharded model, call it in every process."""
    return weights_hash(trained_weights(model))


def weights_hash(weights: Mapping[str, Any]) -> str:
    """Return a hash of the weights in their order, in float32."""
    digest = hashlib.sha256()
    for weight in weights.values():
        digest.update(weight.float().numpy().tobytes())
    return digest.hexdigest()


def trained_weights(model: Any) -> dict[str, Any]:
    """Return the trained weights by name, unsharded and on the CPU.

    If the model is sharded over processes, call it in every process.
    """
    return {
        name.replace("_checkpoint_wrapped_module.", ""): _full_tensor(parameter).cpu()
        for name, parameter in model.named_parameters()
        if ("lora_" in name or "modules_to_save" in name) and "default" in name.split(".")
    }


def _full_tensor(parameter: Any) -> Any:
    """Return a parameter in full, gathered from all processes if FSDP 2 or ZeRO 3 sharded it."""
    if hasattr(parameter, "full_tensor"):
        return parameter.detach().full_tensor()
    if hasattr(parameter, "ds_id"):
        import deepspeed

        with deepspeed.zero.GatheredParameters([parameter]):
            return parameter.detach().clone()
    return parameter.detach()


def save_adapter(model: Any, weights: Mapping[str, Any], folder: Path) -> None:
    """Save the trained adapter, without a frozen reference, in `folder/adapter`.

    `weights` are those of `trained_weights`.
    """
    state_dict = dict(weights) if sharding_strategy() else None  # unsharded, PEFT reads the model's
    model.save_pretrained(folder / "adapter", selected_adapters=["default"], state_dict=state_dict)
    (folder / "adapter" / "README.md").unlink(missing_ok=True)  # an empty template of PEFT


def merge_saved(
    folder: Path,
    tokenizer: Any,
    *,
    base: str | Path,
    revision: str | None,
    probes: Sequence[Sequence[int]],
    head: Head = "language_model",
    trained: str | None = None,
) -> dict[str, float]:
    """Merge `folder/adapter` into its base in full precision, and save the model in `folder`.

    The saved model is loaded again and compared with the adapter on the `probes` (token ids); with the
    adapter on the 4 bits that it was trained on, where the base is published so.

    Args:
        folder: The checkpoint that is being written.
        tokenizer: Saved with the model.
        base: The model under the adapter.
        revision: The base's revision on the hub.
        probes: Token ids of chats.
        head: Whether the model generates text or outputs a reward.
        trained: The hash that the adapter must have, if known.

    Returns:
        The mean KL divergence of the merged model from the adapter, or the largest difference of a
        reward.

    Raises:
        HarnessError: the adapter has another hash, or the merged model differs from it.
    """
    load = partial(_load_tuned, folder / "adapter", tokenizer, base, revision, head)
    # Load the adapter on its base.
    tuned = load()
    if trained is not None and adapter_hash(tuned) != trained:
        raise HarnessError("The saved adapter is not the one that was trained.")
    expected = [_logits(tuned, probe) for probe in probes]
    if check_quantisation(tuned.config, base):
        del tuned
        free_memory()
        tuned = load(in_full=True)
    # Merge and save.
    prepare_tied(tuned)
    model = tuned.merge_and_unload()
    set_stops(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    add_version_4_words(folder)
    del tuned, model
    free_memory()  # so that the weights are in memory once, not twice, when they are read back
    # Compare the saved model with the adapter.
    merged = _load(folder, None, head)[0].eval()
    actual = [_logits(merged, probe) for probe in probes]
    if head == "reward":
        name, difference, allowed = "merge_difference", _reward_gap(expected, actual), REWARD_TOLERANCE  # fmt: skip
    else:
        name, difference, allowed = "merge_kl", _mean_kl(expected, actual), MERGE_TOLERANCE
    if not difference < allowed:
        raise HarnessError(
            f"The merged model differs from its adapter ({name} {difference:.2g}, "
            f"allowed {allowed:g}); it is not kept."
        )
    return {name: difference}


def _load_tuned(
    adapter: Path,
    tokenizer: Any,
    base: str | Path,
    revision: str | None,
    head: Head,
    *,
    in_full: bool = False,
) -> Any:
    """Load an adapter on its base; `in_full` brings a base in 4 bits to full precision first."""
    model = _load(base, revision, head)[0]
    if in_full:
        model = dequantise(model)
    if (
        head == "reward"
    ):  # it scores the last token that is no padding, so padding must be the trained one
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return attach_adapter(model, adapter).eval()


def prepare_tied(tuned: Any) -> None:
    """Make merging exact where embeddings and head are one weight, and the adapter is on one or both.

    An adapter on each of its own, or on one of the two, leaves two different weights, so they are untied
    before. Adapters that PEFT tied (`ensure_weight_tying`) are one, and go into the one weight once.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    model = tuned.get_base_model()
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    layers = [end.get_base_layer() if isinstance(end, BaseTunerLayer) else end for end in ends]
    adapted = [isinstance(end, BaseTunerLayer) for end in ends]
    if not any(adapted) or ends[1] is None or layers[0].weight is not layers[1].weight:
        return
    if all(adapted) and getattr(tuned.peft_config["default"], "ensure_weight_tying", False):
        model.set_output_embeddings(layers[1])
        return
    layers[1].weight = torch.nn.Parameter(layers[1].weight.detach().clone(), requires_grad=False)
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = False


def free_memory() -> None:
    """Release unreferenced memory; a model is a reference cycle, so this runs the garbage collector."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _logits(model: Any, ids: Sequence[int]) -> Any:
    import torch

    with torch.inference_mode():
        return model(torch.tensor([list(ids)], device=model.device)).logits[0].float().cpu()


def _mean_kl(expected: Sequence[Any], actual: Sequence[Any]) -> float:
    import torch

    terms = []
    for expected_logits, actual_logits in zip(expected, actual, strict=True):
        p, q = expected_logits.log_softmax(dim=-1), actual_logits.log_softmax(dim=-1)
        terms.append((p.exp() * (p - q)).sum(dim=-1))
    return float(torch.cat(terms).mean().clamp(min=0.0))


def _reward_gap(expected: Sequence[Any], actual: Sequence[Any]) -> float:
    gaps = [(p - q).abs() / (1 + p.abs()) for p, q in zip(expected, actual, strict=True)]
    return max(float(gap) for gap in gaps)
