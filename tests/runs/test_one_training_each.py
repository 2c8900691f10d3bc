"""A verdict on trained models is one on these checkpoints."""

from pathlib import Path

import pytest

from harness.models.model_kinds import CheckpointModel
from harness.runs.caveats import find_caveats
from harness.runs.prepare import Prepared
from harness.types import CheckpointCard
from tests.builders.files import write_world
from tests.builders.plans import plan_of


def prepared(name: str, *, trained: bool) -> Prepared:
    card = CheckpointCard(
        model=name, recipe=name, method="sft", parent=None, fingerprint="f", facts={}, curves=()
    )
    model = CheckpointModel(name, "folder", "f", None, None)
    return Prepared(model, "f", (card,) if trained else (), teachers=(), base=name)


@pytest.mark.parametrize(
    ("trained", "said"),
    [((), None), (("dpo",), "dpo was trained once"), (("sft", "dpo"), "sft and dpo were trained")],
)
def test_a_verdict_is_about_checkpoints_and_not_about_recipes(
    tmp_path: Path, trained: tuple[str, ...], said: str | None
) -> None:
    write_world(tmp_path)
    models = {name: prepared(name, trained=name in trained) for name in ("sft", "dpo")}
    found = {c.code: c.text for c in find_caveats(plan_of(tmp_path), [], models, [], [], [])}
    text = found.get("one_training_each")
    assert (text is None) is (said is None)
    if text is not None and said is not None:
        assert "about these two checkpoints, not about recipes" in text
        assert said in text


def test_a_recipe_of_several_seeds_is_not_one_training(tmp_path: Path) -> None:
    write_world(tmp_path)
    plan = plan_of(tmp_path)
    sft, dpo = plan.models
    plan = plan.model_copy(update={"models": (sft, dpo.model_copy(update={"seeds": (1, 2)}))})
    models = {name: prepared(name, trained=True) for name in ("sft", "dpo")}
    found = {c.code: c.text for c in find_caveats(plan, [], models, [], [], [])}
    assert "about this checkpoint, not about recipes: sft was trained" in found["one_training_each"]
    both = plan.model_copy(
        update={"models": (sft.model_copy(update={"seeds": (1, 2)}), plan.models[1])}
    )
    assert "one_training_each" not in {c.code for c in find_caveats(both, [], models, [], [], [])}
