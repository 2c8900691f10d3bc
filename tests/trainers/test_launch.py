"""The same run in one process and in two, on CPUs: what is equal, and how either ends."""

import math
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError, InfrastructureError
from tests.builders.failing import Faulty, LittleMemory
from tests.builders.launched_training import (
    LONG,
    Both,
    KilledError,
    both,
    largest_difference,
    save_every_step,
    stop,
    two,
)
from tests.builders.recipes import DPO, KTO, ORPO, PAIRS, REWARD, ROWS, SFT, SIMPO, quiet
from trainers.checkpoint import CheckpointManifest, Origin, verify_checkpoint
from trainers.distributed.config import Launch, load_launch
from trainers.examples import data_hash
from trainers.preference import train_on_pairs
from trainers.recipe import PairTrainedRecipe
from trainers.sft import Sft, train_sft
from trainers.starting_model import StartingPoint
from trainers.training import train_adapter

__all__ = ["both", "save_every_step", "two"]  # fixtures

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def run_method(method: Any, both: Both, out: Path, two: Launch) -> CheckpointManifest:
    origin = Origin(source=str(both.base), fingerprint="base")
    return train_adapter(
        SFT, method, out, start=StartingPoint(origin, origin), data_hash=data_hash(ROWS), progress=quiet,
        launch=two,
    )  # fmt: skip


def test_two_processes_learn_what_one_learns(both: Both):
    assert largest_difference(both.one, both.two) < 1e-5
    one, two = verify_checkpoint(both.one), verify_checkpoint(both.two)
    assert two.key == one.key
    assert two.metrics["train_loss"] == pytest.approx(one.metrics["train_loss"], abs=1e-5)
    assert two.metrics["merge_kl"] < 1e-6
    assert two.facts["processes"] == "2, with 2 rows at a time in each"


def test_steps_are_told_once(both: Both):
    assert both.seen == [("sft", 1, 3), ("sft", 2, 3), ("sft", 3, 3)]


def test_nothing_but_the_checkpoint_is_left(both: Both):
    assert {path.name for path in both.two.parent.iterdir()} == {"base", "one", "two"}
    assert {path.name for path in both.two.iterdir()} == {path.name for path in both.one.iterdir()}


def test_two_processes_prefer_what_one_prefers(both: Both, two: Launch, tmp_path: Path):
    options = DPO.trainer | {"per_device_train_batch_size": 2, "max_steps": 5}
    recipe = DPO.model_copy(update={"trainer": options})
    one = train_on_pairs(recipe, both.one, tmp_path / "one", pairs=PAIRS, progress=quiet)
    launched = train_on_pairs(
        recipe, both.one, tmp_path / "two", pairs=PAIRS, progress=quiet, launch=two
    )
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-3
    loss = next(curve.values for curve in launched.curves if curve.name == "loss")
    assert loss[0] == pytest.approx(math.log(2), abs=1e-3)
    for name in ("eval_loss", "eval_rewards/margins"):
        assert launched.metrics[name] == pytest.approx(one.metrics[name], abs=1e-3)


def in_one_and_two(recipe: PairTrainedRecipe, both: Both, two: Launch, folder: Path) -> None:
    """Train where what one process accumulates, two take at a time; the rows fill every step."""
    batch = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "max_steps": 3}
    changed = recipe.model_copy(update={"holdout": 0.0, "trainer": recipe.trainer | batch})
    for name, launch in (("one", None), ("two", two)):
        train_on_pairs(changed, both.one, folder / name, pairs=PAIRS, progress=quiet, launch=launch)


@pytest.mark.parametrize("recipe", [ORPO, SIMPO, REWARD], ids=lambda recipe: recipe.method)
def test_other_methods_on_pairs_learn_the_same_in_two_processes(
    both: Both, two: Launch, tmp_path: Path, recipe: PairTrainedRecipe
):
    in_one_and_two(recipe, both, two, tmp_path)
    assert verify_checkpoint(tmp_path / "two").facts["launched"] == "2xdata_parallel"
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-3


def test_kto_starts_at_its_reference_in_two_processes(both: Both, two: Launch, tmp_path: Path):
    in_one_and_two(KTO, both, two, tmp_path)
    made = verify_checkpoint(tmp_path / "two")
    loss = next(curve.values for curve in made.curves if curve.name == "loss")
    assert loss[0] == pytest.approx(0.5, abs=1e-3)
    assert made.facts["processes"] == "2, with 2 rows at a time in each"


