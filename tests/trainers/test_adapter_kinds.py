"""The `adapter` block of a recipe: its kinds, their keys, facts and parameters."""

from pathlib import Path

import pytest

from harness.config import ServeSpec
from harness.core.errors import HarnessError
from tests.builders.adapter_kinds import KINDS
from tests.builders.recipes import DPO, SFT
from trainers.adapter_kinds import Adapter, Ia3, Lora, Pissa, continued
from trainers.checkpoint import checkpoint_key
from trainers.distributed.config import Launch, check_launch
from trainers.dry_run import random_model, shrink
from trainers.memory import Memory, estimate_memory
from trainers.peft_config import peft_config
from trainers.recipe import AdapterRecipe, EightBits, KtoRecipe, SftRecipe, load_recipe
from trainers.recipe_graph import recipe_graph, require_servable
from trainers.shape import MISTRAL_7B, SMOLLM2_135M, Shape, count_parameters, linear_layers

SFT_FILE = """\
recipe: mine
method: sft
parent: {checkpoint: base}
data: [{path: rows.jsonl, fields: {input: q, reference: a}}]
"""
DPO_FILE = "recipe: mine\nmethod: METHOD\nparent: {recipe: sft.yaml}\npairs: pairs.yaml\n"


def load(folder: Path, text: str) -> object:
    (folder / "it.yaml").write_text(text)
    return load_recipe(str(folder / "it.yaml"))[0]


def test_lora_is_the_short_form_of_its_kind_and_the_same_checkpoint(tmp_path: Path) -> None:
    short = load(tmp_path, SFT_FILE + "lora: {r: 4, alpha: 8}\n")
    block = load(tmp_path, SFT_FILE + "adapter: {kind: lora, r: 4, alpha: 8}\n")
    assert checkpoint_key(short, "parent", "data") == checkpoint_key(block, "parent", "data")
    assert "kind" not in block.model_dump_json()
    assert short.new_adapter == block.new_adapter


def test_lists_are_read_below_a_recipe_of_every_method(tmp_path: Path) -> None:
    lists = "lora: {r: 4, alpha: 8, target_modules: [q_proj, v_proj]}\n"
    head = "recipe: it\nparent: {checkpoint: base}\n"
    kto = load(tmp_path, f"{head}method: kto\nlabelled: {{path: rows.jsonl}}\n{lists}")
    data = (
        "data: [{path: rows.jsonl, fields: {input: q, reference: a}, where_any: {topic: [a, b]}}]\n"
    )
    sft = load(tmp_path, f"{head}method: sft\n{data}{lists}")
    assert isinstance(kto, KtoRecipe)
    assert isinstance(sft, SftRecipe)
    assert kto.lora == sft.lora == Lora(r=4, alpha=8, target_modules=("q_proj", "v_proj"))
    assert sft.data[0].where_any == {"topic": ("a", "b")}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("adapter: {kind: lorra, r: 4}", "adapter.kind: 'lorra' is unknown. Did you mean 'lora'"),
        ("adapter: {kind: ia3, r: 4}", "5: adapter.r: unknown key. Known: feedforward_modules"),
        ("adapter: {kind: prompt}", "adapter.tokens: this key is required"),
        (
            "adapter: {kind: dora, r: 4, alpha: 8, modules_to_save: [lm_head]}",
            "unknown key",
        ),
        ("adapter: {kind: ia3}\nlora: {r: 4, alpha: 8}", "adapter: 'lora' is its short form"),
        ("lora: {r: 4, alpha: 8, target_modules: []}", "5: lora.target_modules: "),
        ("adapter: {kind: ia3, target_modules: ['']}", "5: adapter.target_modules.0: "),
        ("", "adapter: is missing: say what is trained"),
        ("adapter: {kind: full}\nquantisation: {bits: 4}", "quantisation: does not go with 'full'"),
        ("adapter: {kind: pissa, r: 4, alpha: 4}\nquantisation: {bits: 8}", "with 'pissa'"),
        ("lora: {r: 4, alpha: 8}\nquantisation: {bits: 8, kind: nf4}", "kind: unknown key"),
        (
            "adapter: {kind: prefix, tokens: 4}\ntrainer: {gradient_checkpointing: true}",
            "6: trainer.gradient_checkpointing: does not go with 'prefix'",
        ),
        (
            "adapter: {kind: ia3, target_modules: [v_proj], feedforward_modules: [down_proj]}",
            "adapter.feedforward_modules: 'down_proj' is not in 'target_modules'",
        ),
    ],
)
def test_a_mistake_in_the_block_is_named_on_its_line(
    tmp_path: Path, block: str, message: str
) -> None:
    with pytest.raises(HarnessError) as error:
        load(tmp_path, SFT_FILE + block + "\n")
    assert message in str(error.value)


