"""The studies' recipes: their published settings, two steps of each at a small size, and plans."""

import math
import os
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from harness.config import known_suites
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.planning.forecast import forecast_run
from harness.training.dry_run import DryRun, describe_dry_run, dry_run
from tests.builders.commands import harness
from trainers.recipe import (
    AdapterRecipe,
    DpoRecipe,
    JudgedPairsRecipe,
    Lora,
    PreferenceRecipe,
    SftRecipe,
    known_recipes,
    load_recipe,
)

STUDIES = ("medical_llama3", "llama31_medical", "biomistral", "laptop")
NF4 = {"bits": 4, "kind": "nf4", "double": True, "compute": "bfloat16"}

quiet = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures


def recipes_that_train() -> list[str]:
    mine = [name for name in known_recipes() if name.partition("/")[0] in STUDIES]
    return [name for name in mine if isinstance(load_recipe(name)[0], AdapterRecipe)]


def load_training(name: str) -> SftRecipe | PreferenceRecipe:
    recipe, _ = load_recipe(name)
    assert isinstance(recipe, SftRecipe | PreferenceRecipe)
    return recipe


def try_out(recipe: str) -> DryRun:
    return dry_run(recipe, "tiny", progress=QuietProgress())


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lora", "options"),
    [
        (
            "medical_llama3/sft.yaml",
            Lora(r=16, alpha=32, dropout=0.05, target_modules=("q_proj", "v_proj")),
            {"learning_rate": 2e-4, "optim": "paged_adamw_8bit", "lr_scheduler_type": "constant"},
        ),
        (
            "medical_llama3/dpo.yaml",
            Lora(r=16, alpha=32, dropout=0.05, target_modules=("q_proj", "v_proj")),
            {"learning_rate": 5e-5, "optim": "paged_adamw_8bit", "beta": 0.1},
        ),
        ("biomistral/sft.yaml", Lora(r=64, alpha=16, dropout=0.1), {"learning_rate": 2e-5}),
        (
            "biomistral/dpo.yaml",
            Lora(r=128, alpha=128, dropout=0.05),
            {"learning_rate": 5e-6, "beta": 0.01},
        ),
    ],
)
def test_published_settings_are_kept(name: str, lora: Lora, options: dict[str, object]):
    recipe = load_training(name)
    assert recipe.lora == lora
    assert options.items() <= recipe.trainer.items()


@pytest.mark.parametrize(
    "name", ["medical_llama3/sft.yaml", "medical_llama3/dpo.yaml", "biomistral/dpo.yaml"]
)
def test_the_quantised_recipes_use_nf4_with_double_quantisation(name: str):
    quantisation = load_training(name).quantisation
    assert quantisation is not None
    assert quantisation.model_dump() == NF4


def test_the_studys_pairs_are_sampled_as_published():
    recipe, _ = load_recipe("medical_llama3/pairs_judged.yaml")
    assert isinstance(recipe, JudgedPairsRecipe)
    sampling = recipe.generation
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0.7, 50, 0.9)
    assert (sampling.max_new_tokens, recipe.draws) == (256, 1)


def test_the_reference_is_the_parent_but_where_the_recipe_says_base():
    references = {
        name: recipe.reference
        for name in recipes_that_train()
        if isinstance(recipe := load_training(name), DpoRecipe)
    }
    assert references.pop("medical_llama3/dpo_reference_base.yaml") == "base"
    assert set(references.values()) == {"parent"}


# --- two steps -------------------------------------------------------------------------------


@pytest.mark.slow
@quiet
@pytest.mark.parametrize("name", recipes_that_train())
def test_a_recipe_of_a_study_trains_two_steps_small(name: str):
    for stage in try_out(name).stages:
        assert len(stage.losses) == 2
        assert all(math.isfinite(loss) for loss in stage.losses)
        assert 0 < stage.trained < stage.parameters


@quiet
def test_a_quantised_dpo_recipe_tells_what_it_replaced(tmp_path: Path, monkeypatch):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("nothing is replaced on a GPU")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    done = try_out("medical_llama3/dpo.yaml")
    sft, dpo = done.stages
    assert dpo.losses[0] == pytest.approx(math.log(2), abs=1e-3)
    assert (sft.trained_full_size, sft.parameters_full_size) == (6_815_744, 8_037_076_992)
    text = "\n".join(describe_dry_run(done))
    assert "nf4" not in text  # four bits are trained on a CPU too
    assert "replaced: paged_adamw_8bit: adamw_torch" in text
    assert "made-up rows, hub:Malikeh1375/" in text
    assert "cannot start from this base" not in text  # the recipe brings a chat template
    assert not list(tmp_path.iterdir())


@quiet
def test_rows_that_are_at_hand_are_used():
    assert "laptop_sft: the first 9 of its rows" in try_out("laptop/sft.yaml").data


def test_a_recipe_that_trains_no_adapter_is_refused():
    with pytest.raises(HarnessError, match="trains no adapter"):
        try_out("medical_llama3/pairs_judged.yaml")


def test_a_model_of_unknown_size_is_refused(tmp_path: Path):
    text = (recipe_file("laptop/sft.yaml")).read_text().replace("HuggingFaceTB/", "somebody/")
    (tmp_path / "sft.yaml").write_text(text)
    with pytest.raises(HarnessError, match="its sizes are not known here"):
        try_out(str(tmp_path / "sft.yaml"))


# --- without the hub -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "why"),
    [({"HF_HUB_OFFLINE": "1"}, "switched off"), ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "reached")],
)
def test_a_model_that_cannot_be_fetched_is_named_at_once(
    setting: dict[str, str], why: str, tmp_path: Path
):
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "")
    away = proxies | {"HF_HOME": str(tmp_path / "hub")} | setting
    done = harness("train", "laptop/sft.yaml", cwd=tmp_path, env=away)
    assert done.returncode == 4
    assert "HuggingFaceTB/SmolLM2-135M-Instruct" in done.stderr
    assert why in done.stderr
    assert "checkpoint directory" in done.stderr
    assert "Traceback" not in done.stderr


