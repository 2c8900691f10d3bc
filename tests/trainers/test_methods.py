"""Every method through TRL's own trainer: where it starts, and that it moves what it is for."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.config import Generation
from harness.core.errors import HarnessError
from harness.core.hashing import file_hash
from harness.models.local import LocalModel, encode_chat, make_prompt
from harness.models.weights import load_weights
from tests.builders.interrupted_training import KilledError, stop
from tests.builders.recipes import (
    COMMON,
    DPO,
    KTO,
    LORA,
    ORPO,
    PAIRS,
    REWARD,
    ROWS,
    SFT,
    SIMPO,
    quiet,
)
from tests.builders.tiny import make_tiny_model
from trainers import dpo, kto, reward
from trainers import online_rl as online
from trainers import orpo_simpo as reference_free
from trainers.adapter import adapter_hash, upcast_adapter
from trainers.checkpoint import (
    CheckpointManifest,
    Training,
    finalise,
    load_manifest,
    verify_checkpoint,
)
from trainers.dpo import first_loss
from trainers.online_rl import (
    PromptRow,
    Reward,
    answer_without_thoughts,
    reward_metrics,
    train_online,
)
from trainers.pair_dataset import SplitPairs
from trainers.peft_config import peft_config
from trainers.preference import train_on_pairs
from trainers.recipe import (
    DpoRecipe,
    Lora,
    OnlineRecipe,
    PairTrainedRecipe,
    Parent,
    SimpoRecipe,
)
from trainers.reward import load_reward_scorer
from trainers.sft import train_sft
from trainers.starting_model import find_starting_point, load_policy
from trainers.trl_config import allow_zero_gradient, check_gradients, make_config, quiet_libraries

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

ONLINE = OnlineRecipe(
    recipe="test",
    method="grpo",
    parent=Parent(recipe="sft.yaml"),
    data={"path": "unused.jsonl"},
    reward={"recipe": "unused.yaml"},
    trainer={
        "max_steps": 16,
        "per_device_train_batch_size": 16,
        "num_generations": 8,
        "max_completion_length": 12,
        "learning_rate": 0.03,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "beta": 0.001,
    },
)
QUESTIONS = [PromptRow(id=row.id, prompt=row.prompt) for row in ROWS]


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SFT checkpoint, with its base beside it."""
    folder = tmp_path_factory.mktemp("parent")
    base = make_tiny_model(folder / "base")
    train_sft(SFT, base, folder / "sft", rows=ROWS, progress=quiet)
    return folder / "sft"


def letters(questions: Sequence[PromptRow], answers: Sequence[str]) -> list[float | None]:
    """The share of plain letters: random weights write few."""
    return [sum(c.isascii() and c.isalpha() for c in a) / max(1, len(a)) for a in answers]


LETTERS = Reward(letters, "letters-1", "a count of letters")


def train(
    recipe: PairTrainedRecipe, parent: Path, out: Path, **trainer: object
) -> CheckpointManifest:
    changed = recipe.model_copy(update={"trainer": recipe.trainer | trainer})
    return train_on_pairs(changed, parent, out, pairs=PAIRS, progress=quiet)


def rewarded(recipe: OnlineRecipe, parent: Path, out: Path, reward: Reward) -> CheckpointManifest:
    return train_online(recipe, parent, out, prompts=QUESTIONS, reward=reward, progress=quiet)


def sampled_reward(folder: Path) -> float:
    """The mean reward of sixteen answers to each question."""
    model, asked = LocalModel.load(folder), [q for q in QUESTIONS for _ in range(16)]
    sampling = Generation(max_new_tokens=12, temperature=1.0)
    answers = model.answer([q.prompt for q in asked], sampling, seeds=list(range(len(asked))))
    rewards = letters(asked, [answer.text or "" for answer in answers])
    return sum(reward or 0.0 for reward in rewards) / len(rewards)


def curve(made: CheckpointManifest, name: str) -> tuple[float, ...]:
    return next(curve.values for curve in made.curves if curve.name == name)


