"""What is trained on a base: loading the base, putting a new adapter on it, and its weights."""

import gc
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError, first_line
from harness.models.adapter_types import NOT_MERGED, adapter_type
from harness.models.model_folder import is_adapter, read_adapter_config
from harness.models.weights import disable_inference_repacking, load_weights, quiet_torch
from trainers.adapter_kinds import Adapter, Pissa
from trainers.distributed.config import sharding_strategy
from trainers.four_bits import check_quantisation
from trainers.peft_config import Head, peft_config
from trainers.quantisation import EightBits, Quantisation


def load_base(
    source: str | Path,
    *,
    revision: str | None,
    quantisation: Quantisation | EightBits | None,
    head: Head = "language_model",
) -> tuple[Any, Any]:
    """Load the model to train on, optionally in 4 or 8 bits, and its tokenizer.

    A model that is in 4 bits already stays so.

    Raises:
        HarnessError: `source` is an adapter or quantised otherwise, or the model cannot be
            loaded.
    """
    refuse_adapter(source)
    options: dict[str, Any] = {}
    if quantisation is not None:
        options["quantization_config"] = _quantisation_config(quantisation)
    if sharding_strategy():
        options["device_map"] = None  # FSDP or DeepSpeed places the model
    model, tokenizer = load_model(source, revision, head, **options)
    if not isinstance(quantisation, EightBits):
        check_quantisation(model.config, source)
    return model, tokenizer


def refuse_adapter(source: str | Path) -> None:
    """Refuse to train on an adapter: its base would be loaded with it, and a second one laid on top.

    Raises:
        HarnessError: `source` is one.
    """
    if not is_adapter(Path(source)):
        return
    kind = adapter_type(read_adapter_config(Path(source)), source)
    if not kind.merges:
        raise HarnessError(
            f"{source}: cannot be trained on: it is an adapter of {kind.title}, and {NOT_MERGED}. Train on its "
            "base."
        )
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


def _quantisation_config(quantisation: Quantisation | EightBits) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if isinstance(quantisation, EightBits):
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=quantisation.threshold)
    compute = getattr(torch, quantisation.compute)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantisation.kind,
        bnb_4bit_use_double_quant=quantisation.double,
        bnb_4bit_compute_dtype=compute,
        # Bytes cannot be sharded; the same bits stored as a floating type can.
        bnb_4bit_quant_storage=compute if sharding_strategy() else torch.uint8,
    )


def load_model(
    source: str | Path, revision: str | None, head: Head, **options: Any
) -> tuple[Any, Any]:
    """Load a model with its tokenizer: one that generates text, or one that outputs a reward.

    Raises:
        HarnessError: it cannot be loaded.
    """
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
        raise HarnessError(
            f"{source}: cannot be loaded as a reward model: {first_line(error)}"
        ) from None
    disable_inference_repacking(model)
    # Start a new head at zero.
    if loading["missing_keys"]:
        torch.nn.init.zeros_(model.score.weight)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


class NewAdapter(NamedTuple):
    """A model, and PEFT's configuration of the adapter that the trainer puts on it; None if it has it."""

    model: Any
    peft_config: Any | None


def new_adapter(
    adapter: Adapter, model: Any, tokenizer: Any, head: Head = "language_model"
) -> NewAdapter:
    """Return a model on which an adapter is trained anew, or all of its weights.

    PiSSA takes its start out of the model's weights. It is put on here and then counts as a plain LoRA, so
    that a frozen copy of it, the reference, takes nothing out again.
    """
    config = peft_config(adapter, model, tokenizer, head)
    if not isinstance(adapter, Pissa):
        return NewAdapter(model, config)
    from peft import get_peft_model

    tuned = get_peft_model(model, config)
    tuned.peft_config["default"].init_lora_weights = True
    return NewAdapter(tuned, None)


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
        if "ref" in name.split(".") or parameter.requires_grad:
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
    has_adapter = hasattr(model, "peft_config")
    return {
        name.replace("_checkpoint_wrapped_module.", ""): _full_tensor(parameter).cpu()
        for name, parameter in model.named_parameters()
        if not has_adapter or "default" in name.split(".")
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


def save_trained(
    model: Any,
    weights: Mapping[str, Any],
    folder: Path,
    *,
    start: Mapping[str, Any] | None = None,
) -> None:
    """Save what was trained in `folder`: the adapter without a frozen reference, or the whole model.

    Args:
        model: The trained model.
        weights: Those of `trained_weights`.
        folder: Where to.
        start: The weights before training, of a PiSSA; it is then saved as the LoRA that it is on the
            base as it was.
    """
    if not hasattr(model, "peft_config"):
        model.save_pretrained(folder)
        return
    state_dict = dict(weights) if sharding_strategy() else None  # unsharded, PEFT reads the model's
    options: dict[str, Any] = {}
    if start is not None:
        options["path_initial_model_for_weight_conversion"] = str(folder / "initial")
        model.save_pretrained(
            folder / "initial", selected_adapters=["default"], state_dict=dict(start)
        )
    model.save_pretrained(folder, selected_adapters=["default"], state_dict=state_dict, **options)
    shutil.rmtree(folder / "initial", ignore_errors=True)
    (folder / "README.md").unlink(missing_ok=True)  # an empty template of PEFT


def free_memory() -> None:
    """Release unreferenced memory; a model is a reference cycle, so this runs the garbage collector."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
