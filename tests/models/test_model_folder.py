"""What a model's folder may load, its fingerprint, and the seal over it."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from harness.config import Generation
from harness.core.errors import HarnessError
from harness.models.local import LocalModel, make_prompt
from harness.models.model_folder import fingerprint_model, verified_fingerprint, verify_sealed
from tests.builders.recipes import Sft
from tests.builders.recipes import sft as sft
from tests.builders.tiny import make_tiny_model

pytestmark = pytest.mark.filterwarnings(
    "default"
)  # PEFT and transformers warn of their own futures


@pytest.fixture
def sealed(sft: Sft, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sft.out, tmp_path / "sealed"))


def adapter_on(base: Path, folder: Path, seed: int = 1) -> Path:
    """An adapter as PEFT saves it, with weights of its own."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base)
    tuned = get_peft_model(
        model, LoraConfig(r=4, task_type="CAUSAL_LM", target_modules="all-linear")
    )
    for name, weight in tuned.named_parameters():
        if "lora_" in name:
            weight.data += 0.5 * torch.randn_like(weight)
    tuned.save_pretrained(folder)
    return folder


def answer(folder: Path) -> str | None:
    prompts = [make_prompt(None, "Why do I cough?")]
    (given,) = LocalModel.load(folder).answer(prompts, Generation(max_new_tokens=12), seeds=[1])
    return given.text


# --- the seal --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "added",
    [
        "adapter_config.json",
        "chat_template.jinja2.json",
        "additional_chat_templates/default.jinja",
        "model-00002-of-00002.safetensors",
        "adapter/tokenizer.json",
        "special_tokens_map.json",
        "vocab.tiktoken",
        "modeling_own.py",
    ],
)
def test_a_file_that_joined_a_sealed_checkpoint_is_refused(sealed: Path, added: str) -> None:
    (sealed / added).parent.mkdir(exist_ok=True)
    (sealed / added).write_text("{}")
    with pytest.raises(HarnessError, match=r"is not in checkpoint\.json"):
        verify_sealed(sealed)
    with pytest.raises(HarnessError, match=r"is not in checkpoint\.json"):
        LocalModel.load(sealed)


@pytest.mark.parametrize(
    "added", ["README.md", "LICENSE", ".gitattributes", ".cache/huggingface/x.metadata"]
)
def test_files_that_only_describe_may_join(sealed: Path, added: str) -> None:
    (sealed / added).parent.mkdir(parents=True, exist_ok=True)
    (sealed / added).write_text("text")
    assert verify_sealed(sealed) == fingerprint_model(sealed)


def test_a_linked_folder_of_templates_is_seen(sealed: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "default.jinja").write_text("other")
    (sealed / "additional_chat_templates").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HarnessError, match=r"default\.jinja: is not in"):
        verify_sealed(sealed)


def test_a_manifest_with_another_models_fingerprint_is_refused(sealed: Path) -> None:
    from harness.core.hashing import file_hash

    manifest = json.loads((sealed / "checkpoint.json").read_text())
    (sealed / "checkpoint.json").write_text(json.dumps(manifest | {"fingerprint": "0" * 64}))
    (sealed / "COMPLETE").write_text(file_hash(sealed / "checkpoint.json"))
    with pytest.raises(HarnessError, match="its fingerprint is not that of the files"):
        verify_sealed(sealed)


def test_a_manifest_that_lists_files_outside_its_folder_is_refused(sealed: Path) -> None:
    from harness.core.hashing import file_hash

    manifest = json.loads((sealed / "checkpoint.json").read_text())
    manifest["files"]["../other"] = "0"
    (sealed / "checkpoint.json").write_text(json.dumps(manifest))
    (sealed / "COMPLETE").write_text(file_hash(sealed / "checkpoint.json"))
    with pytest.raises(HarnessError, match="which is outside the folder"):
        verify_sealed(sealed)


# --- all that is loaded ----------------------------------------------------------------------


def test_a_template_in_a_subfolder_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    before = fingerprint_model(base)
    (base / "additional_chat_templates").mkdir()
    (base / "additional_chat_templates" / "default.jinja").write_text("{{ messages }}")
    assert fingerprint_model(base) != before


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/tmp/m.safetensors", "a/b", ".."])
def test_an_index_that_names_weights_by_a_path_is_refused(tmp_path: Path, name: str) -> None:
    base = make_tiny_model(tmp_path / "base")
    index = {"metadata": {}, "weight_map": {"model.norm.weight": name}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    for look in (fingerprint_model, LocalModel.load):
        with pytest.raises(HarnessError, match="only files of the folder itself"):
            look(base)


def test_a_tokenizer_that_is_named_by_a_path_is_refused(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    config = json.loads((base / "tokenizer_config.json").read_text())
    config["fast_tokenizer_files"] = ["../other/tokenizer.4.0.0.json"]
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(HarnessError, match="only files of the folder itself"):
        LocalModel.load(base)


# --- adapters --------------------------------------------------------------------------------


def test_an_adapter_answers_on_its_base_unmerged(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    adapter = adapter_on(base, tmp_path / "adapter")
    assert answer(adapter) != answer(base)
    assert answer(adapter) == answer(adapter)


def test_an_adapters_fingerprint_is_also_its_bases(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    adapter = adapter_on(base, tmp_path / "adapter")
    before = fingerprint_model(adapter)
    make_tiny_model(base, context=256)
    assert fingerprint_model(adapter) != before
    assert LocalModel.load(adapter).fingerprint == fingerprint_model(adapter)


def test_an_adapter_whose_base_is_gone_or_unpinned_is_refused(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    adapter = adapter_on(base, tmp_path / "adapter")
    shutil.rmtree(base)
    with pytest.raises(HarnessError, match=r"base .* is no folder here.*'revision'"):
        verified_fingerprint(adapter)
    assert verified_fingerprint(adapter, revision="a") != verified_fingerprint(
        adapter, revision="b"
    )


def test_a_folder_with_a_model_and_an_adapter_is_refused(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    other = make_tiny_model(tmp_path / "other", context=256)
    adapter = adapter_on(base, tmp_path / "adapter")
    shutil.copy(adapter / "adapter_config.json", other)
    with pytest.raises(HarnessError, match="holds a model and also"):
        LocalModel.load(other)


def test_the_adapter_of_a_checkpoint_is_asked_through_its_checkpoint(sft: Sft) -> None:
    with pytest.raises(HarnessError, match="is a part of the checkpoint"):
        LocalModel.load(sft.out / "adapter")


def test_the_adapter_of_a_base_that_was_resized_is_laid_on_a_resized_base(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from harness.models.weights import load_weights

    base = make_tiny_model(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base)
    model.resize_token_embeddings(model.config.vocab_size + 8)
    whole = LoraConfig(r=2, task_type="CAUSAL_LM", modules_to_save=["embed_tokens", "lm_head"])
    tuned = get_peft_model(model, whole).eval()
    tuned.save_pretrained(tmp_path / "adapter")
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        expected = tuned(ids).logits
        loaded = load_weights(tmp_path / "adapter")[0].eval()(ids).logits
    assert torch.allclose(loaded, expected, atol=1e-5)
