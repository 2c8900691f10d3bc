"""Pre-training of a tiny Llama, so that the whole pipeline runs on a laptop without a network.

The text is prose, chats, and sentences of one topic in a new order each time. In the bundled recipe
no question is read together with its answer, which is for SFT to teach, and `where` excludes the
rows that are evaluated on.
"""

import math
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.models.weights import quiet_torch
from harness.types import Curve, Sample
from trainers.checkpoint import (
    CheckpointManifest,
    Training,
    checkpoint_folder,
    checkpoint_key,
    finalise,
)
from trainers.examples import data_hash, load_samples
from trainers.portable import add_version_4_words
from trainers.recipe import PretrainRecipe, TinyModel

PAD, END_OF_TEXT, TURN, END_OF_TURN = "<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"

# The generation tags mark the assistant's tokens for TRL, including the end of the turn.
CHAT_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}
{%- generation %}{{- message.content + '<|im_end|>' }}{%- endgeneration %}
{%- else %}
{{- message.content + '<|im_end|>' }}
{%- endif %}
{{- '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""


def train_tokenizer(texts: Iterable[str], *, vocab_size: int, context: int) -> Any:
    """Train a tokenizer of `vocab_size` tokens on the texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, END_OF_TEXT, TURN, END_OF_TURN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=END_OF_TURN,
        pad_token=PAD,
        additional_special_tokens=[TURN, END_OF_TEXT],
        chat_template=CHAT_TEMPLATE,
        model_max_length=context,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


WARM_UP = 0.05  # share of the steps in which the learning rate rises
CURVE_POINTS = 50
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
SourceRows = Sequence[tuple[str, tuple[Sample, ...]]]  # each source's `read` value and its rows


def train_base(
    recipe: PretrainRecipe, root: Path, out: Path, progress: Callable[[str, int, int], None]
) -> CheckpointManifest:
    """Train a base model and its tokenizer on the recipe's text, and write them in `out`."""
    quiet_torch()
    import torch

    # Train the tokenizer.
    started = time.monotonic()
    sources = [(source.read, load_samples(source, root)) for source in recipe.data]
    samples = [sample for _, rows in sources for sample in rows]
    tokenizer = train_tokenizer(
        [_prose(sample) for sample in samples],
        vocab_size=recipe.model.vocab_size,
        context=recipe.model.context,
    )
    # Train the model.
    torch.manual_seed(recipe.seed)
    model = _make_model(recipe.model, tokenizer)
    windows = _windows(sources, tokenizer, recipe.window, random.Random(recipe.seed))
    losses = _train(model, windows, recipe, progress)
    # Write the checkpoint.
    rows_hash = data_hash(samples)
    facts = {
        "parameters": str(model.num_parameters()),
        "tokens read": str(len(losses) * recipe.batch_size * recipe.window),
        "seconds": f"{time.monotonic() - started:.0f}",
    }
    with checkpoint_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        add_version_4_words(folder)
        training = Training(
            recipe=recipe.recipe,
            method=recipe.method,
            seed=recipe.seed,
            key=checkpoint_key(recipe, None, rows_hash),
            parent=None,
            data_hash=rows_hash,
            facts=facts,
            metrics={"train_loss": losses[-1]},
            curves=(_downsample("loss", losses),),
        )
        return finalise(folder, training)


# --- text ------------------------------------------------------------------------------------


def _windows(
    sources: SourceRows, tokenizer: Any, width: int, rng: random.Random
) -> Iterator[list[int]]:
    """Yield windows of the documents' tokens without end; each epoch shuffles the documents anew."""
    buffer: list[int] = []
    while True:
        for text in _documents(sources, tokenizer, rng):
            buffer += tokenizer.backend_tokenizer.encode(text).ids
            while len(buffer) >= width:
                yield buffer[:width]
                buffer = buffer[width:]


def _documents(sources: SourceRows, tokenizer: Any, rng: random.Random) -> list[str]:
    documents: list[str] = []
    sentences: dict[str, list[str]] = defaultdict(list)
    for read, samples in sources:
        for sample in samples:
            match read:
                case "chat":
                    documents.append(_chat(sample, tokenizer))
                case "prose":
                    documents.append(sample.input + END_OF_TEXT)
                case "sentences":
                    sentences[sample.cluster or ""] += _SENTENCE_END.split(_prose(sample))
    for topic in sentences.values():
        rng.shuffle(topic)
        documents.append(" ".join(topic) + END_OF_TEXT)
    rng.shuffle(documents)
    return documents


def _prose(sample: Sample) -> str:
    return " ".join([sample.input, *filter(None, sample.acceptable_answers)])


def _chat(sample: Sample, tokenizer: Any) -> str:
    turns = [message.model_dump() for message in sample.chat(None)]
    turns.append({"role": "assistant", "content": "\n".join(sample.acceptable_answers)})
    text: str = tokenizer.apply_chat_template(turns, tokenize=False)
    return text


# --- training --------------------------------------------------------------------------------


def _make_model(shape: TinyModel, tokenizer: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        max_position_embeddings=shape.context,
        initializer_range=shape.hidden_size**-0.5,  # the usual 0.02 is meant for far wider models
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def _train(
    model: Any,
    windows: Iterator[list[int]],
    recipe: PretrainRecipe,
    progress: Callable[[str, int, int], None],
) -> list[float]:
    import torch

    steps = max(1, recipe.n_tokens // (recipe.batch_size * recipe.window))
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    losses = []
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, steps)
        batch = torch.tensor([next(windows) for _ in range(recipe.batch_size)])
        loss = model(batch, labels=batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        progress("pretrain", step + 1, steps)
    return losses


def _schedule(step: int, steps: int) -> float:
    """Return the learning rate's factor: a linear warm-up, then half a cosine down to a tenth."""
    warm_up = (step + 1) / max(1, WARM_UP * steps)
    return min(1.0, warm_up) * (0.55 + 0.45 * math.cos(math.pi * step / steps))


def _downsample(name: str, values: Sequence[float]) -> Curve:
    """Average the values over equal stretches of the run."""
    size = max(1, len(values) // CURVE_POINTS)
    ends = range(size, len(values) + 1, size)
    means = tuple(sum(values[end - size : end]) / size for end in ends)
    return Curve(name=name, steps=tuple(ends), values=means)
