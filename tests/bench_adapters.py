"""What each kind of adapter trains on the tiny base, and what a step of it takes: a table for docs/recipes.md.

    python -m tests.bench_adapters [ROUNDS]

The rows, batch and length are those of tiny/sft.yaml. Seconds are those of the processor, in the steps alone;
rounds take turns.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from harness.core.paths import bundle_root
from trainers.adapter_kinds import Adapter
from trainers.examples import load_examples
from trainers.recipe import SftRecipe, load_recipe
from trainers.sft import train_sft

ROUNDS, STEPS, WARM_UP = 3, 12, 2
BLOCKS = (
    {"kind": "lora", "r": 16, "alpha": 32},
    {"kind": "rslora", "r": 16, "alpha": 32},
    {"kind": "dora", "r": 16, "alpha": 32},
    {"kind": "pissa", "r": 16, "alpha": 16},
    {"kind": "lora_plus", "r": 16, "alpha": 32},
    {"kind": "vera", "r": 64},
    {"kind": "ia3"},
    {"kind": "prompt", "tokens": 16},
    {"kind": "prefix", "tokens": 16},
    {"kind": "full"},
)


def measure(adapter: Adapter, out: Path) -> tuple[str, float]:
    """Return the trained parameters of all, and the processor's seconds for a step."""
    recipe, root = load_recipe("tiny/sft.yaml")
    assert isinstance(recipe, SftRecipe)
    options = recipe.trainer | {"max_steps": STEPS}
    recipe = recipe.model_copy(update={"lora": None, "adapter": adapter, "trainer": options})
    marks: dict[int, float] = {}
    made = train_sft(
        recipe,
        bundle_root() / "trainers" / "tiny_base",
        out,
        rows=load_examples(recipe.data, root),
        progress=lambda stage, done, total: marks.update({done: time.process_time()}),
    )
    seconds = (marks[STEPS] - marks[WARM_UP]) / (STEPS - WARM_UP)
    return made.facts["trainable parameters"].partition(" of ")[0], seconds


def main(rounds: int) -> None:
    """Measure all kinds, and print the table."""
    from pydantic import TypeAdapter

    from trainers.adapter_kinds import AdapterBlock

    kinds = [TypeAdapter[Adapter](AdapterBlock).validate_python(block) for block in BLOCKS]
    seconds: dict[str, list[float]] = {kind.kind: [] for kind in kinds}
    trained: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for kind in kinds:
                out = Path(folder) / f"{kind.kind}-{number}"
                trained[kind.kind], taken = measure(kind, out)
                seconds[kind.kind].append(taken)
    lora = statistics.median(seconds["lora"])
    print("| kind | trained | seconds a step | beside LoRA |\n|---|---|---|---|")
    for kind in kinds:
        took = statistics.median(seconds[kind.kind])
        print(f"| {kind.description} | {trained[kind.kind]} | {took:.2f} | {took / lora:.2f} x |")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
