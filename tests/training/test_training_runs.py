"""What every training run shares: resuming, a shrinking batch, and stopping when it is lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.core.errors import HarnessError
from tests.builders.interrupted_training import KilledError, sft, stop
from tests.builders.recipes import DPO, PAIRS, ROWS, SFT, quiet
from tests.builders.tiny import make_tiny_model
from trainers.checkpoint import load_manifest
from trainers.distributed.config import WorldInfo
from trainers.preference import train_on_pairs as train_dpo
from trainers.resume import describe_set_aside, latest_checkpoint
from trainers.sft import Sft, train_sft
from trainers.trl_config import check_finite

pytestmark = pytest.mark.filterwarnings("default")  # TRL and its kin warn of their own futures

LONG_DPO = DPO.model_copy(
    update={"trainer": {"max_steps": 12, "per_device_train_batch_size": 2, "learning_rate": 0.01}}
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture
def save_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_SAVE_EVERY", "0.001")


@pytest.mark.slow
@pytest.mark.usefixtures("save_every_step")
def test_a_resumed_sft_run_ends_with_the_same_weights(base: Path, tmp_path: Path) -> None:
    whole = sft(base, tmp_path / "whole")
    with pytest.raises(KilledError):
        sft(base, tmp_path / "killed", stop_at=7)
    assert not (tmp_path / "killed").exists()
    (steps,) = tmp_path.glob(".killed.*.steps")
    kept = {path.name for path in steps.glob("checkpoint-*")}
    assert kept == {"checkpoint-5", "checkpoint-6"}
    resumed = sft(base, tmp_path / "killed")
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.curves == whole.curves
    assert not steps.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("save_every_step")
def test_a_resumed_dpo_run_ends_with_the_same_weights(base: Path, tmp_path: Path) -> None:
    train_sft(SFT, base, tmp_path / "sft", rows=ROWS, progress=quiet)
    parent = tmp_path / "sft"
    whole = train_dpo(LONG_DPO, parent, tmp_path / "whole", pairs=PAIRS, progress=quiet)
    with pytest.raises(KilledError):
        train_dpo(LONG_DPO, parent, tmp_path / "killed", pairs=PAIRS, progress=stop(7))
    resumed = train_dpo(LONG_DPO, parent, tmp_path / "killed", pairs=PAIRS, progress=quiet)
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.metrics == whole.metrics


@pytest.mark.slow
@pytest.mark.usefixtures("save_every_step")
def test_a_step_with_any_file_cut_off_falls_back_to_the_one_before(
    base: Path, tmp_path: Path
) -> None:
    """Each file of the latest step in turn is cut in half, and then removed."""
    whole = sft(base, tmp_path / "whole")
    with pytest.raises(KilledError):
        sft(base, tmp_path / "killed", stop_at=7)
    (steps,) = tmp_path.glob(".killed.*.steps")
    shutil.copytree(steps, tmp_path / "kept")
    names = [
        p.relative_to(steps / "checkpoint-6")
        for p in (steps / "checkpoint-6").rglob("*")
        if p.is_file()
    ]
    assert {"optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "whole.json"} < {
        name.name for name in names
    }
    for name in names:
        for damage in (cut_in_half, Path.unlink):
            shutil.rmtree(steps)
            shutil.copytree(tmp_path / "kept", steps)
            damage(steps / "checkpoint-6" / name)
            assert latest_checkpoint(steps, WorldInfo()) == str(steps / "checkpoint-5")
            assert not (steps / "checkpoint-6").exists()
            assert "step 6 (" in describe_set_aside(steps)["kept steps set aside"]
    resumed = sft(base, tmp_path / "killed")
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.curves == whole.curves
    assert resumed.facts["kept steps set aside"].startswith("step 6 (")


def cut_in_half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.slow
@pytest.mark.usefixtures("save_every_step")
def test_where_no_kept_step_is_whole_the_run_begins_anew(base: Path, tmp_path: Path) -> None:
    whole = sft(base, tmp_path / "whole")
    with pytest.raises(KilledError):
        sft(base, tmp_path / "killed", stop_at=4)
    for path in tmp_path.glob(".killed.*.steps/checkpoint-*/optimizer.pt"):
        cut_in_half(path)
    resumed = sft(base, tmp_path / "killed")
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.facts["kept steps set aside"] == (
        "step 2 (optimizer.pt is damaged), step 3 (optimizer.pt is damaged)"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("save_every_step")
def test_steps_that_an_earlier_version_kept_are_resumed_from(base: Path, tmp_path: Path) -> None:
    """They have no marks; one whose state was cut off is set aside."""
    whole = sft(base, tmp_path / "whole")
    with pytest.raises(KilledError):
        sft(base, tmp_path / "killed", stop_at=7)
    (steps,) = tmp_path.glob(".killed.*.steps")
    for mark in steps.glob("checkpoint-*/whole.json"):
        mark.unlink()
    assert latest_checkpoint(steps, WorldInfo()) == str(steps / "checkpoint-6")
    (steps / "checkpoint-6" / "trainer_state.json").write_text('{"global_step": 6, "log_')
    assert latest_checkpoint(steps, WorldInfo()) == str(steps / "checkpoint-5")
    assert sft(base, tmp_path / "killed").fingerprint == whole.fingerprint


@pytest.mark.slow
def test_a_short_run_keeps_no_steps(base: Path, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        sft(base, tmp_path / "killed", stop_at=7)
    assert not list(tmp_path.glob(".killed.*.steps/checkpoint-*"))


@pytest.mark.slow
def test_where_memory_ends_the_batch_is_halved_and_the_effective_batch_stays(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Sft.make_trainer

    def in_little_memory(self: Sft, config: Any) -> Any:
        """A trainer whose model has memory for two rows at a time."""
        trainer = make(self, config)

        def check(module: Any, args: Any, kwargs: Any) -> None:
            if len(kwargs["input_ids"]) > 2:
                raise torch.OutOfMemoryError

        trainer.model.register_forward_pre_hook(check, with_kwargs=True)
        return trainer

    plain = train_sft(SFT, base, tmp_path / "plain", rows=ROWS, progress=quiet)
    monkeypatch.setattr(Sft, "make_trainer", in_little_memory)
    made = train_sft(SFT, base, tmp_path / "halved", rows=ROWS, progress=quiet)
    assert made.facts["batch"] == "2 at a time, accumulated 2 times: memory ended"
    losses = [
        next(curve.values for curve in manifest.curves if curve.name == "loss")
        for manifest in (plain, made)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_the_run_at_once(base: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    options = {"max_steps": 40, "learning_rate": 1e30, "logging_steps": 1, "max_grad_norm": 0.0}
    recipe = SFT.model_copy(update={"trainer": SFT.trainer | options})
    with pytest.raises(HarnessError, match=r"became NaN or infinite at step \d+"):
        train_sft(
            recipe,
            base,
            tmp_path / "sft",
            rows=ROWS,
            progress=lambda stage, done, total: seen.append(done),
        )
    assert seen[-1] < 40
    assert not (tmp_path / "sft").exists()


@pytest.mark.slow
def test_training_killed_from_outside_goes_on_where_it_was(base: Path, tmp_path: Path) -> None:
    """The same through the operating system: kill -9, then the same call in a new process."""
    whole = sft(base, tmp_path / "whole")
    script = (
        "from pathlib import Path; from tests.builders.interrupted_training import sft; "
        f"sft(Path({str(base)!r}), Path({str(tmp_path / 'killed')!r}))"
    )
    environment = os.environ | {"HARNESS_SAVE_EVERY": "0.001"}
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".killed.*.steps/checkpoint-*/trainer_state.json")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    resumed = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert resumed.returncode == 0
    assert load_manifest(tmp_path / "killed").fingerprint == whole.fingerprint


def test_a_loss_is_checked_with_its_step() -> None:
    check_finite([{"loss": 1.0, "grad_norm": 0.5, "step": 1}])
    with pytest.raises(HarnessError, match="at step 3"):
        check_finite([{"loss": float("nan"), "step": 3}])