def mean_log_prob(folder: Path, side: str = "chosen") -> float:
    """The log-probability of the pairs' answers by the model there, computed by hand."""
    model, tokenizer = load_weights(folder)
    total = 0.0
    for pair in PAIRS:
        prompt = encode_chat(tokenizer, pair.prompt)
        turns = [m.model_dump() for m in pair.prompt]
        turns.append({"role": "assistant", "content": getattr(pair, side)})
        ids = tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0].log_softmax(dim=-1)
        total += sum(float(logits[i - 1, ids[i]]) for i in range(len(prompt), len(ids)))
    return total / len(PAIRS)


# --- DPO's losses ----------------------------------------------------------------------------

KNOWN = {  # of a policy that equals its reference, at beta 0.1 and label smoothing 0.2
    "sigmoid": math.log(2),
    "sigmoid_norm": math.log(2),
    "aot": math.log(2),
    "aot_unpaired": math.log(2),
    "robust": math.log(2),
    "hinge": 1.0,
    "ipo": 25.0,
    "sppo_hard": 50.0,
    "apo_zero": 1.0,
    "apo_down": 1.0,
    "nca_pair": 2 * math.log(2),
    "bco_pair": 2 * math.log(2),
    "discopop": (math.log(2) + 1) / 2,
    "exo_pair": 0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2),
    "sft": None,
}


@pytest.mark.parametrize("loss_type", sorted(KNOWN))
def test_the_first_loss_of_each_type_is_known(loss_type: str) -> None:
    assert first_loss(config(loss_type=[loss_type])) == pytest.approx(KNOWN[loss_type])


def config(**changes: object) -> Any:
    values = {
        "loss_type": ["sigmoid"],
        "loss_weights": None,
        "beta": 0.1,
        "label_smoothing": 0.2,
        "use_weighting": False,
        "router_aux_loss_coef": None,
    }
    return SimpleNamespace(**values | changes)


def test_a_weighted_sum_of_losses_is_known_unless_one_of_them_is_not() -> None:
    both = ["sigmoid", "ipo"]
    assert first_loss(config(loss_type=both, loss_weights=[2.0, 0.1])) == pytest.approx(
        2 * math.log(2) + 2.5
    )
    assert first_loss(config(loss_type=["sigmoid", "sft"])) is None
    assert first_loss(config(use_weighting=True)) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss_type", "options"),
    [
        ("sigmoid", {}),
        ("ipo", {}),
        ("hinge", {}),
        ("robust", {"label_smoothing": 0.1}),
        ("apo_zero", {}),
        ("sppo_hard", {}),
        ("exo_pair", {"label_smoothing": 0.1}),
        (["sigmoid", "sft"], {}),
    ],
)
def test_each_dpo_loss_starts_at_the_parent_and_falls(
    parent: Path, tmp_path: Path, loss_type: str | list[str], options: dict[str, object]
) -> None:
    made = train(DPO, parent, tmp_path / "dpo", loss_type=loss_type, max_steps=6, logging_steps=1, **options)  # fmt: skip
    loss, margins = curve(made, "loss"), curve(made, "rewards/margins")
    assert margins[0] == pytest.approx(0, abs=1e-3)
    if isinstance(loss_type, str) and loss_type not in {"robust", "exo_pair"}:
        assert loss[0] == pytest.approx(KNOWN[loss_type], rel=1e-3)
    assert loss[-1] < loss[0]
    assert max(margins) > 0


@pytest.mark.slow
def test_a_loss_that_lacks_its_option_is_refused_in_trls_words(
    parent: Path, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match="Label smoothing must be greater than"):
        train(DPO, parent, tmp_path / "dpo", loss_type="exo_pair")


@pytest.mark.slow
def test_the_old_reference_is_the_base_under_the_parents_adapter(
    parent: Path, tmp_path: Path
) -> None:
    recipe = DPO.model_copy(update={"reference": "base", "holdout": 0.0})
    whole = {"per_device_train_batch_size": len(PAIRS), "beta": 0.1}
    made = train(recipe, parent, tmp_path / "dpo", **whole)
    gains = mean_log_prob(parent) - mean_log_prob(parent.parent / "base")
    assert curve(made, "rewards/chosen")[0] == pytest.approx(0.1 * gains, rel=1e-3)
    assert made.facts["reference"] == "the base under the parent's adapter"
    assert not (tmp_path / "dpo" / "adapter" / "ref").exists()


