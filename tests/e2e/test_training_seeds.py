"""A recipe on another recipe, both trained with two seeds: seed 2 starts from seed 2."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.commands import harness_here
from tests.builders.files import write
from tests.builders.pipelines import make_world
from trainers.checkpoint import CheckpointManifest, load_manifest

PROFILE = """\
profile: world
models:
  base: {checkpoint: base}
  short: {recipe: short.yaml, seeds: [1, 2]}
  next: {recipe: next.yaml, seeds: [1, 2]}
"""


def run(world: Path, models: str) -> dict[str, Any]:
    command = ("run", "develop.yaml", "--profile", "world.yaml", "--models", models)
    done = harness_here(*command, "--format", "json", cwd=world)
    assert done.returncode in {0, 1, 3}, done.stderr
    folder = world / json.loads(done.stdout)["folder"]
    result: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return result


def checkpoints(world: Path) -> dict[str, CheckpointManifest]:
    """Return the manifests of all trained checkpoints by recipe and seed."""
    found = (load_manifest(path) for path in (world / ".harness" / "checkpoints").iterdir())
    return {f"{one.recipe} {one.seed}": one for one in found}


@pytest.mark.slow
def test_every_seed_is_trained_down_the_chain_and_kept(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    write(world / "world.yaml", PROFILE)
    write(world / "next.yaml", (world / "short.yaml").read_text()
          .replace("recipe: short", "recipe: next").replace("checkpoint: base", "recipe: short.yaml"))  # fmt: skip
    first = run(world, "short,next")
    made = checkpoints(world)
    assert set(made) == {"short 1", "short 2", "next 1", "next 2"}
    assert len({one.fingerprint for one in made.values()}) == 4
    for seed in (1, 2):
        parent = made[f"next {seed}"].parent
        assert parent is not None
        assert parent.fingerprint == made[f"short {seed}"].fingerprint
    assert [card["model"] for card in first["checkpoints"]] == [
        "short@seed1", "short@seed2", "next@seed1", "next@seed2",
    ]  # fmt: skip
    assert "one_training_each" not in {caveat["code"] for caveat in first["caveats"]}
    # The base model answers once; nothing is trained again.
    against_base = run(world, "base,next")
    assert [one["seed"] for one in against_base["comparisons"][0]["seeds"]["seeds"]] == [1, 2]
    assert checkpoints(world) == made
