"""Every kind of adapter through every method: where it starts, what it changes, and what is kept of it."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.config import Generation, ServeSpec
from harness.core.errors import HarnessError
from harness.models.local import LocalModel, make_prompt
from harness.models.model_folder import verified_fingerprint
from harness.models.serving.chat_format import Weights
from harness.models.serving.servers import Servers
from harness.models.weights import load_weights
from reports.model_card import _ON_BASE
from tests.builders.adapter_kinds import KINDS
from tests.builders.interrupted_training import LONG_SFT, KilledError, stop
from tests.builders.recipes import (
    DPO,
    KTO,
    ORPO,
    PAIRS,
    REWARD,
    ROWS,
    SFT,
    SIMPO,
    last_logits,
    quiet,
)
from tests.builders.tiny import make_tiny_model
from trainers import training
from trainers.adapter_kinds import Adapter, LoraPlus, Pissa
from trainers.checkpoint import CheckpointManifest, verify_checkpoint
from trainers.export import copy_checkpoint
from trainers.merge import merge_adapter
from trainers.preference import train_on_pairs
from trainers.recipe import AdapterRecipe, EightBits, Parent, Quantisation, SftRecipe
from trainers.sft import train_sft
from trainers.shape import find_shape

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

METHODS: dict[str, AdapterRecipe] = {r.method: r for r in (SFT, DPO, KTO, ORPO, SIMPO, REWARD)}
MERGED = [name for name, kind in KINDS.items() if kind.merges and name != "full"]
CONTINUED = [name for name in MERGED if name != "lora"]
TRAINED = [
    pytest.param(method, kind, id=f"{method}-{kind}", marks=() if quick else pytest.mark.slow)
    for method in METHODS
    for kind, spec in KINDS.items()
    if method not in spec.refused_methods
    for quick in [(method, kind) in {("sft", "ia3"), ("dpo", "pissa"), ("kto", "prompt")}]
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("kinds") / "base")


def train(
    recipe: AdapterRecipe, adapter: Adapter | None, parent: Path, out: Path, **trainer: object
) -> CheckpointManifest:
    options = recipe.trainer | {"logging_steps": 1, "max_steps": 3} | trainer
    changes = {"lora": None, "adapter": adapter, "trainer": options}
    recipe = recipe.model_copy(update=changes)
    if isinstance(recipe, SftRecipe):
        return train_sft(recipe, parent, out, rows=ROWS, progress=quiet)
    return train_on_pairs(recipe, parent, out, pairs=PAIRS, progress=quiet)


def curve(made: CheckpointManifest, name: str) -> tuple[float, ...]:
    return next(curve.values for curve in made.curves if curve.name == name)


@pytest.mark.parametrize(("method", "kind"), TRAINED)
def test_a_kind_learns_by_a_method_from_where_it_starts(
    base: Path, tmp_path: Path, method: str, kind: str
) -> None:
    spec, out = KINDS[kind], tmp_path / "out"
    made = train(METHODS[method], spec, base, out)
    assert verify_checkpoint(out) == made
    assert made.facts["adapter"] == spec.description
    # The formula's number of parameters is trained, all of them or all that the rows touch.
    shape = find_shape(Parent(checkpoint=str(base)), base)
    assert shape is not None
    head = 16 if method == "reward" else 0
    assert made.facts["trainable parameters"].startswith(f"{spec.count_trained(shape) + head:,} of")
    assert made.facts["adapter entries that moved"] != "0.0%"
    assert min(curve(made, "grad_norm")) > 0
    # It starts at the base, where the kind does.
    first = curve(made, "loss")[0]
    match method:
        case "dpo" if spec.starts_at_base:
            assert first == pytest.approx(math.log(2), abs=1e-4)
            assert curve(made, "rewards/margins")[0] == pytest.approx(0, abs=1e-4)
        case "kto" if spec.starts_at_base:
            assert first == pytest.approx(0.5, abs=1e-4)
        case "dpo" | "kto":
            assert curve(made, "rewards/margins")[0] != pytest.approx(0, abs=1e-3)
        case "reward":
            assert first == pytest.approx(math.log(2), abs=1e-4)
    # What is kept is what was trained, merged where that can be.
    assert (out / "model.safetensors").is_file() == spec.merges
    assert (out / "adapter_config.json").is_file() == (not spec.merges)
    if spec.merges:
        name = "merge_difference" if method == "reward" else "merge_kl"
        assert made.metrics[name] < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "orpo"])
def test_all_kinds_that_start_at_the_base_have_its_first_loss(
    base: Path, tmp_path: Path, method: str
) -> None:
    first = {
        kind: curve(train(METHODS[method], spec, base, tmp_path / kind, max_steps=1), "loss")[0]
        for kind, spec in KINDS.items()
        if spec.starts_at_base
    }
    assert first == pytest.approx(dict.fromkeys(first, first["lora"]), abs=1e-4)


QUICK = ("pissa", "prefix", "full")


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in QUICK else pytest.mark.slow) for k in KINDS]
)
def test_what_is_loaded_answers_as_what_was_trained(
    base: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, save = [], training.save_trained

    def watched(model: Any, *rest: Any, **options: Any) -> None:
        trained.append(logits(model, tokenizer))
        save(model, *rest, **options)

    tokenizer = load_weights(base)[1]
    monkeypatch.setattr(training, "save_trained", watched)
    train(SFT, KINDS[kind], base, tmp_path / "out", learning_rate=0.05)
    loaded = logits(load_weights(tmp_path / "out")[0], tokenizer)
    assert torch.allclose(loaded, trained[0], atol=1e-3)
    assert not torch.allclose(loaded, last_logits(base), atol=1e-2)


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    ids = tokenizer("My son coughs every night.", return_tensors="pt").input_ids
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(ids).logits
    return found[:, -ids.shape[1] :]  # without those of virtual tokens


@pytest.mark.parametrize(("kind", "rate"), [("lora", 1e30), ("prefix", 3e38)])
def test_a_last_step_that_diverges_makes_no_checkpoint(
    base: Path, tmp_path: Path, kind: str, rate: float
) -> None:
    with pytest.raises(
        HarnessError, match=r"logits are NaN or infinite\..* its last step diverged"
    ):
        train(SFT, KINDS[kind], base, tmp_path / "out", max_steps=1, learning_rate=rate)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_of_a_kind_ends_with_the_weights_of_an_undisturbed_one(
    base: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_SAVE_EVERY", "0.001")
    recipe = LONG_SFT.model_copy(update={"lora": None, "adapter": KINDS[kind]})

    def run(out: Path, stop_at: int | None) -> CheckpointManifest:
        return train_sft(recipe, base, out, rows=ROWS, progress=stop(stop_at))

    whole = run(tmp_path / "whole", None)
    with pytest.raises(KilledError):
        run(tmp_path / "killed", 6)
    resumed = run(tmp_path / "killed", None)
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.metrics == whole.metrics


@pytest.mark.slow
@pytest.mark.parametrize("kind", CONTINUED)
def test_dpo_goes_on_with_the_adapter_of_a_kind(base: Path, tmp_path: Path, kind: str) -> None:
    train(SFT, KINDS[kind], base, tmp_path / "sft")
    made = train(DPO, None, tmp_path / "sft", tmp_path / "dpo")
    assert curve(made, "rewards/margins")[0] == pytest.approx(0, abs=1e-4)
    assert curve(made, "loss")[0] == pytest.approx(math.log(2), abs=1e-4)
    assert made.metrics["merge_kl"] < 1e-6
    assert made.adapter_base is not None
    assert made.adapter_base.source == str(base)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MERGED)
def test_the_adapter_of_a_kind_merges_by_its_command_too(
    base: Path, tmp_path: Path, kind: str
) -> None:
    train(SFT, KINDS[kind], base, tmp_path / "sft")
    merge_adapter(tmp_path / "sft" / "adapter", str(base), tmp_path / "merged")
    found = last_logits(tmp_path / "merged")
    assert torch.allclose(found, last_logits(tmp_path / "sft"), atol=1e-4)


@pytest.mark.slow
def test_pissa_in_half_precision_is_rounded_as_lora_is(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base")
    model, _ = load_weights(base)
    for weight in model.parameters():
        weight.data *= 0.4  # or rounding alone moves its far too certain answers
    model.to(torch.bfloat16).save_pretrained(base)
    pissa = Pissa(kind="pissa", r=8, alpha=8)
    first = {
        spec.kind: train(SFT, spec, base, tmp_path / spec.kind, max_steps=2)
        for spec in (pissa, KINDS["lora"])
    }
    losses = {kind: curve(made, "loss")[0] for kind, made in first.items()}
    assert losses["pissa"] == pytest.approx(losses["lora"], rel=1e-2)
    assert first["pissa"].metrics["merge_kl"] < 5 * first["lora"].metrics["merge_kl"]
    assert load_weights(tmp_path / "pissa")[0].dtype is torch.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_learns_on_a_base_in_a_few_bits_on_a_cpu(
    base: Path, tmp_path: Path, kind: str, bits: int
) -> None:
    if bits in KINDS[kind].refused_bits:
        pytest.skip(f"refused in {bits} bits")
    quantised = Quantisation(bits=4, compute="float32") if bits == 4 else EightBits(bits=8)
    recipe = SFT.model_copy(update={"quantisation": quantised})
    made = train(recipe, KINDS[kind], base, tmp_path / "out")
    assert min(curve(made, "grad_norm")) > 0
    assert made.facts["adapter entries that moved"] != "0.0%"
    assert made.metrics.get("merge_kl", 0.0) < 1e-6


def test_lora_plus_moves_its_second_matrix_as_many_times_as_fast(
    base: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    spec = LoraPlus(kind="lora_plus", r=4, alpha=8, ratio=8.0)
    train(SFT, spec, base, tmp_path / "out", max_steps=1, learning_rate=0.001)
    weights = load_file(tmp_path / "out" / "adapter" / "adapter_model.safetensors")
    moved = max(float(w.abs().max()) for name, w in weights.items() if "lora_B" in name)
    assert moved == pytest.approx(8 * 0.001, rel=1e-3)  # Adam's first step is its learning rate


# --- an adapter beside its base --------------------------------------------------------------


@pytest.fixture(scope="module")
def beside(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of prompt tuning, on a base of its own that tests may damage."""
    folder = tmp_path_factory.mktemp("beside")
    shutil.copytree(base, folder / "base")
    train(SFT, KINDS["prompt"], folder / "base", folder / "out")
    return folder / "out"


