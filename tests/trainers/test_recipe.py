from pathlib import Path
from typing import get_args

import pytest

from harness.core.errors import HarnessError
from harness.core.text_files import read_prompt
from trainers.examples import load_examples, load_samples
from trainers.recipe import (
    METHODS,
    AdapterRecipe,
    BestOfRecipe,
    DpoRecipe,
    GoldPairsRecipe,
    JudgedPairsRecipe,
    PairsRecipe,
    PairsRecipeSpec,
    PretrainRecipe,
    SftRecipe,
    known_recipes,
    load_recipe,
    parent_directory,
)
from trainers.recipe_parts import Product

SFT = """\
recipe: mine
method: sft
parent: {checkpoint: base}
data: [{path: rows.jsonl, fields: {input: q, reference: a}, system: kind.md}]
lora: {r: 4, alpha: 8}
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tiny/base.yaml", PretrainRecipe),
        ("tiny/sft", SftRecipe),
        ("tiny/pairs_judged.yaml", JudgedPairsRecipe),
        ("tiny/pairs_gold.yaml", GoldPairsRecipe),
        ("tiny/dpo", DpoRecipe),
    ],
)
def test_the_recipes_that_come_along_are_found_by_name(name: str, kind: type):
    recipe, root = load_recipe(name)
    assert isinstance(recipe, kind)
    assert root.name == "tiny"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_states_every_fact(method: str):
    kind = METHODS[method]
    assert kind.makes in get_args(Product)
    if issubclass(kind, AdapterRecipe):
        assert kind.unit in ("rows", "pairs", "answers", "prompts")
        assert kind.sequences in (None, 1, 2)
        assert not kind.one_process.endswith(".")
    if issubclass(kind, PairsRecipeSpec):
        assert bool(kind.unjudged) == ("prefer" not in kind.model_fields)


def test_facts_of_a_method_are_no_fields():
    facts = {"makes", "unit", "sequences", "one_process", "head", "examples_per_pair", "unjudged"}
    assert not any(facts & set(kind.model_fields) for kind in METHODS.values())


@pytest.mark.parametrize("name", known_recipes())
def test_every_recipe_opens_with_the_command_that_uses_it(name: str):
    recipe, root = load_recipe(name)
    verb = "pairs" if isinstance(recipe, PairsRecipe | BestOfRecipe) else "train"
    first = (root / Path(name).name).read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# harness {verb} {name}"


@pytest.mark.parametrize("name", [n for n in known_recipes() if n.startswith("tiny/")])
def test_no_recipe_trains_on_the_split_that_is_evaluated(name: str):
    recipe, root = load_recipe(name)
    data = getattr(recipe, "data", ())  # what learns from pairs has none of its own
    for source in data if isinstance(data, tuple) else (data,):
        assert source.where.get("split") != "evaluation"
        assert "split" in source.where or source.path == "data/leaflets.jsonl"
        assert load_samples(source, root)


def test_a_recipe_beside_another_is_found_first(tmp_path: Path):
    write(tmp_path / "tiny" / "sft.yaml", SFT)
    recipe, root = load_recipe("tiny/sft.yaml", search_dir=tmp_path)
    assert (recipe.recipe, root) == ("mine", tmp_path / "tiny")


def test_an_unknown_recipe_gets_a_suggestion():
    with pytest.raises(HarnessError, match=r"Did you mean 'tiny/sft\.yaml'\?"):
        load_recipe("tiny/stf.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("method: sft", "method: stf"), "recipe.yaml:2"),
        (("lora: {r: 4", "lora: {rank: 4"), "unknown key"),
        (("checkpoint: base", "checkpoint: base, recipe: x.yaml"), "exactly one"),
        (("r: 4", "r: 0"), "greater than or equal to 1"),
    ],
)
def test_a_mistake_is_shown_with_its_place(tmp_path: Path, change: tuple[str, str], message: str):
    path = write(tmp_path / "recipe.yaml", SFT.replace(*change))
    with pytest.raises(HarnessError, match=message):
        load_recipe(str(path))


def test_the_studies_full_size_options_fit(tmp_path: Path):
    text = """\
