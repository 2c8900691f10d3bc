"""A dry run's copy of a recipe: the same settings on a random model of a few thousand weights.

    base/            a random Llama or Mistral, with the original's layout of heads
    0.yaml           the first parent, with two steps; every other change is reported
    0.rows.jsonl     its first rows, or made-up ones if its data are not available
    1.yaml           the recipe
    1.pairs.yaml     its preference pairs, given in 1.pairs.jsonl

The folder's recipes are trained like any other recipe.
"""

import copy
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from harness.config import Source
from harness.core.errors import HarnessError
from harness.data.conversions import resolve_conversion, unavailable_reason
from harness.data.preference_pairs import load_given_pairs
from harness.types import Message
from harness.types.training import Example, LabelledAnswer, PreferencePair
from trainers.examples import load_examples, load_labelled, load_samples
from trainers.recipe import (
    AdapterRecipe,
    GivenPairsRecipe,
    PairsRecipe,
    Parent,
    PreferenceRecipe,
    SftRecipe,
    load_recipe,
)
from trainers.recipe_graph import RecipeStage, recipe_graph
from trainers.shape import Shape, find_shape, measure_shape
from trainers.trl_config import TRACKING_OPTIONS

STEPS = 2
HEAD_SIZE = 16
N_LAYERS = 2
VOCABULARY = 2048
CONTEXT = 4096  # rotary positions cost nothing

# Options of the tokenizer and of the run's length, which a dry run sets itself.
_TOKENIZER_OPTIONS = ("chat_template_path", "eos_token", "pad_token")
_LENGTH_OPTIONS = ("num_train_epochs",)


class SmallStage(NamedTuple):
    """One recipe of the chain in its original form, and the file of its small copy."""

    file: str
    recipe: AdapterRecipe


class SmallRecipe(NamedTuple):
    """The recipes of a dry run's folder, and how they differ from the originals.

    Attributes:
        stages: The recipes, parents first.
        replaced: Descriptions of the settings that were replaced.
        data: Descriptions of the rows.
        start: The model that the first original recipe starts from.
        original: The shape of that model.
        small: The shape of the random model.
    """

    stages: list[SmallStage]
    replaced: list[str]
    data: list[str]
    start: str
    original: Shape
    small: Shape


def shrink_recipe(
    recipe: str, folder: Path, *, cuda: bool, steps: int = STEPS, full_size: bool = False
) -> SmallRecipe:
    """Write copies of a recipe and its parents to `folder`, small enough to train in seconds.

    No model is fetched. Without `cuda`, settings that need a GPU are replaced. At `full_size` the
    model is random and in bfloat16, but as large as the original, for measurements on a GPU.

    Raises:
        HarnessError: a mistake in a recipe, one that trains no adapter, or a parent whose sizes
            are not known.
    """
    # Find the original model's shape.
    chain = _chain(recipe)
    first, root = chain[0].recipe, chain[0].root
    original = find_shape(first.parent, root)
    if original is None:
        raise HarnessError(
            f"{first.parent.checkpoint}: its sizes are not known here, so no small copy can be made. Name a "
            "directory that holds its config.json, of a family that transformers knows; training itself "
            "does not need them."
        )
    # Write the recipes with their data.
    replaced: list[str] = []
    data: list[str] = []
    texts: list[str] = []
    stages = []
    n_rows = max(_count_rows_needed(link.recipe) for link in chain)
    for number, link in enumerate(chain):
        parent = Parent(recipe=f"{number - 1}.yaml") if number else Parent(checkpoint="base")
        small = _small_recipe(link, parent, steps, replaced, cuda=cuda)
        small |= _write_template(folder / f"{number}.jinja", link.recipe, replaced)
        if isinstance(link.recipe, SftRecipe):
            rows = _rows(link, n_rows, data)
            small |= _write_rows(folder, f"{number}.rows", rows)
            texts += [_text(row.prompt, row.completion) for row in rows]
        elif isinstance(link.recipe, PreferenceRecipe) and link.recipe.labelled_source is not None:
            answers = _labelled(link, link.recipe.labelled_source, n_rows, data)
            _write_lines(folder / f"{number}.labelled.jsonl", [a.model_dump() for a in answers])
            small["labelled"] = {"path": f"{number}.labelled.jsonl"}
            texts += [_text(answer.prompt, answer.completion) for answer in answers]
        else:
            pairs = _pairs(link, n_rows, data)
            small |= _write_pairs(folder, f"{number}.pairs", pairs)
            texts += [_text(pair.prompt, pair.chosen) for pair in pairs]
        _write_yaml(folder / f"{number}.yaml", small)
        stages.append(SmallStage(f"{number}.yaml", link.recipe))
    # Write the model, with a tokenizer trained on the data.
    shape = _write_base(folder / "base", original, texts, full_size=full_size)
    start = str(first.parent.checkpoint)
    return SmallRecipe(stages, _unique(replaced), data, start, original, shape)