def test_a_reference_that_was_asked_for_and_not_used_is_found() -> None:
    with pytest.raises(HarnessError, match="started at its reference"):
        dpo.check_start_off_reference([{"rewards/chosen": 0.0, "rewards/rejected": 0.0}])


def test_the_base_cannot_be_the_reference_of_a_new_adapter() -> None:
    with pytest.raises(ValueError, match="the parent is the base"):
        DpoRecipe(**COMMON, method="dpo", reference="base", lora=LORA)


def test_an_unused_reference_key_leaves_a_recipes_checkpoint_key_alone() -> None:
    assert "reference" not in DPO.model_dump()
    assert "reference" in DPO.model_copy(update={"reference": "base"}).model_dump()


# --- KTO, ORPO, SimPO ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("lora", [None, LORA], ids=["parents_adapter", "new_adapter"])
def test_kto_starts_at_the_parent_and_parts_the_answers(
    parent: Path, tmp_path: Path, lora: Lora | None
) -> None:
    made = train(KTO.model_copy(update={"lora": lora}), parent, tmp_path / "kto")
    assert curve(made, "loss")[0] == pytest.approx(0.5, abs=1e-3)
    assert curve(made, "kl")[0] == pytest.approx(0, abs=1e-3)
    assert made.metrics["eval_rewards/margins"] > 0
    assert made.metrics["eval_loss"] < 0.5
    assert (made.facts["pairs"], made.facts["rows"], made.facts["dropped"]) == ("6", "12", "0")


@pytest.mark.slow
def test_orpo_raises_the_odds_of_the_chosen_answers(parent: Path, tmp_path: Path) -> None:
    made = train(ORPO, parent, tmp_path / "orpo")
    assert curve(made, "loss")[-1] < curve(made, "loss")[0]
    odds = curve(made, "log_odds_ratio")  # two batches of other pairs make an epoch
    assert sum(odds[-2:]) > sum(odds[:2])
    assert made.facts["namespace"] == "trl.experimental"
    assert mean_log_prob(tmp_path / "orpo") > mean_log_prob(parent)


@pytest.mark.slow
def test_simpo_widens_the_margin(parent: Path, tmp_path: Path) -> None:
    made = train(SIMPO, parent, tmp_path / "simpo")
    margins = curve(made, "rewards/margins")
    assert margins[-1] > margins[0]
    assert curve(made, "loss")[-1] < curve(made, "loss")[0]
    assert curve(made, "nll_loss")[0] == 0.0
    assert made.facts["reference"] == "none"


@pytest.mark.slow
def test_pairs_that_do_not_fit_are_dropped_and_counted(parent: Path, tmp_path: Path) -> None:
    long = PAIRS[0].model_copy(
        update={"sample_id": "long", "prompt": make_prompt(None, "cough " * 100)}
    )
    recipe = ORPO.model_copy(update={"holdout": 0.0, "trainer": ORPO.trainer | {"max_length": 90}})
    made = train_on_pairs(recipe, parent, tmp_path / "orpo", pairs=[*PAIRS, long], progress=quiet)
    assert (made.facts["pairs"], made.facts["dropped"]) == ("9", "1")


@pytest.mark.slow
def test_an_answer_is_learnt_with_one_end_of_turn(parent: Path, tmp_path: Path) -> None:
    method = reference_free.Orpo(ORPO, find_starting_point(ORPO, parent), SplitPairs(PAIRS, []))
    trainer = method.make_trainer(options_of(method, tmp_path))
    stop = trainer.processing_class.eos_token_id
    for ids, labels in zip(
        trainer.train_dataset["chosen_input_ids"],
        trainer.train_dataset["chosen_labels"],
        strict=True,
    ):
        assert ids[-1] == stop
        assert labels.count(stop) == 1


