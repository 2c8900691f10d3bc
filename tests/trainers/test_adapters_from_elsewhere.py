"""Adapters that PEFT trained elsewhere: answers as PEFT gives them, merged exactly, or refused with the reason."""

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from harness.config import Generation, ServeSpec
from harness.core.errors import HarnessError
from harness.models.adapter_types import ADAPTER_TYPES, adapter_type
from harness.models.local import LocalModel, make_prompt
from harness.models.serving import servers
from harness.models.weights import load_weights
from tests.builders.adapters import make_adapter
from tests.builders.tiny import make_tiny_model
from trainers.merge import merge_adapter

pytestmark = pytest.mark.filterwarnings("default")  # PEFT warns of its own futures

TASK: dict[str, Any] = {"task_type": "CAUSAL_LM"}
ON: dict[str, Any] = {"target_modules": ["q_proj", "v_proj", "down_proj"], **TASK}
LORA: dict[str, Any] = {"r": 4, "lora_alpha": 8, **ON}


def lora(**options: Any) -> Any:
    return peft.LoraConfig(**LORA | options)


# By PEFT's type, and LoRA's variants.
ELSEWHERE: dict[str, Any] = {
    "LORA": lora(
        bias="all", use_rslora=True, rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 3}
    ),
    "LORA whole norm and new tokens": lora(
        modules_to_save=["norm"], trainable_token_indices=[1, 5]
    ),
    "LORA pissa": lora(init_lora_weights="pissa"),
    "LORA olora": lora(init_lora_weights="olora"),
    "LORA one layer": lora(target_modules=r".*layers\.0.*q_proj"),
    "LORA parameters": lora(target_modules=[], target_parameters=["mlp.down_proj.weight"]),
    "ADALORA": peft.AdaLoraConfig(init_r=6, target_r=4, total_step=10, tinit=1, tfinal=2, **ON),
    "BOFT": peft.BOFTConfig(boft_block_size=4, **ON),
    "C3A": peft.C3AConfig(block_size=4, **ON),
    "DELORA": peft.DeloraConfig(r=4, **ON),
    "FOURIERFT": peft.FourierFTConfig(n_frequency=10, **ON),
    "GRALORA": peft.GraloraConfig(r=4, **ON),
    "HIRA": peft.HiraConfig(r=4, **ON),
    "HRA": peft.HRAConfig(r=4, **ON),
    "IA3": peft.IA3Config(feedforward_modules=["down_proj"], **ON),
    "LN_TUNING": peft.LNTuningConfig(**TASK),
    "LOHA": peft.LoHaConfig(r=4, **ON),
    "LOKR": peft.LoKrConfig(r=4, **ON),
    "MISS": peft.MissConfig(r=4, **ON),
    "OFT": peft.OFTConfig(oft_block_size=4, **ON),
    "RANDLORA": peft.RandLoraConfig(r=4, **ON),
    "ROAD": peft.RoadConfig(group_size=4, **ON),
    "SHIRA": peft.ShiraConfig(r=4, **ON),
    "TRAINABLE_TOKENS": peft.TrainableTokensConfig(token_indices=[1, 5, 9], **TASK),
    "VBLORA": peft.VBLoRAConfig(r=4, vector_length=4, num_vectors=16, topk=2, **ON),
    "VERA": peft.VeraConfig(r=8, **ON),
    "WAVEFT": peft.WaveFTConfig(n_frequency=10, **ON),
    "PROMPT_TUNING": peft.PromptTuningConfig(num_virtual_tokens=4, **TASK),
    "PREFIX_TUNING": peft.PrefixTuningConfig(
        num_virtual_tokens=4, prefix_projection=True, encoder_hidden_size=16, **TASK
    ),
    "P_TUNING": peft.PromptEncoderConfig(num_virtual_tokens=4, encoder_hidden_size=16, **TASK),
}
QUICK = {"LORA", "LORA pissa", "LOHA", "P_TUNING"}
QUESTIONS = [make_prompt(None, text) for text in ("What helps against a cold in winter?", "Hi")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("elsewhere") / "base")


def logits(model: Any) -> Any:
    with torch.inference_mode():
        return model(torch.arange(5, 40)[None]).logits[0, -20:]


