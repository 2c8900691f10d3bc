"""Every kind of adapter on a GPU: in bfloat16, and on a base in 4 and 8 bits. Needs a GPU.

pytest -m gpu tests/trainers/test_adapters_on_gpu.py
"""

from pathlib import Path

import pytest
import torch

from tests.builders.adapter_kinds import KINDS
from tests.builders.recipes import ROWS, SFT, quiet
from tests.builders.tiny import make_tiny_model
from trainers.checkpoint import verify_checkpoint
from trainers.recipe import EightBits, Quantisation
from trainers.sft import train_sft

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize("bits", [None, 4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_trains_on_a_gpu(kind: str, bits: int | None, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    adapter = KINDS[kind]
    if bits in adapter.refused_bits:
        pytest.skip(f"refused in {bits} bits")
    quantised = {None: None, 4: Quantisation(bits=4), 8: EightBits(bits=8)}[bits]
    changes = {"lora": None, "adapter": adapter, "quantisation": quantised}
    recipe = SFT.model_copy(update=changes | {"trainer": SFT.trainer | {"bf16": True}})
    base = make_tiny_model(tmp_path / "base")
    made = train_sft(recipe, base, tmp_path / "out", rows=ROWS, progress=quiet)
    assert verify_checkpoint(tmp_path / "out") == made
    assert made.metrics.get("merge_kl", 0.0) < 1e-3