def options_of(method: Any, folder: Path) -> Any:
    quiet_libraries()
    return make_config(
        method.config_type(), method.recipe.trainer, recipe="test", seed=1, folder=folder
    )


@pytest.mark.slow
def test_kto_reads_both_kinds_of_answers_from_the_start(parent: Path, tmp_path: Path) -> None:
    method = kto.Kto(KTO, find_starting_point(KTO, parent), SplitPairs(PAIRS, []))
    labels = method.make_trainer(options_of(method, tmp_path)).train_dataset["label"]
    assert sum(labels) == len(PAIRS)
    assert 0 < sum(labels[: len(PAIRS)]) < len(PAIRS)


def test_options_that_make_it_simpo_cannot_be_set() -> None:
    with pytest.raises(ValueError, match="is set by the method 'simpo'"):
        SimpoRecipe(**COMMON | {"trainer": {"cpo_alpha": 1.0}}, method="simpo")


@pytest.mark.parametrize(
    ("check", "log"),
    [
        (dpo.check_start, {"rewards/margins": 0.4, "loss": math.log(2)}),
        (dpo.check_start, {"rewards/margins": 0.0, "loss": 0.5}),
        (kto.check_start, {"rewards/chosen": 0.4, "loss": 0.5}),
        (kto.check_start, {"rewards/chosen": 0.0, "loss": 0.7}),
        (reference_free.check_orpo_start, {"nll_loss": 2.0, "log_odds_ratio": -1.0, "loss": 2.0}),
        (reference_free.check_simpo_start, {"nll_loss": 2.0, "rewards/margins": 0.0, "loss": 3.0}),
        (reference_free.check_simpo_start, {"nll_loss": 0.0, "rewards/margins": 0.0, "loss": 0.5}),
        (reward.check_start, {"margin": 0.1, "loss": math.log(2)}),
        (online.check_start, {"kl": 0.2}),
    ],
)
def test_a_run_that_did_not_start_where_its_method_begins_is_refused(
    check: Any, log: dict[str, float]
) -> None:
    weights = {"desirable_weight": 1.0, "undesirable_weight": 1.0}
    simpo = {"simpo_gamma": 0.5, "alpha": 0.0, "label_smoothing": 0.0}
    with pytest.raises(HarnessError, match="started"):
        check([log], config(**weights, **simpo))


@pytest.mark.slow
def test_simpo_is_trained_where_its_first_step_is_a_whole_epoch(
    parent: Path, tmp_path: Path
) -> None:
    made = train(SIMPO, parent, tmp_path / "simpo", gradient_accumulation_steps=2, max_steps=2)
    assert made.metrics["merge_kl"] < 1e-6


# --- reward models ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_reward_model_starts_at_zero_and_learns_to_tell_the_answers_apart(
    parent: Path, tmp_path: Path
) -> None:
    made = train(REWARD, parent, tmp_path / "reward")
    assert curve(made, "loss")[0] == pytest.approx(math.log(2), abs=1e-3)
    assert made.metrics["eval_accuracy"] == 1.0
    assert made.metrics["merge_difference"] < 1e-4
    assert verify_checkpoint(tmp_path / "reward") == made
    score = load_reward_scorer(tmp_path / "reward")
    prompts = [pair.prompt for pair in PAIRS]
    chosen = score(prompts, [pair.chosen for pair in PAIRS])
    rejected = score(prompts, [pair.rejected for pair in PAIRS])
    assert all(a > b for a, b in zip(chosen, rejected, strict=True))
    (alone,) = score(prompts[-1:], [PAIRS[-1].chosen])
    assert alone == pytest.approx(chosen[-1], abs=1e-5)  # no padding is rewarded


