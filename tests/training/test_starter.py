"""From a model's folder and a file of chats to a verdict, as a new user would."""

import json
from pathlib import Path

import pytest

from harness.config import load_profile, load_suite
from harness.core.errors import HarnessError
from harness.training.starter import learning_rate, write_starter
from tests.builders.commands import harness_here
from tests.builders.families import make_base
from trainers.recipe import load_recipe


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    chats = [
        [
            {"role": "user", "content": f"May I take remedy number {n} with tea?"},
            {"role": "assistant", "content": "Yes, you may."},
        ]
        for n in range(60)
    ]
    (tmp_path / "chats.jsonl").write_text(
        "".join(json.dumps({"messages": chat}) + "\n" for chat in chats)
    )
    return tmp_path


def test_the_questions_that_are_asked_are_not_learnt(world: Path) -> None:
    base = make_base("olmo2", world / "base")
    made = write_starter(base, world / "chats.jsonl", world)
    assert made.n_train + made.n_eval == 60
    assert made.n_eval >= 5
    recipe, _ = load_recipe("sft.yaml")
    profile, _ = load_profile("profile.yaml")
    assert recipe.recipe == "sft"
    assert recipe.data[0].convert.side == "train"
    assert profile.data["questions"].convert.side == "eval"
    assert load_recipe(profile.models["sft"].recipe)[0] == recipe
    assert load_suite("suite.yaml")


@pytest.mark.parametrize(
    ("width", "expected"),
    [(64, 0.003), (128, 0.002), (576, 0.0005), (2048, 0.0002), (8192, 0.0002)],
)
def test_narrow_models_get_a_higher_learning_rate(width: int, expected: float) -> None:
    assert learning_rate(width) == expected


def test_the_recipe_has_the_rate_of_its_base_and_the_gate_asks_for_more_than_a_trace(
    world: Path,
) -> None:
    made = write_starter(make_base("gemma3_vision", world / "base"), world / "chats.jsonl", world)
    assert made.learning_rate == learning_rate(32)
    assert load_recipe("sft.yaml")[0].trainer["learning_rate"] == made.learning_rate
    assert load_suite("suite.yaml")[0].gate.claims[0].margin == 0.02


def test_a_base_without_a_template_gets_one_and_its_context_bounds_the_rows(world: Path) -> None:
    base = make_base("gpt2", world / "base")
    write_starter(base, world / "chats.jsonl", world)
    recipe, _ = load_recipe("sft.yaml")
    assert "### Assistant" in (recipe.chat_template or "")
    assert recipe.trainer["max_length"] == 256


def test_nothing_is_overwritten_and_what_is_no_model_or_data_is_named(world: Path) -> None:
    base = make_base("mistral", world / "base")
    with pytest.raises(HarnessError, match="holds no model"):
        write_starter(world / "cache", world / "chats.jsonl", world)
    with pytest.raises(HarnessError, match=r"none\.jsonl: no such file"):
        write_starter(base, world / "none.jsonl", world)
    assert not (world / "sft.yaml").exists()
    (world / "suite.yaml").write_text("mine")
    with pytest.raises(HarnessError, match=r"suite\.yaml: exists already"):
        write_starter(base, world / "chats.jsonl", world)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen2_base", "gemma3", "phi3"])
def test_three_commands_lead_to_a_verdict(name: str, world: Path) -> None:
    make_base(name, world / "base")
    env = {"HARNESS_CACHE_DIR": str(world / "cache")}
    assert harness_here("init", "base", "chats.jsonl", cwd=world, env=env).returncode == 0
    options = ("suite.yaml", "--models", "base,sft", "--profile", "profile.yaml")
    assert harness_here("plan", *options, cwd=world, env=env).returncode == 0
    done = harness_here("run", *options, cwd=world, env=env)
    assert done.returncode in (0, 1, 3), done.stderr
    assert list((world / "runs" / "mine").glob("*/report.html"))
