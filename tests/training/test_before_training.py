"""What a run can find wrong is found before anything is trained."""

from pathlib import Path

import pytest

from harness.core.paths import bundle_root
from tests.builders.commands import harness_here
from tests.builders.files import PROFILE, write, write_rows, write_world

BASE = bundle_root() / "trainers" / "tiny_base"
SFT = f"""\
recipe: learnt
method: sft
parent: {{checkpoint: {BASE}}}
data:
  - {{path: ROWS, fields: {{id: id, input: question, reference: answer}}}}
lora: {{r: 4, alpha: 8}}
trainer: {{max_steps: 1}}
"""
DPO = """\
recipe: preferred
method: dpo
parent: {recipe: learnt.yaml}
pairs: pairs.yaml
adapter: {kind: dora, alpha: 8}
trainer: {max_steps: 1}
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_world(tmp_path, 24)
    others = [{"id": "o1", "question": "What is a fever?", "answer": "A warm body."}]
    write_rows(tmp_path / "others.jsonl", others)
    write(tmp_path / "learnt.yaml", SFT.replace("ROWS", "others.jsonl"))
    write(tmp_path / "preferred.yaml", DPO)
    models = "  learnt: {recipe: learnt.yaml}\n  preferred: {recipe: preferred.yaml}\njudges:\n"
    write(tmp_path / "both.yaml", PROFILE.replace("judges:\n", models))
    return tmp_path


def run_without_training(world: Path, models: str) -> str:
    done = harness_here("run", "small", "--profile", "both", "--models", models, cwd=world)
    assert done.returncode == 2
    assert not [*world.glob(".harness/checkpoints/*")]
    return done.stderr


def test_a_mistake_in_a_later_models_recipe(world: Path) -> None:
    assert "adapter.r: this key is required" in run_without_training(world, "learnt,preferred")


def test_a_later_model_that_is_not_here(world: Path) -> None:
    profile = (
        (world / "both.yaml").read_text().replace("{recipe: preferred.yaml}", "{checkpoint: bse}")
    )
    write(world / "both.yaml", profile)
    (world / "base").mkdir()
    said = run_without_training(world, "learnt,preferred")
    assert "bse: is no directory here. Did you mean" in said
    planned = harness_here(
        "plan", "small", "--profile", "both", "--models", "learnt,preferred", cwd=world
    )
    assert "WARNING: model 'preferred': bse: is no directory here" in planned.stdout.replace(
        "\n", " "
    )


def test_a_later_recipes_parent_that_is_not_here(world: Path) -> None:
    write(world / "preferred.yaml", SFT.replace(str(BASE), "gone").replace("learnt", "preferred"))
    assert "gone: is no directory here" in run_without_training(world, "learnt,preferred")


def test_items_among_the_training_data(world: Path) -> None:
    write(world / "learnt.yaml", SFT.replace("ROWS", "items.jsonl"))
    said = run_without_training(world, "sft,learnt")
    assert "24 of 24 items of 'items' occur in the training data of 'learnt'" in said
