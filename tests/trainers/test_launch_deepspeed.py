"""DeepSpeed on two CPU processes: the model, or its optimiser, in parts. `pip install deepspeed` first."""

import math
from pathlib import Path

import pytest

from tests.builders.launched_training import (
    LONG,
    Both,
    KilledError,
    both,
    largest_difference,
    save_every_step,
    stop,
)
from tests.builders.recipes import DPO, PAIRS, ROWS, SFT, quiet
from trainers.distributed.config import Launch, load_launch
from trainers.preference import train_on_pairs
from trainers.sft import train_sft

pytest.importorskip("deepspeed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
__all__ = ["both", "save_every_step"]  # fixtures


@pytest.fixture(params=["deepspeed_zero2", "deepspeed_zero3"])
def launch(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Launch:
    """Our configuration for GPUs, on CPUs."""
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    ours = load_launch(request.param)
    file = tmp_path / "deepspeed.yaml"
    file.write_text(ours.file.read_text(encoding="utf-8") + "use_cpu: true\n", encoding="utf-8")
    return ours._replace(file=file, cpu=True)


def test_what_is_learnt_in_parts_is_what_one_learns(
    both: Both, launch: Launch, tmp_path: Path
) -> None:
    made = train_sft(SFT, both.base, tmp_path / "out", rows=ROWS, progress=quiet, launch=launch)
    assert made.facts["launched"] == "2xdeepspeed"
    assert largest_difference(both.one, tmp_path / "out") < 1e-5


@pytest.mark.usefixtures("save_every_step")
def test_a_resumed_run_ends_with_the_same_weights(
    both: Both, launch: Launch, tmp_path: Path
) -> None:
    train_sft(LONG, both.base, tmp_path / "whole", rows=ROWS, progress=quiet, launch=launch)
    with pytest.raises(KilledError):
        train_sft(LONG, both.base, tmp_path / "killed", rows=ROWS, progress=stop, launch=launch)
    train_sft(LONG, both.base, tmp_path / "killed", rows=ROWS, progress=quiet, launch=launch)
    assert largest_difference(tmp_path / "whole", tmp_path / "killed") == 0.0


def test_dpo_starts_at_its_reference(both: Both, launch: Launch, tmp_path: Path) -> None:
    options = DPO.trainer | {"per_device_train_batch_size": 2, "max_steps": 5}
    recipe = DPO.model_copy(update={"trainer": options})
    train_on_pairs(recipe, both.one, tmp_path / "one", pairs=PAIRS, progress=quiet)
    made = train_on_pairs(
        recipe, both.one, tmp_path / "two", pairs=PAIRS, progress=quiet, launch=launch
    )
    loss = next(curve.values for curve in made.curves if curve.name == "loss")
    assert loss[0] == pytest.approx(math.log(2), abs=1e-3)
    assert largest_difference(tmp_path / "one", tmp_path / "two") < 1e-3
