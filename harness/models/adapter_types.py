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
        merges: Whether its weights can be added to those of the model under it.
    """

    title: str
    merges: bool = True


ADAPTER_TYPES: Mapping[str, AdapterType] = {
    "LORA": AdapterType("LoRA"),
    "IA3": AdapterType("IA3"),
    "VERA": AdapterType("VeRA"),
    "PROMPT_TUNING": AdapterType("prompt tuning", merges=False),
    "PREFIX_TUNING": AdapterType("prefix tuning", merges=False),
}
NOT_MERGED = (
    "its learnt tokens stand before every prompt and are no change of the model's weights, so it cannot be "
    "merged; it is loaded on its base as it is"
)


def adapter_type(config: Mapping[str, Any], named: object) -> AdapterType:
    """Return the type of an adapter by its configuration; `named` is its folder, for the message.

    Raises:
        HarnessError: a type that is not known here.
    """
    name = config.get("peft_type")
    if not isinstance(name, str) or name not in ADAPTER_TYPES:
        raise HarnessError(
            f"{named}: is an adapter of type {name}; known here: {', '.join(ADAPTER_TYPES)}."
        )
    return ADAPTER_TYPES[name]


def describe_adapter(config: Mapping[str, Any]) -> str:
    """Return an adapter's type and sizes in a few words, by its configuration."""
    found = ADAPTER_TYPES[str(config["peft_type"])]
    sizes = {"r": "r", "alpha": "lora_alpha", "tokens": "num_virtual_tokens"}
    told = [f"{word} {config[key]}" for word, key in sizes.items() if config.get(key) is not None]
    variants = [name for key, name in (("use_dora", "DoRA"), ("use_rslora", "rsLoRA")) if config.get(key)]  # fmt: skip
    return ", ".join([found.title, *variants, *told])
