"""Bases with dropout, without a padding token, or of layers that PEFT cannot all adapt."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError
from harness.models.weights import load_tokenizer
from tests.builders.families import make_base
from tests.builders.family_walk import PAIRS, ROWS
from tests.builders.recipes import LORA, ORPO, SFT, SIMPO, quiet
from trainers.chat_template import read_template, set_chat_template
from trainers.online_rl import PromptRow, Reward, train_online
from trainers.peft_config import peft_config
from trainers.preference import train_on_pairs
from trainers.recipe import OnlineRecipe, Parent
from trainers.sft import train_sft
from trainers.shape import measure_shape

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

PLAIN = read_template("plain", Path())
SHORT = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def unpadded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GPT-2 as published: dropout of 0.1, and no token for padding or to spare."""
    base = make_base("gpt2", tmp_path_factory.mktemp("gpt2") / "base")
    for name in ("tokenizer_config.json", "tokenizer.json"):
        text = (base / name).read_text().replace("<|pad|>", "<|other|>")
        (base / name).write_text(text)
    config = json.loads((base / "tokenizer_config.json").read_text())
    config.pop("pad_token")
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    return base


def test_a_tokenizer_with_nothing_to_spare_pads_with_its_end_of_text(unpadded: Path) -> None:
    tokenizer = load_tokenizer(unpadded)
    assert tokenizer.pad_token is None
    set_chat_template(tokenizer, PLAIN, unpadded)
    assert tokenizer.pad_token == tokenizer.eos_token


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [ORPO, SIMPO], ids=lambda r: r.method)
def test_pairs_are_learnt_from_without_a_padding_token(
    recipe: Any, unpadded: Path, tmp_path: Path
) -> None:
    changes = {"lora": LORA, "trainer": SHORT, "holdout": 0.0, "chat_template": PLAIN}
    changed = recipe.model_copy(update=changes)
    made = train_on_pairs(changed, unpadded, tmp_path / "out", pairs=PAIRS, progress=quiet)
    assert made.metrics["merge_kl"] < 1e-6


@pytest.mark.slow
def test_online_training_starts_at_its_reference_on_a_model_with_dropout(
    unpadded: Path, tmp_path: Path
) -> None:
    recipe = OnlineRecipe(
        recipe="g",
        method="grpo",
        parent=Parent(checkpoint="base"),
        data={"path": "unused.jsonl"},
        reward={"recipe": "unused.yaml"},
        lora=LORA,
        chat_template=PLAIN,
        trainer=SHORT | {"num_generations": 4, "max_completion_length": 16, "beta": 0.02},
    )
    prompts = [PromptRow(id=row.id, prompt=row.prompt) for row in ROWS]
    reward = Reward(lambda prompts, answers: [float(len(a)) for a in answers], "k", "length")
    made = train_online(
        recipe, unpadded, tmp_path / "out", prompts=prompts, reward=reward, progress=quiet
    )
    kl = next(curve.values for curve in made.curves if curve.name == "kl")
    assert kl[0] == pytest.approx(0.0, abs=1e-5)


def test_all_linear_layers_of_mamba_are_those_that_can_be_adapted() -> None:
    from peft import get_peft_model
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=320, hidden_size=32, num_hidden_layers=2, state_size=8)
    tuned = get_peft_model(model := MambaForCausalLM(config), peft_config(LORA, model, None))
    adapted = {
        name.split(".lora_A")[0].rpartition(".")[2]
        for name, _ in tuned.named_parameters()
        if "lora_A" in name
    }
    assert adapted == {"in_proj", "x_proj", "dt_proj"}
    assert tuned.get_nb_trainable_parameters()[0] == LORA.count_trained(measure_shape(config))


@pytest.mark.slow
def test_a_row_beyond_the_models_positions_is_refused_in_words(
    unpadded: Path, tmp_path: Path
) -> None:
    long = ROWS[0].model_copy(update={"completion": "cough " * 900})
    changes = {"lora": LORA, "trainer": SHORT | {"max_length": 512}, "chat_template": PLAIN}
    with pytest.raises(HarnessError, match="than the 256 that the model has positions for"):
        train_sft(
            SFT.model_copy(update=changes), unpadded, tmp_path / "o", rows=[long], progress=quiet
        )