def test_an_unmerged_checkpoint_answers_on_its_base_and_stops_as_trained(beside: Path) -> None:
    model = LocalModel.load(beside)
    asked = [row.prompt for row in ROWS[:3]]
    generation = Generation(max_new_tokens=8)
    answers = model.answer(asked, generation, seeds=[1, 2, 3])
    single = [model.answer([p], generation, seeds=[n])[0] for n, p in enumerate(asked)]
    assert [a.text for a in answers] == [a.text for a in single]
    assert model.context == 128 - 4
    assert model.fingerprint == verified_fingerprint(beside)
    stops = json.loads((beside / "generation_config.json").read_text())["eos_token_id"]
    assert set(model._stops) == set(stops)


def test_a_changed_base_is_another_model_and_is_refused(beside: Path, tmp_path: Path) -> None:
    copy = tmp_path / "base"
    shutil.copytree(beside.parent / "base", copy)
    make_tiny_model(beside.parent / "base", seed=7)
    try:
        with pytest.raises(HarnessError, match=r"its base .* has changed since it was trained"):
            LocalModel.load(beside)
    finally:
        shutil.rmtree(beside.parent / "base")
        shutil.copytree(copy, beside.parent / "base")


def test_a_checkpoint_and_its_base_beside_it_move_together(beside: Path, tmp_path: Path) -> None:
    before = verified_fingerprint(beside)
    moved = shutil.copytree(beside.parent, tmp_path / "moved")
    make_tiny_model(beside.parent / "base", seed=7)
    try:
        assert verified_fingerprint(moved / "out") == before
    finally:
        shutil.rmtree(beside.parent / "base")
        shutil.copytree(moved / "base", beside.parent / "base")


