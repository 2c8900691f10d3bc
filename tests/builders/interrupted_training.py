"""Training runs that end early."""

from pathlib import Path
from typing import Any

from tests.builders.recipes import ROWS, SFT
from trainers.checkpoint import CheckpointManifest
from trainers.recipe import Lora
from trainers.sft import train_sft

# Dropout draws random numbers at each step: a resumed run must go on with the same ones.
LONG_SFT = SFT.model_copy(
    update={
        "lora": Lora(r=4, alpha=8, dropout=0.1),
        "trainer": {
            "max_steps": 12,
            "per_device_train_batch_size": 2,
            "learning_rate": 0.01,
            "logging_steps": 1,
        },
    }
)


class KilledError(Exception):
    """Stands for the end of a process at some step."""


def stop(at: int | None) -> Any:
    def progress(stage: str, done: int, total: int) -> None:
        if done == at:
            raise KilledError

    return progress


def sft(base: Path, out: Path, stop_at: int | None = None) -> CheckpointManifest:
    return train_sft(LONG_SFT, base, out, rows=ROWS, progress=stop(stop_at))
