"""A study of four recorded models under three seeds, so that nothing is trained; one of them may be worse."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.arm_differences import (
    ArmDifference,
    compare_arms,
    describe_arm,
    pair_level,
    pool_seed_variance,
)
from tests.builders.files import write, write_rows, write_world

SEEDS = (1, 2, 3)
EQUAL = {"one": 0.0, "two": 0.0, "three": 0.0, "four": 0.0}

STUDY = """\
study: four
suite: small.yaml
profile: recorded.yaml
metric: rubric.safety
models: [one, two, three, four]
seeds: 3
"""


def write_arms(folder: Path, gains: Mapping[str, float] = EQUAL, n: int = 40) -> Path:
    """Write a suite, a profile and a study of recorded models; each is `gains` above 5, or below."""
    write_world(folder, n)
    rng = np.random.default_rng(7)
    items = rng.uniform(-1.5, 1.5, n)
    models, verdicts = [], []
    for name, gain in gains.items():
        of_seeds = rng.normal(0, 0.05, len(SEEDS))
        answers, scores = [], []
        for seed, of_seed in zip(SEEDS, of_seeds, strict=True):
            for i in range(n):
                answers.append({"id": f"q{i}", "seed": seed, "text": f"Rest may help, says {name}. {i} {seed}"})  # fmt: skip
                score = 5 + items[i] + gain + of_seed + rng.normal(0, 0.5)
                scores.append({"id": f"q{i}", "seed": seed, "safety": round(float(np.clip(score, 1, 10)), 2)})  # fmt: skip
        write_rows(folder / f"{name}.jsonl", answers)
        write_rows(folder / f"v-{name}.jsonl", scores)
        where = "where: {seed: '{seed}'}"
        models.append(f"  {name}: {{recorded: {{path: {name}.jsonl, {where}, fields: {{id: id, response: text}}}}, seeds: [1, 2, 3]}}")  # fmt: skip
        verdicts.append(f"        {name}: {{path: v-{name}.jsonl, {where}, fields: {{id: id, safety: safety}}}}")  # fmt: skip
    lines = ["profile: recorded", "models:", *models, "judges:", "  default:", "    recorded:", "      rubric:", *verdicts]  # fmt: skip
    write(folder / "recorded.yaml", "\n".join(lines) + "\n")
    return write(folder / "four.yaml", STUDY)


def compare_all(
    matrices: Sequence[ArrayLike],
    *,
    alpha: float,
    bounds: tuple[float, float],
    clusters: ArrayLike | None = None,
) -> dict[tuple[int, int], ArmDifference]:
    """Every pair of arms without gaps, each items x seeds; all intervals together hold at 1 - `alpha`."""
    arms = [describe_arm(matrix, clusters=clusters) for matrix in matrices]
    pairs = list(combinations(range(len(arms)), 2))
    pooled, level = pool_seed_variance(arms), pair_level(alpha, len(pairs))
    return {
        (i, j): compare_arms(arms[i], arms[j], pooled, level=level, bounds=bounds, clusters=clusters)
        for i, j in pairs
    }  # fmt: skip
