"""LoRA adapters: what they are put on, and how they become one with it again."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.models import load_weights
from trainers.recipe import Lora, Quantisation

# Mean KL divergence between an adapter and its merged model. Merging into full precision gives
# 1e-4 in bfloat16 and less than 1e-6 in float32; merging into 4 bits gives 1e-2.
MERGE_TOLERANCE = 1e-3


def load_base(
    source: str | Path, *, revision: str | None, quantisation: Quantisation | None
) -> tuple[Any, Any]:
    """The model that an adapter is trained on, in 4 bits if so asked, and its tokenizer.

    Raises:
        HarnessError: quantisation without an NVIDIA GPU, or a model that cannot be loaded.
    """
    if quantisation is None:
        return load_weights(source, revision=revision)
    import torch
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise HarnessError(
            "The recipe asks for 'quantisation', which needs an NVIDIA GPU, and this machine has none. "
            "Remove the block to train in full precision, or run the recipe on a machine with a GPU."
        )
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantisation.kind,
        bnb_4bit_use_double_quant=quantisation.double,
        bnb_4bit_compute_dtype=getattr(torch, quantisation.compute),
    )
    return load_weights(source, revision=revision, quantization_config=config)


def lora_config(lora: Lora) -> Any:
    """The adapter as PEFT describes it."""
    from peft import LoraConfig

    targets = lora.target_modules
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )


def upcast_adapter(model: Any) -> None:
    """Put every adapter weight in float32, the frozen reference's too.

    TRL casts the adapters of a quantised model to bfloat16, in which most steps of a small
    learning rate are rounded away.
    """
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()


def adapter_hash(model: Any) -> str:
    """A hash of the weights that are trained."""
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        if "lora_" in name and ".default." in name:
            digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def save_merged(
    model: Any,
    tokenizer: Any,
    folder: Path,
    *,
    base: str | Path,
    revision: str | None,
    probes: Sequence[Sequence[int]],
) -> float:
    """Save the adapter, merge it into its base in full precision, and save that.

    The saved model is loaded again and compared with the adapter on the `probes` (token ids);
    the mean KL divergence is returned.

    Raises:
        HarnessError: the saved adapter is not the trained one, or the merged model differs.
    """
    from peft import PeftModel

    model.save_pretrained(folder / "adapter", selected_adapters=["default"])
    (folder / "adapter" / "README.md").unlink(missing_ok=True)  # an empty form by PEFT
    full, _ = load_weights(base, revision=revision)
    tuned = PeftModel.from_pretrained(full, folder / "adapter").eval()
    if adapter_hash(tuned) != adapter_hash(model):
        raise HarnessError("The saved adapter is not the one that was trained.")
    expected = [_log_probs(tuned, probe) for probe in probes]
    tuned.merge_and_unload().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    merged, _ = load_weights(folder)
    found = [_log_probs(merged.eval(), probe) for probe in probes]
    divergence = _mean_kl(expected, found)
    if not divergence < MERGE_TOLERANCE:
        raise HarnessError(
            f"The merged model differs from its adapter (mean KL {divergence:.2g}, "
            f"allowed {MERGE_TOLERANCE:g}); it is not kept."
        )
    return divergence


def _log_probs(model: Any, ids: Sequence[int]) -> Any:
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([list(ids)], device=model.device)).logits[0]
    return logits.float().log_softmax(dim=-1)


def _mean_kl(expected: Sequence[Any], found: Sequence[Any]) -> float:
    import torch

    terms = [(p.exp() * (p - q)).sum(dim=-1) for p, q in zip(expected, found, strict=True)]
    return float(torch.cat(terms).mean().clamp(min=0.0))