# --- the chain of recipes --------------------------------------------------------------------


class _Link(NamedTuple):
    """A recipe that trains an adapter, the folder its paths start from, and its pairs' stage."""

    recipe: AdapterRecipe
    root: Path
    pairs: RecipeStage | None


def _chain(name: str) -> list[_Link]:
    """Return the recipe's ancestors, the first one first, and the recipe itself.

    Raises:
        HarnessError: one of them trains no adapter, or samples answers while it trains.
    """
    links = []
    for stage in reversed(recipe_graph(*load_recipe(name), name=name)[-1].lineage()):
        recipe = stage.recipe
        if not isinstance(recipe, AdapterRecipe):
            raise HarnessError(
                f"{stage.name}: trains no adapter, so there is nothing to try in a dry run."
            )
        if recipe.sequences is None:
            raise HarnessError(f"{stage.name}: '{recipe.method}' has no dry run.")
        links.append(_Link(recipe, stage.root, stage.pairs))
    return links[::-1]


def _small_recipe(
    link: _Link, parent: Parent, steps: int, replaced: list[str], *, cuda: bool
) -> dict[str, Any]:
    """Return the recipe's keys with another parent and few steps.

    Descriptions of all other changes are appended to `replaced`.
    """
    # Copy the recipe.
    recipe = link.recipe
    small = recipe.model_dump(mode="json", exclude_none=True)
    small["parent"] = parent.model_dump(exclude_none=True)
    small.pop("watch", None)  # its items may be missing here
    options = {
        name: value
        for name, value in recipe.trainer.items()
        if name not in (*_TOKENIZER_OPTIONS, *_LENGTH_OPTIONS, *TRACKING_OPTIONS)
    }
    # Replace settings of the tokenizer, and those that need a GPU.
    for name in _TOKENIZER_OPTIONS:
        if name in recipe.trainer:
            replaced.append(
                f"trainer.{name} {recipe.trainer[name]}: the small tokenizer has its own"
            )
    optimiser = str(options.get("optim", ""))
    if not cuda and ("8bit" in optimiser or "paged" in optimiser):
        options["optim"] = "adamw_torch"
        replaced.append(f"{optimiser}: adamw_torch, without an NVIDIA GPU")
    small["trainer"] = options | {"max_steps": steps, "logging_steps": 1}
    return small


def _write_template(
    file: Path, recipe: AdapterRecipe, replaced: list[str]
) -> dict[str, str | None]:
    """Write the recipe's chat template if the small tokenizer has its tokens; return its keys."""
    template = recipe.chat_template
    if template is not None and "<|" not in template:
        file.write_text(template, encoding="utf-8")
        return {"chat_template": file.name}
    if template is not None:
        replaced.append("chat_template: it names tokens that the small tokenizer lacks")
    if recipe.thinking is not None:
        replaced.append("thinking: the small tokenizer's chat template has no switch of it")
    return {"chat_template": None, "thinking": None}


def _count_rows_needed(recipe: AdapterRecipe) -> int:
    """Count the rows that two steps need, including those that are held out."""
    size, accumulated = (
        recipe.trainer.get(name, default)
        for name, default in (
            ("per_device_train_batch_size", 8),
            ("gradient_accumulation_steps", 1),
        )
    )
    assert isinstance(size, int)
    assert isinstance(accumulated, int)
    holdout = recipe.holdout if isinstance(recipe, PreferenceRecipe) else 0.0
    return max(8, math.ceil(STEPS * size * accumulated / (1.0 - holdout)) + 1)


# --- rows ------------------------------------------------------------------------------------


