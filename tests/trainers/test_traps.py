"""Ways in which training seems to work and does not; those that have no other place."""

import json
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.core.errors import HarnessError
from harness.models.weights import load_weights
from tests.builders.commands import harness
from tests.builders.recipes import DPO, PAIRS, ROWS, SFT, quiet
from tests.builders.tiny import make_tiny_model
from tests.loopback.files_hub import COMMIT, serve_files
from trainers import finishing
from trainers.adapter import load_base
from trainers.finishing import merge_saved
from trainers.peft_config import peft_config
from trainers.preference import train_on_pairs
from trainers.recipe import Lora, Quantisation
from trainers.sft import Sft, train_sft
from trainers.training import changed_share, trainable_share
from trainers.trl_config import make_config, quiet_libraries

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

LORA = Lora(r=4, alpha=8)
FOUR_BITS = Quantisation(bits=4, compute="float32")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base") / "base")


def adapted(model: Any) -> Any:
    from peft import get_peft_model

    return get_peft_model(model, peft_config(LORA, model, None))


# --- four bits -------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_evaluation_pass_in_four_bits_leaves_the_gradients(base: Path) -> None:
    model = adapted(load_base(base, revision=None, quantisation=FOUR_BITS)[0])
    ids = torch.tensor([[5, 6, 7, 8]])
    model.eval()
    with torch.no_grad():
        model(ids)
    model.train()
    model(ids, labels=ids).loss.backward()
    gradients = [p.grad for name, p in model.named_parameters() if "lora_B" in name]
    assert gradients
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
    quantised = [m for m in model.modules() if hasattr(m, "support_avx512bf16_for_cpu")]
    assert quantised
    assert not any(module.support_avx512bf16_for_cpu for module in quantised)


@pytest.mark.slow
def test_an_sft_adapter_goes_on_training_on_four_bits(base: Path, tmp_path: Path) -> None:
    """Also after an evaluation pass, which the recipe asks for after each step."""
    changes = {"quantisation": FOUR_BITS}
    train_sft(SFT.model_copy(update=changes), base, tmp_path / "sft", rows=ROWS, progress=quiet)
    options = DPO.trainer | {"eval_strategy": "steps", "eval_steps": 1, "logging_steps": 1}
    recipe = DPO.model_copy(update=changes | {"trainer": options})
    made = train_on_pairs(recipe, tmp_path / "sft", tmp_path / "dpo", pairs=PAIRS, progress=quiet)
    curves = {curve.name: curve.values for curve in made.curves}
    # TRL rounds the adapter to bfloat16, and not its copy that is the reference.
    assert curves["rewards/margins"][0] == pytest.approx(0, abs=1e-6)
    assert min(curves["grad_norm"]) > 0
    assert int(made.facts["trainable parameters"].split()[0].replace(",", "")) > 0
    assert float(made.facts["adapter entries that moved"].rstrip("%")) > 90


def test_the_share_of_entries_that_moved_is_told() -> None:
    before = {"a": torch.zeros(3), "b": torch.ones(1)}
    assert (
        changed_share(before, {"a": torch.tensor([0.0, 1.0, 0.0]), "b": torch.ones(1)}) == "25.0%"
    )


# --- adapters --------------------------------------------------------------------------------


def test_an_adapter_that_was_attached_for_inference_is_refused(base: Path) -> None:
    model = adapted(load_weights(base)[0])
    model.requires_grad_(requires_grad=False)
    with pytest.raises(HarnessError, match="No parameter is trainable"):
        trainable_share(model)


@pytest.mark.slow
def test_a_template_that_brings_new_tokens_is_refused(base: Path, tmp_path: Path) -> None:
    """Their embeddings would have to be resized first, and lie in the base."""
    _, tokenizer = load_weights(base)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|new|>"]})
    tokenizer.save_pretrained(tmp_path / "other")
    options = SFT.trainer | {"chat_template_path": str(tmp_path / "other")}
    with pytest.raises(HarnessError, match="adds tokens to the model"):
        train_sft(SFT.model_copy(update={"trainer": options}), base, tmp_path / "sft", rows=ROWS, progress=quiet)  # fmt: skip


def test_the_weights_are_held_once_while_they_are_merged(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = load_weights(base)
    adapted(model).save_pretrained(tmp_path / "adapter")
    loaded: list[weakref.ref[Any]] = []
    alive: list[int] = []
    load = finishing.load_model

    def watched(*args: Any, **options: Any) -> Any:
        alive.append(sum(ref() is not None for ref in loaded))
        found = load(*args, **options)
        loaded.append(weakref.ref(found[0]))
        return found

    monkeypatch.setattr(finishing, "load_model", watched)
    proof = merge_saved(tmp_path, tokenizer, base=base, revision=None, probes=[[5, 6, 7]])
    assert alive == [0, 0]  # when the base is loaded, and when the merged model is
    assert proof["merge_kl"] < 1e-6


# --- rows ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_row_that_is_too_long_loses_its_end_and_keeps_its_prompt(
    base: Path, tmp_path: Path
) -> None:
    quiet_libraries()
    long = ROWS[0].model_copy(update={"completion": "cough " * 100})
    whole = Sft(SFT, base, [long])
    config = make_config(whole.config_type(), SFT.trainer | {"max_length": 100}, recipe="it", seed=1, folder=tmp_path)  # fmt: skip
    cut = whole.make_trainer(config)
    config.max_length = None
    full = whole.make_trainer(config).train_dataset["input_ids"][0]
    config.max_length = 100
    assert len(full) > 100
    assert list(cut.train_dataset["input_ids"][0])[:100] == list(full)[:100]
    assert whole.check_data(cut)["truncated"] == "1"


# --- weights that run code -------------------------------------------------------------------


def test_a_hub_model_whose_weights_are_a_pickle_is_refused_by_name(tmp_path: Path) -> None:
    rows = [{"q": f"Is {n} bad?", "a": "No."} for n in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sft.yaml").write_text(
        f"""\
recipe: mine
method: sft
parent: {{checkpoint: me/pickle, revision: '{COMMIT}'}}
data: [{{path: rows.jsonl, fields: {{input: q, reference: a}}}}]
lora: {{r: 4, alpha: 8}}
"""
    )
    files = {"config.json": b'{"model_type": "llama"}', "pytorch_model.bin": b"never opened"}
    away = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "")
    with serve_files({"models/me/pickle": files}) as (url, asked):
        env = away | {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hub")}
        done = harness("train", "sft.yaml", cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert "me/pickle: has no weights as safetensors" in " ".join(done.stderr.split())
    assert not any("pytorch_model.bin" in path for path in asked)