recipe: full
method: dpo
parent: {checkpoint: meta-llama/Meta-Llama-3-8B, revision: "abc"}
pairs: pairs.yaml
lora: {r: 128, alpha: 128, dropout: 0.05, target_modules: [q_proj, v_proj]}
quantisation: {bits: 4, kind: nf4}
trainer: {optim: paged_adamw_8bit, beta: 0.01, loss_type: [sigmoid, sft], learning_rate: 0.000005}
"""
    recipe, root = load_recipe(str(write(tmp_path / "full.yaml", text)))
    assert isinstance(recipe, DpoRecipe)
    assert parent_directory(recipe.parent, root) == "meta-llama/Meta-Llama-3-8B"


def test_a_parent_directory_is_counted_from_the_recipe(tmp_path: Path):
    recipe, root = load_recipe(str(write(tmp_path / "recipe.yaml", SFT)))
    assert isinstance(recipe, SftRecipe)
    (tmp_path / "base").mkdir()
    assert parent_directory(recipe.parent, root) == str((tmp_path / "base").resolve())


def test_rows_become_chats_with_the_system_prompt(tmp_path: Path):
    write(tmp_path / "rows.jsonl", '{"q": "Is it asthma?", "a": "It can be."}\n')
    write(tmp_path / "kind.md", "Be kind.\n")
    recipe, root = load_recipe(str(write(tmp_path / "recipe.yaml", SFT)))
    assert isinstance(recipe, SftRecipe)
    (example,) = load_examples(recipe.data, root)
    assert [(m.role, m.content) for m in example.prompt] == [
        ("system", "Be kind."),
        ("user", "Is it asthma?"),
    ]
    assert example.completion == "It can be."


def test_a_small_source_can_be_read_several_times(tmp_path: Path):
    write(tmp_path / "rows.jsonl", '{"q": "Is it asthma?", "a": "It can be."}\n')
    write(tmp_path / "kind.md", "Be kind.\n")
    text = SFT.replace("system: kind.md", "system: kind.md, repeat: 3")
    recipe, root = load_recipe(str(write(tmp_path / "recipe.yaml", text)))
    assert isinstance(recipe, SftRecipe)
    assert len(load_examples(recipe.data, root)) == 3


def test_a_row_without_an_answer_is_refused(tmp_path: Path):
    write(tmp_path / "rows.jsonl", '{"q": "Is it asthma?", "a": " "}\n')
    write(tmp_path / "kind.md", "Be kind.\n")
    recipe, root = load_recipe(str(write(tmp_path / "recipe.yaml", SFT)))
    assert isinstance(recipe, SftRecipe)
    with pytest.raises(HarnessError, match="Row 'row-00001' has no answer to learn"):
        load_examples(recipe.data, root)


def test_a_missing_system_prompt_is_named(tmp_path: Path):
    with pytest.raises(HarnessError, match=r"none\.md: no such system prompt"):
        read_prompt("none.md", tmp_path)


BEST_OF = """\
recipe: best
method: best_of
parent: {checkpoint: base}
data: {path: rows.jsonl, fields: {input: q, reference: a}}
generation: {max_new_tokens: 8, temperature: 1.0}
n: 2
grade: {kind: rubric, prompt: judge.md, criteria: [{name: safety, asks: Safe or not}]}
"""


def test_the_judge_of_a_recipe_is_asked_with_its_own_prompt(tmp_path: Path):
    write(tmp_path / "judge.md", "{{what_you_see}}\n\n{{criteria}}\n\n{{shape}}\n")
    recipe, _ = load_recipe(str(write(tmp_path / "recipe.yaml", BEST_OF)))
    assert isinstance(recipe, BestOfRecipe)
    assert recipe.grade.prompt == "{{what_you_see}}\n\n{{criteria}}\n\n{{shape}}"
    write(tmp_path / "judge.md", "Grade it.\n{{criteria}}\n{{shape}}\n")
    with pytest.raises(
        HarnessError, match=r"recipe\.yaml:7: grade\.prompt: .*judge\.md:3: ends without"
    ):
        load_recipe(str(tmp_path / "recipe.yaml"))
