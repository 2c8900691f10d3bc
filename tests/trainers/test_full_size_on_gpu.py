"""Speed and memory of the studies' recipes at full size, on random weights. Needs a GPU.

    pytest -m gpu -s tests/trainers/test_full_size_on_gpu.py

Twenty steps of each, in 4 bits where the recipe says so, by way of the whole harness. The temporary
folder needs 50 GB, merging about 45 GB on the GPU.
"""

import time
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.training.commands import train_recipe
from harness.training.context import make_context
from tests.bench_gpu import lengthen, tokens_in_step
from trainers.dry_run import shrink_recipe

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default"), pytest.mark.timeout(3600)]

N_STEPS, WARM_UP = 20, 5


class Measured(NamedTuple):
    """One stage: tokens a second after the first steps, and peaks in GiB."""

    tokens_per_s: float
    training_gib: float


class Clock:
    """Takes the time and the memory of each stage's steps."""

    def __init__(self) -> None:
        self.started: dict[str, float] = {}
        self.measured: dict[str, tuple[float, float]] = {}

    def log(self, line: str) -> None:
        print(line)

    def advance(self, stage: str, done: int, total: int, note: str = "") -> None:
        import torch

        now = time.monotonic()
        if done == WARM_UP:
            self.started[stage] = now
        if done == N_STEPS:
            seconds = (now - self.started[stage]) / (N_STEPS - WARM_UP)
            self.measured[stage] = seconds, torch.cuda.max_memory_allocated() / 2**30
            torch.cuda.reset_peak_memory_stats()


def measure(recipe: str, folder: Path) -> dict[str, Measured]:
    """Speed and memory of a recipe and of its parents."""
    small = shrink_recipe(recipe, folder, cuda=True, steps=N_STEPS, full_size=True)
    for path in folder.glob("*.jsonl"):
        lengthen(path, 300)
    clock = Clock()
    last = str(folder / small.stages[-1].file)
    train_recipe(last, "tiny", make_context(folder / "store", clock))
    return {
        stage.recipe.recipe: Measured(tokens_in_step(stage.recipe) / seconds, peak)
        for stage in small.stages
        for seconds, peak in [clock.measured[stage.recipe.method]]
    }


@pytest.mark.parametrize("recipe", ["medical_llama3/dpo.yaml", "biomistral/dpo.yaml"])
def test_a_full_size_recipe_trains(recipe: str, tmp_path: Path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    for name, measured in measure(recipe, tmp_path).items():
        print(f"{name}: {measured.tokens_per_s:,.0f} tokens/s, {measured.training_gib:.1f} GiB")
        assert measured.tokens_per_s > 0
    print(f"merging: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
