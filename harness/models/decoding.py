"""Decoding of a batch by transformers, without the work that does not change an answer.

transformers' own cache copies all earlier keys and values at every step, reads what the prompts have in
common once for each of them, and computes ended rows until the last one ends. Here

- keys and values are written into memory that is taken once (`make_cache`),
- the beginning that all prompts share is read once, and its keys and values are given to every row,
- rows that ended leave the batch as soon as a quarter of it has.

All that needs a cache whose every layer holds all tokens. Models with another one (Mamba, or answers beyond
a sliding window) are decoded in one piece by transformers; with virtual tokens before the prompts, one by one.
"""

from collections.abc import Sequence
from inspect import signature
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from harness.models.logits import Sampler
from harness.models.virtual_tokens import (
    count_virtual_tokens,
    model_under,
    read_virtual_tokens,
)

if TYPE_CHECKING:
    from torch import Tensor

LEAVING_SHARE = 0.25  # of the rows have ended before they are taken out, which copies the others
LEAST_SHARED = 16  # tokens; below this a forward pass of its own costs more than it saves


def decode(
    model: Any, prompts: Sequence[list[int]], sampler: Sampler, config: Any, streamer: Any = None
) -> list[list[int] | None]:
    """Return the new tokens of each prompt, stop token and padding included; None for broken logits.

    `config` is transformers' configuration, with the stop tokens and the most new tokens.
    """
    import torch

    n_virtual = count_virtual_tokens(model)
    if n_virtual:
        prompts = [[config.pad_token_id] * n_virtual + ids for ids in prompts]  # their places
    rows, new = [*range(len(prompts))], [list[int]() for _ in prompts]
    longest = max(map(len, prompts)) + config.max_new_tokens
    with torch.inference_mode():
        # 1. Read what all prompts share once.
        cache = make_cache(model, longest)
        if cache is None and n_virtual:
            return _decode_alone(
                model, [ids[n_virtual:] for ids in prompts], sampler, config, streamer
            )
        n_shared = 0 if cache is None else _read_shared(model, prompts, cache)
        model = model_under(model)
        ids, mask = _lay_out(prompts, n_shared, config.pad_token_id, model.device)
        stops = torch.tensor(config.eos_token_id, device=model.device)
        # 2. Generate until enough rows ended, and go on with the others.
        while rows:
            config.max_new_tokens = longest - ids.shape[1]
            done = model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=cache,
                generation_config=config,
                logits_processor=sampler.processors(rows),
                stopping_criteria=None if cache is None else [_ManyEnded(stops, len(rows))],
                streamer=streamer,
            )
            fresh = done[:, ids.shape[1] :]
            for row, tokens in zip(rows, fresh.tolist(), strict=True):
                new[row] += tokens
            if cache is None or done.shape[1] == longest:
                break
            staying = (~torch.isin(fresh, stops).any(dim=1)).nonzero().flatten()
            rows = [rows[i] for i in staying.tolist()]
            ids, mask = done[staying], torch.cat([mask, torch.ones_like(fresh)], dim=1)[staying]
            cache.batch_select_indices(staying)
    return [None if row in sampler.broken else tokens for row, tokens in enumerate(new)]


def _decode_alone(
    model: Any, prompts: Sequence[list[int]], sampler: Sampler, config: Any, streamer: Any
) -> list[list[int] | None]:
    """Decode prompts with virtual tokens before them one by one, so that none is padded."""
    import torch

    new: list[list[int] | None] = []
    for row, ids in enumerate(prompts):
        done = model.generate(
            input_ids=torch.tensor([ids], device=model.device),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=model.device),
            generation_config=config,
            logits_processor=sampler.processors([row]),
            streamer=streamer,
        )
        new.append(None if row in sampler.broken else done[0, len(ids) :].tolist())
    return new


