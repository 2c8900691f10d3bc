"""The scripts of docs/scale.md: short, in the languages that they claim, and the first two run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.builders.commands import environment
from tests.builders.files import write, write_world

PAGE = (Path(__file__).parent.parent / "docs" / "scale.md").read_text()
SCRIPTS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
MANIFESTS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", [*SCRIPTS, *MANIFESTS])
def test_no_example_is_longer_than_twenty_lines(text: str) -> None:
    assert len(text.splitlines()) <= 20


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_one_that_a_shell_can_read(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_manifest_is_an_indexed_job_with_as_many_indices_as_shards() -> None:
    (job,) = (yaml.safe_load(text) for text in MANIFESTS)
    assert job["spec"]["completionMode"] == "Indexed"
    assert f'"$1/{job["spec"]["completions"]}"' in SCRIPTS[0]


@pytest.mark.slow
def test_the_scripts_end_with_one_verdict_on_all_items(tmp_path: Path) -> None:
    write_world(tmp_path)
    (tmp_path / "small.yaml").rename(tmp_path / "suite.yaml")
    (tmp_path / "recorded.yaml").rename(tmp_path / "profile.yaml")
    python = write(tmp_path / "harness", '#!/bin/bash\nexec "$PYTHON" -m harness "$@"\n')
    python.chmod(0o700)
    env = environment({"PYTHON": sys.executable, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    for name, script in zip(("shard.sh", "decide.sh"), SCRIPTS, strict=False):
        write(tmp_path / name, script.replace("/shared", str(tmp_path)).replace("/16", "/2"))
    for number in ("1", "2"):
        done = subprocess.run(["bash", "shard.sh", number], cwd=tmp_path, env=env, check=False)
        assert done.returncode == 0
    decided = subprocess.run(["bash", "decide.sh"], cwd=tmp_path, env=env, check=False)
    assert decided.returncode in {0, 1, 3}
    assert len(list((tmp_path / "runs" / "small").glob("*/results.json"))) == 1
