"""Every family of bases through every step; one row of the table in docs/checkpoints.md each."""

import json
import os
from pathlib import Path

import pytest

from harness.models.model_folder import fingerprint_model
from tests.builders.families import FAMILIES, make_base
from tests.builders.family_walk import ROWS, VERSION_4, sft_recipe, walk_family
from tests.builders.recipes import KTO, LORA, ORPO, REWARD, SIMPO, quiet
from trainers.checkpoint import load_manifest
from trainers.preference import train_on_pairs
from trainers.recipe import PairTrainedRecipe
from trainers.sft import train_sft

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_base_goes_through_every_step(name: str, tmp_path: Path) -> None:
    done = walk_family(name, tmp_path)
    assert set(done.values()) == {"yes"}
    assert len(done) == (8 if os.environ.get(VERSION_4) else 7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen2_base", "gemma3", "phi3"])
def test_what_was_learnt_as_the_end_stands_first_in_what_is_saved(
    name: str, tmp_path: Path
) -> None:
    base = make_base(name, tmp_path / "base")
    train_sft(sft_recipe(name, max_steps=2), base, tmp_path / "out", rows=ROWS, progress=quiet)
    tokens = json.loads((tmp_path / "out" / "tokenizer.json").read_text())["added_tokens"]
    ids = {token["content"]: token["id"] for token in tokens}
    expected = [ids[FAMILIES[name].end_of_turn], ids[FAMILIES[name].eos]]
    for file in ("generation_config.json", "config.json"):
        assert json.loads((tmp_path / "out" / file).read_text())["eos_token_id"] == expected
    manifest = load_manifest(tmp_path / "out")
    assert manifest.fingerprint == fingerprint_model(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [KTO, ORPO, SIMPO, REWARD], ids=lambda r: r.method)
@pytest.mark.parametrize("name", ["gemma3", "qwen2_base", "phi3"])
def test_pairs_are_learnt_from_where_a_turn_ends_in_another_token_than_a_text(
    name: str, recipe: PairTrainedRecipe, tmp_path: Path
) -> None:
    from tests.builders.family_walk import PAIRS

    base = make_base(name, tmp_path / "base")
    short = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 0.01}
    changed = recipe.model_copy(update={"lora": LORA, "trainer": short, "holdout": 0.0})
    made = train_on_pairs(changed, base, tmp_path / "out", pairs=PAIRS, progress=quiet)
    assert made.facts["dropped"] == "0"