def _rows(link: _Link, n_rows: int, data: list[str]) -> list[Example]:
    """Return the recipe's first rows, or made-up ones; append their description to `data`."""
    recipe = link.recipe
    assert isinstance(recipe, SftRecipe)
    absent = _unavailable_reasons(recipe.data, link.root)
    if absent is not None or not recipe.data:
        data.append(f"{recipe.recipe}: {n_rows} made-up rows, {absent or 'the best of none yet'}")
        return [_made_up_example(number) for number in range(n_rows)]
    rows = load_examples(recipe.data, link.root)[:n_rows]
    data.append(f"{link.recipe.recipe}: the first {len(rows)} of its rows")
    return rows


def _pairs(link: _Link, n_rows: int, data: list[str]) -> list[PreferencePair]:
    """Return the recipe's first given pairs, or made-up answers to its first or made-up prompts.

    Their description is appended to `data`.
    """
    assert link.pairs is not None
    recipe, root = link.pairs.recipe, link.pairs.root
    assert isinstance(recipe, PairsRecipe)
    # Take given pairs.
    absent = _unavailable_reasons([recipe.data], root)
    if isinstance(recipe, GivenPairsRecipe) and absent is None:
        pairs = load_given_pairs(resolve_conversion(recipe.data, root), root).pairs[:n_rows]
        data.append(f"{link.recipe.recipe}: the first {len(pairs)} of its pairs")
        return pairs
    # Make answers up, and prompts too where there are none.
    made_up = [_made_up_example(number) for number in range(n_rows)]
    prompts = [example.prompt for example in made_up]
    if absent is None:
        samples = load_samples(recipe.data, root)[:n_rows]
        prompts = [sample.chat(None) for sample in samples]
        data.append(
            f"{link.recipe.recipe}: made-up answers to the first {len(prompts)} of its prompts"
        )
    else:
        data.append(f"{link.recipe.recipe}: {n_rows} made-up pairs, {absent}")
    return [
        PreferencePair(
            sample_id=f"small-{number}",
            prompt=prompt,
            chosen=example.completion,
            rejected=f"I cannot tell you anything about question {number}.",
            source="given",
        )
        for number, (prompt, example) in enumerate(zip(prompts, made_up, strict=False))
    ]


