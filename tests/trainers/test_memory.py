from dataclasses import fields
from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.core.paths import bundle_root
from tests.builders.recipes import ROWS, SFT
from tests.builders.tiny import make_tiny_model
from trainers.dry_run import random_model, shrink
from trainers.memory import (
    TRL_DEFAULTS,
    estimate_memory,
    find_obstacle,
    n_training_pairs,
    optimiser_steps,
)
from trainers.recipe import DpoRecipe, Lora, OnlineRecipe, Parent, Quantisation, RewardSource
from trainers.sft import train_sft
from trainers.shape import (
    HUB_SHAPES,
    LLAMA_3_8B,
    MISTRAL_7B,
    SMOLLM2_135M,
    Shape,
    count_parameters,
    find_shape,
)

QUERY_AND_VALUE = Lora(r=16, alpha=32, target_modules=("q_proj", "v_proj"))
ALL_LINEAR = Lora(r=8, alpha=16)
NF4 = Quantisation(bits=4)


def dpo(lora: Lora | None, quantisation: Quantisation | None = None) -> DpoRecipe:
    return DpoRecipe(
        recipe="it",
        method="dpo",
        parent=Parent(recipe="sft.yaml"),
        pairs="pairs.yaml",
        lora=lora,
        quantisation=quantisation,
    )


@pytest.mark.parametrize(
    ("model", "published"),
    [
        ("meta-llama/Meta-Llama-3-8B", 8_030_261_248),
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
        ("BioMistral/BioMistral-7B", 7_241_732_096),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008),
    ],
)
def test_the_known_models_have_their_published_size(model: str, published: int):
    assert count_parameters(HUB_SHAPES[model]) == published


@pytest.mark.parametrize(
    ("shape", "lora", "published"),
    [
        (LLAMA_3_8B, QUERY_AND_VALUE, 6_815_744),  # printed in the Medical Llama-3 notebook
        (MISTRAL_7B, Lora(r=128, alpha=128), 335_544_320),
    ],
)
def test_adapters_have_their_published_size(shape: Shape, lora: Lora, published: int):
    assert lora.count_trained(shape) == published


@pytest.mark.filterwarnings("default")  # PEFT asks transformers by an old name
@pytest.mark.parametrize("shape", [LLAMA_3_8B, MISTRAL_7B, SMOLLM2_135M])
@pytest.mark.parametrize("lora", [QUERY_AND_VALUE, ALL_LINEAR])
def test_sizes_are_those_that_peft_finds(shape: Shape, lora: Lora):
    import torch
    from peft import get_peft_model

    from trainers.peft_config import peft_config

    small = shrink(shape, vocab_size=300)
    plain = random_model(small, dtype=torch.float32)
    model = get_peft_model(plain, peft_config(lora, plain, None))
    trained, total = model.get_nb_trainable_parameters()
    assert trained == lora.count_trained(small)
    assert total - trained == count_parameters(small)


def test_a_target_that_the_model_has_not_is_refused():
    with pytest.raises(HarnessError, match=r"no c_attn\. Known: q_proj"):
        Lora(r=8, alpha=8, target_modules=("c_attn",)).count_trained(LLAMA_3_8B)


def test_a_small_model_keeps_its_heads_in_the_same_groups():
    small = shrink(SMOLLM2_135M, vocab_size=300)
    assert (small.n_heads / small.n_kv_heads, small.tied, small.n_layers) == (3, True, 2)


@pytest.mark.parametrize(
    ("rows", "options", "steps"),
    [
        (4750, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}, 1188 * 3),
        (504, {"per_device_train_batch_size": 4, "num_train_epochs": 1}, 126),
        (1, {}, 3),
        (500, {"max_steps": 7}, 7),
    ],
)
def test_steps_are_counted_from_rows_batches_and_epochs(rows: int, options: dict, steps: int):
    assert optimiser_steps(rows, options) == steps


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_steps_are_those_that_the_trainer_takes(tmp_path: Path):
    options = {"num_train_epochs": 2, "per_device_train_batch_size": 2}
    recipe = SFT.model_copy(update={"trainer": options | {"gradient_accumulation_steps": 3}})
    totals: set[int] = set()
    train_sft(
        recipe,
        make_tiny_model(tmp_path / "base"),
        tmp_path / "out",
        rows=ROWS,
        progress=lambda stage, done, total: totals.add(total),
    )
    assert totals == {optimiser_steps(len(ROWS), recipe.trainer)}


