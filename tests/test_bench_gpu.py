"""The script for a GPU, run to its end on tiny models without one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench_gpu import measure

SCRIPT = Path(__file__).with_name("gpu.sh")


@pytest.mark.slow
def test_the_script_for_a_gpu_writes_a_row_for_every_part(tmp_path: Path) -> None:
    out = tmp_path / "gpu.md"
    subprocess.run(
        [SCRIPT, "--dry", "--out", out],
        env=os.environ | {"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"},
        capture_output=True, check=True,
    )  # fmt: skip
    lines = out.read_text().splitlines()
    rows = {cells[0]: cells[2:] for line in lines[4:] for cells in [line.strip("| ").split(" | ")]}
    assert rows.pop("llama31_medical vllm")[-1] == "vllm is not on the PATH"
    assert "passed" in rows.pop("tests")[-1]
    trained = {f"{study} {part}" for study in ("llama31_medical", "biomistral") for part in ("sft", "dpo")}  # fmt: skip
    assert rows.keys() == trained | {"llama31_medical packed", "llama31_medical generate"}
    assert all(float(cells[0].replace(",", "")) > 0 for cells in rows.values()), lines


@pytest.mark.slow
def test_a_part_without_enough_time_is_stopped_and_says_so(tmp_path: Path) -> None:
    (row,) = measure("prepare", "biomistral", tmp_path, dry=True, limit_s=0.5)
    assert row == {"what": "biomistral prepare", "note": "stopped after 0 s"}


def test_a_part_for_which_no_time_is_left_says_so(tmp_path: Path) -> None:
    (row,) = measure("sft", "biomistral", tmp_path, dry=True, limit_s=-1.0)
    assert row == {"what": "biomistral sft", "note": "no time was left (limit 570 s)"}
