"""What is known of each type of adapter that PEFT trains: whether it merges, and how it changes a model.

The names are those of `peft_type` in an adapter's configuration. Specs of recipes name their type
(trainers/adapter_kinds.py); loading, merging and serving ask here, also of adapters from elsewhere.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from harness.core.errors import HarnessError


class AdapterType(NamedTuple):
    """One type of adapter.

    Attributes:
        title: Its name in the literature.
        merges: Whether its weights can be added to those of the model under it; of the types here, all do
            but those that put learnt tokens before every prompt.
    """

    title: str
    merges: bool = True


ADAPTER_TYPES: Mapping[str, AdapterType] = {
    "LORA": AdapterType("LoRA"),
    "ADALORA": AdapterType("AdaLoRA"),
    "BOFT": AdapterType("BOFT"),
    "C3A": AdapterType("C3A"),
    "DELORA": AdapterType("DeLoRA"),
    "FOURIERFT": AdapterType("FourierFT"),
    "GRALORA": AdapterType("GraLoRA"),
    "HIRA": AdapterType("HiRA"),
    "HRA": AdapterType("HRA"),
    "IA3": AdapterType("IA3"),
    "LN_TUNING": AdapterType("LayerNorm tuning"),
    "LOHA": AdapterType("LoHa"),
    "LOKR": AdapterType("LoKr"),
    "MISS": AdapterType("MiSS"),
    "OFT": AdapterType("OFT"),
    "RANDLORA": AdapterType("RandLoRA"),
    "ROAD": AdapterType("RoAd"),
    "SHIRA": AdapterType("SHiRA"),
    "TRAINABLE_TOKENS": AdapterType("trainable tokens"),
    "VBLORA": AdapterType("VB-LoRA"),
    "VERA": AdapterType("VeRA"),
    "WAVEFT": AdapterType("WaveFT"),
    "PROMPT_TUNING": AdapterType("prompt tuning", merges=False),
    "PREFIX_TUNING": AdapterType("prefix tuning", merges=False),
    "P_TUNING": AdapterType("p-tuning", merges=False),
}
NOT_MERGED = (
    "its learnt tokens stand before every prompt and are no change of the model's weights, so it cannot be "
    "merged; it is loaded on its base as it is"
)

# How a LoRA starts that changed the weights under it by numbers which its files do not hold: drawn at random,
# or measured on data.
_LOST_STARTS = ("pissa_niter", "corda", "loftq", "lora_ga")


def adapter_type(config: Mapping[str, Any], named: object) -> AdapterType:
    """Return the type of an adapter by its configuration; `named` is its folder, for the message.

    Raises:
        HarnessError: a type that is not known here, or one that its files do not say whole.
    """
    name = config.get("peft_type")
    if not isinstance(name, str) or name not in ADAPTER_TYPES:
        raise HarnessError(
            f"{named}: is an adapter of type {name}; known here: {', '.join(ADAPTER_TYPES)}."
        )
    start = str(config.get("init_lora_weights"))
    if start.startswith(_LOST_STARTS):
        raise HarnessError(
            f"{named}: its start ('{start}') was taken out of the weights under it by numbers that its files do "
            "not hold, so on its base as published it is another model. Save it as a plain LoRA where it was "
            "trained (PEFT's path_initial_model_for_weight_conversion), or its base as it was then."
        )
    if config.get("alora_invocation_tokens"):
        raise HarnessError(
            f"{named}: is an aLoRA, which acts from its invocation tokens on; here it would act nowhere, and "
            "the answers be those of its base."
        )
    return ADAPTER_TYPES[name]


def starts_in_base(config: Mapping[str, Any]) -> bool:
    """Return whether loading the adapter takes its start out of the weights under it, as PEFT does."""
    return str(config.get("init_lora_weights")).startswith(("pissa", "olora"))


def describe_adapter(config: Mapping[str, Any]) -> str:
    """Return an adapter's type and sizes in a few words, by its configuration."""
    found = ADAPTER_TYPES[str(config["peft_type"])]
    sizes = {"r": "r", "alpha": "lora_alpha", "tokens": "num_virtual_tokens"}
    told = [f"{word} {config[key]}" for word, key in sizes.items() if config.get(key)]
    variants = [name for key, name in (("use_dora", "DoRA"), ("use_rslora", "rsLoRA")) if config.get(key)]  # fmt: skip
    return ", ".join([found.title, *variants, *told])