# --- GRPO and RLOO ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_rewarded_answers_become_likelier(parent: Path, tmp_path: Path, method: str) -> None:
    recipe = ONLINE.model_copy(update={"method": method})
    made = rewarded(recipe, parent, tmp_path / method, LETTERS)
    assert curve(made, "kl")[0] == pytest.approx(0, abs=1e-4)
    assert sampled_reward(tmp_path / method) > sampled_reward(parent) + 0.05
    assert made.facts["reward"] == "a count of letters"
    assert made.facts["reference"] == "the parent checkpoint"
    assert not (tmp_path / method / "adapter" / "ref").exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_an_unscored_answer_has_no_reward_and_is_counted(
    parent: Path, tmp_path: Path, method: str
) -> None:
    def half(questions: Sequence[PromptRow], answers: Sequence[str]) -> list[float | None]:
        return [r if i % 2 else None for i, r in enumerate(letters(questions, answers))]

    options = ONLINE.trainer | {"max_steps": 2}
    recipe = ONLINE.model_copy(update={"method": method, "trainer": options})
    made = rewarded(recipe, parent, tmp_path / method, Reward(half, "half", "half a judge"))
    assert made.metrics["unscored_share"] == 0.5
    # The mean over the scored half: with zeros in the gaps it would be half as large.
    whole = rewarded(recipe, parent, tmp_path / "whole", LETTERS)
    assert curve(made, "reward")[0] > 0.6 * curve(whole, "reward")[0]


@pytest.mark.slow
def test_a_judge_who_scores_nothing_ends_the_run_at_once(parent: Path, tmp_path: Path) -> None:
    mute = Reward(lambda questions, answers: [None] * len(answers), "mute", "a mute judge")
    with pytest.raises(HarnessError, match="a mute judge scored none of the first 16 answers"):
        rewarded(ONLINE, parent, tmp_path / "grpo", mute)
    assert not (tmp_path / "grpo").exists()


@pytest.mark.slow
def test_prompts_that_leave_no_room_for_an_answer_are_refused(parent: Path, tmp_path: Path) -> None:
    options = ONLINE.trainer | {"max_completion_length": 120}
    with pytest.raises(HarnessError, match="more than the model's context of 128"):
        rewarded(ONLINE.model_copy(update={"trainer": options}), parent, tmp_path / "x", LETTERS)


@pytest.mark.slow
def test_a_model_trained_on_its_own_answers_still_answers_in_batches(
    parent: Path, tmp_path: Path
) -> None:
    """Neither the tokenizer's padding side nor the cache stays as training left them."""
    options = ONLINE.trainer | {"max_steps": 2}
    rewarded(ONLINE.model_copy(update={"trainer": options}), parent, tmp_path / "grpo", LETTERS)
    model = LocalModel.load(tmp_path / "grpo")
    assert model.tokenizer.padding_side == LocalModel.load(parent).tokenizer.padding_side
    greedy = Generation(max_new_tokens=8, temperature=0.0)
    prompts = [question.prompt for question in QUESTIONS]
    together = model.answer(prompts, greedy, seeds=[0] * len(prompts))
    alone = [model.answer([prompt], greedy, seeds=[0])[0] for prompt in prompts]
    assert together == alone


def test_a_reward_is_for_the_answer_without_its_thoughts(parent: Path) -> None:
    tokenizer = LocalModel.load(parent).tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    stops = [tokenizer.eos_token_id]

    def rewarded_text(text: str) -> str:
        tokens = tokenizer.encode(text, add_special_tokens=False)
        return answer_without_thoughts(tokenizer, stops, QUESTIONS[0], tokens)

    assert rewarded_text("[THINK]cough[/THINK]See your doctor.<|im_end|>") == "See your doctor."
    assert rewarded_text("<think>cough</think>See your doctor.<|im_end|>") == "See your doctor."
    assert rewarded_text("See your doctor.") == "See your doctor."
    tokenizer.chat_template += "<think>\n"
    assert rewarded_text("It is a cough, so I") == ""


def test_reward_metrics_leave_out_steps_without_a_reward() -> None:
    log: Any = [{"reward": 0.2, "unscored": 0.0}, {"reward": None, "unscored": 1.0}, {"reward": 0.6, "unscored": 0.5}]  # fmt: skip
    assert reward_metrics(log) == {
        "reward_first": 0.2,
        "reward_last": 0.6,
        "unscored_share": 0.5,
    }


