"""LoRA adapters: what they are put on, and how they become one with it again."""

import gc
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from harness.core.errors import HarnessError
from harness.models.weights import load_weights, quiet_torch
from trainers.distributed.config import sharding_strategy
from trainers.recipe import Lora, Quantisation

# Mean KL divergence between an adapter and its merged model. Merging into full precision gives
# 1e-4 in bfloat16 and less than 1e-6 in float32; merging into 4 bits gives 1e-2.
MERGE_TOLERANCE = 1e-3


# Largest difference of a reward between an adapter and its merged model, as a share of 1 plus the
# reward. In bfloat16, which keeps 8 bits, a few roundings make 1e-2; in float32 it is 1e-5.
REWARD_TOLERANCE = 3e-2


Head = Literal["language_model", "reward"]


def load_base(
    source: str | Path,
    *,
    revision: str | None,
    quantisation: Quantisation | None,
    head: Head = "language_model",
) -> tuple[Any, Any]:
    """The model that an adapter is trained on, in 4 bits if so asked, and its tokenizer.

    Raises:
        HarnessError: an adapter in the place of a model, quantisation without an NVIDIA GPU, or a
            model that cannot be loaded.
    """
    if (Path(source) / "adapter_config.json").is_file():
        # transformers would load it onto its base, and training would lay a second one on top.
        raise HarnessError(
            f"{source}: is an adapter, not a model. Merge it into its base, and train on that."
        )
    options: dict[str, Any] = {}
    if quantisation is not None:
        options["quantization_config"] = _four_bits(quantisation)
    if sharding_strategy():
        options["device_map"] = None  # whoever shards the model also places it
    model, tokenizer = _load(source, revision, head, **options)
    if quantisation is not None:
        keep_gradients_on_cpu(model)
    return model, tokenizer


def keep_gradients_on_cpu(model: Any) -> None:
    """Let no evaluation pass end training in 4 bits.

    On a CPU with AVX512-BF16 the first forward pass in evaluation mode repacks the weights of
    bitsandbytes for kernels without a gradient; every later step would train nothing.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _four_bits(quantisation: Quantisation) -> Any:
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
        # Bytes cannot be sharded; the same bits under a floating type can.
        bnb_4bit_quant_storage=compute if sharding_strategy() else torch.uint8,
    )


def _load(source: str | Path, revision: str | None, head: Head, **options: Any) -> tuple[Any, Any]:
    if head == "language_model":
        return load_weights(source, revision=revision, **options)
    return load_reward_weights(source, revision=revision, **options)


def load_reward_weights(
    source: str | Path, *, revision: str | None = None, **options: Any
) -> tuple[Any, Any]:
    """A model with one number for a chat, on the GPU if there is one, and its tokenizer.

    Put on a language model, the head is new: all zeros, so that every answer gets a 0 at first.

    Raises:
        HarnessError: it cannot be loaded, or has no such form.
    """
    quiet_torch()
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

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
    if loading["missing_keys"]:
        torch.nn.init.zeros_(model.score.weight)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def lora_config(lora: Lora, head: Head = "language_model") -> Any:
    """The adapter as PEFT describes it; a reward model's head is trained whole."""
    from peft import LoraConfig

    targets = lora.target_modules
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM" if head == "language_model" else "SEQ_CLS",
    )