@pytest.mark.usefixtures("save_every_step")
def test_a_resumed_launch_ends_with_the_same_weights(both: Both, two: Launch, tmp_path: Path):
    train_sft(LONG, both.base, tmp_path / "whole", rows=ROWS, progress=quiet, launch=two)
    with pytest.raises(KilledError):
        train_sft(LONG, both.base, tmp_path / "killed", rows=ROWS, progress=stop, launch=two)
    assert list(tmp_path.glob(".killed.*.steps/checkpoint-*/trainer_state.json"))
    assert not (tmp_path / "killed").exists()
    seen: list[int] = []
    train_sft(
        LONG,
        both.base,
        tmp_path / "killed",
        rows=ROWS,
        progress=lambda stage, done, total: seen.append(done),
        launch=two,
    )
    assert seen[0] > 1
    assert largest_difference(tmp_path / "whole", tmp_path / "killed") == 0.0
    assert not list(tmp_path.glob(".killed.*"))


def test_where_memory_ends_in_one_process_all_take_half_as_many_rows(
    both: Both, two: Launch, tmp_path: Path
):
    method = LittleMemory(Sft(SFT, both.base, ROWS))
    made = run_method(method, both, tmp_path / "halved", two)
    assert made.facts["batch"] == "1 at a time, accumulated 2 times: memory ended"
    assert largest_difference(both.one, tmp_path / "halved") < 1e-5


def test_a_loss_that_is_no_number_ends_all_processes(both: Both, two: Launch, tmp_path: Path):
    options = {"max_steps": 40, "learning_rate": 1e30, "logging_steps": 1, "max_grad_norm": 0.0}
    recipe = SFT.model_copy(update={"trainer": SFT.trainer | options})
    with pytest.raises(HarnessError, match=r"became NaN or infinite at step \d+"):
        train_sft(recipe, both.base, tmp_path / "out", rows=ROWS, progress=quiet, launch=two)
    assert not (tmp_path / "out").exists()


def test_a_fault_in_one_process_is_told(both: Both, two: Launch, tmp_path: Path):
    with pytest.raises(InfrastructureError, match="Process 1 of 2 failed") as ended:
        run_method(Faulty(Sft(SFT, both.base, ROWS)), both, tmp_path / "out", two)
    assert "ZeroDivisionError: one over nothing" in str(ended.value)


def test_a_process_that_is_killed_ends_the_others(both: Both, two: Launch, tmp_path: Path):
    with pytest.raises(InfrastructureError, match="ended with code"):
        run_method(Faulty(Sft(SFT, both.base, ROWS), True), both, tmp_path / "out", two)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def fsdp2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    """Our configuration for GPUs, on CPUs."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "builders" / "cpus_as_gpus"))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    ours = load_launch("fsdp2")
    file = tmp_path / "fsdp2.yaml"
    file.write_text(ours.file.read_text(encoding="utf-8") + "use_cpu: true\n", encoding="utf-8")
    return ours._replace(file=file, cpu=True)


@pytest.mark.usefixtures("save_every_step")
def test_a_sharded_model_learns_what_a_whole_one_learns(both: Both, fsdp2: Launch, tmp_path: Path):
    kept: list[str] = []

    def look(stage: str, done: int, total: int) -> None:
        kept.extend(path.name for path in tmp_path.glob(".out.*.2xfsdp.steps/checkpoint-1/*"))

    made = train_sft(SFT, both.base, tmp_path / "out", rows=ROWS, progress=look, launch=fsdp2)
    assert made.facts["launched"] == "2xfsdp"
    assert "pytorch_model_fsdp_0" in kept  # in parts: nobody had the whole
    assert largest_difference(both.one, tmp_path / "out") < 1e-5


@pytest.mark.usefixtures("save_every_step")
def test_a_resumed_sharded_run_ends_with_the_same_weights(
    both: Both, fsdp2: Launch, tmp_path: Path
):
    train_sft(LONG, both.base, tmp_path / "whole", rows=ROWS, progress=quiet, launch=fsdp2)
    with pytest.raises(KilledError):
        train_sft(LONG, both.base, tmp_path / "killed", rows=ROWS, progress=stop, launch=fsdp2)
    train_sft(LONG, both.base, tmp_path / "killed", rows=ROWS, progress=quiet, launch=fsdp2)
    assert largest_difference(tmp_path / "whole", tmp_path / "killed") == 0.0


def test_a_sharded_dpo_run_starts_at_its_reference(both: Both, fsdp2: Launch, tmp_path: Path):
    options = DPO.trainer | {"per_device_train_batch_size": 2, "max_steps": 5}
    recipe = DPO.model_copy(update={"trainer": options})
    train_on_pairs(recipe, both.one, tmp_path / "one", pairs=PAIRS, progress=quiet)
    made = train_on_pairs(
        recipe, both.one, tmp_path / "two", pairs=PAIRS, progress=quiet, launch=fsdp2
    )
    loss = next(curve.values for curve in made.curves if curve.name == "loss")
    assert loss[0] == pytest.approx(math.log(2), abs=1e-3)
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-3
