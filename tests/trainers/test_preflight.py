"""Sizes of any family's base, and what makes a base unfit before its weights are loaded."""

from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from tests.builders.families import FAMILIES, make_base
from tests.builders.family_walk import ROWS, sft_recipe
from tests.builders.recipes import quiet
from trainers.dry_run import random_model, shrink
from trainers.memory import estimate_memory
from trainers.recipe import Lora, Parent
from trainers.sft import train_sft
from trainers.shape import count_parameters, find_shape

pytestmark = pytest.mark.filterwarnings(
    "default"
)  # PEFT and transformers warn of their own futures
ALL_LINEAR = Lora(r=4, alpha=8)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_sizes_of_a_familys_base_are_those_that_peft_finds(name: str, tmp_path: Path) -> None:
    import torch
    from peft import get_peft_model

    from harness.models.weights import load_weights
    from trainers.peft_config import peft_config

    base = make_base(name, tmp_path / "base")
    shape = find_shape(Parent(checkpoint="base"), tmp_path)
    assert shape is not None
    model = load_weights(base)[0]
    trained, total = get_peft_model(
        model, peft_config(ALL_LINEAR, model, None)
    ).get_nb_trainable_parameters()
    assert trained == ALL_LINEAR.count_trained(shape)
    if name != "gemma3_vision":  # whose sizes are those of its text
        assert total - trained == count_parameters(shape)
    memory = estimate_memory(sft_recipe("olmo2"), shape, ALL_LINEAR)
    assert memory is not None
    assert memory.training > memory.weights > 0
    small = shrink(shape, vocab_size=300)
    assert random_model(small, dtype=torch.float32).num_parameters() == count_parameters(small)


def test_a_family_that_transformers_does_not_know_has_no_sizes(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text('{"model_type": "of_tomorrow"}')
    assert find_shape(Parent(checkpoint="base"), tmp_path) is None


def refused(base: Path, message: str, **lora: object) -> None:
    recipe = sft_recipe("olmo2", max_steps=1)
    recipe = recipe.model_copy(update={"lora": Lora(r=2, alpha=2, **lora)})
    (base / "model.safetensors").unlink(missing_ok=True)  # nothing is loaded before it is found
    (base / "model.safetensors").write_bytes(b"")
    with pytest.raises(HarnessError, match=message):
        train_sft(recipe, base, base.parent / "out", rows=ROWS, progress=quiet)


@pytest.mark.parametrize("name", ["qwen2_base", "gemma3", "phi3"])
def test_targets_that_match_nothing_are_each_named(name: str, tmp_path: Path) -> None:
    base = make_base(name, tmp_path / "base")
    refused(base, "has no c_attn, w1. Known: ", target_modules=("o_proj", "w1", "c_attn"))


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    base = make_base("llama3", tmp_path / "base")
    for path in (*base.glob("tokenizer*"), *base.glob("*.jinja")):
        path.unlink()
    refused(base, "has no tokenizer")


@pytest.mark.parametrize("name", ["qwen2_base", "gemma3_vision", "llama3"])
def test_a_tokenizer_larger_than_the_embeddings_is_refused(name: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    base = make_base(name, tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens([f"<|extra{n}|>" for n in range(20)], special_tokens=True)
    tokenizer.save_pretrained(base)
    refused(base, r"has embeddings for \d+ tokens, and its tokenizer has \d+\. Resize the base")
