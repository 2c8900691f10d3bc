"""PEFT's configuration of each kind of adapter."""

import re
from typing import Any, Literal

from trainers.adapter_base import TargetedAdapter
from trainers.adapter_kinds import (
    Adapter,
    AnyLowRank,
    Dora,
    FullFineTuning,
    Ia3,
    Lora,
    LoraPlus,
    Pissa,
    PrefixTuning,
    PromptTuning,
    RsLora,
    Vera,
)
from trainers.shape import UNADAPTED_FAMILIES, UNADAPTED_LAYERS

Head = Literal["language_model", "reward"]


def peft_config(adapter: Adapter, model: Any, tokenizer: Any, head: Head = "language_model") -> Any:
    """Return PEFT's configuration of a new adapter on the model; None where all weights are trained.

    A reward model's head is trained in full beside the adapter.
    """
    import peft

    task = "CAUSAL_LM" if head == "language_model" else "SEQ_CLS"
    match adapter:
        case Lora() | RsLora() | Dora() | Pissa() | LoraPlus():
            return _lora_config(adapter, model, task)
        case Vera():
            return peft.VeraConfig(
                r=adapter.r,
                vera_dropout=adapter.dropout,
                d_initial=adapter.initial,
                task_type=task,
                target_modules=_named_targets(adapter, model),
            )
        case Ia3():
            targets, inputs = adapter.layers_of(model.config.get_text_config().model_type)
            return peft.IA3Config(
                target_modules=list(targets), feedforward_modules=list(inputs), task_type=task
            )
        case PromptTuning():
            text = {} if adapter.text is None else _initial_text(adapter.text, tokenizer)
            return peft.PromptTuningConfig(
                num_virtual_tokens=adapter.tokens,
                **{"prompt_tuning_init": "SAMPLE_VOCAB", "task_type": task} | text,
            )
        case PrefixTuning():
            return peft.PrefixTuningConfig(num_virtual_tokens=adapter.tokens, task_type=task)
        case FullFineTuning():
            return None


def _lora_config(adapter: AnyLowRank, model: Any, task: str) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=adapter.r,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        use_rslora=isinstance(adapter, RsLora),
        use_dora=isinstance(adapter, Dora),
        init_lora_weights="pissa" if isinstance(adapter, Pissa) else True,
        task_type=task,
        **_targets(adapter, model),
    )


def _targets(adapter: TargetedAdapter, model: Any) -> dict[str, Any]:
    """Return the options of the target layers.

    All linear layers are those of the text's decoder: what reads pictures or sound sees nothing here, so
    an adapter on it would never move. Of Mamba and its kin, those that PEFT can adapt.
    """
    if adapter.target_modules != "all-linear":
        return {"target_modules": list(adapter.target_modules)}
    text = _decoder_prefix(model)
    excluded = None if text is None else rf"(?!{re.escape(text)}\.).*"
    if model.config.model_type in UNADAPTED_FAMILIES:
        excluded = rf".*\.({'|'.join(UNADAPTED_LAYERS)})"
    return {"target_modules": "all-linear", "exclude_modules": excluded}


def _named_targets(adapter: TargetedAdapter, model: Any) -> Any:
    """Return the targets of a kind whose configuration in PEFT cannot exclude any: then by their names."""
    options = _targets(adapter, model)
    excluded = options.get("exclude_modules")
    if excluded is None:
        return options["target_modules"]
    import torch

    head = model.get_output_embeddings()
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module is not head
        and not re.fullmatch(excluded, name)
    ]


def _decoder_prefix(model: Any) -> str | None:
    """Return the name of the part that decodes text, in a model that has other parts; else None."""
    config = model.config
    if config.get_text_config() is config:
        return None
    decoder = model.get_decoder()
    names = (name for name, module in model.named_modules() if module is decoder and name)
    return next(names, None)


def _initial_text(text: str, tokenizer: Any) -> dict[str, Any]:
    return {
        "prompt_tuning_init": "TEXT",
        "prompt_tuning_init_text": text,
        "tokenizer_name_or_path": tokenizer.name_or_path,
    }
