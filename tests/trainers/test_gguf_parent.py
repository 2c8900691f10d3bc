"""A GGUF file as parent, model and base: trained, asked, merged and exported."""

import json
import shutil
from pathlib import Path

import pytest

from harness.config import Generation, JudgeSpec
from harness.models.local import LocalModel, make_prompt
from harness.release.resolve import find_model
from judges.factory import make_judge
from tests.builders.commands import harness
from tests.builders.gguf_file import write_gguf
from tests.builders.tiny import make_tiny_model

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

SFT = """\
recipe: mine
method: sft
parent: {checkpoint: base.gguf}
data: [{path: rows.jsonl, fields: {input: q, reference: a}}]
lora: {r: 4, alpha: 8}
trainer: {max_steps: 2, learning_rate: 0.01}
"""
DPO = """\
recipe: mine_dpo
method: dpo
parent: {recipe: sft.yaml}
pairs: pairs.yaml
trainer: {max_steps: 2, learning_rate: 0.01, per_device_train_batch_size: 2}
"""
PAIRS = """\
recipe: mine_pairs
method: gold_pairs
parent: {recipe: sft.yaml}
data: {path: rows.jsonl, fields: {input: q, reference: a}}
generation: {max_new_tokens: 8, temperature: 1.0, seed: 1}
"""
PROFILE = """\
profile: mine
data: {health_questions: {path: rows.jsonl, fields: {id: q, input: q, reference: a}}}
models: {base: {checkpoint: base.gguf}, dpo: {recipe: dpo.yaml}}
judges: {default: {offline: consumer_health}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    write_gguf(make_tiny_model(tmp_path / "original"), tmp_path / "base.gguf", quantised="Q4_1")
    rows = [{"q": f"Could {n} be asthma?", "a": "See your doctor soon."} for n in range(8)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in {"sft": SFT, "dpo": DPO, "pairs": PAIRS, "profile": PROFILE}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    done = harness(*command, cwd=folder, env={"HARNESS_CACHE_DIR": str(folder / "cache")})
    assert done.returncode in (0, 1, 3), done.stderr
    return done.stdout + done.stderr


def test_a_gguf_file_is_trained_evaluated_and_exported(folder: Path):
    run(
        folder,
        "run",
        "medical_rubric",
        "--models",
        "base,dpo",
        "--profile",
        "profile.yaml",
        "--allow-contamination",
    )
    checkpoints = {
        json.loads(path.read_bytes())["recipe"]: path
        for path in folder.glob(".harness/checkpoints/*/checkpoint.json")
    }
    parent = json.loads(checkpoints["mine"].read_bytes())["parent"]["source"]
    assert Path(parent).name.startswith("base-")
    run(folder, "export", checkpoints["mine_dpo"].parent.name, "--out", "given")
    card = (folder / "given" / "README.md").read_text()
    assert "a GGUF file of F32 and Q4_1 (llama" in card.replace("\\", "")
    # It needs the file no longer.
    shutil.rmtree(folder / "cache")
    (folder / "base.gguf").unlink()
    model = LocalModel.load(folder / "given")
    prompt = make_prompt(None, "Could this be asthma?")
    assert model.answer([prompt], Generation(max_new_tokens=4), seeds=[1])[0].text is not None


def test_a_file_is_named_in_a_chat(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    found = find_model("base.gguf", "tiny", folder / ".harness")
    assert found.name == "base"
    assert LocalModel.load(found.source).context == 128


def test_a_file_is_a_judge_of_a_profile(folder: Path):
    cards = [
        make_judge(
            "default", JudgeSpec.model_validate({"local": {"checkpoint": name}}), folder
        ).card
        for name in ("base.gguf", "original")
    ]
    assert len({card.fingerprint for card in cards}) == 2


def test_a_plan_reads_the_head_alone(folder: Path):
    plan = run(
        folder, "plan", "medical_rubric", "--models", "base,dpo", "--profile", "profile.yaml"
    )
    assert "base.gguf" in plan
    assert not (folder / "cache" / "gguf").exists()


def test_a_torn_file_ends_a_run_before_anything_is_trained(folder: Path):
    whole = (folder / "base.gguf").read_bytes()
    (folder / "torn.gguf").write_bytes(whole[:-100])
    (folder / "profile.yaml").write_text(PROFILE.replace("base.gguf}", "torn.gguf}"))
    done = harness(
        "run", "medical_rubric", "--models", "dpo,base", "--profile", "profile.yaml", cwd=folder
    )
    assert done.returncode == 2
    assert "torn.gguf: is a part of a GGUF file" in done.stderr
    assert not list(folder.glob(".harness/checkpoints/*"))


def test_an_adapter_is_merged_into_the_file(folder: Path):
    run(folder, "train", "sft.yaml")
    (checkpoint,) = (folder / ".harness" / "checkpoints").glob("[!.]*")
    run(folder, "merge", str(checkpoint / "adapter"), "--into", "base.gguf", "--out", "merged")
    manifest = json.loads((folder / "merged" / "checkpoint.json").read_bytes())
    assert "Q4_1" in manifest["facts"]["base"]
