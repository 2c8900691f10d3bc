"""The `adapter` block of a recipe: its kinds, their keys, facts and parameters."""

from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from tests.builders.adapter_kinds import KINDS
from trainers.adapter_kinds import Ia3, Pissa, continued
from trainers.checkpoint import checkpoint_key
from trainers.dry_run import random_model, shrink
from trainers.peft_config import peft_config
from trainers.recipe import load_recipe
from trainers.shape import MISTRAL_7B, SMOLLM2_135M, Shape, count_parameters

SFT = """\
recipe: mine
method: sft
parent: {checkpoint: base}
data: [{path: rows.jsonl, fields: {input: q, reference: a}}]
"""
DPO = "recipe: mine\nmethod: METHOD\nparent: {recipe: sft.yaml}\npairs: pairs.yaml\n"


def load(folder: Path, text: str) -> object:
    (folder / "it.yaml").write_text(text)
    return load_recipe(str(folder / "it.yaml"))[0]


def test_lora_is_the_short_form_of_its_kind_and_the_same_checkpoint(tmp_path: Path) -> None:
    short = load(tmp_path, SFT + "lora: {r: 4, alpha: 8}\n")
    block = load(tmp_path, SFT + "adapter: {kind: lora, r: 4, alpha: 8}\n")
    assert checkpoint_key(short, "parent", "data") == checkpoint_key(block, "parent", "data")
    assert "kind" not in block.model_dump_json()
    assert short.new_adapter == block.new_adapter


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("adapter: {kind: lorra, r: 4}", "adapter.kind: 'lorra' is unknown. Did you mean 'lora'"),
        ("adapter: {kind: ia3, r: 4}", "5: adapter.r: unknown key. Known: feedforward_modules"),
        ("adapter: {kind: prompt}", "adapter.tokens: this key is required"),
        ("adapter: {kind: dora, r: 4, alpha: 8, modules_to_save: [lm_head]}", "unknown key"),
        ("adapter: {kind: ia3}\nlora: {r: 4, alpha: 8}", "adapter: 'lora' is its short form"),
        ("", "adapter: is missing: say what is trained"),
        ("adapter: {kind: full}\nquantisation: {bits: 4}", "quantisation: does not go with 'full'"),
        ("adapter: {kind: pissa, r: 4, alpha: 4}\nquantisation: {bits: 8}", "with 'pissa'"),
        ("lora: {r: 4, alpha: 8}\nquantisation: {bits: 8, kind: nf4}", "kind: unknown key"),
        (
            "adapter: {kind: prefix, tokens: 4}\ntrainer: {gradient_checkpointing: true}",
            "6: trainer.gradient_checkpointing: does not go with 'prefix'",
        ),
        (
            "adapter: {kind: ia3, target_modules: [v_proj], feedforward_modules: [down_proj]}",
            "adapter.feedforward_modules: 'down_proj' is not in 'target_modules'",
        ),
    ],
)
def test_a_mistake_in_the_block_is_named_on_its_line(
    tmp_path: Path, block: str, message: str
) -> None:
    with pytest.raises(HarnessError) as error:
        load(tmp_path, SFT + block + "\n")
    assert message in str(error.value)


@pytest.mark.parametrize("method", ["orpo", "simpo", "reward"])
def test_a_method_that_cannot_train_a_kind_is_refused_with_the_reason(
    tmp_path: Path, method: str
) -> None:
    block = "adapter: {kind: prompt, tokens: 4}\n"
    with pytest.raises(HarnessError, match=f"adapter: 'prompt' is not trained by '{method}': "):
        load(tmp_path, DPO.replace("METHOD", method) + block)


@pytest.mark.filterwarnings("default")  # PEFT asks transformers by an old name
@pytest.mark.parametrize("shape", [MISTRAL_7B, SMOLLM2_135M], ids=["mistral", "smollm2"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "full"])
def test_trained_parameters_are_those_that_peft_counts(shape: Shape, kind: str) -> None:
    import torch
    from peft import get_peft_model

    small, adapter = shrink(shape, vocab_size=300), KINDS[kind]
    plain = random_model(small, dtype=torch.float32)
    tuned = get_peft_model(plain, peft_config(adapter, plain, None))
    trained, total = tuned.get_nb_trainable_parameters()
    assert trained == adapter.count_trained(small)
    assert trained == sum(p.numel() for p in tuned.parameters() if p.requires_grad)
    assert total - trained == count_parameters(small)


def test_full_fine_tuning_trains_all_weights() -> None:
    assert KINDS["full"].count_trained(MISTRAL_7B) == 7_241_732_096


def test_pissa_of_a_higher_rank_than_a_layer_is_refused_by_its_sizes() -> None:
    with pytest.raises(HarnessError, match=r"adapter.r: 256 is more than the 192 singular values"):
        Pissa(kind="pissa", r=256, alpha=8).count_trained(SMOLLM2_135M)


def test_ia3_needs_names_where_peft_has_none_for_the_family() -> None:
    with pytest.raises(HarnessError, match=r"family 'mamba'\. Name 'target_modules'"):
        Ia3(kind="ia3").count_trained(MISTRAL_7B._replace(family="mamba"))


def test_the_family_of_ia3s_layers_are_those_of_peft() -> None:
    from peft.utils import constants

    for family in ("llama", "mistral"):
        assert Ia3(kind="ia3").layers_of(family) == (
            tuple(constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING[family]),
            tuple(constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING[family]),
        )


@pytest.mark.parametrize("kind", ["dora", "pissa", "ia3", "vera"])
def test_embeddings_are_adapted_by_some_kinds_only(kind: str) -> None:
    adapter = KINDS[kind].model_copy(update={"target_modules": ("embed_tokens",)})
    with pytest.raises(HarnessError, match="lora, rslora and lora_plus only"):
        adapter.count_trained(SMOLLM2_135M)


def test_what_a_later_recipe_trains_on_is_the_adapter_as_it_was_saved() -> None:
    saved = continued(KINDS["pissa"])
    assert saved == KINDS["lora"].model_copy(update={"r": 8, "alpha": 8})
    assert continued(KINDS["lora_plus"]) == KINDS["lora"]
    assert continued(KINDS["dora"]) == KINDS["dora"]
    assert continued(KINDS["prompt"]) is continued(KINDS["full"]) is None