def test_a_step_without_gradient_is_no_mistake_where_answers_may_be_rewarded_alike() -> None:
    log = [{"grad_norm": 0.0, "loss": 0.0}, {"grad_norm": 1.0, "loss": 0.1}]
    check_gradients(log, adapter_before="a", adapter_after="b", allow_zero_gradient=True)
    with pytest.raises(HarnessError, match="0 at some step"):
        check_gradients(log, adapter_before="a", adapter_after="b")
    with pytest.raises(HarnessError, match="0 at every step"):
        check_gradients(log[:1], adapter_before="a", adapter_after="b", allow_zero_gradient=True)


def test_only_a_hinge_and_sampled_answers_may_leave_nothing_to_learn() -> None:
    assert allow_zero_gradient(SimpleNamespace(loss_type=["hinge"]))
    assert allow_zero_gradient(SimpleNamespace(loss_type="dapo", num_generations=8))
    assert not allow_zero_gradient(SimpleNamespace(loss_type=["sigmoid"]))
    assert not allow_zero_gradient(SimpleNamespace())


# --- resuming --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [KTO, ORPO, REWARD], ids=lambda recipe: recipe.method)
def test_a_resumed_run_on_pairs_ends_with_the_same_weights(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: PairTrainedRecipe
) -> None:
    monkeypatch.setenv("HARNESS_SAVE_EVERY", "0.001")
    whole = train(recipe, parent, tmp_path / "whole")
    with pytest.raises(KilledError):
        train_on_pairs(recipe, parent, tmp_path / "killed", pairs=PAIRS, progress=stop(4))
    assert list(tmp_path.glob(".killed.*.steps/checkpoint-3"))
    resumed = train(recipe, parent, tmp_path / "killed")
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.metrics == whole.metrics


@pytest.mark.slow
@pytest.mark.parametrize(("method", "step"), [("grpo", 3), ("rloo", 3), ("grpo", 6)])
def test_a_resumed_run_on_rewards_ends_with_the_same_weights(
    parent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, step: int
) -> None:
    monkeypatch.setenv("HARNESS_SAVE_EVERY", "0.001")
    options = ONLINE.trainer | {"max_steps": 8}  # four steps read all prompts once
    recipe = ONLINE.model_copy(update={"method": method, "trainer": options})
    whole = rewarded(recipe, parent, tmp_path / "whole", LETTERS)
    with pytest.raises(KilledError):
        train_online(
            recipe,
            parent,
            tmp_path / "killed",
            prompts=QUESTIONS,
            reward=LETTERS,
            progress=stop(step + 1),
        )
    assert list(tmp_path.glob(f".killed.*.steps/checkpoint-{step}"))
    resumed = rewarded(recipe, parent, tmp_path / "killed", LETTERS)
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.metrics == whole.metrics


# --- adapters --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_second_round_of_dpo_starts_at_the_first_ones_model(parent: Path, tmp_path: Path) -> None:
    whole = {"per_device_train_batch_size": len(PAIRS), "logging_steps": 1}
    recipe = DPO.model_copy(update={"holdout": 0.0})
    train(recipe, parent, tmp_path / "first", **whole)
    second = train(recipe, tmp_path / "first", tmp_path / "second", **whole)
    assert curve(second, "rewards/margins")[0] == pytest.approx(0, abs=1e-3)
    assert curve(second, "logps/chosen")[0] == pytest.approx(
        mean_log_prob(tmp_path / "first"), rel=1e-4
    )
    # Its adapter went through both rounds, and lies on what the SFT model's adapter lies on.
    assert second.parent == find_starting_point(recipe, tmp_path / "first").parent
    assert second.adapter_base == load_manifest(parent).parent


@pytest.mark.slow
def test_an_older_checkpoint_that_does_not_say_what_its_adapter_lies_on_is_refused(
    parent: Path, tmp_path: Path
) -> None:
    made = train(DPO, parent, tmp_path / "dpo")
    older = made.model_copy(update={"adapter_base": None})
    rewrite_manifest(tmp_path / "dpo", older)
    with pytest.raises(HarnessError, match="before checkpoints recorded the base of their adapter"):
        find_starting_point(DPO, tmp_path / "dpo")


