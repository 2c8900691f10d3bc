"""One adapter of each kind, small enough for the tiny model."""

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