# --- profiles --------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [*STUDIES, "smollm2"])
@pytest.mark.parametrize("suite", sorted({*known_suites()} - {"grounded_answers"}))  # has its own
def test_a_studys_profile_binds_all_that_a_suite_names(profile: str, suite: str):
    request = load_request(suite, profile, ["sft", "dpo"])
    asked = [request.suite.data, *(metric.data for metric in request.suite.metrics.values())]
    named = {data.name for data in asked if data is not None} - {None}  # or it has its own source
    assert named <= request.profile.data.keys()
    for model in request.profile.models.values():
        assert model.recipe is None or model.recipe in known_recipes()


@pytest.mark.parametrize("stage", ["sft", "pairs", "dpo"])
def test_the_recipes_of_laptop_and_smollm2_differ_in_their_source_alone(stage: str):
    ours, theirs = (
        load_recipe(f"{name}/{stage}.yaml")[0].model_dump(exclude={"recipe", "parent"})
        for name in ("smollm2", "laptop")
    )
    assert ours == theirs


@pytest.mark.data
@pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="HARNESS_DATA_DIR is not set")
def test_the_whole_medical_llama3_plan_resolves_without_key_or_hub(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    request = load_request("medical_alignment", "medical_llama3", ["sft", "dpo"])
    forecast = forecast_run(request, tmp_path)
    assert {task.name: task.n_items for task in forecast.tasks} == {
        "health_questions": 500,
        "question_summaries": 1000,
    }
    assert [stage.trained for stage in forecast.training] == [6_815_744, 6_815_744]


# --- plans -----------------------------------------------------------------------------------


def test_a_plan_counts_what_training_takes(tmp_path: Path):
    request = load_request("medical_rubric", "laptop", ["sft", "dpo"])
    forecast = forecast_run(request, tmp_path)
    sft, dpo = forecast.training
    assert (sft.rows, sft.steps, sft.trained) == (240, 60, 2_442_240)
    assert (dpo.start, dpo.at_most, dpo.trained) == ("laptop_sft", True, 2_442_240)
    assert sft.memory is not None
    assert forecast.sampling[0].answers == 2 * forecast.sampling[0].prompts
    assert not list(tmp_path.iterdir())


def test_a_plan_needs_no_key_and_prices_the_pairs(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    profile = copy_study("medical_llama3", tmp_path)
    write_rows(tmp_path / "recipes" / "prompts.jsonl", 3)
    pairs_file = tmp_path / "recipes" / "pairs_judged.yaml"
    (given,) = [line for line in pairs_file.read_text().splitlines() if "convert:" in line]
    pairs_file.write_text(pairs_file.read_text().replace(given, "  path: prompts.jsonl"))
    write_rows(tmp_path / "items.jsonl", 120)
    request = load_request("medical_rubric", str(profile), ["sft", "dpo"])
    forecast = forecast_run(request, tmp_path / "store")
    (pairs,) = forecast.sampling
    assert (pairs.prompts, pairs.answers, pairs.verdicts) == (3, 6, 6)
    chosen = forecast.remote[0]
    assert (chosen.work, chosen.calls) == ("chooses medical_llama3_pairs", 6)
    assert chosen.cost is not None
    assert chosen.cost > 0
    sft, dpo = forecast.training
    assert (sft.rows, sft.steps, sft.at_most) == (4750, 1188, True)
    assert "its rows are not here yet: hub:Malikeh1375/" in sft.notes[0]
    assert (dpo.rows, dpo.steps) == (3, 1)


def test_a_study_whose_base_is_a_pickle_has_nothing_in_its_way(tmp_path: Path):
    request = load_request("medical_rubric", "biomistral", ["sft", "dpo"])
    forecast = forecast_run(request, tmp_path)
    assert len(forecast.training) == 2
    assert not any("cannot be trained" in note for s in forecast.training for note in s.notes)


def test_a_plan_goes_on_where_the_items_are_not_there(tmp_path: Path):
    profile = copy_study("medical_llama3", tmp_path)
    done = harness("plan", "medical_rubric", "--models", "sft,dpo", "--profile", str(profile), cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "The items are not here: items.jsonl: no such file." in done.stdout
    assert "6,815,744 parameters trained, 8,030,261,248 frozen (0.08%)" in done.stdout


def recipe_file(name: str) -> Path:
    _, root = load_recipe(name)
    return root / Path(name).name


def copy_study(name: str, folder: Path) -> Path:
    """The study's recipes without its data, and a profile whose items are `items.jsonl`."""
    shutil.copytree(
        recipe_file(f"{name}/sft.yaml").parent,
        folder / "recipes",
        ignore=shutil.ignore_patterns("data"),
    )
    profile = folder / "profile.yaml"
    profile.write_text(
        f"""\
profile: copy
data: {{health_questions: {{path: items.jsonl, fields: {{id: id, input: input}}}}}}
models: {{sft: {{recipe: {folder}/recipes/sft.yaml}}, dpo: {{recipe: {folder}/recipes/dpo.yaml}}}}
judges:
  default:
    endpoint: {{model: gpt-4o-mini, api_key_env: OPENAI_API_KEY, price_per_million: {{input: 0.15, output: 0.60}}}}
"""
    )
    return profile


def write_rows(path: Path, n: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f'{{"id": "{i}", "input": "Is number {i} bad?"}}\n' for i in range(n)]
    path.write_text("".join(rows))
