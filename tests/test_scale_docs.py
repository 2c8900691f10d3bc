"""The scripts of docs/scale.md: short, in the languages that they claim, and run to a verdict.

Ray's own is run in `tests/servers/test_schedulers.py`.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.builders.files import write, write_world
from tests.builders.scale_docs import MANIFEST, PROGRAM, SCRIPTS, write_scripts

N_SHARDS = 2
# Slurm's `sbatch` as far as the page relies on it: runs a job at once, or one for each index of an array.
SBATCH = """#!/bin/bash
for last; do case $last in --array=1-*) n=${last##*-} ;; esac; done
for k in $(seq "${n:-1}"); do SLURM_ARRAY_TASK_ID=$k bash -c "$last" >&2 || exit 1; done
echo 1
"""


@pytest.mark.parametrize("text", [*SCRIPTS, MANIFEST, PROGRAM])
def test_no_example_is_longer_than_twenty_lines(text: str) -> None:
    assert len(text.splitlines()) <= 20


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_one_that_a_shell_can_read(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_manifest_is_an_indexed_job_with_as_many_indices_as_shards() -> None:
    job = yaml.safe_load(MANIFEST)
    assert job["spec"]["completionMode"] == "Indexed"
    assert f'"$1/{job["spec"]["completions"]}"' in SCRIPTS[0]


def run(script: str, world: Path, env: Mapping[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", script], cwd=world, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1, 3}, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["slurm", "kubernetes"])
def test_the_scripts_end_with_one_verdict_on_all_items(tmp_path: Path, scheduler: str) -> None:
    write_world(tmp_path)
    (tmp_path / "small.yaml").rename(tmp_path / "suite.yaml")
    (tmp_path / "recorded.yaml").rename(tmp_path / "profile.yaml")
    env = write_scripts(tmp_path, N_SHARDS)
    if scheduler == "slurm":
        write(tmp_path / "bin" / "sbatch", SBATCH).chmod(0o700)
        run((tmp_path / "slurm.sh").read_text(), tmp_path, env)
    else:
        job = yaml.safe_load((tmp_path / "job.yaml").read_text())
        *_, command = job["spec"]["template"]["spec"]["containers"][0]["command"]
        for index in range(N_SHARDS):
            run(command, tmp_path, {**env, "JOB_COMPLETION_INDEX": str(index)})
        run(str(tmp_path / "decide.sh"), tmp_path, env)
    assert len(list((tmp_path / "stores").iterdir())) == N_SHARDS
    assert len(list((tmp_path / "runs" / "small").glob("*/results.json"))) == 1