def rewrite_manifest(folder: Path, manifest: CheckpointManifest) -> None:
    (folder / "checkpoint.json").write_text(manifest.model_dump_json())
    (folder / "COMPLETE").write_text(file_hash(folder / "checkpoint.json"))


@pytest.mark.slow
def test_a_policy_has_one_adapter_in_training_whichever_way_it_starts(parent: Path) -> None:
    going_on = load_policy(DPO, find_starting_point(DPO, parent))
    assert list(going_on.model.peft_config) == ["default"]
    assert going_on.peft_config is None
    assert going_on.model.get_nb_trainable_parameters()[0] > 0
    fresh = DPO.model_copy(update={"lora": LORA})
    new = load_policy(fresh, find_starting_point(fresh, parent))
    assert not hasattr(new.model, "peft_config")
    assert new.peft_config is not None


@pytest.mark.slow
def test_an_adapter_in_the_place_of_a_model_is_refused(parent: Path, tmp_path: Path) -> None:
    recipe = SFT.model_copy(update={"trainer": SFT.trainer | {"max_steps": 1}})
    with pytest.raises(HarnessError, match="is an adapter, not a model"):
        train_sft(recipe, parent / "adapter", tmp_path / "sft", rows=ROWS, progress=quiet)


@pytest.mark.slow
def test_a_tokenizer_with_more_tokens_than_the_base_has_embeddings_is_refused(
    parent: Path, tmp_path: Path
) -> None:
    """With resized embeddings an adapter loads only onto a base that was resized first."""
    from transformers import AutoTokenizer

    other = tmp_path / "sft"
    shutil.copytree(parent, other)
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens(["<|new|>"])
    tokenizer.save_pretrained(other)
    manifest = load_manifest(other)
    fields = manifest.model_dump(exclude={"versions", "files", "fingerprint"})
    for name in ("checkpoint.json", "COMPLETE"):
        (other / name).unlink()
    finalise(other, Training(**fields))
    with pytest.raises(HarnessError, match="Resize the base"):
        load_policy(DPO, find_starting_point(DPO, other))


@pytest.mark.slow
def test_a_parent_without_a_manifest_takes_a_new_adapter(parent: Path, tmp_path: Path) -> None:
    base = parent.parent / "base"
    with pytest.raises(HarnessError, match="no adapter to continue training"):
        train(ORPO, base, tmp_path / "orpo")
    made = train(ORPO.model_copy(update={"lora": LORA}), base, tmp_path / "orpo")
    assert made.parent == made.adapter_base


def test_another_reward_is_another_checkpoint() -> None:
    other = LETTERS._replace(fingerprint="letters-2")
    assert online.online_hash(QUESTIONS, LETTERS) != online.online_hash(QUESTIONS, other)


@pytest.mark.slow
def test_an_adapter_on_four_bits_trains_in_full_precision(parent: Path, tmp_path: Path) -> None:
    """On a CPU, which recipes are refused: what TRL and bitsandbytes do there is the same."""
    from datasets import Dataset
    from transformers import BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32)
    model, tokenizer = load_weights(parent.parent / "base", quantization_config=bits)
    for module in model.modules():  # on some CPUs its kernels would cut the gradient
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    options = {"max_steps": 2, "learning_rate": 0.01, "per_device_train_batch_size": 4}
    trainer = SFTTrainer(
        model=model,
        args=make_config(SFTConfig, options, recipe="test", seed=1, folder=tmp_path),
        train_dataset=Dataset.from_list([{"text": row.completion} for row in ROWS]),
        processing_class=tokenizer,
        peft_config=peft_config(LORA, model, None),
    )
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    assert {p.dtype for p in trained} == {torch.bfloat16}  # in which small steps are lost
    upcast_adapter(trainer.model)
    assert {p.dtype for p in trained} == {torch.float32}
    before = adapter_hash(trainer.model)
    trainer.train()
    log = trainer.state.log_history
    check_gradients(log, adapter_before=before, adapter_after=adapter_hash(trainer.model))
