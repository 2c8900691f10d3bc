"""Bases that are published in 4 bits: trained as they are, merged at their values, or refused at once."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.core.errors import HarnessError
from harness.models.adapters import attach_adapter
from harness.models.weights import load_weights
from tests.builders.families import make_base
from tests.builders.family_walk import PAIRS, ROWS, sft_recipe
from tests.builders.recipes import DPO, KTO, LORA, REWARD, quiet
from trainers.adapter import load_base
from trainers.checkpoint import CheckpointManifest, verify_checkpoint
from trainers.merge import merge_adapter
from trainers.preference import train_on_pairs
from trainers.recipe import DpoRecipe, Quantisation
from trainers.sft import train_sft

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures


def in_4_bits(name: str, folder: Path, *, dtype: torch.dtype = torch.float32) -> Path:
    """Write a family's base as its makers publish it in 4 bits."""
    from transformers import BitsAndBytesConfig

    full = make_base(name, folder / "full")
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_compute_dtype=dtype, bnb_4bit_quant_type="nf4"
    )
    model, tokenizer = load_weights(full, quantization_config=config, dtype=dtype)
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    return folder / "base"


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(torch.tensor([[5, 6, 7, 8, 9]])).logits.float()
    return found


def train(base: Path, out: Path, **changes: Any) -> CheckpointManifest:
    recipe = sft_recipe("qwen2_base", max_steps=2).model_copy(update=changes)
    return train_sft(recipe, base, out, rows=ROWS, progress=quiet)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("qwen2_base", torch.float32),  # with a tied head
        ("gemma3_vision", torch.float32),  # whose weights have other names in files
        ("llama3", torch.bfloat16),
    ],
)
def test_a_checkpoint_of_a_base_in_4_bits_is_in_full_precision_and_equals_its_adapter(
    name: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    base, out = in_4_bits(name, tmp_path, dtype=dtype), tmp_path / "out"
    made = train(base, out)
    assert made.metrics["merge_kl"] < (1e-6 if dtype is torch.float32 else 1e-3)
    assert "quantization_config" not in json.loads((out / "config.json").read_text())
    verify_checkpoint(out)
    adapted = attach_adapter(load_weights(base)[0], out / "adapter")
    merged = load_weights(out)[0]
    assert merged.dtype is dtype
    if dtype is torch.float32:
        assert torch.allclose(logits(merged), logits(adapted), atol=1e-4)


@pytest.mark.slow
def test_preference_training_goes_on_from_a_base_in_4_bits(tmp_path: Path) -> None:
    base = in_4_bits("qwen2_base", tmp_path)
    train(base, tmp_path / "sft")
    options = {"max_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 0.01}
    recipe: DpoRecipe = DPO.model_copy(update={"trainer": options, "holdout": 0.0})
    made = train_on_pairs(recipe, tmp_path / "sft", tmp_path / "dpo", pairs=PAIRS, progress=quiet)
    curves = {curve.name: curve.values for curve in made.curves}
    assert curves["rewards/margins"][0] == pytest.approx(0, abs=1e-6)
    assert made.metrics["merge_kl"] < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [DPO, KTO, REWARD], ids=lambda r: r.method)
def test_pairs_are_learnt_from_on_a_base_in_4_bits(recipe: Any, tmp_path: Path) -> None:
    base = in_4_bits("qwen2_base", tmp_path)
    short = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 0.01}
    changed = recipe.model_copy(update={"lora": LORA, "trainer": short, "holdout": 0.0})
    made = train_on_pairs(changed, base, tmp_path / "out", pairs=PAIRS, progress=quiet)
    assert max(made.metrics.get("merge_kl", 0.0), made.metrics.get("merge_difference", 0.0)) < 1e-4


@pytest.mark.slow
def test_an_adapter_from_elsewhere_merges_into_its_base_in_4_bits(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = in_4_bits("llama3", tmp_path)
    tuned = get_peft_model(
        load_weights(base)[0],
        LoraConfig(
            r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"
        ),
    )
    tuned.save_pretrained(tmp_path / "adapter")
    expected = logits(tuned)
    made = merge_adapter(tmp_path / "adapter", str(base), tmp_path / "merged")
    assert made.metrics["merge_kl"] < 1e-6
    assert torch.allclose(logits(load_weights(tmp_path / "merged")[0]), expected, atol=1e-3)


def test_a_model_in_4_bits_answers_whatever_the_sizes_of_its_layers(tmp_path: Path) -> None:
    """bitsandbytes' kernels for some CPUs take multiples of 64 alone."""
    base = in_4_bits("llama3", tmp_path)
    model, _ = load_weights(base)
    assert model.model.layers[0].mlp.down_proj.in_features % 64 == 0
    assert model.model.layers[0].mlp.up_proj.in_features % 64
    assert logits(model).isfinite().all()


def test_four_bits_are_not_asked_for_twice(tmp_path: Path) -> None:
    base = in_4_bits("llama3", tmp_path)
    with pytest.raises(HarnessError, match="is in 4 bits already"):
        train(base, tmp_path / "out", quantisation=Quantisation(bits=4))


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"quant_method": "gptq", "bits": 4}, r"quantised \(gptq\)"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, r"\(bitsandbytes in 8 bits\)"),
        ({"quant_method": "fp8"}, r"quantised \(fp8\)"),
    ],
)
def test_a_base_that_could_not_be_merged_is_refused_before_it_is_loaded(
    config: dict[str, Any], named: str, tmp_path: Path
) -> None:
    base = make_base("mistral", tmp_path / "base")
    written = json.loads((base / "config.json").read_text()) | {"quantization_config": config}
    (base / "config.json").write_text(json.dumps(written))
    with pytest.raises(HarnessError, match=named):
        train(base, tmp_path / "out")


def test_a_base_in_8_bits_is_refused_once_it_is_loaded(tmp_path: Path) -> None:
    """As of a hub model, whose files are not looked at before."""
    from transformers import BitsAndBytesConfig

    full = make_base("llama3", tmp_path / "full")
    model, tokenizer = load_weights(full, quantization_config=BitsAndBytesConfig(load_in_8bit=True))
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    with pytest.raises(HarnessError, match="bitsandbytes in 8 bits"):
        load_base(tmp_path / "base", revision=None, quantisation=None)
