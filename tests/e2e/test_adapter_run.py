"""A run of models that were adapted in two ways, one of them kept beside its base: planned, trained, asked."""

import json
from pathlib import Path

import pytest

from tests.builders.commands import harness_here
from tests.builders.tiny import make_tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

RECIPE = """\
recipe: NAME
method: sft
parent: {checkpoint: base}
data: [{path: rows.jsonl, fields: {id: id, input: q, reference: a}}]
adapter: {BLOCK}
trainer: {max_steps: 2, per_device_train_batch_size: 4, learning_rate: 0.05}
"""
PROFILE = """\
profile: mine
data: {q: {path: items.jsonl, fields: {id: id, input: q, reference: a}}}
models:
  factors: {recipe: ia3.yaml}
  tokens: {recipe: prompt.yaml}
"""
SUITE = """\
suite: mine
title: Answers
data: {name: q}
generation: {max_new_tokens: 6, temperature: 0.0}
metrics: {rouge: {kind: rouge, variants: [rougeL]}}
gate: {alpha: 0.05, claims: [{metric: rouge.rougeL_f1, claim: superior}]}
"""
ASKED = ("suite.yaml", "--models", "factors,tokens", "--profile", "profile.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_tiny_model(tmp_path / "base")
    rows = [{"id": f"q{n}", "q": "cough " * n, "a": "See your doctor soon."} for n in range(1, 9)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [
        {"id": f"i{n}", "q": "Is it asthma, " * n, "a": "It may be a sign."} for n in range(1, 7)
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in asked))
    blocks = {"ia3": "kind: ia3", "prompt": "kind: prompt, tokens: 4"}
    for name, block in blocks.items():
        text = RECIPE.replace("NAME", name).replace("BLOCK", block)
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "profile.yaml").write_text(PROFILE)
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path


def test_adapters_of_two_kinds_are_planned_trained_and_compared(folder: Path) -> None:
    planned = " ".join(harness_here("plan", *ASKED, cwd=folder).stdout.split())
    assert "ia3: sft of IA3, from base" in planned
    assert "prompt: sft of prompt tuning, tokens 4, from base" in planned
    assert "64 parameters trained" in planned
    assert "it is not merged: it is kept beside its base" in planned
    done = harness_here("run", *ASKED, cwd=folder)
    assert done.returncode in (0, 1, 3), done.stderr
    (results,) = folder.glob("runs/*/*/results.json")
    result = json.loads(results.read_text())
    facts = {card["model"]: card["facts"] for card in result["checkpoints"]}
    assert facts["factors"]["adapter"] == "IA3"
    assert facts["tokens"]["adapter"] == "prompt tuning, tokens 4"
    kept = {
        path.parent.name.rpartition("-")[0]
        for path in folder.glob(".harness/checkpoints/*/COMPLETE")
    }
    assert kept == {"ia3", "prompt"}
    # A second run trains nothing and answers nothing anew.
    again = harness_here("run", *ASKED, cwd=folder)
    assert again.returncode == done.returncode
    assert "sft: 1/2" not in again.stderr


def test_an_engine_is_refused_by_the_plan(folder: Path) -> None:
    served = PROFILE.replace("{recipe: prompt.yaml}", "{recipe: prompt.yaml, serve: vllm}")
    (folder / "profile.yaml").write_text(served)
    done = harness_here("plan", *ASKED, cwd=folder)
    assert done.returncode == 2
    assert "model 'tokens': serve: vllm holds whole models and LoRA adapters" in done.stderr
