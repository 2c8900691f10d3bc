"""Studies that train: killed and resumed, in two processes, and with an arm that cannot be trained."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import environment, harness, harness_here
from tests.builders.files import write, write_rows
from tests.builders.pipelines import make_world
from trainers.checkpoint import load_manifest

pytestmark = pytest.mark.slow

STUDY = """\
study: methods
suite: develop.yaml
profile: world.yaml
metric: rouge.rouge1_f1
recipe: short.yaml
methods:
  lora: {}
  rank_2: {lora: {r: 2, alpha: 4}}
  ia3: {adapter: {kind: ia3}}
  full: {adapter: {kind: full}}
models: [base]
seeds: 3
looks: [{items: 0.5}]
"""
TIMES = ("started", "finished", "registered", "environment", "folder")


def run(world: Path, store: str, *options: str) -> dict[str, Any]:
    command = ("study", "methods.yaml", "--store", store, "--out", f"{store}-runs", *options)
    done = harness(*command, "--format", "json", cwd=world)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    for arm in result["arms"]:  # seconds and memory are measured
        arm.pop("cost")
        arm.pop("on_front")
    for look in result["looks"]:
        look.pop("folder")
    return {key: value for key, value in result.items() if key not in TIMES}


def checkpoints(world: Path, store: str) -> dict[str, int]:
    """Return when each checkpoint's manifest was written."""
    found = (world / store / "checkpoints").glob("[!.]*/checkpoint.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in found}


def kill_at(world: Path, store: str, n: int) -> dict[str, int]:
    """Start the study, kill it when it has made `n` checkpoints, and return these."""
    command = ("study", "methods.yaml", "--store", store, "--out", f"{store}-runs")
    with subprocess.Popen(
        [sys.executable, "-m", "harness", *command], cwd=world, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        while process.poll() is None and len(checkpoints(world, store)) < n:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    return checkpoints(world, store)


@pytest.mark.timeout(1200)
def test_a_study_killed_twice_ends_as_an_undisturbed_one_and_trains_nothing_twice(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    write(world / "methods.yaml", STUDY)
    whole = run(world, "whole")
    first = kill_at(world, "killed", 3)
    second = kill_at(world, "killed", 8)
    assert first.items() <= second.items()
    assert run(world, "killed") == whole
    last = checkpoints(world, "killed")
    assert second.items() <= last.items()
    assert last.keys() == checkpoints(world, "whole").keys()
    assert len(last) == 12


def test_two_trainings_at_a_time_make_the_same_checkpoints(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    text = STUDY.replace("  ia3: {adapter: {kind: ia3}}\n  full: {adapter: {kind: full}}\n", "")
    write(world / "methods.yaml", text)
    assert run(world, "several", "--jobs", "2") == run(world, "single")
    assert checkpoints(world, "several").keys() == checkpoints(world, "single").keys()


def test_an_arm_that_cannot_be_trained_is_named_with_its_words_and_the_others_are_ranked(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    broken = "  full: {trainer: {no_such_option: 1}}\n"
    text = STUDY.replace("  full: {adapter: {kind: full}}\n", broken).replace(
        "seeds: 3", "seeds: 1"
    )
    write(world / "methods.yaml", text.replace("  ia3: {adapter: {kind: ia3}}\n", ""))
    done = harness_here("study", "methods.yaml", "--format", "json", cwd=world)
    assert done.returncode == 0, done.stderr
    arms = json.loads(done.stdout)["arms"]
    assert (arms[-1]["name"], arms[-1]["rank_best"]) == ("full", None)
    assert "no_such_option" in arms[-1]["problem"]
    assert all(arm["rank_best"] for arm in arms[:-1])
    page = (world / "runs" / "studies" / "methods" / "report.html").read_text()
    assert "no_such_option" in page


def test_spent_training_hours_end_a_study_and_what_is_trained_is_kept(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    text = STUDY.replace("seeds: 3", "seeds: 1") + "budget: {training_hours: 0.0000001}\n"
    write(world / "methods.yaml", text)
    done = harness_here("study", "methods.yaml", cwd=world)
    assert done.returncode == 4
    assert "training hours of the budget are spent" in done.stderr
    assert len(checkpoints(world, ".harness")) == 1


CHAIN = """\
recipe: chain
method: dpo
parent: {recipe: short.yaml}
pairs: pairs.yaml
holdout: 0.0
trainer: {max_steps: 1, per_device_train_batch_size: 2}
"""
PAIRS = """\
recipe: pairs
method: given_pairs
data: {path: pairs.jsonl}
"""
OF_PAIRS = """\
study: methods
suite: develop.yaml
profile: world.yaml
metric: rouge.rouge1_f1
recipe: chain.yaml
rows: [4, 8]
methods: {dpo: {}}
seeds: 3
"""


def test_arms_learn_so_many_pairs_and_start_from_the_parent_of_their_seed(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    rows = [
        {"sample_id": str(i), "prompt": [{"role": "user", "content": f"Why a cough {i}?"}],
         "chosen": "See your doctor.", "rejected": f"No {i}.", "source": "given"}
        for i in range(12)
    ]  # fmt: skip
    write_rows(world / "pairs.jsonl", rows)
    for name, text in (("chain", CHAIN), ("pairs", PAIRS), ("methods", OF_PAIRS)):
        write(world / f"{name}.yaml", text)
    run(world, "store")
    made = [load_manifest(path) for path in (world / "store" / "checkpoints").glob("[!.]*")]
    parents = {one.fingerprint: one.seed for one in made if one.method == "sft"}
    arms = [one for one in made if one.method == "dpo"]
    assert sorted(parents.values()) == [1, 2, 3]
    assert sorted(one.seed for one in arms) == [1, 1, 2, 2, 3, 3]
    assert all(one.parent and parents[one.parent.fingerprint] == one.seed for one in arms)
    assert len({one.data_hash for one in arms}) == 2
