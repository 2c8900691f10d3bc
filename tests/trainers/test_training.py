"""SFT and DPO through TRL, a few steps on a few thousand random weights."""

import math
import shutil
from pathlib import Path

import pytest
import torch

from harness.core.errors import HarnessError
from harness.models.local import make_prompt
from harness.models.weights import load_weights
from tests.builders.recipes import PAIRS, ROWS, SFT, Sft, dpo, last_logits, quiet
from tests.builders.recipes import sft as sft
from tests.builders.tiny import make_tiny_model
from trainers.checkpoint import verify_checkpoint
from trainers.pair_dataset import split_pairs
from trainers.recipe import EightBits, Lora, Quantisation
from trainers.sft import split_rows, train_sft
from trainers.trl_config import check_gradients

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures


@pytest.mark.slow
def test_sft_leaves_a_whole_checkpoint(sft: Sft):
    assert verify_checkpoint(sft.out) == sft.manifest
    assert sft.manifest.metrics["merge_kl"] < 1e-6
    assert sft.manifest.facts["rows"] == "8"
    assert (sft.manifest.facts["truncated"], sft.manifest.facts["dropped"]) == ("0", "0")
    assert sft.seen == [("sft", 1, 3), ("sft", 2, 3), ("sft", 3, 3)]
    assert {curve.name for curve in sft.manifest.curves} >= {"loss", "mean_token_accuracy"}
    assert not [path for path in sft.out.rglob("*") if path.suffix in {".bin", ".md"}]


@pytest.mark.slow
def test_the_merged_model_equals_its_adapter(sft: Sft):
    from peft import PeftModel

    base, tokenizer = load_weights(sft.base)
    tuned = PeftModel.from_pretrained(base, sft.out / "adapter").eval()
    ids = tokenizer("My son coughs every night.", return_tensors="pt").input_ids
    with torch.inference_mode():
        expected = tuned(ids).logits
    assert torch.allclose(last_logits(sft.out), expected, atol=1e-4)
    assert not torch.allclose(last_logits(sft.base), expected, atol=1e-2)


@pytest.mark.slow
def test_the_same_recipe_gives_the_same_weights(sft: Sft, tmp_path: Path):
    again = train_sft(SFT, sft.base, tmp_path / "sft", rows=ROWS, progress=quiet)
    assert again.fingerprint == sft.manifest.fingerprint
    assert again.key == sft.manifest.key


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, Lora(r=4, alpha=8)], ids=["parents_adapter", "new_adapter"])
def test_dpo_starts_at_the_sft_model_and_moves_away_from_it(
    sft: Sft, tmp_path: Path, lora: Lora | None
):
    made = dpo(sft, tmp_path / "dpo", lora=lora)
    curves = {curve.name: curve.values for curve in made.curves}
    assert curves["loss"][0] == pytest.approx(math.log(2), abs=1e-3)
    assert curves["rewards/margins"][0] == pytest.approx(0, abs=1e-3)
    assert curves["rewards/margins"][-1] > 0
    assert made.metrics["eval_rewards/accuracies"] > 0.5
    assert made.parent is not None
    assert made.parent.fingerprint == sft.manifest.fingerprint
    assert verify_checkpoint(tmp_path / "dpo") == made
    assert not (tmp_path / "dpo" / "adapter" / "ref").exists()
    assert not torch.allclose(last_logits(sft.out), last_logits(tmp_path / "dpo"), atol=1e-3)


@pytest.mark.slow
def test_a_changed_base_under_the_adapter_is_found(tmp_path: Path):
    own = Sft(tmp_path)
    shutil.rmtree(own.base)
    make_tiny_model(own.base, context=64)
    with pytest.raises(HarnessError, match="is gone or has changed"):
        dpo(own, tmp_path / "dpo")


