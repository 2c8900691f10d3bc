"""A batch's tokens are those that transformers generates for each prompt alone, whatever the cache."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from harness.config import Generation
from harness.models.decoding import decode, make_cache
from harness.models.local import LocalModel, make_prompt
from harness.models.logits import Sampler
from harness.models.weights import load_weights
from tests.builders.adapter_kinds import with_virtual_tokens
from tests.builders.families import FAMILIES, SIZES, make_base
from tests.builders.tiny import make_tiny_model

SHARED = [40, 61, 90, 33, 75, 52, 84, 47] * 3
PROMPTS = [[*SHARED, *range(50, 50 + n)] for n in (1, 9, 4, 7, 2, 12, 3, 5)]
N_NEW = 20


def config(stops: list[int]) -> Any:
    return transformers.GenerationConfig(
        do_sample=False, max_new_tokens=N_NEW, eos_token_id=stops, pad_token_id=0
    )


def alone(model: Any, ids: list[int], stops: list[int]) -> list[int]:
    """What transformers' own generation adds to one prompt."""
    given = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        output = model.generate(
            input_ids=given, attention_mask=given.new_ones(given.shape), generation_config=config(stops)
        )  # fmt: skip
    return until_stop(output[0, len(ids) :].tolist(), stops)


def until_stop(tokens: list[int], stops: list[int]) -> list[int]:
    end = next((i for i, token in enumerate(tokens) if token in stops), len(tokens))
    return tokens[:end]


def stops_of(model: Any, unending: list[list[int]]) -> list[int]:
    """Return tokens at which some of the answers end early, at different places."""
    return sorted({unending[0][3], unending[1][8], unending[2][14]})


def together(model: Any, prompts: list[list[int]], stops: list[int]) -> list[list[int]]:
    sampler = Sampler(Generation(), [0] * len(prompts), stops[0], model.device)
    found = decode(model, prompts, sampler, config(stops))
    return [until_stop(tokens or [], stops) for tokens in found]


def check(model: Any) -> list[int]:
    """Check that every answer is that of its prompt alone, and return their lengths."""
    stops = stops_of(model, [alone(model, ids, [1]) for ids in PROMPTS])
    expected = [alone(model, ids, stops) for ids in PROMPTS]
    assert together(model, PROMPTS, stops) == expected
    return [len(tokens) for tokens in expected]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_answers_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    model, _ = load_weights(make_base(name, tmp_path))
    lengths = check(model)
    assert len(set(lengths)) > 1  # rows left the batch


def random_model(kind: str, **options: Any) -> Any:
    torch.manual_seed(0)
    made = getattr(transformers, f"{kind}Config")(vocab_size=300, **options)
    model = getattr(transformers, f"{kind}ForCausalLM")(made).eval()
    model.generation_config = transformers.GenerationConfig()
    return model


@pytest.mark.parametrize(("window", "all_kept"), [(12, False), (200, True)])
def test_answers_within_and_beyond_a_sliding_window(window: int, all_kept: bool) -> None:
    model = random_model("Mistral", **SIZES, sliding_window=window)
    assert (make_cache(model, 64) is not None) == all_kept
    check(model)


def test_a_model_with_a_state_in_place_of_keys_is_left_to_transformers() -> None:
    model = random_model("Mamba", hidden_size=32, num_hidden_layers=2, state_size=4)
    assert make_cache(model, 64) is None
    check(model)


def test_what_prompts_share_is_read_once(tmp_path: Path) -> None:
    model, _ = load_weights(make_base("llama3", tmp_path))
    read = []
    model.model.embed_tokens.register_forward_hook(lambda _, given, __: read.append(given[0].shape))
    together(model, PROMPTS, [1])
    assert [tuple(shape) for shape in read[:2]] == [(1, len(SHARED)), (len(PROMPTS), 12)]
    assert {tuple(shape)[1] for shape in read[2:]} == {1}


def test_rows_that_ended_leave_the_batch(tmp_path: Path) -> None:
    model, _ = load_weights(make_base("llama3", tmp_path))
    stops = stops_of(model, [alone(model, ids, [1]) for ids in PROMPTS])
    rows = []
    model.model.embed_tokens.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
    together(model, PROMPTS, stops)
    assert rows[1] == len(PROMPTS)
    assert 1 < rows[-1] < len(PROMPTS) * 3 / 4


@pytest.mark.gpu
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_answers_on_a_gpu_do_not_depend_on_the_batch(temperature: float, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    model = LocalModel.load(make_tiny_model(tmp_path))
    prompts = [make_prompt("Say when to see a doctor.", "cough " * n) for n in range(1, 9)]
    asked = Generation(max_new_tokens=12, temperature=temperature)
    single = [model.answer([p], asked, seeds=[i])[0] for i, p in enumerate(prompts)]
    assert model.answer(prompts, asked, seeds=range(8)) == single


# --- virtual tokens --------------------------------------------------------------------------


@pytest.mark.filterwarnings("default")  # PEFT's own ways of asking
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@pytest.mark.parametrize("name", ["llama3", "gpt2", "mistral"])
def test_virtual_tokens_stand_before_every_prompt_of_a_batch(
    tmp_path: Path, kind: str, name: str
) -> None:
    base, _ = load_weights(make_base(name, tmp_path))
    plain = together(base, PROMPTS, [1])
    tuned = with_virtual_tokens(base, kind)
    assert len(set(check(tuned))) > 2  # some answers ended before others
    assert together(tuned, PROMPTS, [1]) != plain


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_virtual_tokens_before_a_prompt_alone_and_before_unequal_ones(
    tmp_path: Path, kind: str
) -> None:
    base, _ = load_weights(make_tiny_model(tmp_path))
    tuned = with_virtual_tokens(base, kind)
    unequal = [[40 + n, *ids[24:]] for n, ids in enumerate(PROMPTS)]
    for prompts in (PROMPTS[:1], unequal):
        assert together(tuned, prompts, [1]) == [alone(tuned, ids, [1]) for ids in prompts]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_virtual_tokens_of_a_model_with_a_sliding_window(kind: str) -> None:
    check(with_virtual_tokens(random_model("Mistral", **SIZES, sliding_window=12), kind))