class _ManyEnded:
    """A stopping criterion for all rows: a share of them has ended."""

    def __init__(self, stops: "Tensor", n_rows: int) -> None:
        import torch

        self.stops = stops
        self.ended = torch.zeros(n_rows, dtype=torch.bool, device=stops.device)

    def __call__(self, input_ids: "Tensor", scores: "Tensor", **options: Any) -> "Tensor":
        import torch

        self.ended |= torch.isin(input_ids[:, -1], self.stops)
        return (self.ended.float().mean() >= LEAVING_SHARE).expand(len(self.ended))


def _lay_out(
    prompts: Sequence[list[int]], n_shared: int, pad: int, device: Any
) -> tuple["Tensor", "Tensor"]:
    """Return the prompts as one array, padded on the left of what they do not share, and its mask."""
    import torch

    width = max(map(len, prompts))
    gaps = [width - len(ids) for ids in prompts]
    rows = [
        ids[:n_shared] + [pad] * gap + ids[n_shared:]
        for ids, gap in zip(prompts, gaps, strict=True)
    ]
    mask = torch.ones(len(rows), width, dtype=torch.long)
    for row, gap in zip(mask, gaps, strict=True):
        row[n_shared : n_shared + gap] = 0
    return torch.tensor(rows, device=device), mask.to(device)


def _read_shared(model: Any, prompts: Sequence[list[int]], cache: Any) -> int:
    """Read the tokens with which all prompts begin into a batch's cache, and return how many.

    Virtual tokens come first, in the places that the prompts leave for them.
    """
    import torch

    columns = zip(*(ids[:-1] for ids in prompts), strict=False)
    n_shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    n_virtual = count_virtual_tokens(model)
    if len(prompts) == 1 or n_shared - n_virtual < LEAST_SHARED:
        n_shared = n_virtual
    if n_virtual:
        read_virtual_tokens(model, cache)
    if n_shared > n_virtual:
        shared = torch.tensor([prompts[0][n_virtual:n_shared]], device=model.device)
        model_under(model)(input_ids=shared, past_key_values=cache, use_cache=True)
    if not n_shared:
        return 0
    cache.batch_select_indices(torch.zeros(len(prompts), dtype=torch.long, device=model.device))
    return n_shared


def make_cache(model: Any, capacity: int) -> Any:
    """Return an empty cache for a batch of so many tokens a row; None where layers do not keep all tokens."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    def holds_all(layer: Any) -> bool:
        if type(layer) is DynamicSlidingWindowLayer:
            return bool(layer.sliding_window > capacity)
        return type(layer) is DynamicLayer

    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # of an adapter
    cache = DynamicCache(config=base.config.get_text_config(decoder=True))
    known = signature(base.forward).parameters
    if "past_key_values" not in known or not cache.layers or not all(map(holds_all, cache.layers)):
        return None

    class BufferedLayer(DynamicLayer):  # type: ignore[misc]  # transformers has no types
        """Keys and values in memory of full size, of which the part in use is given out."""

        def lazy_initialization(self, key_states: "Tensor", value_states: "Tensor") -> None:
            super().lazy_initialization(key_states, value_states)
            rows, heads, _, size = key_states.shape
            self.all_keys = key_states.new_empty(rows, heads, capacity, size)
            self.all_values = value_states.new_empty(rows, heads, capacity, value_states.shape[-1])

        def update(
            self, key_states: "Tensor", value_states: "Tensor", *args: Any, **kwargs: Any
        ) -> tuple["Tensor", "Tensor"]:
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            start = self.get_seq_length()
            end = start + key_states.shape[-2]
            self.all_keys[..., start:end, :] = key_states
            self.all_values[..., start:end, :] = value_states
            self.keys, self.values = self.all_keys[..., :end, :], self.all_values[..., :end, :]
            return self.keys, self.values

        def batch_select_indices(self, indices: "Tensor") -> None:
            if self.is_initialized:
                keys, values = self.keys[indices], self.values[indices]
                self.lazy_initialization(keys, values)
                self.update(keys, values)

    cache.layers = [BufferedLayer() for _ in cache.layers]
    return cache
