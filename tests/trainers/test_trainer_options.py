"""Which of TRL's options a recipe may set."""

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.core.errors import HarnessError
from trainers.recipe import AdapterRecipe, DpoRecipe, Parent, known_recipes, load_recipe
from trainers.trainer_options import COMMON_OPTIONS, METHOD_OPTIONS, passes_through
from trainers.trl_config import make_config

pytestmark = pytest.mark.filterwarnings("default")  # TRL warns of its experimental namespace


def config_type(method: str) -> Any:
    import trl
    from trl.experimental.cpo import CPOConfig
    from trl.experimental.orpo import ORPOConfig

    others = {"orpo": ORPOConfig, "simpo": CPOConfig}
    return others.get(method) or getattr(trl, f"{method.upper()}Config".replace("REWARD", "Reward"))


def configure(method: str, options: dict[str, Any], folder: Path) -> Any:
    return make_config(
        config_type(method), options, recipe="it", seed=1, folder=folder, method=method
    )


@pytest.mark.parametrize("method", METHOD_OPTIONS)
@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("push_to_hub", True, "harness export --push"),
        ("hub_model_id", "me/mine", "harness export --push"),
        ("hub_token", "hf_x", "harness export --push"),
        ("trackio_space_id", "me/space", "harness export --push"),
        ("trust_remote_code", True, "run code of the model's author"),
        ("model_init_kwargs", {"trust_remote_code": True}, "not passed through"),
        ("resume_from_checkpoint", "/elsewhere", "set by the harness"),
        ("load_best_model_at_end", True, "the last step is kept, and none is chosen by a score"),
        ("metric_for_best_model", "eval_loss", "the last step is kept"),
        ("deepspeed", "/etc/passwd", "--launch"),
    ],
)
def test_what_publishes_runs_code_or_resumes_elsewhere_is_refused(
    method: str, option: str, value: object, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match=rf"it: trainer\.{option} .*{reason}"):
        configure(method, {option: value}, tmp_path)


@pytest.mark.parametrize("method", METHOD_OPTIONS)
def test_every_listed_option_is_one_that_trl_knows(method: str) -> None:
    known = {field.name for field in fields(config_type(method)) if field.init}
    assert known >= METHOD_OPTIONS[method]
    assert not METHOD_OPTIONS[method] & COMMON_OPTIONS


@pytest.mark.parametrize(
    ("method", "option"),
    [("dpo", "label_smoothing_factor"), ("reward", "label_smoothing_factor"), ("kto", "data_seed")],
)
def test_an_option_that_the_trainer_never_reads_is_refused(
    method: str, option: str, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match=rf"trainer\.{option} has no effect on this method"):
        configure(method, {option: 1}, tmp_path)


@pytest.mark.parametrize("loss", [None, "ipo", ["sigmoid", "sft"]])
def test_smoothed_labels_need_a_loss_of_dpo_that_smooths_them(loss: Any) -> None:
    def recipe(**trainer: Any) -> DpoRecipe:
        parent, pairs = Parent(checkpoint="base"), "pairs.yaml"
        return DpoRecipe(recipe="it", method="dpo", parent=parent, pairs=pairs, trainer=trainer)

    chosen = {} if loss is None else {"loss_type": loss}
    with pytest.raises(ValidationError, match="has no effect on this loss"):
        recipe(label_smoothing=0.1, **chosen)
    assert recipe(label_smoothing=0.0, **chosen)
    assert recipe(label_smoothing=0.1, loss_type=["sft", "robust"])


def test_the_bundled_recipes_set_nothing_else() -> None:
    for name in known_recipes():
        recipe, _ = load_recipe(name)
        if isinstance(recipe, AdapterRecipe):
            assert all(passes_through(option, recipe.method) for option in recipe.trainer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_train_epochs": 0}, "nothing would be trained"),
        ({"max_steps": 0}, "nothing would be trained"),
        ({"learning_rate": 0}, "learning_rate 0: must be a number above 0"),
        ({"learning_rate": -0.1}, "learning_rate -0.1: must be a number above 0"),
        ({"learning_rate": math.nan}, "learning_rate nan: must be a number above 0"),
        ({"learning_rate": "fast"}, "learning_rate fast: must be a number above 0"),
        ({"per_device_train_batch_size": 0}, "must be 1 or more"),
        ({"gradient_accumulation_steps": 0}, "must be 1 or more"),
        ({"chat_template_path": "nothing.jinja"}, "is no file or folder here"),
    ],
)
def test_values_with_which_nothing_would_be_learnt_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match=message):
        configure("sft", options, tmp_path)


def test_an_unknown_option_is_answered_with_those_that_a_recipe_may_set(tmp_path: Path) -> None:
    from trl import DPOConfig

    with pytest.raises(HarnessError, match=r"trainer\.eos_token: unknown") as caught:
        make_config(
            DPOConfig, {"eos_token": "x"}, recipe="r", seed=1, folder=tmp_path, method="dpo"
        )
    assert "learning_rate" in str(caught.value)
    assert not any(name in str(caught.value) for name in ("hub_token", "deepspeed", "push_to_hub"))
