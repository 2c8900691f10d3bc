"""The chat template that a recipe brings: in training, in the checkpoint, and in every answer."""

from pathlib import Path
from typing import Any

import pytest

from harness.config import Generation
from harness.core.errors import HarnessError
from harness.models.local import LocalModel, encode_chat, make_prompt
from tests.builders.recipes import DPO, PAIRS, ROWS, SFT, quiet
from tests.builders.tiny import make_tiny_model
from trainers.chat_template import read_template, set_chat_template
from trainers.checkpoint import checkpoint_key
from trainers.export import copy_checkpoint
from trainers.preference import train_on_pairs
from trainers.recipe import SftRecipe, load_recipe
from trainers.sft import Sft, train_sft
from trainers.starting_model import find_starting_point, load_policy
from trainers.trl_config import make_config, quiet_libraries

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

PLAIN = read_template("plain", Path())
PROMPT = make_prompt("Say when to see a doctor.", "My son coughs every night.")
RECIPE = """\
recipe: mine
method: sft
parent: {checkpoint: base}
data: [{path: rows.jsonl, fields: {input: q, reference: a}}]
lora: {r: 4, alpha: 8}
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Llama-3-8B is published: a BOS, an end of text that is all it knows, nothing to pad with."""
    folder = make_tiny_model(tmp_path_factory.mktemp("base") / "base")
    tokenizer = load_tokenizer(folder)
    tokenizer.chat_template = None
    tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token = (
        "<|im_start|>",
        "<|endoftext|>",
        None,
    )
    (folder / "chat_template.jinja").unlink()
    tokenizer.save_pretrained(folder)
    return folder


def load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def with_template(template: str | None) -> SftRecipe:
    return SFT.model_copy(update={"chat_template": template})


# --- in a recipe -----------------------------------------------------------------------------


def test_a_recipes_template_is_a_file_beside_it_or_one_of_ours(tmp_path: Path):
    (tmp_path / "own.jinja").write_text("{{ messages[0].content }}\n")
    for name, text in (("own.jinja", "{{ messages[0].content }}"), ("plain", PLAIN)):
        (tmp_path / "sft.yaml").write_text(f"{RECIPE}chat_template: {name}\n")
        recipe, _ = load_recipe(str(tmp_path / "sft.yaml"))
        assert isinstance(recipe, SftRecipe)
        assert recipe.chat_template == text


def test_a_template_that_is_not_there_is_named(tmp_path: Path):
    (tmp_path / "sft.yaml").write_text(f"{RECIPE}chat_template: plian\n")
    with pytest.raises(HarnessError, match=r"sft\.yaml: chat_template: .* Did you mean 'plain'"):
        load_recipe(str(tmp_path / "sft.yaml"))


def test_another_template_is_another_checkpoint():
    keys = {checkpoint_key(with_template(t), "parent", "data") for t in (None, PLAIN, PLAIN + " ")}
    assert len(keys) == 3
    assert checkpoint_key(SFT, "parent", "data") in keys


def test_the_medical_llama3_study_brings_a_template():
    recipe, _ = load_recipe("medical_llama3/sft.yaml")
    assert isinstance(recipe, SftRecipe)
    assert recipe.chat_template == PLAIN


# --- what a tokenizer makes of it ------------------------------------------------------------


def test_neither_a_template_of_its_own_nor_one_in_the_recipe_is_refused(base: Path):
    with pytest.raises(HarnessError, match=r"has no chat template\. Name one in the recipe"):
        set_chat_template(load_tokenizer(base), None, base)


def test_a_template_that_cannot_be_written_with_is_refused(base: Path):
    with pytest.raises(HarnessError, match="template refuses the prompt"):
        set_chat_template(load_tokenizer(base), "{{ messages[", base)


def test_the_plain_template_writes_one_bos_and_ends_each_answer(base: Path):
    tokenizer = load_tokenizer(base)
    set_chat_template(tokenizer, PLAIN, base)
    prompt = encode_chat(tokenizer, PROMPT)
    turns = [*(m.model_dump() for m in PROMPT), {"role": "assistant", "content": "See a doctor."}]
    whole = tokenizer.apply_chat_template(turns, return_dict=True)["input_ids"]
    assert whole.count(tokenizer.bos_token_id) == 1
    assert whole[0] == tokenizer.bos_token_id
    assert whole.count(tokenizer.eos_token_id) == 1
    assert whole[: len(prompt)] == prompt


