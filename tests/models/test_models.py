import math
from collections import Counter
from pathlib import Path

import pytest
import torch

from harness.config import Generation
from harness.core.errors import HarnessError, InfrastructureError
from harness.models.local import Answer, LocalModel, Prompt, make_prompt
from harness.models.model_folder import fingerprint_model
from harness.models.weights import load_weights
from tests.builders.tiny import make_tiny_model

GREEDY = Generation(max_new_tokens=12)
SAMPLED = Generation(max_new_tokens=12, temperature=1.5, top_k=40, top_p=0.95)
PROMPTS = [make_prompt("Say when to see a doctor.", "cough " * n) for n in range(1, 9)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(folder: Path) -> LocalModel:
    return LocalModel.load(folder)


@pytest.mark.parametrize("generation", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_an_answer_does_not_depend_on_its_batch(model: LocalModel, generation: Generation):
    seeds = list(range(8))
    together = model.answer(PROMPTS, generation, seeds=seeds)
    alone = [
        model.answer([prompt], generation, seeds=[seed])[0]
        for prompt, seed in zip(PROMPTS, seeds, strict=True)
    ]
    assert together == alone
    assert all(answer.text for answer in together)


def test_an_equal_seed_gives_an_equal_answer_and_another_seed_another(model: LocalModel):
    first, again, other = model.answer([PROMPTS[0]] * 3, SAMPLED, seeds=[7, 7, 8])
    assert first == again
    assert first != other


def test_gumbel_noise_samples_from_the_softmax(model: LocalModel):
    one_token = Generation(max_new_tokens=1, temperature=1.0, top_k=5)
    ids = torch.tensor([model._encode(PROMPTS[:1], Generation())[0]])
    with torch.inference_mode():
        top = model.model(ids).logits[0, -1].topk(5)
    expected: Counter[str] = Counter()
    for token, share in zip(top.indices.tolist(), top.values.softmax(-1).tolist(), strict=True):
        expected[model.tokenizer.decode([token], skip_special_tokens=True)] += share
    answers = model.answer([PROMPTS[0]] * 2000, one_token, seeds=range(2000))
    found = Counter(answer.text for answer in answers)
    assert found.keys() <= expected.keys()
    for text, share in expected.items():
        assert abs(found[text] / 2000 - share) < 4 * math.sqrt(share * (1 - share) / 2000)


def test_a_prompt_beyond_the_context_is_a_failed_answer(model: LocalModel):
    long = make_prompt(None, "asthma " * 200)
    good, failed = model.answer([PROMPTS[0], long], GREEDY, seeds=[1, 1])
    assert good.text is not None
    assert (failed.text, failed.finish) == (None, "failed")
    assert "128" in (failed.reason or "")


def test_an_answer_stops_where_the_context_ends(model: LocalModel):
    prompt = _prompt_of(model, 120)
    together = model.answer([prompt, PROMPTS[0]], GREEDY, seeds=[1, 1])
    assert together[0] == model.answer([prompt], GREEDY, seeds=[1])[0]
    assert together[0].n_tokens == 128 - model.prompt_lengths([prompt], GREEDY)[0]
    assert together[0].finish == "length"


def test_special_tokens_are_not_part_of_the_text(model: LocalModel):
    new = model.tokenizer.encode("cough<|endoftext|>night<|im_end|>ignored")
    assert model._make_answer(new) == Answer(
        "coughnight", "stop", len(new) - 1 - _after_stop(model, new)
    )


def test_logits_that_are_no_numbers_fail_the_answer(folder: Path):
    model = LocalModel.load(folder)
    with torch.no_grad():
        model.model.model.norm.weight.fill_(float("nan"))
    (answer,) = model.answer([PROMPTS[0]], SAMPLED, seeds=[1])
    assert answer.text is None
    assert "NaN" in (answer.reason or "")


def test_out_of_memory_halves_the_batch(folder: Path):
    small = _FitsRows(LocalModel.load(folder), rows=2)
    assert small.answer(PROMPTS, GREEDY, seeds=range(8)) == LocalModel.load(folder).answer(
        PROMPTS, GREEDY, seeds=range(8)
    )
    nothing = _FitsRows(LocalModel.load(folder), rows=0)
    (answer,) = nothing.answer(PROMPTS[:1], GREEDY, seeds=[1])
    assert "memory" in (answer.reason or "")


def test_the_checkpoints_own_decoding_defaults_do_not_get_in(tmp_path: Path, model: LocalModel):
    changed = make_tiny_model(tmp_path)
    (changed / "generation_config.json").write_text(
        '{"repetition_penalty": 50.0, "do_sample": true, "temperature": 9.0, "eos_token_id": 3}'
    )
    answers = LocalModel.load(changed).answer(PROMPTS, GREEDY, seeds=range(8))
    assert answers == model.answer(PROMPTS, GREEDY, seeds=range(8))


def test_prompt_lengths_count_the_template(model: LocalModel):
    lengths = model.prompt_lengths(PROMPTS, Generation())
    assert lengths == sorted(lengths)
    assert lengths[0] > len(model.tokenizer.encode("cough"))


def test_a_directory_without_safetensors_is_refused(tmp_path: Path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(HarnessError, match=r"only pytorch_model\.bin, which may run code"):
        LocalModel.load(tmp_path)


def test_a_hub_model_needs_a_revision():
    with pytest.raises(HarnessError, match="give its 'revision'"):
        LocalModel.load("nobody/no-such-model")


def test_a_hub_model_out_of_reach_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InfrastructureError, match="Connect to the internet once"):
        LocalModel.load("nobody/no-such-model", revision="main")


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path):
    make_tiny_model(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(HarnessError, match="has no chat template"):
        LocalModel.load(tmp_path)


def test_the_fingerprint_follows_the_files_and_not_their_place(tmp_path: Path, folder: Path):
    copy = make_tiny_model(tmp_path)
    assert fingerprint_model(copy) == fingerprint_model(folder)
    (copy / "config.json").write_text("{}")
    assert fingerprint_model(copy) != fingerprint_model(folder)


class _FitsRows(LocalModel):
    """A machine whose memory holds so many rows."""

    def __init__(self, model: LocalModel, rows: int) -> None:
        super().__init__(model.model, model.tokenizer, model.fingerprint)
        self.rows = rows

    def _generate_batch(self, rows, generation):
        if len(rows) > self.rows:
            raise torch.OutOfMemoryError("too many rows")
        return super()._generate_batch(rows, generation)


def _prompt_of(model: LocalModel, n_tokens: int) -> Prompt:
    """The longest prompt of at most so many tokens."""
    prompts = [make_prompt(None, "night " * n) for n in range(1, 120)]
    fitting = [p for p in prompts if model.prompt_lengths([p], Generation())[0] <= n_tokens]
    return fitting[-1]


def _after_stop(model: LocalModel, ids: list[int]) -> int:
    return len(ids) - 1 - ids.index(model.tokenizer.eos_token_id)


def test_a_reward_model_is_not_let_talk(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForSequenceClassification"]}')
    with pytest.raises(HarnessError, match="is a reward model"):
        load_weights(tmp_path)
