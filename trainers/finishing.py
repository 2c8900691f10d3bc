"""From what was trained to the checkpoint's model: merged into its base, beside its base, or all weights.

    model.safetensors  adapter/              merged; the adapter stays beside it
    adapter_model.safetensors                an adapter that cannot be merged, loaded on its base as it is
    model.safetensors                        all weights, rounded to the type of the base

Whatever is kept is loaded again and compared with what was trained.
"""

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError, first_line
from harness.models.adapters import attach_adapter
from harness.models.model_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from harness.models.stops import set_stops
from trainers.adapter import adapter_hash, free_memory, load_model
from trainers.adapter_kinds import Adapter, FullFineTuning, Pissa
from trainers.checkpoint import Origin
from trainers.four_bits import check_quantisation, dequantise
from trainers.peft_config import Head
from trainers.portable import add_version_4_words

# Mean KL divergence between an adapter and its merged model. Merging into full precision gives
# 1e-4 in bfloat16 and less than 1e-6 in float32; merging into 4 bits gives 1e-2.
MERGE_TOLERANCE = 1e-3

# Largest difference of a reward between an adapter and its merged model, as a share of 1 plus the
# reward. In bfloat16, with 8 bits of precision, a few roundings make 1e-2; in float32 it is 1e-5.
REWARD_TOLERANCE = 3e-2


def finish(
    adapter: Adapter | None,
    folder: Path,
    tokenizer: Any,
    *,
    base: Origin,
    probes: Sequence[Sequence[int]],
    head: Head,
    trained: str,
) -> dict[str, float]:
    """Make the checkpoint's model of what was trained, and compare the two.

    Args:
        adapter: What was trained anew; None for the parent's own adapter.
        folder: The checkpoint that is being written, with what was trained in `adapter/`.
        tokenizer: Saved with the model.
        base: The model under the adapter.
        probes: Token ids of chats.
        head: Whether the model generates text or outputs a reward.
        trained: The hash of the trained weights.

    Returns:
        What `merge_saved` returns, or the divergence of rounded weights; nothing of an adapter as it is.

    Raises:
        HarnessError: what would be kept differs from what was trained.
    """
    if isinstance(adapter, FullFineTuning):
        return _round_weights(
            folder, tokenizer, base=base, probes=probes, head=head, trained=trained
        )
    if adapter is not None and not adapter.merges:
        return _keep_beside_base(folder, tokenizer, base=base, probes=probes, trained=trained)
    converted = isinstance(adapter, Pissa)  # saved as another adapter than the one that was trained
    return merge_saved(
        folder,
        tokenizer,
        base=base.source,
        revision=base.revision,
        probes=probes,
        head=head,
        trained=None if converted else trained,
    )


def _round_weights(
    folder: Path,
    tokenizer: Any,
    *,
    base: Origin,
    probes: Sequence[Sequence[int]],
    head: Head,
    trained: str,
) -> dict[str, float]:
    """Save weights that were all trained, in float32, in the type of the base.

    Raises:
        HarnessError: what was saved is not what was trained, or rounding changes the model.
    """
    from transformers import AutoConfig

    tokenizer.save_pretrained(folder / "adapter")
    model, _ = load_model(folder / "adapter", None, head)
    if adapter_hash(model) != trained:
        raise HarnessError("The saved weights are not those that were trained.")
    expected = [_logits(model.eval(), probe) for probe in probes]
    dtype = AutoConfig.from_pretrained(base.source, revision=base.revision).dtype
    if dtype is not None:
        model.to(dtype)
    shutil.rmtree(folder / "adapter")
    _save(model, tokenizer, folder)
    del model
    free_memory()
    return _compare(folder, expected, probes, head)


def _keep_beside_base(
    folder: Path, tokenizer: Any, *, base: Origin, probes: Sequence[Sequence[int]], trained: str
) -> dict[str, float]:
    """Make the checkpoint of an adapter as it is, which names its base, and load it again.

    Raises:
        HarnessError: the adapter that is loaded is not the one that was trained, or its logits are NaN.
    """
    adapter = folder / "adapter"
    config = json.loads((adapter / ADAPTER_CONFIG).read_bytes())
    config |= {"base_model_name_or_path": _name_base(base, folder), "revision": base.revision}
    (folder / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (adapter / ADAPTER_WEIGHTS).rename(folder / ADAPTER_WEIGHTS)
    shutil.rmtree(adapter)
    tokenizer.save_pretrained(folder)
    model, _ = load_model(base.source, base.revision, "language_model")
    set_stops(model, tokenizer)
    model.generation_config.save_pretrained(folder)  # what stops an answer
    tuned = attach_adapter(model, folder).eval()
    if adapter_hash(tuned) != trained:
        raise HarnessError("The saved adapter is not the one that was trained.")
    for probe in probes:
        _logits(tuned, probe)
    return {}


def _name_base(base: Origin, folder: Path) -> str:
    """Return how an adapter names its base: a neighbour of its own checkpoint by a relative path.

    So that a workspace can be moved as a whole.
    """
    source = Path(base.source)
    if not source.is_dir():
        return base.source
    source = source.resolve()
    return f"../{source.name}" if source.parent == folder.resolve().parent else str(source)


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
    model = _merge(tuned)
    _save(model, tokenizer, folder)
    del tuned, model
    free_memory()  # so that the weights are in memory once, not twice, when they are read back
    return _compare(folder, expected, probes, head)


def _merge(tuned: Any) -> Any:
    """Return the base with the adapter merged into it.

    Raises:
        HarnessError: PEFT cannot merge it, or what it makes could not be saved.
    """
    import torch

    reason = "it repeats layers of its base (layer_replication), whose weights are then one"
    if not getattr(tuned.peft_config["default"], "layer_replication", None):
        try:
            return tuned.merge_and_unload()
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:
            reason = first_line(error).rstrip(".")
    raise HarnessError(
        f"The adapter cannot be merged: {reason}. Name its own folder as a checkpoint: it is loaded on its base "
        "as it is."
    )


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    set_stops(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    add_version_4_words(folder)


def _compare(
    folder: Path, expected: Sequence[Any], probes: Sequence[Sequence[int]], head: Head
) -> dict[str, float]:
    """Load a saved model, and compare it with what was trained by the `expected` logits.

    Raises:
        HarnessError: the two differ.
    """
    saved = load_model(folder, None, head)[0].eval()
    actual = [_logits(saved, probe) for probe in probes]
    if head == "reward":
        name, difference, allowed = "merge_difference", _reward_gap(expected, actual), REWARD_TOLERANCE  # fmt: skip
    else:
        name, difference, allowed = "merge_kl", _mean_kl(expected, actual), MERGE_TOLERANCE
    if not difference < allowed:
        raise HarnessError(
            f"The model to keep differs from what was trained ({name} {difference:.2g}, "
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
    model = load_model(base, revision, head)[0]
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


def _logits(model: Any, ids: Sequence[int]) -> Any:
    """Return a model's logits, or rewards, for token ids.

    Raises:
        HarnessError: they are no numbers, as after a last step that diverged, which no loss shows any more.
    """
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([list(ids)], device=model.device)).logits[0].float().cpu()
    if logits.log_softmax(dim=-1).isnan().any():
        raise HarnessError(
            "The model's logits are NaN or infinite. If it was trained here, its last step diverged: lower the "
            "learning rate."
        )
    return logits


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