def _labelled(link: _Link, source: Source, n_rows: int, data: list[str]) -> list[LabelledAnswer]:
    """Return the recipe's first labelled answers, or made-up ones; append their description to `data`."""
    absent = _unavailable_reasons([source], link.root)
    if absent is None:
        answers = load_labelled(source, link.root)
        both = [
            [a for a in answers if a.label is label][: n_rows // 2 + 1] for label in (True, False)
        ]
        data.append(
            f"{link.recipe.recipe}: the first {sum(map(len, both))} of its labelled answers"
        )
        return [*both[0], *both[1]]
    data.append(f"{link.recipe.recipe}: {n_rows} made-up labelled answers, {absent}")
    examples = [_made_up_example(number) for number in range(n_rows)]
    return [
        LabelledAnswer(sample_id=e.id, prompt=e.prompt, completion=e.completion, label=bool(i % 2))
        for i, e in enumerate(examples)
    ]


def _unavailable_reasons(sources: Sequence[Source], root: Path) -> str | None:
    """Return why some of the rows cannot be read; None if all can."""
    reasons = [
        reason for source in sources if (reason := unavailable_reason(source, root)) is not None
    ]
    return "; ".join(dict.fromkeys(reasons)) or None


def _made_up_example(number: int) -> Example:
    return Example(
        id=f"small-{number}",
        prompt=(
            Message(role="system", content="You are a caring medical assistant."),
            Message(role="user", content=f"I have had a cough for {number + 2} days. Is it bad?"),
        ),
        completion=f"A cough of {number + 2} days is common. See a doctor if you get short of breath.",
    )


def _write_rows(folder: Path, name: str, rows: Sequence[Example]) -> dict[str, Any]:
    """Write the rows, and return the recipe's keys for them."""
    _write_lines(folder / f"{name}.jsonl", [_row(example) for example in rows])
    fields = {column: column for column in ("id", "system", "history", "input", "reference")}
    return {"data": [{"path": f"{name}.jsonl", "fields": fields}], "best_of": None}


def _write_pairs(folder: Path, name: str, pairs: Sequence[PreferencePair]) -> dict[str, Any]:
    """Write the pairs with a recipe of their own, and return the training recipe's key for them."""
    _write_lines(folder / f"{name}.jsonl", [pair.model_dump(mode="json") for pair in pairs])
    recipe = {"recipe": "pairs", "method": "given_pairs", "data": {"path": f"{name}.jsonl"}}
    _write_yaml(folder / f"{name}.yaml", recipe)
    return {"pairs": f"{name}.yaml"}


def _row(example: Example) -> dict[str, Any]:
    system = [message.content for message in example.prompt if message.role == "system"]
    turns = [message for message in example.prompt if message.role != "system"]
    return {
        "id": example.id,
        "system": system[0] if system else "",
        "history": [message.model_dump() for message in turns[:-1]],
        "input": turns[-1].content,
        "reference": example.completion,
    }


def _text(prompt: Sequence[Message], answer: str) -> str:
    return "\n".join([*(message.content for message in prompt), answer])


# --- the model -------------------------------------------------------------------------------


def _write_base(folder: Path, original: Shape, texts: Sequence[str], *, full_size: bool) -> Shape:
    """Write a random model with its tokenizer, and return its shape."""
    import torch

    from trainers.pretrain import train_tokenizer

    tokenizer = train_tokenizer(texts, vocab_size=VOCABULARY, context=CONTEXT)
    tokens = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    shape = original if full_size else shrink(original, vocab_size=len(tokenizer))
    torch.manual_seed(0)
    with torch.device("cuda" if full_size and torch.cuda.is_available() else "cpu"):
        model = random_model(shape, dtype=torch.bfloat16 if full_size else torch.float32, **tokens)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return shape


def shrink(shape: Shape, *, vocab_size: int) -> Shape:
    """Return a small shape with the original's query heads a key head and MLP width ratio."""
    if shape.config is not None:
        return measure_shape(_shrink_config(shape, vocab_size))
    common = math.gcd(shape.n_heads, shape.n_kv_heads)
    heads, kv_heads = shape.n_heads // common, shape.n_kv_heads // common
    if heads == 1:  # no grouping; one head alone would be no attention layout
        heads = kv_heads = 2
    hidden = heads * HEAD_SIZE
    return shape._replace(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=round(hidden * shape.intermediate_size / shape.hidden_size),
        n_layers=N_LAYERS,
        n_heads=heads,
        n_kv_heads=kv_heads,
        head_size=HEAD_SIZE,
        context=CONTEXT,
        bytes_per_weight=4,
    )


def _shrink_config(shape: Shape, vocab_size: int) -> Any:
    """Return a small configuration of the same family, one layer of each of its first and last kind."""
    common = math.gcd(shape.n_heads, shape.n_kv_heads)
    heads, kv_heads = shape.n_heads // common, shape.n_kv_heads // common
    if heads == 1:
        heads = kv_heads = 2
    hidden = heads * HEAD_SIZE
    inner = round(hidden * shape.intermediate_size / shape.hidden_size)
    config = copy.deepcopy(shape.config)
    sizes: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "moe_intermediate_size": inner,
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": HEAD_SIZE,
        "max_position_embeddings": CONTEXT,
        "num_experts": 4,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    }
    for name, value in sizes.items():
        if getattr(config, name, None) is not None:
            setattr(config, name, value)
    kinds = getattr(config, "layer_types", None)
    if kinds:
        config.layer_types = [kinds[0], kinds[-1]]
    rope = getattr(config, "rope_parameters", None)
    if (
        isinstance(rope, dict) and "long_factor" in rope
    ):  # one factor for each of its many positions
        names = ("rope_theta", "partial_rotary_factor")
        plain = {name: rope[name] for name in names if name in rope}
        config.rope_parameters = {"rope_type": "default", **plain}
    return config


def random_model(shape: Shape, *, dtype: Any, **tokens: int) -> Any:
    """Make a model of this shape with random weights, on torch's default device."""
    from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

    if shape.config is not None:
        config = copy.deepcopy(shape.config)
        for name, value in ({"bos_token_id": None} | tokens).items():
            setattr(config, name, value)
        return AutoModelForCausalLM.from_config(config, dtype=dtype)
    sizes = {
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "num_key_value_heads": shape.n_kv_heads,
        "head_dim": shape.head_size,
        "max_position_embeddings": shape.context,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "rms_norm_eps": shape.rms_eps,
        "tie_word_embeddings": shape.tied,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if shape.family == "mistral":
        config = MistralConfig(**sizes | {"sliding_window": 4096} | tokens)
    else:
        config = LlamaConfig(**sizes | tokens)
    return AutoModelForCausalLM.from_config(config, dtype=dtype)


# --- files -----------------------------------------------------------------------------------


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _unique(lines: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(lines))
