"""Small training inputs after public reports, by folder of `HARNESS_CASES_DIR`, on its bases."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.core.paths import bundle_root

CASES = os.environ.get("HARNESS_CASES_DIR")
pytestmark = [
    pytest.mark.skipif(CASES is None, reason="HARNESS_CASES_DIR is not set"),
    pytest.mark.slow,
]


def python(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HARNESS_STORE": "store"}
    return subprocess.run(
        [sys.executable, *args], cwd=cwd, env=env, capture_output=True, encoding="utf-8",
        check=False, timeout=300,
    )  # fmt: skip


def harness(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "harness", *args, cwd=cwd)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases")
    questions = str(bundle_root() / "suites" / "data" / "consumer_health.jsonl")
    made = python(f"{CASES}/training/make_bases.py", str(folder), questions, cwd=folder)
    assert made.returncode == 0, made.stderr
    return folder


def case(name: str, tmp_path: Path, base: Path | None = None) -> Path:
    folder = Path(shutil.copytree(Path(CASES or "", "training", name), tmp_path / name))
    if base is not None:
        shutil.copytree(base, folder / "base")
    return folder


def facts(folder: Path) -> Mapping[str, str]:
    manifest: Mapping[str, Mapping[str, str]] = json.loads((folder / "checkpoint.json").read_text())
    return manifest["facts"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("tools", "tool_calls: 3 (rows 1, 2, 3)"),
        ("weight", "weight_zero: 1 (rows 2)"),
        ("reason", "kept: 7"),
        ("parts", "kept: 5"),
    ],
)
def test_what_messages_hold_is_kept_or_counted(tmp_path: Path, rows: str, words: str) -> None:
    folder = case("convert_loses_calls_and_weights", tmp_path)
    over = harness("convert", f"{rows}.jsonl", "--to", "sft", "--out", "out.jsonl", cwd=folder)
    assert over.returncode == 0, over.stderr
    assert words in over.stdout


def test_a_tokenizer_larger_than_the_embeddings_is_refused(tmp_path: Path, bases: Path) -> None:
    folder = case("tokenizer_larger_than_embeddings", tmp_path, bases / "llama3_instruct")
    assert python("make.py", cwd=folder).returncode == 0
    over = harness("train", "sft.yaml", cwd=folder)
    assert over.returncode == 2
    assert "has embeddings for 640 tokens, and its tokenizer has 660" in over.stderr


@pytest.mark.parametrize("family", ["qwen2_instruct", "gemma3", "phi3", "bloom"])
def test_a_familys_recipe_is_tried_without_its_weights(
    tmp_path: Path, bases: Path, family: str
) -> None:
    folder = case("dry_train_qwen2", tmp_path, bases / family)
    recipe = folder / "sft.yaml"
    if family == "bloom":  # it has no chat template
        recipe.write_text(recipe.read_text() + "chat_template: plain\n")
    over = harness("train", "sft.yaml", "--dry-train", cwd=folder)
    assert over.returncode == 0, over.stderr
    assert "Nothing was kept." in over.stdout


@pytest.mark.parametrize("recipe", ["dpo_raw_all", "kto_raw_all", "orpo_raw_all", "reward_raw_all"])
def test_prompts_that_all_are_too_long_are_refused(
    tmp_path: Path, bases: Path, recipe: str
) -> None:
    folder = case("dpo_prompt_longer_than_max_length", tmp_path, bases / "qwen2_base")
    over = harness("train", f"{recipe}.yaml", cwd=folder)
    assert over.returncode == 2
    assert "No pair fits into max_length 64" in over.stderr


@pytest.mark.parametrize("recipe", ["dpo_raw", "kto_raw", "orpo_raw", "reward_raw"])
def test_held_out_pairs_that_are_too_long_are_counted(
    tmp_path: Path, bases: Path, recipe: str
) -> None:
    folder = case("dpo_prompt_longer_than_max_length", tmp_path, bases / "llama3_instruct")
    over = harness("train", f"{recipe}.yaml", "--out", "out", cwd=folder)
    assert over.returncode == 0, over.stderr
    assert facts(folder / "out")["held-out pairs dropped"] == "2"
    assert facts(folder / "out")["held-out pairs"] == "0"


@pytest.mark.parametrize("family", ["qwen2_base", "llama3_instruct", "gemma3"])
def test_pairs_that_are_equal_once_cut_are_refused(
    tmp_path: Path, bases: Path, family: str
) -> None:
    folder = case("dpo_pairs_equal_once_cut", tmp_path, bases / family)
    over = harness("train", "dpo.yaml", cwd=folder)
    assert over.returncode == 2
    assert "the two answers of 8 are the same tokens" in over.stderr


@pytest.mark.parametrize("method", ["dpo", "kto", "orpo", "reward"])
def test_a_turn_may_end_in_another_token_than_a_text(
    tmp_path: Path, bases: Path, method: str
) -> None:
    folder = case("dpo_other_end_of_turn", tmp_path, bases / "gemma3")
    over = harness("train", f"{method}.yaml", cwd=folder)
    assert over.returncode == 0, over.stderr


@pytest.mark.parametrize("recipe", ["sft", "sft_seed2"])
def test_rows_are_held_out_after_a_split(tmp_path: Path, bases: Path, recipe: str) -> None:
    folder = case("holdout_after_split", tmp_path, bases / "qwen2_base")
    over = harness("train", f"{recipe}.yaml", "--out", "out", cwd=folder)
    assert over.returncode == 0, over.stderr
    assert 3 <= int(facts(folder / "out")["held-out rows"]) <= 8
    assert "eval_loss" in over.stdout


def test_the_loss_of_a_short_run_is_the_mean_of_its_steps(tmp_path: Path, bases: Path) -> None:
    folder = case("train_loss_of_short_runs", tmp_path, bases / "llama3_instruct")
    losses = []
    for recipe in ("sft", "sft_logged"):
        over = harness("train", f"{recipe}.yaml", "--out", recipe, cwd=folder)
        assert over.returncode == 0, over.stderr
        manifest = json.loads((folder / recipe / "checkpoint.json").read_text())
        losses.append(manifest["metrics"]["train_loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


DEAF = (
    "{{ bos_token }}{% for m in messages if m.role != 'system' %}"
    "{{ '<start_of_turn>' + m.role + '\\n' + m.content + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>assistant\\n' }}{% endif %}"
)


def test_a_template_that_drops_the_system_prompt_is_refused(tmp_path: Path, bases: Path) -> None:
    folder = case("system_prompt_dropped", tmp_path, bases / "gemma3")
    (folder / "base" / "chat_template.jinja").write_text(DEAF)
    over = harness("train", "sft.yaml", cwd=folder)
    assert over.returncode == 2
    assert "does not write the system prompt" in over.stderr


def test_a_base_without_a_stated_length_is_trained_and_asked(tmp_path: Path, bases: Path) -> None:
    folder = case("asking_without_max_position", tmp_path, bases / "bloom")
    recipe = folder / "sft.yaml"
    recipe.write_text(recipe.read_text() + "chat_template: plain\n")
    over = harness("train", "sft.yaml", "--out", "out", cwd=folder)
    assert over.returncode == 0, over.stderr
    profile = folder / "p.yaml"
    profile.write_text(profile.read_text().replace("checkpoint: base", "checkpoint: out"))
    options = ("--models", "a,b", "--profile", "p.yaml", "--limit", "2", "--out", "runs")
    over = harness("run", "helpfulness_quotient", *options, cwd=folder)
    assert "Traceback" not in over.stderr
    assert list(folder.glob("runs/*/*/results.json")), over.stderr


def test_an_adapter_as_a_model_is_another_model_on_another_base(
    tmp_path: Path, bases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.models.model_folder import fingerprint_model

    folder = case("adapter_as_model", tmp_path, bases / "llama3_instruct")
    shutil.rmtree(folder / "adapter")
    assert python("make.py", cwd=folder).returncode == 0
    monkeypatch.chdir(folder)  # the adapter names its base from here
    before = fingerprint_model(folder / "adapter")
    assert python("other_base.py", cwd=folder).returncode == 0
    assert fingerprint_model(folder / "adapter") != before


def test_what_is_learnt_as_the_end_of_a_turn_stops_an_export(tmp_path: Path, bases: Path) -> None:
    folder = case("eos_generation_config", tmp_path, bases / "qwen2_base")
    recipe = folder / "sft.yaml"
    recipe.write_text(recipe.read_text().replace("max_steps: 200", "max_steps: 2"))
    for args in (("train", "sft.yaml", "--out", "out"), ("export", "out", "--out", "given")):
        over = harness(*args, cwd=folder)
        assert over.returncode == 0, over.stderr
    for file in ("generation_config.json", "config.json"):
        assert json.loads((folder / "given" / file).read_text())["eos_token_id"] == [2, 0]


@pytest.mark.parametrize(
    ("adapter", "base"),
    [
        ("mts_tied_resized", "qwen2_instruct"),
        ("resized_shrunk", "llama3_instruct"),
        ("mts_untied", "llama3_instruct"),
        ("newtok", "qwen2_instruct"),
        ("tok_idx", "qwen2_instruct"),
    ],
)
def test_an_adapter_with_rows_of_its_own_is_merged(
    tmp_path: Path, bases: Path, adapter: str, base: str
) -> None:
    folder = case("merge_resized_adapter", tmp_path)
    script = folder / "make_adapters.py"
    script.write_text(script.read_text().replace("$B/", f"{bases}/"))
    assert python(script.name, cwd=folder).returncode == 0
    options = ("--into", str(bases / base), "--out", "merged", "--allow-other-base")
    over = harness("merge", adapter, *options, cwd=folder)
    assert over.returncode == 0, over.stderr
    manifest = json.loads((folder / "merged" / "checkpoint.json").read_text())
    assert manifest["metrics"]["merge_kl"] < 1e-5
