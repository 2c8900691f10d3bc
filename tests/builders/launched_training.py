"""The same training in one process and in two."""

import socket
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.builders.recipes import ROWS, SFT, quiet
from tests.builders.tiny import make_tiny_model
from trainers.distributed.config import Launch, load_launch
from trainers.recipe import Lora
from trainers.sft import train_sft

LONG = SFT.model_copy(
    update={
        # Dropout draws random numbers: a resumed run must go on with each process's own.
        "lora": Lora(r=4, alpha=8, dropout=0.1),
        "trainer": {"max_steps": 8, "per_device_train_batch_size": 2, "learning_rate": 0.01},
    }
)


class KilledError(Exception):
    """Stands for the end of the launching process at some step."""


def stop(stage: str, done: int, total: int) -> None:
    if done == 5:
        raise KilledError


class Both:
    """One SFT run in one process and in two."""

    def __init__(self, folder: Path) -> None:
        self.base = make_tiny_model(folder / "base")
        self.one, self.two = folder / "one", folder / "two"
        self.seen: list[tuple[str, int, int]] = []
        train_sft(SFT, self.base, self.one, rows=ROWS, progress=quiet)
        with socket.socket() as other:  # the port that accelerate takes unless told otherwise
            other.bind(("127.0.0.1", 0) if _is_taken(29500) else ("127.0.0.1", 29500))
            other.listen()
            train_sft(
                SFT,
                self.base,
                self.two,
                rows=ROWS,
                progress=lambda *step: self.seen.append(step),
                launch=load_launch("two_cpu"),
            )


def _is_taken(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(tmp_path_factory.mktemp("launched"))


@pytest.fixture(scope="module")
def two() -> Launch:
    return load_launch("two_cpu")


@pytest.fixture
def save_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_SAVE_EVERY", "0.001")


def largest_difference(a: Path, b: Path) -> float:
    name = "adapter/adapter_model.safetensors"
    left, right = load_file(a / name), load_file(b / name)
    assert left.keys() == right.keys()
    return max(float((left[key] - right[key]).abs().max()) for key in left)