def test_the_pairs_of_a_held_out_prompt_are_not_learnt():
    assert n_training_pairs(100, 0.15) == 85
    assert n_training_pairs(4 * 144, 0.15, per_prompt=4) == 4 * (144 - 22)


def test_the_defaults_are_those_of_trl():
    from trl import DPOConfig, SFTConfig

    for config in (SFTConfig, DPOConfig):
        known = {field.name: field.default for field in fields(config)}
        assert {name: known[name] for name in TRL_DEFAULTS} == TRL_DEFAULTS


def test_four_bits_are_counted_with_their_constants():
    memory = estimate_memory(dpo(QUERY_AND_VALUE, NF4), LLAMA_3_8B, QUERY_AND_VALUE)
    assert memory is not None
    in_layers = 32 * 218_103_808
    constants = in_layers // 64 + 4 * in_layers // (64 * 256)
    assert memory.weights == in_layers // 2 + constants + 2 * (8_030_261_248 - in_layers)


def test_an_adapter_that_goes_on_training_lies_there_twice():
    continued = estimate_memory(dpo(None), LLAMA_3_8B, ALL_LINEAR)
    new = estimate_memory(dpo(ALL_LINEAR), LLAMA_3_8B, ALL_LINEAR)
    assert continued is not None
    assert new is not None
    assert continued.adapter == 2 * new.adapter == 8 * ALL_LINEAR.count_trained(LLAMA_3_8B)


def test_checkpointing_takes_less_memory():
    recipe = dpo(ALL_LINEAR)
    kept = recipe.model_copy(update={"trainer": {"gradient_checkpointing": False}})
    with_it, without = (estimate_memory(r, LLAMA_3_8B, ALL_LINEAR) for r in (recipe, kept))
    assert with_it is not None
    assert without is not None
    assert with_it.activations < without.activations / 3


def test_merging_holds_the_base_once_with_its_adapter():
    memory = estimate_memory(dpo(QUERY_AND_VALUE, NF4), LLAMA_3_8B, QUERY_AND_VALUE)
    assert memory is not None
    assert memory.merging == 2 * 8_030_261_248 + 4 * 6_815_744


def test_a_base_without_a_chat_template_stands_in_the_way_unless_the_recipe_has_one():
    recipe = dpo(QUERY_AND_VALUE)
    llama = "meta-llama/Meta-Llama-3-8B"
    assert "no chat template" in (find_obstacle(llama, recipe) or "")
    assert find_obstacle(llama, recipe.model_copy(update={"chat_template": "..."})) is None


def test_pickled_weights_stand_in_the_way_unless_the_recipe_has_them_unpickled():
    recipe, name = dpo(QUERY_AND_VALUE), "BioMistral/BioMistral-7B"
    assert "pickle" in (find_obstacle(name, None) or "")
    assert "pickle" in (find_obstacle(name, recipe) or "")
    parent = Parent(checkpoint=name, revision="9a11e1f", unpickle=True)
    assert find_obstacle(name, recipe.model_copy(update={"parent": parent})) is None


def test_no_memory_is_told_for_a_method_that_samples_while_it_trains():
    recipe = OnlineRecipe.model_validate(
        {
            "recipe": "it",
            "method": "grpo",
            "parent": Parent(recipe="sft.yaml"),
            "data": {"path": "rows.jsonl"},
            "reward": RewardSource(recipe="reward.yaml"),
            "lora": ALL_LINEAR,
        }
    )
    assert estimate_memory(recipe, LLAMA_3_8B, ALL_LINEAR) is None


def test_the_sizes_of_a_checkpoint_here_are_read():
    shape = find_shape(Parent(checkpoint="trainers/tiny_base"), bundle_root())
    assert shape is not None
    assert (shape.vocab_size, shape.n_layers, shape.tied, shape.bytes_per_weight) == (
        3000,
        5,
        True,
        4,
    )


def test_the_sizes_of_another_hub_model_are_not_known(tmp_path: Path):
    assert find_shape(Parent(checkpoint="some/model", revision="1"), tmp_path) is None


@pytest.mark.parametrize("config", ["{}", "[", "[]", '{"model_type": "llama"}'])
def test_a_configuration_that_cannot_be_read_is_named(config: str, tmp_path: Path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(config)
    with pytest.raises(HarnessError, match=r"other: its config\.json cannot be read"):
        find_shape(Parent(checkpoint="other"), tmp_path)
