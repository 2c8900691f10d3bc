"""The arms of the bundled study and of changed recipes."""

from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from harness.study.grid import load_grid
from harness.study.plan import describe_study_plan, forecast_study
from tests.builders.files import write
from trainers.adapter_kinds import FullFineTuning, Lora
from trainers.examples import load_rows_to_learn, rows_to_learn
from trainers.recipe import DpoRecipe, SftRecipe, load_recipe

STUDY = """\
study: s
suite: tiny_develop.yaml
metric: rubric.composite
recipe: tiny/sft.yaml
rows: [20, 60]
methods:
  lora: {trainer: {max_steps: 2}}
  full: {adapter: {kind: full}}
"""


def arms(folder: Path, text: str = STUDY) -> dict[str, SftRecipe]:
    text = text.replace("tiny_develop.yaml", str(Path("suites/loops/tiny_develop.yaml").resolve()))
    recipes = {name: arm.recipe for name, arm in load_grid(str(write(folder / "s.yaml", text))).arms.items()}  # fmt: skip
    assert all(isinstance(recipe, SftRecipe) for recipe in recipes.values())
    return recipes  # type: ignore[return-value]


def test_a_change_of_the_trainer_is_one_of_its_keys_and_another_of_the_whole_key(
    tmp_path: Path,
) -> None:
    found = arms(tmp_path)
    lora, full = found["lora-20rows"], found["full-20rows"]
    assert (lora.trainer["max_steps"], lora.trainer["learning_rate"]) == (2, 0.003)
    assert isinstance(lora.lora, Lora)
    assert full.lora is None
    assert isinstance(full.adapter, FullFineTuning)
    assert "max_steps" not in full.trainer


def test_fewer_rows_are_a_part_of_more(tmp_path: Path) -> None:
    found, root = arms(tmp_path), Path("trainers/recipes/tiny")
    few, many = (load_rows_to_learn(found[f"lora-{n}rows"], root) for n in (20, 60))
    assert len(few) == 20
    assert {row.id for row in few} < {row.id for row in many}


def test_more_rows_than_there_are_is_refused(tmp_path: Path) -> None:
    found = arms(tmp_path, STUDY.replace("60", "6000"))
    with pytest.raises(HarnessError, match="'rows: 6,000' are more than the 360"):
        load_rows_to_learn(found["lora-6000rows"], Path("trainers/recipes/tiny"))


def test_rows_of_pairs_are_counted_in_what_is_learnt(tmp_path: Path) -> None:
    text = STUDY.replace("tiny/sft.yaml", "tiny/dpo.yaml").replace("  full: {adapter: {kind: full}}\n", "")  # fmt: skip
    text = text.replace("tiny_develop.yaml", str(Path("suites/loops/tiny_develop.yaml").resolve()))
    forecast = forecast_study(str(write(tmp_path / "s.yaml", text)), tmp_path)
    assert [arm.rows for arm in forecast.arms] == [17, 51]  # without the 15 % that are held out


def test_a_seed_reaches_the_parents_of_an_arm(tmp_path: Path) -> None:
    text = STUDY.replace("tiny/sft.yaml", "tiny/dpo.yaml").replace("rows: [20, 60]\n", "")
    text = text.replace("tiny_develop.yaml", str(Path("suites/loops/tiny_develop.yaml").resolve()))
    file = str(write(tmp_path / "s.yaml", text))
    stages = load_grid(file).arms["lora"].stages(2)
    assert {s.recipe.recipe: getattr(s.recipe, "seed", None) for s in stages} == {"tiny_sft": 2, "tiny_pairs_judged": None, "tiny_dpo": 2}  # fmt: skip
    forecast = forecast_study(file, tmp_path)
    assert (forecast.parents, forecast.trainings) == ({"tiny_sft": 3}, 9)
    assert len(forecast.sampling) == 3


def test_one_recipe_under_two_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="'lora-20rows' and 'full-20rows' are the same recipe"):
        arms(tmp_path, STUDY.replace("{adapter: {kind: full}}", "{trainer: {max_steps: 2}}"))


def test_an_arm_that_no_engine_can_hold_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    text = STUDY.replace("tiny_develop.yaml", str(Path("suites/loops/tiny_develop.yaml").resolve()))
    text = text.replace("{kind: full}", "{kind: prompt, tokens: 4}")
    file = str(write(tmp_path / "s.yaml", text))
    with pytest.raises(HarnessError, match="arm 'full-20rows': serve: transformers holds whole"):
        load_grid(file, serve="transformers")


def test_a_look_that_shows_nothing_more_is_refused(tmp_path: Path) -> None:
    text = STUDY.replace("tiny_develop.yaml", str(Path("suites/loops/tiny_develop.yaml").resolve()))
    grid = load_grid(str(write(tmp_path / "s.yaml", text + "looks: [{items: 0.99}]\n")))
    with pytest.raises(HarnessError, match="both have 48 of 48 items"):
        grid.looks(48)


def test_a_look_that_could_drop_nothing_says_so(tmp_path: Path) -> None:
    text = STUDY.replace("tiny_develop.yaml", str(Path("suites/loops/tiny_develop.yaml").resolve()))
    forecast = forecast_study(str(write(tmp_path / "s.yaml", text + "looks: [{items: 0.01}]\n")), tmp_path)  # fmt: skip
    assert forecast.looks[0].detectable is None
    assert "further apart than the scale reaches" in "\n".join(describe_study_plan(forecast))


def test_a_mistake_in_a_change_is_named_on_its_line_of_the_study(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"s.yaml:8: .*kind.*'fulll' is unknown"):
        arms(tmp_path, STUDY.replace("kind: full", "kind: fulll"))


def test_a_column_that_the_suite_does_not_measure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"'rubric.safty' is not measured"):
        arms(tmp_path, STUDY.replace("rubric.composite", "rubric.safty"))


def test_the_plan_tells_work_and_what_can_be_found(tmp_path: Path) -> None:
    forecast = forecast_study("tiny_methods", tmp_path)
    assert (forecast.trainings, forecast.n_items, forecast.n_pairs) == (12, 48, 10)
    assert forecast.steps == 240
    three, ten, early = (
        forecast.detectable[3],
        forecast.detectable[10],
        forecast.looks[0].detectable,
    )
    assert three
    assert ten
    assert early
    assert early > three > ten > 0
    told = "\n".join(describe_study_plan(forecast))
    assert "At most 12 trainings" in told
    assert "known once the store has a checkpoint" in told


def test_of_pairs_too_fewer_rows_are_a_part_of_more() -> None:
    recipe = load_recipe("tiny/dpo.yaml")[0]
    assert isinstance(recipe, DpoRecipe)
    few, many = (rows_to_learn(recipe.model_copy(update={"rows": n}), range(100)) for n in (20, 60))
    assert len(few) == 20
    assert set(few) < set(many)
    with pytest.raises(HarnessError, match="'rows: 200' are more than the 100 pairs"):
        rows_to_learn(recipe.model_copy(update={"rows": 200}), range(100))