@pytest.mark.parametrize("method", ["orpo", "simpo", "reward"])
def test_a_method_that_cannot_train_a_kind_is_refused_with_the_reason(
    tmp_path: Path, method: str
) -> None:
    block = "adapter: {kind: prompt, tokens: 4}\n"
    with pytest.raises(HarnessError, match=f"adapter: 'prompt' is not trained by '{method}': "):
        load(tmp_path, DPO_FILE.replace("METHOD", method) + block)


@pytest.mark.filterwarnings("default")  # PEFT asks transformers by an old name
@pytest.mark.parametrize("shape", [MISTRAL_7B, SMOLLM2_135M], ids=["mistral", "smollm2"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "full"])
def test_trained_parameters_are_those_that_peft_counts(shape: Shape, kind: str) -> None:
    import torch
    from peft import get_peft_model

    small, adapter = shrink(shape, vocab_size=300), KINDS[kind]
    plain = random_model(small, dtype=torch.float32)
    tuned = get_peft_model(plain, peft_config(adapter, plain, None))
    trained, total = tuned.get_nb_trainable_parameters()
    assert trained == adapter.count_trained(small)
    assert trained == sum(p.numel() for p in tuned.parameters() if p.requires_grad)
    assert total - trained == count_parameters(small)


def test_full_fine_tuning_trains_all_weights() -> None:
    assert KINDS["full"].count_trained(MISTRAL_7B) == 7_241_732_096


def test_pissa_of_a_higher_rank_than_a_layer_is_refused_by_its_sizes() -> None:
    with pytest.raises(HarnessError, match=r"adapter.r: 256 is more than the 192 singular values"):
        Pissa(kind="pissa", r=256, alpha=8).count_trained(SMOLLM2_135M)


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_virtual_tokens_leave_room_for_a_prompt_in_the_context(kind: str) -> None:
    adapter = KINDS[kind].model_copy(update={"tokens": SMOLLM2_135M.context})
    with pytest.raises(HarnessError, match=r"adapter\.tokens: 8192 leave no room for a prompt"):
        adapter.targets(SMOLLM2_135M)
    assert not KINDS[kind].targets(SMOLLM2_135M)


def test_a_plan_advises_a_lower_rank_than_a_layer_can_have() -> None:
    assert not KINDS["dora"].advice(SMOLLM2_135M)
    (advice,) = Lora(r=200, alpha=8).advice(SMOLLM2_135M)
    assert "rank 200 is more than k_proj (192 x 576) can have" in advice


def test_ia3_needs_names_where_peft_has_none_for_the_family() -> None:
    with pytest.raises(HarnessError, match=r"family 'mamba'\. Name 'target_modules'"):
        Ia3(kind="ia3").count_trained(MISTRAL_7B._replace(family="mamba"))


def test_the_family_of_ia3s_layers_are_those_of_peft() -> None:
    from peft.utils import constants

    for family in ("llama", "mistral"):
        assert Ia3(kind="ia3").layers_of(family) == (
            tuple(constants.TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING[family]),
            tuple(constants.TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING[family]),
        )


@pytest.mark.parametrize("kind", ["dora", "pissa", "ia3", "vera"])
def test_embeddings_are_adapted_by_some_kinds_only(kind: str) -> None:
    adapter = KINDS[kind].model_copy(update={"target_modules": ("embed_tokens",)})
    with pytest.raises(HarnessError, match="lora, rslora and lora_plus only"):
        adapter.count_trained(SMOLLM2_135M)


def test_what_a_later_recipe_trains_on_is_the_adapter_as_it_was_saved() -> None:
    saved = continued(KINDS["pissa"])
    assert saved == KINDS["lora"].model_copy(update={"r": 8, "alpha": 8})
    assert continued(KINDS["lora_plus"]) == KINDS["lora"]
    assert continued(KINDS["dora"]) == KINDS["dora"]
    assert continued(KINDS["prompt"]) is continued(KINDS["full"]) is None


# --- before anything is trained --------------------------------------------------------------


def write_chain(folder: Path, sft: str, dpo: str = "") -> str:
    (folder / "sft.yaml").write_text(SFT_FILE + sft + "\n")
    (folder / "dpo.yaml").write_text(DPO_FILE.replace("METHOD", "dpo") + dpo + "\n")
    pairs = "recipe: pairs\nmethod: given_pairs\ndata: {path: pairs.jsonl}\n"
    (folder / "pairs.yaml").write_text(pairs)
    return str(folder / "dpo.yaml")


