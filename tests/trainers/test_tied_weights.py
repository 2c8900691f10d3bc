"""Adapters on the embeddings or the head of a base in which the two are one weight."""

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
from tests.builders.recipes import DPO, KTO, ORPO, SIMPO, quiet
from trainers.merge import merge_adapter
from trainers.preference import train_on_pairs
from trainers.preflight import check_base
from trainers.recipe import Lora
from trainers.sft import train_sft
from trainers.starting_model import find_starting_point

pytestmark = pytest.mark.filterwarnings("default")  # PEFT warns of tied weights

HEAD = Lora(r=4, alpha=8, target_modules=("q_proj", "lm_head"))
EMBEDDINGS = Lora(r=4, alpha=8, target_modules=("q_proj", "embed_tokens"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_base("qwen2_base", tmp_path_factory.mktemp("tied") / "base")
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"]
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(torch.tensor([[5, 6, 7, 8, 9]])).logits
    return found


@pytest.mark.parametrize("tying", [False, True])
@pytest.mark.parametrize("targets", [["lm_head"], ["embed_tokens"], ["embed_tokens", "lm_head"]])
def test_an_adapter_on_a_tied_weight_merges_into_what_it_was(
    targets: list[str], tying: bool, base: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    tuned = get_peft_model(
        load_weights(base)[0],
        LoraConfig(
            r=4,
            target_modules=["q_proj", *targets],
            ensure_weight_tying=tying,
            task_type="CAUSAL_LM",
        ),
    )
    for name, parameter in tuned.named_parameters():
        if ("lora_" in name and "lm_head" not in name) or ("lora_B" in name and not tying):
            parameter.data.normal_(std=0.1)
    expected = logits(tuned)
    tuned.save_pretrained(tmp_path / "adapter")
    made = merge_adapter(tmp_path / "adapter", str(base), tmp_path / "merged")
    assert made.metrics["merge_kl"] < 1e-6
    merged = load_weights(tmp_path / "merged")[0]
    assert torch.allclose(logits(merged), expected, atol=1e-4)
    same = merged.get_input_embeddings().weight is merged.get_output_embeddings().weight
    assert same is tying


@pytest.mark.slow
def test_embeddings_of_a_tied_base_are_trained_and_merged(base: Path, tmp_path: Path) -> None:
    recipe = sft_recipe("qwen2_base", max_steps=2).model_copy(update={"lora": EMBEDDINGS})
    made = train_sft(recipe, base, tmp_path / "sft", rows=ROWS, progress=quiet)
    assert made.metrics["merge_kl"] < 1e-6
    adapted = attach_adapter(load_weights(base)[0], tmp_path / "sft" / "adapter")
    merged = load_weights(tmp_path / "sft")[0]
    assert torch.allclose(logits(merged), logits(adapted), atol=1e-4)
    # And goes on from there, with the same adapter.
    short = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 0.01}
    dpo = DPO.model_copy(update={"trainer": short, "holdout": 0.0})
    on = train_on_pairs(dpo, tmp_path / "sft", tmp_path / "dpo", pairs=PAIRS, progress=quiet)
    assert on.metrics["merge_kl"] < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [ORPO, SIMPO], ids=lambda r: r.method)
def test_a_tied_head_is_trained_and_merged_where_the_trainer_can(
    recipe: Any, base: Path, tmp_path: Path
) -> None:
    short = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 0.01}
    changed = recipe.model_copy(update={"lora": HEAD, "trainer": short, "holdout": 0.0})
    made = train_on_pairs(changed, base, tmp_path / "out", pairs=PAIRS, progress=quiet)
    assert made.metrics["merge_kl"] < 1e-6
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False


@pytest.mark.parametrize("name", ["qwen2_base", "llama3", "gpt2"])
@pytest.mark.parametrize("recipe", [DPO, KTO], ids=lambda r: r.method)
def test_a_head_that_the_trainer_would_not_train_is_refused_with_the_reason(
    recipe: Any, name: str, tmp_path: Path
) -> None:
    folder = make_base(name, tmp_path / "base")
    changed = recipe.model_copy(update={"lora": Lora(r=4, alpha=8, target_modules=("lm_head",))})
    with pytest.raises(HarnessError, match=r"head cannot be adapted by '\w+', whose trainer reads"):
        check_base(changed, find_starting_point(changed, folder))
