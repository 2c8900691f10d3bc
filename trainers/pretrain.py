"""A tiny Llama from nothing, so that the whole loop runs on a laptop without a network.

It reads prose (leaflets, questions with their answers) and the same as chats, in shuffled order,
and never a row that is evaluated on: the recipe's `where` chooses the split.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.models import make_prompt, quiet_torch
from harness.types import Curve, Sample
from trainers.checkpoint import (
    CheckpointManifest,
    Training,
    checkpoint_folder,
    checkpoint_key,
    seal,
)
from trainers.examples import data_hash, load_samples
from trainers.recipe import PretrainRecipe, TinyModel
from trainers.tokenizer import END_OF_TEXT, train_tokenizer

WARM_UP = 0.05  # share of the steps in which the learning rate rises
CURVE_POINTS = 50


def train_base(
    recipe: PretrainRecipe, root: Path, out: Path, progress: Callable[[str, int, int], None]
) -> CheckpointManifest:
    """A base model in `out`, from the recipe's text alone."""
    quiet_torch()
    import torch

    torch.manual_seed(recipe.seed)
    started = time.monotonic()
    samples = [sample for source in recipe.data for sample in load_samples(source, root)]
    prose = [f"{_prose(sample)}{END_OF_TEXT}" for sample in samples]
    shape = recipe.model
    tokenizer = train_tokenizer(prose, vocab_size=shape.vocab_size, context=shape.context)
    texts = prose + [_chat(sample, tokenizer) for sample in samples if sample.reference]
    documents: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    model = _make_model(shape, tokenizer)
    losses = _train(model, documents, recipe, progress)

    hashed = data_hash(samples)
    facts = {
        "parameters": str(model.num_parameters()),
        "documents": str(len(documents)),
        "tokens of text": str(sum(map(len, documents))),
        "tokens read": str(len(losses) * recipe.batch_tokens),
        "seconds": f"{time.monotonic() - started:.0f}",
    }
    with checkpoint_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        training = Training(
            recipe=recipe.recipe,
            method=recipe.method,
            seed=recipe.seed,
            key=checkpoint_key(recipe, None, hashed),
            parent=None,
            data_hash=hashed,
            facts=facts,
            metrics={"loss": losses[-1]},
            curves=(_thinned("loss", losses),),
        )
        return seal(folder, training)


def _prose(sample: Sample) -> str:
    return f"{sample.input}\n\n{sample.reference}" if sample.reference else sample.input


def _chat(sample: Sample, tokenizer: Any) -> str:
    turns = [message.model_dump() for message in make_prompt(None, sample.input)]
    turns.append({"role": "assistant", "content": sample.reference})
    text: str = tokenizer.apply_chat_template(turns, tokenize=False)
    return text


def _make_model(shape: TinyModel, tokenizer: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def _train(
    model: Any,
    documents: Sequence[list[int]],
    recipe: PretrainRecipe,
    progress: Callable[[str, int, int], None],
) -> list[float]:
    import torch

    steps = max(1, recipe.n_tokens // recipe.batch_tokens)
    width = recipe.model.context
    windows = _windows(documents, width, random.Random(recipe.seed))
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    losses = []
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, steps)
        batch = torch.tensor([next(windows) for _ in range(recipe.batch_tokens // width)])
        loss = model(batch, labels=batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        progress("pretrain", step + 1, steps)
    return losses


def _windows(
    documents: Sequence[list[int]], width: int, order: random.Random
) -> Iterator[list[int]]:
    """The documents end to end, in a new order each time, cut into windows."""
    buffer: list[int] = []
    while True:
        for document in order.sample(documents, len(documents)):
            buffer += document
            while len(buffer) >= width:
                yield buffer[:width]
                buffer = buffer[width:]


def _schedule(step: int, steps: int) -> float:
    """A linear rise, then half a cosine down to a tenth."""
    rise = (step + 1) / max(1, WARM_UP * steps)
    return min(1.0, rise) * (0.55 + 0.45 * math.cos(math.pi * step / steps))


def _thinned(name: str, values: Sequence[float]) -> Curve:
    """Means over equal stretches of the run."""
    size = max(1, len(values) // CURVE_POINTS)
    ends = range(size, len(values) + 1, size)
    means = tuple(sum(values[end - size : end]) / size for end in ends)
    return Curve(name=name, steps=tuple(ends), values=means)
