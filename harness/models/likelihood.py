"""Log-probabilities of an item's options as continuations of its prompt.

    prompt "Question: … Answer:", continuations " yes", " no", " maybe"  →  -1.9, -0.4, -5.2

Tokens and sums are those of lm-eval's `loglikelihood` for its model `hf`: the prompt is plain text that
the tokenizer puts its own BOS token in front of, and white space at its end belongs to the continuation.
What all options share is computed once: one forward pass over the prompts of a batch, then one more, from
the cached keys and values, over those continuations that have several tokens.
"""

import json
import math
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.config import ChoiceLayout
from harness.models.local import BROKEN, OUT_OF_MEMORY, Answer, LocalModel, in_halves
from harness.models.virtual_tokens import (
    count_virtual_tokens,
    model_under,
    read_virtual_tokens,
)
from harness.types import Sample
from harness.types.judgements import MissingReason

if TYPE_CHECKING:
    from torch import Tensor

LIKELIHOOD_VERSION = 1  # raise it when the same options would get other numbers
DELIMITER = " "  # between a prompt and its continuation, as in lm-eval's tasks


class EncodedOptions(NamedTuple):
    """The tokens of a prompt, and those of each continuation by its label."""

    prompt: list[int]
    continuations: dict[str, list[int]]


def score_options(
    local: LocalModel, samples: Sequence[Sample], layout: ChoiceLayout
) -> list[Answer]:
    """Return as JSON each item's log-probabilities by label, or why an option of it can have none.

    The items are one batch where memory allows.
    """
    rows = [
        encode_options(local.tokenizer, sample.input, layout.continuations(sample.choices))
        for sample in samples
    ]
    problems = [_find_problem(row, local.context) for row in rows]
    scorable = [row for row, problem in zip(rows, problems, strict=True) if problem is None]
    scored = iter(in_halves(scorable, lambda part: _score_batch(local, part), OUT_OF_MEMORY))
    return [
        next(scored) if problem is None else Answer(json.dumps(problem), "stop")
        for problem in problems
    ]


def encode_options(tokenizer: Any, prompt: str, texts: Mapping[str, str]) -> EncodedOptions:
    """Encode a prompt and its continuations, as lm-eval does it for causal models.

    A continuation is what its tokens together with the prompt's have more than the prompt alone.
    """
    begin = tokenizer.bos_token or tokenizer.eos_token
    special = not (begin and prompt.startswith(begin))
    whole = [prompt.rstrip(), *(f"{prompt}{DELIMITER}{text}" for text in texts.values())]
    alone, *together = tokenizer(whole, add_special_tokens=special)["input_ids"]
    return EncodedOptions(
        alone, {label: ids[len(alone) :] for label, ids in zip(texts, together, strict=True)}
    )


def log_probabilities(model: Any, rows: Sequence[EncodedOptions]) -> list[dict[str, float]]:
    """Return the natural log-probability of each row's continuations, in 32-bit floats."""
    import torch

    with torch.inference_mode():
        # 1. One pass over the prompts, padded on the left; the last logits give all first tokens.
        ids, mask = _padded([row.prompt for row in rows], model.device, left=True)
        begun = _begin(model, len(rows))
        model = model_under(model)
        positions = mask.cumsum(-1) - 1
        if begun is not None:  # the virtual tokens come first
            n_virtual = begun.get_seq_length()
            mask = torch.cat([mask.new_ones(len(rows), n_virtual), mask], dim=-1)
            positions = positions + n_virtual
        output = _forward(model, ids, mask, positions, logits_to_keep=1, past_key_values=begun)
        first = output.logits[:, -1].float().log_softmax(-1)
        sums = [
            {label: float(first[i, ids[0]]) for label, ids in row.continuations.items()}
            for i, row in enumerate(rows)
        ]
        # 2. One pass over the continuations of several tokens, from the cache of their prompts.
        longer = [
            (i, label, ids)
            for i, row in enumerate(rows)
            for label, ids in row.continuations.items()
            if len(ids) > 1
        ]
        if not longer:
            return sums
        of_row = torch.tensor([i for i, _, _ in longer], device=model.device)
        output.past_key_values.batch_select_indices(of_row)
        ids, own = _padded([ids[:-1] for _, _, ids in longer], model.device)
        positions = mask.sum(-1)[of_row, None] + own.cumsum(-1) - 1
        mask = torch.cat([mask[of_row], own], dim=-1)
        cache = output.past_key_values
        logits = _forward(model, ids, mask, positions, past_key_values=cache).logits.float()
        targets, _ = _padded([ids[1:] for _, _, ids in longer], model.device)
        chosen = logits.gather(-1, targets[..., None]).squeeze(-1) - logits.logsumexp(-1)
        for (i, label, _), rest in zip(longer, (chosen * own).sum(-1).tolist(), strict=True):
            sums[i][label] += rest
    return sums


def _begin(model: Any, n_rows: int) -> Any:
    """Return the cache of a batch that has read the model's virtual tokens; None where it has none."""
    import torch
    from transformers import DynamicCache

    if not count_virtual_tokens(model):
        return None
    base = model_under(model)
    cache = DynamicCache(config=base.config.get_text_config(decoder=True))
    read_virtual_tokens(model, cache)
    cache.batch_select_indices(torch.zeros(n_rows, dtype=torch.long, device=base.device))
    return cache


def _padded(
    rows: Sequence[Sequence[int]], device: Any, *, left: bool = False
) -> tuple["Tensor", "Tensor"]:
    """Return rows of tokens as one array, and its mask: 1 where a token is, 0 where there is none."""
    import torch

    width = max(map(len, rows))
    gaps = [[0] * (width - len(row)) for row in rows]
    ids = [[*gap, *row] if left else [*row, *gap] for row, gap in zip(rows, gaps, strict=True)]
    mask = [
        [*gap, *[1] * len(row)] if left else [*[1] * len(row), *gap]
        for row, gap in zip(rows, gaps, strict=True)
    ]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def _forward(model: Any, ids: "Tensor", mask: "Tensor", positions: "Tensor", **options: Any) -> Any:
    """Run a model; what its forward pass does not take, such as positions of ALiBi, is left out."""
    options = {"position_ids": positions.clamp(min=0), "use_cache": True, **options}
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # of an adapter
    known = signature(base.forward).parameters
    taken = {name: value for name, value in options.items() if name in known}
    return model(input_ids=ids, attention_mask=mask, **taken)


# --- answers ---------------------------------------------------------------------------------


def _score_batch(local: LocalModel, rows: Sequence[EncodedOptions]) -> list[Answer]:
    return [
        Answer(json.dumps(found), "stop") if all(map(math.isfinite, found.values())) else BROKEN
        for found in log_probabilities(local.model, rows)
    ]


def _find_problem(row: EncodedOptions, context: int) -> str | None:
    """Return why an option cannot be scored; None if all can. The last token is never an input."""
    for label, ids in row.continuations.items():
        n = len(row.prompt) + len(ids) - 1
        if not row.prompt or not ids:
            return f"{MissingReason.EMPTY}: the tokenizer makes no token of option {label}"
        if n > context:
            return (
                f"{MissingReason.TOO_LONG}: prompt and option {label} have {n} tokens, and the model's "
                f"context has {context}"
            )
    return None