@pytest.mark.parametrize(
    ("sft", "dpo", "message"),
    [
        ("adapter: {kind: prompt, tokens: 4}", "", "cannot start from sft.yaml, an adapter of prompt"),
        ("adapter: {kind: prefix, tokens: 4}", "lora: {r: 4, alpha: 8}", "an adapter of prefix tuning"),
        ("adapter: {kind: full}", "", "sft.yaml trains all weights, so there is no adapter to go on"),
    ],
)  # fmt: skip
def test_a_recipe_that_its_parent_leaves_nothing_to_start_from_is_refused_at_once(
    tmp_path: Path, sft: str, dpo: str, message: str
) -> None:
    recipe, root = load_recipe(write_chain(tmp_path, sft, dpo))
    with pytest.raises(HarnessError, match=message):
        recipe_graph(recipe, root, name="dpo.yaml")


def test_a_chain_goes_on_with_the_adapter_that_its_first_recipe_saved(tmp_path: Path) -> None:
    recipe, root = load_recipe(write_chain(tmp_path, "adapter: {kind: pissa, r: 4, alpha: 4}"))
    assert recipe_graph(recipe, root)[-1].adapter == Lora(r=8, alpha=8)


def test_an_engine_that_cannot_hold_the_adapter_is_refused_at_once(tmp_path: Path) -> None:
    write_chain(tmp_path, "adapter: {kind: prompt, tokens: 4}")
    recipe, root = load_recipe(str(tmp_path / "sft.yaml"))
    stage = recipe_graph(recipe, root)[-1]
    with pytest.raises(HarnessError, match="model 'm': serve: vllm holds whole models and LoRA"):
        require_servable(stage, ServeSpec(engine="vllm"), "model 'm'")
    require_servable(stage, None, "model 'm'")


@pytest.mark.parametrize("kind", ["dora", "ia3", "full"])
def test_kinds_that_were_not_tried_in_several_processes_are_not_launched(kind: str) -> None:
    recipe = SFT.model_copy(update={"lora": None, "adapter": KINDS[kind]})
    launch = Launch(Path("two.yaml"), "data_parallel", 2, cpu=True, offload=False)
    with pytest.raises(HarnessError, match=f"'{kind}' cannot be launched in several processes"):
        check_launch(recipe, launch)


# --- memory ----------------------------------------------------------------------------------


def memory(method: AdapterRecipe, adapter: Adapter, **changes: object) -> Memory:
    recipe = method.model_copy(update={"lora": None, "adapter": adapter, **changes})
    found = estimate_memory(recipe, MISTRAL_7B, adapter)
    assert found is not None
    return found


def test_all_weights_are_held_in_float32_with_their_states_and_twice_beside_a_reference() -> None:
    n = count_parameters(MISTRAL_7B)
    sft, dpo = memory(SFT, KINDS["full"]), memory(DPO, KINDS["full"])
    assert (sft.weights, sft.gradients, sft.optimiser, sft.adapter) == (4 * n, 4 * n, 8 * n, 0)
    assert dpo.weights == 2 * sft.weights


def test_a_frozen_copy_is_the_reference_of_pissa_alone() -> None:
    pissa, lora = memory(DPO, KINDS["pissa"]), memory(DPO, KINDS["lora"])
    assert pissa.adapter == 2 * lora.adapter


def test_eight_bits_take_a_byte_a_weight_of_the_layers_and_their_scales() -> None:
    eight = memory(SFT, KINDS["lora"], quantisation=EightBits(bits=8))
    layers = linear_layers(MISTRAL_7B)
    inside, scales = sum(x.n_in * x.n_out for x in layers), sum(x.n_out for x in layers)
    assert eight.weights == inside + 4 * scales + 2 * (count_parameters(MISTRAL_7B) - inside)


def test_prefix_tuning_keeps_all_activations_as_it_cannot_compute_them_again() -> None:
    prefix, ia3 = memory(SFT, KINDS["prefix"]), memory(SFT, KINDS["ia3"])
    assert prefix.activations > 3 * ia3.activations


# --- what is written about them --------------------------------------------------------------


def test_the_documentations_table_has_every_kind_with_its_facts() -> None:
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    rows = {
        cells[1].partition("`")[2].partition("`")[0]: cells
        for cells in (line.split("|") for line in text.splitlines() if line.startswith("| `"))
        if len(cells) == 10
    }
    for kind, spec in KINDS.items():
        _, _, keys, start, merged, refused, bits, *_ = (cell.strip() for cell in rows[kind])
        assert start.startswith("yes" if spec.starts_at_base else "no")
        assert merged.startswith("no") == (not spec.merges)
        assert set(refused.split(", ") if refused else []) == set(spec.refused_methods)
        assert {b for b in (4, 8) if str(b) in bits} == {4, 8} - set(spec.refused_bits)
        named = set(type(spec).model_fields) - {"kind"}
        assert all(f"`{name}`" in keys for name in named) or "as `lora`" in keys