def remember_adapter(model: Any) -> None:
    """Keep a trained adapter's weights as they are, for `upcast_adapter` to put back."""
    model.as_loaded = {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def upcast_adapter(model: Any) -> None:
    """Put every adapter weight in float32, the frozen reference's too.

    TRL casts the adapters of a quantised model to bfloat16, in which most steps of a small
    learning rate are rounded away. One that goes on training was rounded with that, but not its
    copy that is the reference; so it gets the weights that were remembered.
    """
    remembered = model.__dict__.pop("as_loaded", {})
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = remembered.get(name, parameter.data).float()


def adapter_hash(model: Any) -> str:
    """A hash of the weights that are trained; of a sharded model every process must ask for it."""
    return weights_hash(trained_weights(model))


def weights_hash(weights: Mapping[str, Any]) -> str:
    """A hash of the weights in their order, in float32."""
    digest = hashlib.sha256()
    for weight in weights.values():
        digest.update(weight.float().numpy().tobytes())
    return digest.hexdigest()


def trained_weights(model: Any) -> dict[str, Any]:
    """The weights that are trained, by name, whole and on the CPU.

    Where they are sharded over processes, every process must ask for them.
    """
    return {
        name.replace("_checkpoint_wrapped_module.", ""): _whole(parameter).cpu()
        for name, parameter in model.named_parameters()
        if ("lora_" in name or "modules_to_save" in name) and "default" in name.split(".")
    }


def _whole(parameter: Any) -> Any:
    """All of a parameter of which FSDP 2 or ZeRO 3 may have left a part here."""
    if hasattr(parameter, "full_tensor"):
        return parameter.detach().full_tensor()
    if hasattr(parameter, "ds_id"):
        import deepspeed

        with deepspeed.zero.GatheredParameters([parameter]):
            return parameter.detach().clone()
    return parameter.detach()


def save_adapter(model: Any, weights: Mapping[str, Any], folder: Path) -> None:
    """Save the trained adapter, whose weights these are, in `folder/adapter`; no frozen reference."""
    whole = dict(weights) if sharding_strategy() else None  # what is not sharded PEFT finds itself
    model.save_pretrained(folder / "adapter", selected_adapters=["default"], state_dict=whole)
    (folder / "adapter" / "README.md").unlink(missing_ok=True)  # an empty form by PEFT


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
    """Merge what lies in `folder/adapter` into its base in full precision, and save that in `folder`.

    The saved model is loaded again and compared with the adapter on the `probes` (token ids);
    the mean KL divergence is returned, or the largest difference of a reward. `trained` is the hash
    that the adapter must have, if known.

    Raises:
        HarnessError: the adapter is another one, or the merged model differs from it.
    """
    from peft import PeftModel

    tuned = PeftModel.from_pretrained(_load(base, revision, head)[0], folder / "adapter").eval()
    if trained is not None and adapter_hash(tuned) != trained:
        raise HarnessError("The saved adapter is not the one that was trained.")
    expected = [_logits(tuned, probe) for probe in probes]
    tuned.merge_and_unload().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    del tuned
    free_memory()  # the weights are held once: what was merged goes before it is read back
    merged = _load(folder, None, head)[0].eval()
    found = [_logits(merged, probe) for probe in probes]
    if head == "reward":
        name, difference, allowed = "merge_difference", _reward_gap(expected, found), REWARD_TOLERANCE  # fmt: skip
    else:
        name, difference, allowed = "merge_kl", _mean_kl(expected, found), MERGE_TOLERANCE
    if not difference < allowed:
        raise HarnessError(
            f"The merged model differs from its adapter ({name} {difference:.2g}, "
            f"allowed {allowed:g}); it is not kept."
        )
    return {name: difference}


def free_memory() -> None:
    """Give back what nothing refers to any more; models refer to themselves in circles."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _logits(model: Any, ids: Sequence[int]) -> Any:
    import torch

    with torch.inference_mode():
        return model(torch.tensor([list(ids)], device=model.device)).logits[0].float().cpu()


def _mean_kl(expected: Sequence[Any], found: Sequence[Any]) -> float:
    import torch

    terms = []
    for logits, others in zip(expected, found, strict=True):
        p, q = logits.log_softmax(dim=-1), others.log_softmax(dim=-1)
        terms.append((p.exp() * (p - q)).sum(dim=-1))
    return float(torch.cat(terms).mean().clamp(min=0.0))


def _reward_gap(expected: Sequence[Any], found: Sequence[Any]) -> float:
    gaps = [(p - q).abs() / (1 + p.abs()) for p, q in zip(expected, found, strict=True)]
    return max(float(gap) for gap in gaps)
