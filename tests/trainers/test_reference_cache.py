"""Log-probabilities of DPO's reference, kept by content; and the divergence that is logged."""

import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.types.training import PreferencePair
from tests.builders.recipes import DPO, PAIRS, ROWS, SFT, last_logits, quiet
from tests.builders.tiny import make_tiny_model
from trainers.checkpoint import CheckpointManifest, Origin
from trainers.dpo import _with_kl_metric
from trainers.method import RunSettings
from trainers.preference import train_on_pairs
from trainers.recipe import DpoRecipe
from trainers.reference_cache import reference_key
from trainers.sft import train_sft
from trainers.starting_model import StartingPoint

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

RECIPE = DPO.model_copy(update={"trainer": DPO.trainer | {"logging_steps": 1, "beta": 0.1}})
ARGS = {
    "bf16": False,
    "fp16": False,
    "use_cpu": True,
    "model_init_kwargs": None,
    "max_length": 1024,
    "truncation_mode": "keep_start",
    "ld_alpha": None,
}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parent")
    train_sft(SFT, make_tiny_model(folder / "base"), folder / "sft", rows=ROWS, progress=quiet)
    return folder / "sft"


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of every batch whose reference log-probabilities TRL computes beforehand."""
    from trl import DPOTrainer

    seen: list[int] = []
    compute = DPOTrainer.compute_ref_log_probs

    def counted(self: Any, model: Any, inputs: Any) -> Any:
        seen.append(len(inputs["input_ids"]))
        return compute(self, model, inputs)

    monkeypatch.setattr(DPOTrainer, "compute_ref_log_probs", counted)
    return seen


def train(
    parent: Path,
    out: Path,
    kept: Path | None,
    *,
    recipe: DpoRecipe = RECIPE,
    pairs: Sequence[PreferencePair] = PAIRS,
    **trainer: object,
) -> CheckpointManifest:
    changed = recipe.model_copy(update={"trainer": recipe.trainer | trainer})
    settings = RunSettings(reference_dir=kept)
    return train_on_pairs(changed, parent, out, pairs=pairs, progress=quiet, settings=settings)


def curve(made: CheckpointManifest, name: str) -> tuple[float, ...]:
    return next(curve.values for curve in made.curves if curve.name == name)


@pytest.mark.slow
def test_kept_log_probabilities_train_the_same_weights(parent: Path, tmp_path: Path):
    """To 1e-5 in the logits: reference and policy went through the model in other batches."""
    plain = train(parent, tmp_path / "plain", None)
    computed = train(parent, tmp_path / "computed", tmp_path / "kept")
    again = train(parent, tmp_path / "again", tmp_path / "kept")
    assert again.fingerprint == computed.fingerprint
    assert torch.allclose(
        last_logits(tmp_path / "computed"), last_logits(tmp_path / "plain"), atol=1e-5
    )
    for made in (computed, again):
        assert curve(made, "loss")[0] == pytest.approx(math.log(2), abs=1e-5)
        assert made.metrics["eval_loss"] == pytest.approx(plain.metrics["eval_loss"], abs=1e-5)


@pytest.mark.slow
def test_a_second_run_with_another_beta_and_loss_computes_none(
    parent: Path, tmp_path: Path, passes: list[int]
):
    train(parent, tmp_path / "first", tmp_path / "kept")
    assert sum(passes) == 2 * len(PAIRS)  # learnt and held out, each pair's two answers
    passes.clear()
    made = train(parent, tmp_path / "second", tmp_path / "kept", beta=0.3, loss_type=["ipo"])
    assert passes == []
    assert curve(made, "rewards/margins")[0] == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
def test_other_pairs_and_another_parent_are_computed_anew(
    parent: Path, tmp_path: Path, passes: list[int]
):
    train(parent, tmp_path / "first", tmp_path / "kept")
    passes.clear()
    other = [pair.model_copy(update={"rejected": "cough"}) for pair in PAIRS]
    train(parent, tmp_path / "pairs", tmp_path / "kept", pairs=other)
    assert sum(passes) == 2 * len(PAIRS)
    passes.clear()
    made = train(tmp_path / "first", tmp_path / "round2", tmp_path / "kept")
    assert sum(passes) == 2 * len(PAIRS)
    assert curve(made, "loss")[0] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.slow
def test_a_damaged_file_is_computed_anew(parent: Path, tmp_path: Path, passes: list[int]):
    train(parent, tmp_path / "first", tmp_path / "kept")
    for path in (tmp_path / "kept").iterdir():
        path.write_text(path.read_text().replace("-", "", 1))
    passes.clear()
    made = train(parent, tmp_path / "second", tmp_path / "kept")
    assert sum(passes) == 2 * len(PAIRS)
    assert curve(made, "loss")[0] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.slow
def test_the_base_as_reference_is_kept_apart_from_the_parent(parent: Path, tmp_path: Path):
    recipe = RECIPE.model_copy(update={"reference": "base"})
    plain = train(parent, tmp_path / "plain", None, recipe=recipe)
    train(parent, tmp_path / "parents", tmp_path / "kept")
    made = train(parent, tmp_path / "kept_base", tmp_path / "kept", recipe=recipe)
    assert curve(made, "rewards/chosen") == pytest.approx(curve(plain, "rewards/chosen"), abs=1e-4)
    assert abs(curve(made, "rewards/chosen")[0]) > 0.01


@pytest.mark.slow
def test_a_recipe_may_have_them_computed_in_each_step(
    parent: Path, tmp_path: Path, passes: list[int]
):
    train(parent, tmp_path / "dpo", tmp_path / "kept", precompute_ref_log_probs=False)
    assert passes == []
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    "change", [{"max_length": 512}, {"bf16": True}, {"ld_alpha": 0.5}, {"batch": 2}, {"tokens": 5}]
)
def test_whatever_decides_the_numbers_is_in_the_key(change: dict[str, Any]):
    def key(*, batch: int = 4, tokens: int = 4, **args: object) -> str:
        rows = {"prompt_ids": [[1, 2]], "chosen_ids": [[3]], "rejected_ids": [[tokens]]}
        origin = Origin(source="sft", fingerprint="f")
        known = SimpleNamespace(**ARGS | args)
        return reference_key(RECIPE, StartingPoint(origin, origin), rows, known, batch)

    assert key() == key()
    assert key() != key(**change)


# --- divergence ------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_divergence_is_the_likelihood_that_both_answers_lost(parent: Path, tmp_path: Path):
    made = train(parent, tmp_path / "dpo", None)
    sides = zip(curve(made, "rewards/chosen"), curve(made, "rewards/rejected"), strict=True)
    assert curve(made, "kl") == pytest.approx([-(c + r) / 0.2 for c, r in sides], abs=1e-5)
    assert curve(made, "kl")[0] == pytest.approx(0, abs=1e-4)
    assert "eval_kl" in made.metrics


@pytest.mark.slow
def test_every_curve_that_a_report_needs_is_there(parent: Path, tmp_path: Path):
    made = train(parent, tmp_path / "dpo", None, eval_strategy="steps", eval_steps=1)
    names = {curve.name for curve in made.curves}
    rewards = {f"rewards/{name}" for name in ("chosen", "rejected", "margins", "accuracies")}
    assert names >= rewards | {"loss", "eval_loss", "kl", "learning_rate"}
    assert len(curve(made, "eval_loss")) >= 3


def test_nothing_is_logged_where_nothing_was_rewarded():
    told: list[dict[str, float]] = []

    class Trainer:
        model = SimpleNamespace(training=True)
        beta = 0.1

        def __init__(self) -> None:
            from collections import defaultdict

            self._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            told.append(
                logs | {name: sum(v) / len(v) for name, v in self._metrics["train"].items()}
            )

    trainer = _with_kl_metric(Trainer)()
    trainer.log({"train_runtime": 1.0})
    trainer._metrics["train"] |= {"rewards/chosen": [0.1, 0.3], "rewards/rejected": [-0.5, -0.7]}
    trainer.log({})
    assert told[0] == {"train_runtime": 1.0}
    assert told[1]["kl"] == pytest.approx(2.0)
