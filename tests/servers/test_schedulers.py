"""The examples of docs/scale.md on a real Ray, and the manifest against Kubernetes' own schema."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.models.serving.process import EngineProcess, free_port
from tests.builders.commands import harness
from tests.builders.files import write, write_rows
from tests.builders.inference_servers import ENVIRONMENTS
from tests.builders.processes import parent_of, wait_until_some
from tests.builders.run_results import read_without_times
from tests.builders.scale_docs import MANIFEST, write_scripts
from tests.builders.tiny import make_tiny_model

PROGRAMS = ENVIRONMENTS / "schedulers" / "bin"
pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(
        not (PROGRAMS / "ray").is_file(),
        reason="`make test-servers` installs Ray and kubernetes-validate",
    ),
]

SUITE = """\
suite: small
data: {source: {path: items.jsonl, fields: {id: id, input: question, reference: answer}}}
generation: {max_new_tokens: 16}
metrics: {rouge: {kind: rouge}}
"""
PROFILE = "profile: small\nmodels: {{sft: {{checkpoint: {0}/sft}}, dpo: {{checkpoint: {0}/dpo}}}}\n"
N_SHARDS = 2
N_ITEMS = 64 * N_SHARDS  # shards of a checkpoint are whole batches


@pytest.fixture
def world(tmp_path: Path) -> Path:
    for seed, name in enumerate(("sft", "dpo")):
        make_tiny_model(tmp_path / name, seed=seed)
    rows = [
        {"id": f"q{i}", "question": f"Is cough {i} asthma?", "answer": "Yes."}
        for i in range(N_ITEMS)
    ]
    write_rows(tmp_path / "items.jsonl", rows)
    write(tmp_path / "suite.yaml", SUITE)
    write(tmp_path / "profile.yaml", PROFILE.format(tmp_path))
    return tmp_path


@pytest.fixture
def cluster(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Ray cluster of this machine with two places for tasks; the environment of its programs."""
    env, port = write_scripts(world, N_SHARDS), free_port()
    env |= {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    folder = tmp_path_factory.mktemp("ray")
    command = [str(PROGRAMS / "ray"), "start", "--head", "--block", f"--port={port}"]
    command += [
        "--num-cpus=2",
        "--num-gpus=2",
        "--include-dashboard=false",
        "--disable-usage-stats",
    ]
    process = EngineProcess("ray", command, env, port, folder / "log.txt")
    deadline = time.monotonic() + 120
    asked = [str(PROGRAMS / "ray"), "health-check", "--address", env["RAY_ADDRESS"]]
    while subprocess.run(asked, capture_output=True, check=False).returncode != 0:
        assert process.alive, process.last_words()
        assert time.monotonic() < deadline, process.last_words()
    yield env
    process.stop()


def test_shards_on_ray_with_a_worker_killed_are_one_run(
    world: Path, cluster: dict[str, str]
) -> None:
    program = [str(PROGRAMS / "python"), str(world / "shards.py")]
    with subprocess.Popen(
        program, cwd=world, env=cluster, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        (shard, *_) = wait_until_some(f"{world}/stores/1\0", 120)
        script = parent_of(shard)
        for process in (parent_of(script), script, shard):  # Ray's worker, and what it started
            os.kill(process, signal.SIGKILL)
        said, _ = run.communicate(timeout=400)
    assert run.returncode == 0, said
    options = ("--models", "sft,dpo", "--profile", "profile.yaml", "--store", "whole")
    whole = harness("run", "suite.yaml", *options, "--out", "whole-runs", cwd=world)
    assert whole.returncode in {0, 1, 3}, whole.stderr
    on_ray, here = (read_without_times(world / runs / "small") for runs in ("runs", "whole-runs"))
    assert on_ray == here


def test_kubernetes_takes_the_manifest(tmp_path: Path) -> None:
    manifest = write(tmp_path / "job.yaml", MANIFEST)
    program = [str(PROGRAMS / "kubernetes-validate"), "--strict", str(manifest)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    write(manifest, MANIFEST.replace("backoffLimitPerIndex", "backoffLimitByIndex"))
    assert subprocess.run(program, capture_output=True, check=False).returncode == 1
