"""A causal model with its tokenizer: loading, and checks before loading.

Only safetensors weights are read; a pickle may run code.
"""

import json
import logging
import os
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError, InfrastructureError, first_line
from harness.core.hub import check_model_available
from harness.models.adapters import attach_adapter
from harness.models.model_folder import (
    PICKLE_SUFFIXES,
    adapter_base,
    is_adapter,
    refuse_paths,
)


def quiet_torch() -> None:
    """Set the environment that torch needs at import, and silence output into the terminal."""
    # Spinning OpenMP threads make a step several times slower when the machine is shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    # It warns of kernels for quantised models on a CPU, which are never used here.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def load_weights(
    source: str | Path, *, revision: str | None = None, **options: Any
) -> tuple[Any, Any]:
    """Load a causal model and its tokenizer onto the GPU if there is one.

    Of an adapter, the model is its base with the adapter on it. `options` go to transformers.

    Raises:
        HarnessError: a directory without safetensors, or a hub name without a revision.
        InfrastructureError: a hub model that could not be reached.
    """
    quiet_torch()
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _require_loadable(source, revision)
    if is_adapter(Path(source)):
        return _load_adapter(Path(source), revision, **options)
    check_model_available(str(source), revision)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"dtype": "auto", "device_map": device, **options}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source, revision=revision, use_safetensors=True, trust_remote_code=False, **options
        )
        tokenizer = AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=False
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise _load_error(source, revision, error) from None
    disable_inference_repacking(model)
    if getattr(model, "_hf_peft_config_loaded", False):
        raise HarnessError(
            f"{source}: is an adapter on the hub, whose base could change unseen. Fetch it with "
            "`hf download` and name the folder."
        )
    # Otherwise transformers fills gaps in a decoding config from the checkpoint's own.
    model.generation_config = type(model.generation_config)(
        eos_token_id=stop_ids(model, tokenizer), pad_token_id=tokenizer.pad_token_id
    )
    return model, tokenizer


def disable_inference_repacking(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights for inference.

    On a CPU with AVX512-BF16 the first forward pass in evaluation mode repacks the weights for kernels
    without a gradient, so that every later step would train nothing; and it fails on layers whose
    inputs are no multiple of the size of its blocks.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _load_adapter(adapter: Path, revision: str | None, **options: Any) -> tuple[Any, Any]:
    """Load an adapter's base, with the adapter on it, and the tokenizer that it was trained with."""
    from transformers import AutoTokenizer, GenerationConfig

    base = adapter_base(adapter, revision)
    model, tokenizer = load_weights(base.source, revision=base.revision, **options)
    if (adapter / "tokenizer_config.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(adapter, trust_remote_code=False)
        model.generation_config.eos_token_id = stop_ids(model, tokenizer)
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    if (adapter / "generation_config.json").is_file():  # of a checkpoint: what stops its answers
        model.generation_config.eos_token_id = GenerationConfig.from_pretrained(
            adapter
        ).eos_token_id
    return attach_adapter(model, adapter), tokenizer


def load_tokenizer(source: str | Path, *, revision: str | None = None) -> Any:
    """Load a model's tokenizer alone; an adapter's own, or else its base's.

    Raises:
        HarnessError: an adapter whose base is not here.
        OSError: there is none.
    """
    quiet_torch()
    from transformers import AutoTokenizer

    folder = Path(source)
    if is_adapter(folder) and not (folder / "tokenizer_config.json").is_file():
        base = adapter_base(folder, revision)
        return load_tokenizer(base.source, revision=base.revision)
    return AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)


def require_checkpoint(source: str | Path, *, revision: str | None = None) -> None:
    """Check that the model can be used, without loading or fetching it.

    Raises:
        HarnessError: a directory without safetensors or chat template, a reward model, or a hub
            name without a revision.
    """
    _require_loadable(source, revision)
    directory = Path(source)
    if not directory.is_dir() or _has_chat_template(directory):
        return
    if not is_adapter(directory):
        raise chat_template_error(source)
    base = adapter_base(directory, revision)
    require_checkpoint(base.source, revision=base.revision)


def stop_ids(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokenizer's end-of-turn token and the checkpoint's other stop tokens."""
    own = model.generation_config.eos_token_id
    listed = own if isinstance(own, list) else [own]
    stops = [token for token in [tokenizer.eos_token_id, *listed] if token is not None]
    if not stops:
        raise HarnessError(
            "The tokenizer names no end-of-turn token (eos_token), so no answer would end."
        )
    return list(dict.fromkeys(stops))


def _require_loadable(source: str | Path, revision: str | None) -> None:
    if Path(source).is_dir():
        refuse_paths(Path(source))
        _require_generator(Path(source))
        _require_safetensors(Path(source))
    elif revision is None:
        raise HarnessError(
            f"{source}: is no directory here. If it is a hub model, give its 'revision', "
            "so that it cannot change unseen."
        )


def _require_generator(directory: Path) -> None:
    """Refuse a reward model: transformers would give this classifier a random language head."""
    config = directory / "config.json"
    if not config.is_file():
        return
    kinds = json.loads(config.read_bytes()).get("architectures") or []
    if any(kind.endswith("ForSequenceClassification") for kind in kinds):
        raise HarnessError(
            f"{directory}: is a reward model, which scores answers and generates none."
        )


def _require_safetensors(directory: Path) -> None:
    if any(directory.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in directory.iterdir() if path.suffix in PICKLE_SUFFIXES)
    contents = f"only {pickles[0]}, which may run code when loaded" if pickles else "no weights"
    hint = " A recipe's parent may set 'unpickle: true' (docs/recipes.md)." if pickles else ""
    raise HarnessError(
        f"{directory}: holds {contents}; a checkpoint needs model.safetensors.{hint}"
    )


def _has_chat_template(directory: Path) -> bool:
    if (directory / "chat_template.jinja").is_file():
        return True
    if any(directory.glob("additional_chat_templates/*.jinja")):
        return True
    config = directory / "tokenizer_config.json"
    return config.is_file() and bool(json.loads(config.read_bytes()).get("chat_template"))


def chat_template_error(source: str | Path) -> HarnessError:
    """Return the error for a model without a chat template."""
    return HarnessError(
        f"{source}: has no chat template, so its prompt format is unknown. "
        "Add chat_template.jinja to the checkpoint (in a GGUF file it is the field tokenizer.chat_template), "
        "or choose its instruction-tuned version."
    )


def _load_error(source: str | Path, revision: str | None, error: Exception) -> HarnessError:
    reason = first_line(error)
    if Path(source).is_dir():
        return HarnessError(f"{source}: cannot be loaded as a language model: {reason}")
    if "cannot be loaded with `safetensors`" in reason:  # the repository holds none
        return HarnessError(
            f"{source}: has no weights as safetensors at revision {revision}. A pickle may run code and "
            "is not loaded; a recipe's parent may set 'unpickle: true', which reads only its tensors "
            "(docs/recipes.md)."
        )
    return InfrastructureError(
        f"{source}: is no directory here, and the hub model of that name at revision "
        f"{revision} could not be loaded: {reason} "
        "Connect to the internet once, or name a checkpoint directory."
    )