def answers(model: Any, tokenizer: Any) -> list[str]:
    """Return what PEFT's own `generate` answers, one question at a time."""
    texts = []
    for prompt in QUESTIONS:
        chat = tokenizer.apply_chat_template(
            [turn.model_dump() for turn in prompt],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        done = model.generate(**chat, max_new_tokens=12, do_sample=False)
        new = done[0, chat["input_ids"].shape[1] :]
        texts.append(tokenizer.decode(new, skip_special_tokens=True).strip())
    return texts


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in ELSEWHERE]
)
def test_an_adapter_from_elsewhere_answers_as_in_peft_and_is_merged_exactly(
    base: Path, tmp_path: Path, name: str
) -> None:
    model, tokenizer = load_weights(base)
    torch.manual_seed(3)
    live = peft.get_peft_model(model, ELSEWHERE[name])
    for weight in live.parameters():
        if weight.requires_grad:
            weight.data += 0.2 * torch.randn_like(weight)
    live.eval().save_pretrained(tmp_path / "adapter")
    loaded = LocalModel.load(tmp_path / "adapter")
    assert torch.equal(logits(loaded.model), logits(live))
    greedy = Generation(max_new_tokens=12)
    told = [answer.text.strip() for answer in loaded.answer(QUESTIONS, greedy, seeds=[1, 2])]
    assert told == answers(live, tokenizer)
    if not ADAPTER_TYPES[name.split(maxsplit=1)[0]].merges:
        return
    merge_adapter(tmp_path / "adapter", str(base), tmp_path / "merged")
    merged = load_weights(tmp_path / "merged")[0].eval()
    assert torch.allclose(logits(merged), logits(live), atol=1e-3)
    assert not torch.allclose(logits(merged), logits(load_weights(base)[0].eval()), atol=0.05)


def test_every_type_that_is_known_is_tried() -> None:
    assert {name.split(maxsplit=1)[0] for name in ELSEWHERE} == set(ADAPTER_TYPES)


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("init_lora_weights", "pissa_niter_4", "was taken out of the weights under it by numbers"),
        ("init_lora_weights", "corda", "was taken out of the weights under it by numbers"),
        ("init_lora_weights", "loftq", "was taken out of the weights under it by numbers"),
        ("init_lora_weights", "lora_ga", "was taken out of the weights under it by numbers"),
        (
            "alora_invocation_tokens",
            [5, 6],
            "is an aLoRA, which acts from its invocation tokens on",
        ),
        ("peft_type", "XLORA", "is an adapter of type XLORA; known here: LORA, ADALORA"),
    ],
)
def test_what_its_files_do_not_hold_whole_is_refused(
    option: str, value: object, reason: str
) -> None:
    with pytest.raises(HarnessError, match=reason):
        adapter_type({"peft_type": "LORA", option: value}, "here")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lora_bias": True}, "Impossible to merge LoRA with `lora_bias=True`"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "it repeats layers of its base"),
    ],
)
def test_what_peft_cannot_merge_is_refused_with_its_words(
    base: Path, tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    peft.get_peft_model(load_weights(base)[0], lora(**options)).save_pretrained(
        tmp_path / "adapter"
    )
    with pytest.raises(HarnessError, match=reason):
        merge_adapter(tmp_path / "adapter", str(base), tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    assert LocalModel.load(tmp_path / "adapter").answer(
        QUESTIONS, Generation(max_new_tokens=2), seeds=[1, 2]
    )


@pytest.mark.parametrize(
    ("option", "value", "engine", "reason"),
    [
        ("init_lora_weights", "pissa", "vllm", "taken out of its base, which engines do not do"),
        (
            "init_lora_weights",
            "olora",
            "transformers",
            "taken out of its base, which engines do not do",
        ),
        (
            "alpha_pattern",
            {"q_proj": 2},
            "vllm",
            "a LoRA with alpha_pattern, which vllm does not apply",
        ),
        ("use_dora", True, "vllm", "a LoRA with use_dora, which vllm does not apply"),
    ],
)
def test_an_engine_that_would_answer_as_another_model_is_refused(
    base: Path, tmp_path: Path, option: str, value: object, engine: Any, reason: str
) -> None:
    adapter = make_adapter(base, tmp_path / "adapter")
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {option: value}))
    with pytest.raises(HarnessError, match=reason):
        servers._require_servable(adapter, ServeSpec(engine=engine))