@pytest.mark.slow
def test_truncated_and_dropped_rows_are_counted(sft: Sft, tmp_path: Path):
    options = SFT.trainer | {"max_length": 100}
    recipe = SFT.model_copy(update={"trainer": options})
    row = ROWS[0]
    long_answer = row.model_copy(update={"completion": "cough " * 100})
    long_prompt = row.model_copy(update={"prompt": make_prompt(None, "cough " * 100)})
    rows = [*ROWS, long_answer, long_prompt]
    made = train_sft(recipe, sft.base, tmp_path / "sft", rows=rows, progress=quiet)
    assert (made.facts["rows"], made.facts["truncated"], made.facts["dropped"]) == ("10", "1", "1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rat": 0.1}, r"trainer\.learning_rat: unknown to SFTConfig\. Did you mean"),
        ({"save_strategy": "steps"}, r"trainer\.save_strategy is set by the harness"),
        ({"lr_scheduler_type": "cosin"}, "trainer: cosin is not a valid SchedulerType"),
        ({"max_length": 10}, "No row fits into max_length 10"),
    ],
)
def test_options_that_cannot_be_are_refused(
    sft: Sft, tmp_path: Path, options: dict[str, object], message: str
):
    recipe = SFT.model_copy(update={"trainer": SFT.trainer | options})
    with pytest.raises(HarnessError, match=message):
        train_sft(recipe, sft.base, tmp_path / "sft", rows=ROWS, progress=quiet)
    assert not (tmp_path / "sft").exists()


@pytest.mark.parametrize("quantisation", [Quantisation(bits=4), EightBits(bits=8)])
def test_a_quantised_base_is_trained_on_a_cpu_too_and_merged_in_full(
    tmp_path: Path, quantisation: Quantisation | EightBits
):
    recipe = SFT.model_copy(update={"quantisation": quantisation})
    base = make_tiny_model(tmp_path / "base")
    made = train_sft(recipe, base, tmp_path / "sft", rows=ROWS, progress=quiet)
    assert made.metrics["merge_kl"] < 1e-6
    losses = next(curve.values for curve in made.curves if curve.name == "loss")
    assert losses[-1] < losses[0]


def test_a_prompts_pairs_stay_on_one_side_of_the_split():
    learn, held_out = split_pairs([*PAIRS, *PAIRS], 0.25, seed=1)
    assert (len(learn), len(held_out)) == (12, 4)
    assert not {p.sample_id for p in learn} & {p.sample_id for p in held_out}
    with pytest.raises(HarnessError, match="no preference pairs to train on"):
        split_pairs([], 0.25, seed=1)


@pytest.mark.parametrize(
    ("log", "after", "message"),
    [
        ([{"grad_norm": math.nan, "loss": 1.0}], "b", "became NaN"),
        ([{"grad_norm": 0.0, "loss": 1.0}], "b", "gradient was 0"),
        ([{"grad_norm": 1.0, "loss": 1.0}], "a", "left the adapter unchanged"),
    ],
)
def test_training_that_taught_nothing_is_refused(
    log: list[dict[str, float]], after: str, message: str
):
    with pytest.raises(HarnessError, match=message):
        check_gradients(log, adapter_before="a", adapter_after=after)


def test_held_out_questions_are_evaluated_on_and_not_learnt(tmp_path: Path) -> None:
    kept = SFT.model_copy(
        update={
            "holdout": 0.4,
            "trainer": SFT.trainer | {"eval_strategy": "steps", "eval_steps": 1},
        }
    )
    base = make_tiny_model(tmp_path / "base")
    made = train_sft(kept, base, tmp_path / "sft", rows=ROWS, progress=quiet)
    learn, held_out = split_rows(ROWS, 0.4, kept.seed)
    assert (made.facts["rows"], made.facts["held-out rows"]) == (
        str(len(learn)),
        str(len(held_out)),
    )
    assert 0 < len(held_out) < len(ROWS)
    (curve,) = [curve for curve in made.curves if curve.name == "eval_loss"]
    assert curve.steps == (1, 2, 3)
    assert made.metrics["eval_loss"] == pytest.approx(curve.values[-1], rel=1e-4)


def test_copies_of_a_question_are_held_out_together() -> None:
    rows = [row.model_copy(update={"id": f"{row.id}-{n}"}) for row in ROWS for n in range(3)]
    learn, held_out = split_rows(rows, 0.4, 1)
    assert {row.prompt for row in learn} & {row.prompt for row in held_out} == set()
    assert len(learn) + len(held_out) == len(rows)
    assert len(held_out) % 3 == 0 < len(held_out)


def test_the_mean_loss_is_of_all_steps_however_few_are_logged(sft: Sft, tmp_path: Path) -> None:
    logged = SFT.model_copy(update={"trainer": {**SFT.trainer, "logging_steps": 1}})
    every = train_sft(logged, sft.base, tmp_path / "out", rows=ROWS, progress=quiet)
    assert sft.manifest.metrics["train_loss"] == pytest.approx(
        every.metrics["train_loss"], abs=1e-3
    )
    first, *_, last = next(c for c in every.curves if c.name == "loss").values
    assert first != pytest.approx(last, abs=0.05)