def test_padding_is_not_the_end_of_a_turn(base: Path):
    tokenizer = load_tokenizer(base)
    tokenizer.pad_token = tokenizer.eos_token
    set_chat_template(tokenizer, PLAIN, base)
    assert tokenizer.pad_token == "<|pad|>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert len(tokenizer) == len(load_tokenizer(base))


def test_a_recipe_sets_the_default_of_thinking_and_leaves_it_open(base: Path):
    tokenizer = load_tokenizer(base)
    shown = "{% if enable_thinking %}<think>{% else %}<quick>{% endif %}"
    set_chat_template(tokenizer, PLAIN + shown, base, thinking=False)
    by_default, switched = (
        tokenizer.decode(encode_chat(tokenizer, PROMPT, options=options))
        for options in (None, {"enable_thinking": True})
    )
    assert by_default.endswith("<quick>")
    assert switched.endswith("<think>")
    assert by_default.removesuffix("<quick>") == switched.removesuffix("<think>")


def test_thinking_needs_a_template_with_a_switch(base: Path):
    with pytest.raises(HarnessError, match="has no switch of thinking"):
        set_chat_template(load_tokenizer(base), PLAIN, base, thinking=False)


# --- in a checkpoint -------------------------------------------------------------------------


@pytest.mark.slow
def test_training_without_any_template_is_refused_before_it_begins(base: Path, tmp_path: Path):
    with pytest.raises(HarnessError, match="chat_template: plain"):
        train_sft(SFT, base, tmp_path / "sft", rows=ROWS, progress=quiet)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_row_that_the_template_refuses_ends_the_run_with_a_sentence(base: Path, tmp_path: Path):
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}x"
    with pytest.raises(HarnessError, match="template refuses a row: no system"):
        train_sft(with_template(strict), base, tmp_path / "sft", rows=ROWS, progress=quiet)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{- bos_token }}" + PLAIN, "begin with two BOS tokens"),
        (PLAIN.replace(" + eos_token", ""), "would not learn to stop"),
    ],
)
def test_a_template_that_would_teach_something_else_is_refused(
    base: Path, tmp_path: Path, template: str, message: str
):
    with pytest.raises(HarnessError, match=message):
        train_sft(with_template(template), base, tmp_path / "sft", rows=ROWS, progress=quiet)


@pytest.mark.slow
def test_answers_are_learnt_with_their_end_and_one_bos(base: Path, tmp_path: Path):
    quiet_libraries()
    method = Sft(with_template(PLAIN), base, ROWS)
    config = make_config(method.config_type(), SFT.trainer, recipe="it", seed=1, folder=tmp_path)
    trainer = method.make_trainer(config)
    tokenizer = trainer.processing_class
    for ids, labels in zip(
        trainer.train_dataset["input_ids"], trainer.train_dataset["labels"], strict=True
    ):
        learnt = [label for label in labels if label != -100]
        assert ids.count(tokenizer.bos_token_id) == 1
        assert learnt.count(tokenizer.eos_token_id) == 1
        assert tokenizer.decode(learnt).startswith("See your doctor soon.<|endoftext|>")
    assert method.check_data(trainer)["rows"] == "8"


@pytest.mark.slow
def test_the_template_goes_with_the_checkpoint_into_answers_dpo_and_exports(
    base: Path, tmp_path: Path
):
    train_sft(with_template(PLAIN), base, tmp_path / "sft", rows=ROWS, progress=quiet)
    model = LocalModel.load(tmp_path / "sft")
    assert model.tokenizer.chat_template == PLAIN
    (answer,) = model.answer([PROMPT], Generation(max_new_tokens=4, temperature=0.0), seeds=[1])
    assert answer.text is not None
    policy = load_policy(DPO, find_starting_point(DPO, tmp_path / "sft"))
    assert policy.tokenizer.chat_template == PLAIN
    train_on_pairs(DPO, tmp_path / "sft", tmp_path / "dpo", pairs=PAIRS, progress=quiet)
    copy_checkpoint(tmp_path / "dpo", tmp_path / "given")
    assert (tmp_path / "given" / "chat_template.jinja").read_text() == PLAIN
