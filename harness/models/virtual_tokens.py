"""Virtual tokens of prompt and prefix tuning: the learnt beginning that stands before every prompt.

They are read into a batch's cache as the beginning that all prompts share, with the positions that they
had in training, and the model under the adapter goes on from there. PEFT's own `generate` gives them other
positions in a batch of prompts that are padded on the left.
"""

from typing import Any


def count_virtual_tokens(model: Any) -> int:
    """Return how many virtual tokens stand before every prompt; 0 of a model without them."""
    configs = getattr(model, "peft_config", None)
    if not configs:
        return 0
    config = configs[model.active_adapter]
    return int(config.num_virtual_tokens) if config.is_prompt_learning else 0


def model_under(model: Any) -> Any:
    """Return the model that reads tokens behind the virtual ones; of another model, itself."""
    return model.get_base_model() if count_virtual_tokens(model) else model


def read_virtual_tokens(model: Any, cache: Any) -> None:
    """Read the virtual tokens into an empty cache, for a batch of one row."""
    from transformers import Cache

    base, prompt = model.get_base_model(), model.get_prompt(batch_size=1)
    if not isinstance(prompt, Cache):  # embeddings
        embeddings = prompt.to(base.get_input_embeddings().weight.dtype)
        base(inputs_embeds=embeddings, past_key_values=cache, use_cache=True)
        return
    for place, layer in enumerate(prompt.layers):  # keys and values, as they are after the rotation
        if layer.is_initialized:
            cache.update(layer.keys, layer.values, place)
