"""One adapter of each kind, small enough for the tiny model."""

from typing import Any

from trainers.adapter_kinds import (
    Adapter,
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
from trainers.peft_config import peft_config

KINDS: dict[str, Adapter] = {
    "lora": Lora(r=4, alpha=8),
    "rslora": RsLora(kind="rslora", r=4, alpha=8),
    "dora": Dora(kind="dora", r=4, alpha=8),
    "pissa": Pissa(kind="pissa", r=4, alpha=4),
    "lora_plus": LoraPlus(kind="lora_plus", r=4, alpha=8),
    "vera": Vera(kind="vera", r=8),
    "ia3": Ia3(kind="ia3"),
    "prompt": PromptTuning(kind="prompt", tokens=4),
    "prefix": PrefixTuning(kind="prefix", tokens=4),
    "full": FullFineTuning(kind="full"),
}


def with_virtual_tokens(base: Any, kind: str) -> Any:
    """Put random virtual tokens before a base, large enough to change what it answers."""
    import torch
    from peft import get_peft_model

    torch.manual_seed(1)
    tuned = get_peft_model(base, peft_config(KINDS[kind], base, None))
    weights = tuned.prompt_encoder["default"].embedding.weight
    weights.data = torch.randn_like(weights)
    return tuned.eval()
