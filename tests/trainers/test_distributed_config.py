"""What an accelerate configuration may say, and which recipes several processes can train."""

from pathlib import Path

import pytest

from harness.core.errors import HarnessError
from tests.builders.recipes import SFT
from trainers.distributed.config import (
    Launch,
    WorldInfo,
    check_launch,
    halve_batch,
    known_launches,
    load_launch,
    split_batch,
)
from trainers.recipe import OnlineRecipe, Quantisation, Recipe, TrainingEvalSpec, load_recipe

GPUS = 4
MULTI_GPU = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
num_machines: 1
mixed_precision: 'no'
"""
ZERO = MULTI_GPU.replace("MULTI_GPU", "DEEPSPEED") + "deepspeed_config: {zero_stage: 2}\n"
FSDP = MULTI_GPU.replace("MULTI_GPU", "FSDP") + "fsdp_config: {fsdp_version: 2}\n"


@pytest.fixture(autouse=True)
def gpus_and_deepspeed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where everything can be launched; nothing is."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: GPUS)
    monkeypatch.setattr("trainers.distributed.config.find_spec", lambda name: name)


def launch(kind: str, *, cpu: bool = False, offload: bool = False) -> Launch:
    return Launch(Path("launch.yaml"), kind, 2, cpu, offload)  # type: ignore[arg-type]


def with_options(**options: object) -> Recipe:
    return SFT.model_copy(update={"trainer": SFT.trainer | options})


@pytest.mark.parametrize("name", known_launches())
def test_what_is_shipped_is_read_by_accelerate(name: str):
    from accelerate.commands.config.config_args import load_config_from_file

    found = load_launch(name)
    config = load_config_from_file(str(found.file))
    assert config.mixed_precision == "no"
    assert found.processes == (2 if name == "two_cpu" else GPUS)
    assert found.kind == {"fsdp2": "fsdp", "multi_gpu": "data_parallel", "two_cpu": "data_parallel"}.get(name, "deepspeed")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MULTI_GPU.replace("'no'", "bf16"), "mixed_precision bf16: the precision is the recipe's"),
        (MULTI_GPU + "num_processes: 8\n", "num_processes is 8, and there are 4 GPUs here"),
        (MULTI_GPU + "num_processes: 1\n", "is for one process alone; omit --launch"),
        (MULTI_GPU.replace("num_machines: 1", "num_machines: 2"), "num_machines must be 1"),
        (MULTI_GPU.replace("MULTI_GPU", "MULTI_CPU"), "starts only one process for MULTI_CPU"),
        (MULTI_GPU.replace("MULTI_GPU", "MEGATRON_LM"), "MEGATRON_LM is not supported"),
        (MULTI_GPU.replace("LOCAL_MACHINE", "AMAZON_SAGEMAKER"), "accelerate cannot read it"),
        (MULTI_GPU + "num_procs: 2\n", "accelerate cannot read it: .*num_procs"),
        ("- a list\n", "is no accelerate configuration"),
        ("a: [\n", "accelerate cannot read it"),
        (FSDP.replace("2}", "1}"), "fsdp_version must be 2"),
        (FSDP + "use_cpu: true\n", "fsdp shards over GPUs"),
        (FSDP + "parallelism_config: {parallelism_config_tp_size: 2}\n", "would have processes share rows"),
        (ZERO.replace("2}", "2, gradient_clipping: 1.0}"), r"is the recipe's \(trainer.max_grad_norm\)"),
    ],
)  # fmt: skip
def test_a_configuration_that_would_do_something_else_is_refused(
    tmp_path: Path, text: str, message: str
):
    (tmp_path / "launch.yaml").write_text(text)
    with pytest.raises(HarnessError, match=message):
        load_launch(str(tmp_path / "launch.yaml"))


def test_an_unknown_name_is_corrected():
    with pytest.raises(HarnessError, match="Did you mean 'fsdp2'"):
        load_launch("fsdp3")


def test_what_this_machine_lacks_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trainers.distributed.config.find_spec", lambda name: None)
    with pytest.raises(HarnessError, match="`pip install deepspeed`"):
        load_launch("deepspeed_zero2")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(HarnessError, match="needs NVIDIA GPUs, and this machine has none"):
        load_launch("fsdp2")


@pytest.mark.parametrize(
    ("size", "accumulated", "processes", "expected"),
    [(2, 4, 2, (2, 2)), (2, 4, 4, (2, 1)), (8, 1, 2, (4, 1)), (2, 4, 8, (1, 1)), (6, 2, 4, (3, 1))],
)
def test_the_batch_of_a_step_is_shared_out(
    size: int, accumulated: int, processes: int, expected: tuple[int, int]
):
    options = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulated}
    shared = split_batch("recipe", options, WorldInfo(world_size=processes))
    assert tuple(shared.values()) == expected
    assert processes * expected[0] * expected[1] == size * accumulated


def test_a_batch_that_cannot_be_shared_out_is_refused():
    options = {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 2}
    with pytest.raises(HarnessError, match=r"learns from 6 rows .* num_processes may be 2, 3, 6"):
        split_batch("recipe", options, WorldInfo(world_size=4))


def test_where_memory_ended_the_shared_batch_is_halved():
    options = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2}
    shared = split_batch("recipe", options, WorldInfo(world_size=2, halvings=2))
    assert tuple(shared.values()) == (2, 4)
    assert halve_batch(3, 1) == (1, 3)


@pytest.mark.parametrize(
    ("recipe", "launched", "message"),
    [
        (with_options(optim="paged_adamw_8bit"), launch("fsdp"), "cannot read FSDP's sharded"),
        (with_options(optim="adamw_8bit"), launch("deepspeed", offload=True), "moves the optimiser to the CPU"),
        (with_options(fsdp="full_shard"), launch("data_parallel"), "trainer.fsdp: is set by --launch"),
        (SFT.model_copy(update={"quantisation": Quantisation(bits=4)}), launch("data_parallel", cpu=True), "asks for CPUs"),
        (SFT.model_copy(update={"watch": TrainingEvalSpec(suite="s", every=1)}), launch("fsdp"), "watch: cannot be launched"),
        (with_options(per_device_train_batch_size=3), launch("fsdp"), "cannot share evenly"),
    ],
)  # fmt: skip
def test_a_recipe_that_would_mean_something_else_is_refused(
    recipe: Recipe, launched: Launch, message: str
):
    with pytest.raises(HarnessError, match=message):
        check_launch(recipe, launched)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["grpo", "rloo"])
def test_answers_that_are_rewarded_while_they_train_are_not_launched(name: str):
    recipe, _ = load_recipe(f"tiny/{name}.yaml")
    assert isinstance(recipe, OnlineRecipe)
    with pytest.raises(HarnessError, match="Train it without --launch"):
        check_launch(recipe, launch("data_parallel"))


@pytest.mark.parametrize("kind", ["data_parallel", "deepspeed"])
def test_the_studies_recipes_can_be_launched(kind: str):
    for name in (
        "medical_llama3/sft",
        "medical_llama3/dpo",
        "biomistral/dpo",
        "llama31_medical/dpo",
    ):
        recipe, _ = load_recipe(f"{name}.yaml")
        check_launch(recipe, launch(kind))  # type: ignore[arg-type]


def test_four_bits_are_kept_under_a_type_that_can_be_sharded(monkeypatch: pytest.MonkeyPatch):
    import torch

    from trainers.adapter import _quantisation_config

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert _quantisation_config(Quantisation(bits=4)).bnb_4bit_quant_storage == torch.uint8
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert _quantisation_config(Quantisation(bits=4)).bnb_4bit_quant_storage == torch.bfloat16
