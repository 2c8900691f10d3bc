import random
from pathlib import Path

import pytest

from harness.core.paths import bundle_root
from harness.models.local import LocalModel
from harness.types import Sample
from tests.builders.tiny import TEXT
from trainers.checkpoint import load_manifest, verify_checkpoint
from trainers.pretrain import _documents, train_base, train_tokenizer
from trainers.recipe import PretrainRecipe, TinyModel, load_recipe


def sample(id: str, topic: str, input: str, reference: str | None) -> Sample:
    return Sample(id=id, input=input, reference=reference, cluster=topic, row=0)


def test_sentences_are_mixed_within_their_topic_and_anew_each_time():
    rows = (
        sample("1", "asthma", "Is it asthma?", "A1 is. A2 is. A3 is."),
        sample("2", "asthma", "Is it bad?", "A4 is. A5 is. A6 is."),
        sample("3", "gout", "Is it gout?", "G1 is. G2 is."),
    )
    tokenizer = train_tokenizer(TEXT, vocab_size=300, context=64)
    order = random.Random(1)
    first, second = (_documents([("sentences", rows)], tokenizer, order) for _ in range(2))
    assert sorted(len(document.split("is.")) for document in first) == [3, 7]
    assert all(("A" in document) != ("G" in document) for document in first)
    assert sorted(first) != sorted(second)


def test_a_chat_is_read_as_it_will_be_asked():
    tokenizer = train_tokenizer(TEXT, vocab_size=300, context=64)
    rows = (sample("1", "asthma", "Asthma", "A cough."),)
    (document,) = _documents([("chat", rows)], tokenizer, random.Random(1))
    turns = [{"role": "user", "content": "Asthma"}]
    prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert document == f"{prompt}A cough.<|im_end|>\n"


def test_the_tokenizer_knows_chatml_and_gives_every_text_back():
    tokenizer = train_tokenizer(TEXT, vocab_size=300, context=64)
    specials = ["<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert tokenizer.convert_tokens_to_ids(specials) == [0, 1, 2, 3]
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|pad|>", "<|im_end|>")
    text = "Ümlaut, 37.5 °C\nand  two spaces"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_trl_may_mask_all_but_the_assistants_turn():
    tokenizer = train_tokenizer(TEXT, vocab_size=300, context=64)
    chat = [
        {"role": "user", "content": "Is it asthma?"},
        {"role": "assistant", "content": "See your doctor."},
    ]
    encoded = tokenizer.apply_chat_template(
        chat, return_dict=True, return_assistant_tokens_mask=True
    )
    masks = zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
    said = [token for token, mask in masks if mask]
    assert tokenizer.decode(said) == "See your doctor.<|im_end|>"


@pytest.mark.slow
def test_a_base_is_trained_and_comes_out_the_same_twice(tmp_path: Path):
    recipe, root = load_recipe("tiny/base.yaml")
    assert isinstance(recipe, PretrainRecipe)
    shape = TinyModel(
        vocab_size=400, hidden_size=16, intermediate_size=32, n_layers=1, n_heads=2, context=64
    )
    small = recipe.model_copy(update={"model": shape, "n_tokens": 1024, "window": 64})
    seen: list[tuple[str, int, int]] = []
    made = train_base(small, root, tmp_path / "a", lambda *step: seen.append(step))
    again = train_base(small, root, tmp_path / "b", lambda *step: None)
    assert made.fingerprint == again.fingerprint
    assert verify_checkpoint(tmp_path / "a") == made
    assert seen[-1] == ("pretrain", 4, 4)


def test_the_base_that_comes_along_is_whole_and_small():
    base = bundle_root() / "trainers" / "tiny_base"
    manifest = verify_checkpoint(base)
    assert manifest.recipe == "tiny_base"
    assert (base / "model.safetensors").stat().st_size <= 6_000_000
    assert LocalModel.load(base).fingerprint == load_manifest(base).fingerprint