def test_an_adapter_of_virtual_tokens_is_neither_merged_nor_trained_on(
    beside: Path, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match="prompt tuning: its learnt tokens stand before every"):
        merge_adapter(beside, str(beside.parent / "base"), tmp_path / "merged")
    for adapter in (None, KINDS["lora"]):
        with pytest.raises(HarnessError, match=r"cannot be trained on: .* Train on its base"):
            train(DPO, adapter, beside, tmp_path / "dpo")


def test_an_adapter_on_a_base_of_this_machine_is_not_given_away(
    beside: Path, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match="its base is a folder of this machine"):
        copy_checkpoint(beside, tmp_path / "given")
    assert not (tmp_path / "given").exists()


@pytest.mark.slow
def test_the_cards_code_loads_an_adapter_on_its_base(
    beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(beside)  # PEFT looks for '../base' from where it runs
    code = _ON_BASE.replace("PATH_OR_NAME", ".").replace("256", "8")
    names: dict[str, Any] = {}
    exec(code, names)
    text = names["tokenizer"].decode(names["answer"], skip_special_tokens=True)
    prompt = make_prompt(None, "...")
    (answer,) = LocalModel.load(beside).answer([prompt], Generation(max_new_tokens=8), seeds=[1])
    assert text == answer.text


@pytest.mark.parametrize(("engine", "remedy"), [("vllm", "Leave 'serve' out"), ("sglang", "")])
def test_an_engine_is_not_started_on_virtual_tokens(beside: Path, engine: str, remedy: str) -> None:
    weights = Weights(str(beside), None, verified_fingerprint(beside))
    with pytest.raises(HarnessError, match=f"prompt tuning, and engines hold LoRA .*{remedy}"):
        Servers(None).announce(weights, ServeSpec.model_validate({"engine": engine}))
