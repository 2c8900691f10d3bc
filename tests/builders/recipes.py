"""Recipes, rows and pairs for the tiny model, and one SFT checkpoint of it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.models.local import make_prompt
from harness.models.weights import load_weights
from harness.types.training import Example, PreferencePair
from tests.builders.tiny import make_tiny_model
from trainers.checkpoint import CheckpointManifest
from trainers.preference import train_on_pairs as train_dpo
from trainers.recipe import (
    DpoRecipe,
    KtoRecipe,
    Lora,
    OrpoRecipe,
    Parent,
    RewardRecipe,
    SftRecipe,
    SimpoRecipe,
)
from trainers.sft import train_sft

ROWS = [
    Example(
        id=f"row-{n}",
        prompt=make_prompt("Say when to see a doctor.", "cough " * n),
        completion="See your doctor soon.",
    )
    for n in range(1, 9)
]

PAIRS = [
    PreferencePair(
        sample_id=row.id, prompt=row.prompt, chosen=row.completion, rejected="asthma", source="gold"
    )
    for row in ROWS
]

SFT = SftRecipe(
    recipe="test_sft",
    method="sft",
    parent=Parent(checkpoint="base"),
    data=({"path": "unused.jsonl"},),
    lora=Lora(r=4, alpha=8),
    trainer={"max_steps": 3, "per_device_train_batch_size": 4, "learning_rate": 0.01},
)

DPO = DpoRecipe(
    recipe="test_dpo",
    method="dpo",
    parent=Parent(recipe="sft.yaml"),
    pairs="pairs.yaml",
    holdout=0.25,
    trainer={"max_steps": 3, "per_device_train_batch_size": 3, "learning_rate": 0.01},
)


class Sft:
    """One SFT run that several tests look at."""

    def __init__(self, folder: Path) -> None:
        self.base = make_tiny_model(folder / "base")
        self.out = folder / "sft"
        self.seen: list[tuple[str, int, int]] = []
        self.manifest = train_sft(
            SFT, self.base, self.out, rows=ROWS, progress=lambda *step: self.seen.append(step)
        )


@pytest.fixture(scope="module")
def sft(tmp_path_factory: pytest.TempPathFactory) -> Sft:
    return Sft(tmp_path_factory.mktemp("training"))


def quiet(stage: str, done: int, total: int) -> None:
    pass


def dpo(sft: Sft, out: Path, **changes: object) -> CheckpointManifest:
    return train_dpo(DPO.model_copy(update=changes), sft.out, out, pairs=PAIRS, progress=quiet)


def last_logits(folder: Path) -> torch.Tensor:
    model, tokenizer = load_weights(folder)
    ids = tokenizer("My son coughs every night.", return_tensors="pt").input_ids
    with torch.inference_mode():
        return model.eval()(ids).logits


LORA = Lora(r=4, alpha=8)

COMMON: dict[str, Any] = {
    "recipe": "test",
    "parent": Parent(recipe="sft.yaml"),
    "pairs": "pairs.yaml",
    "holdout": 0.25,
    "trainer": {
        "max_steps": 6,
        "per_device_train_batch_size": 4,
        "learning_rate": 0.01,
        "logging_steps": 1,
    },
}

KTO = KtoRecipe(method="kto", **COMMON)
ORPO = OrpoRecipe(method="orpo", **COMMON)
SIMPO = SimpoRecipe(method="simpo", **COMMON)
REWARD = RewardRecipe(method="reward", lora=LORA, **COMMON)
