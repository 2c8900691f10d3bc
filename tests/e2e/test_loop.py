"""The loop in the world of the tiny models: a good recipe is promoted, a sabotaged one is not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.paths import bundle_root
from harness.release.registry import Registry
from tests.builders.commands import environment, harness
from tests.builders.files import write
from tests.builders.pipelines import LOOP, make_world
from tests.builders.stored_rows import count_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

DPO = """\
recipe: sabotaged
method: dpo
parent: {recipe: tiny/sft.yaml}
pairs: flipped.yaml
"""


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the tiny loop has run to its end; takes some minutes."""
    world = tmp_path_factory.mktemp("loop")
    done = harness("loop", "tiny", cwd=world, timeout_s=1800)
    assert done.returncode == 0, done.stderr
    return world


def test_a_good_recipe_is_promoted_with_its_whole_lineage(promoted: Path) -> None:
    standing = Registry(promoted / ".harness").find("tiny_assistant")
    assert [a.recipe for a in standing.lineage] == ["tiny_dpo", "tiny_sft", "tiny_base"]
    listed = harness("models", cwd=promoted)
    assert listed.stdout.startswith("tiny_assistant.1  tiny_dpo")


def test_a_recipe_with_flipped_pairs_is_stopped_and_what_stands_stays(promoted: Path) -> None:
    (pairs,) = (promoted / ".harness" / "pairs").glob("*.jsonl")
    rows = [json.loads(line) for line in pairs.read_text().splitlines()]
    flipped = [
        row | {"chosen": row["rejected"], "rejected": row["chosen"], "source": "given"}
        for row in rows
    ]
    write(promoted / "flipped.jsonl", "".join(json.dumps(row) + "\n" for row in flipped))
    write(
        promoted / "flipped.yaml",
        "recipe: flipped\nmethod: given_pairs\ndata: {path: flipped.jsonl}\n",
    )
    options = (bundle_root() / "trainers/recipes/tiny/dpo.yaml").read_text().partition("holdout")
    write(promoted / "dpo.yaml", DPO + options[1] + options[2])
    loops = bundle_root() / "suites" / "loops"
    for suite in loops.glob("tiny_*.yaml"):
        text = suite.read_text().replace("../", f"{bundle_root()}/suites/")
        write(promoted / suite.name, text)
    text = (loops / "tiny.yaml").read_text().replace("[tiny/dpo.yaml]", "[dpo.yaml]")
    write(promoted / "loop.yaml", text)

    before = Registry(promoted / ".harness").history("tiny_assistant")
    done = harness("loop", "loop.yaml", "--format", "json", cwd=promoted, timeout_s=1800)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert [stage["verdict"] for stage in told["stages"]] == ["pass", "fail"]
    assert Registry(promoted / ".harness").history("tiny_assistant") == before


def test_a_loop_killed_again_and_again_promotes_what_an_undisturbed_one_does(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path)
    write(
        world / "loop.yaml",
        LOOP.replace("RECIPES", "short.yaml, long.yaml").replace("LOSERS", "keep"),
    )
    whole = harness("loop", "loop.yaml", "--store", "whole", cwd=world)
    assert whole.returncode == 0, whole.stderr
    for moment in MOMENTS:
        kill_at(world, moment)
    done = harness("loop", "loop.yaml", "--store", "killed", cwd=world)
    assert done.returncode == 0, done.stderr
    stands = [Registry(world / store).find("assistant") for store in ("whole", "killed")]
    assert stands[0].fingerprint == stands[1].fingerprint
    assert (stands[1].look, stands[1].number) == (1, 1)
    assert stands[0].sentence == stands[1].sentence


def kill_at(world: Path, moment: Callable[[Path], bool]) -> None:
    """Start the loop, and kill it as soon as its store looks like this."""
    command = [sys.executable, "-m", "harness", "loop", "loop.yaml", "--store", "killed"]
    with subprocess.Popen(
        command,
        cwd=world,
        env=environment({"HARNESS_SAVE_EVERY": "0.001"}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 120
        while not moment(world / "killed"):
            assert process.poll() is None, "the loop ended before the moment came"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)


def is_training(recipe: str) -> Callable[[Path], bool]:
    return lambda store: any(store.glob(f"checkpoints/.{recipe}*.steps/checkpoint-*"))


def has_rows(n: int) -> Callable[[Path], bool]:
    return lambda store: count_rows(store) >= n


def is_certifying(store: Path) -> bool:
    return (store / "models" / "assistant" / "looks.jsonl").is_file()


# One in every stage: training each recipe, answering, and the certification.
MOMENTS = (is_training("short"), is_training("long"), has_rows(1), has_rows(20), is_certifying)
