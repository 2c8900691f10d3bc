"""How often trainings of one recipe are told apart under two names, in every split of a study's seeds.

harness study run eight.yaml                   # one method, eight seeds, a model beside it
python -m tests.bench_study runs/studies/eight
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from harness.analysis.arms import ArmScores, arm_scores
from harness.artifacts.scores import read_scores
from harness.study.result import load_study_result
from tests.builders.arms import compare_all

Split = tuple[tuple[int, ...], tuple[int, ...]]


def main(folder: str) -> None:
    result = load_study_result(Path(folder))
    arm = next(arm.name for arm in result.arms if len(arm.seeds) > 5)
    columns = read_scores(Path(result.looks[-1].folder))
    print("| column | sd between seeds | four and four | three and three | one and one |")
    print("|---|---:|---:|---:|---:|")
    for metric in dict.fromkeys(column.metric for column in columns):
        scores = arm_scores(columns, metric, [arm])
        spread = scores.observed[arm].mean(axis=0).std(ddof=1)
        told = [count_told_apart(scores, arm, size) for size in (4, 3, 1)]
        print(f"| {metric} | {spread:.2f} | {' | '.join(told)} |")


def count_told_apart(scores: ArmScores, arm: str, size: int) -> str:
    """Return how many of the splits into two names of so many seeds are told apart at alpha .05."""
    matrix = scores.observed[arm]
    splits = list(find_splits(range(matrix.shape[1]), size))
    told = 0
    for split in splits:
        parts = [matrix[:, list(part)] for part in split]
        found = compare_all(parts, alpha=0.05, bounds=scores.bounds, clusters=scores.clusters)
        low, high = found[0, 1].interval
        told += low > 0 or high < 0
    return f"{told} of {len(splits)}"


def find_splits(seeds: Sequence[int], size: int) -> Iterator[Split]:
    """Yield every two disjoint groups of so many seeds, once."""
    for one in combinations(seeds, size):
        left = [seed for seed in seeds if seed not in one]
        yield from ((one, other) for other in combinations(left, size) if one < other)


if __name__ == "__main__":
    main(sys.argv[1])
