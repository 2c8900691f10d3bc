"""Shards, merged, decide as one run does: with training seeds, and where people judge."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config.request import load_request
from harness.config.shard import Shard
from harness.core.progress import QuietProgress
from harness.runs.run import run_suite
from harness.runs.shard import run_shard
from harness.stores.merge import merge_stores
from harness.training.context import make_context
from tests.builders.files import write, write_world
from tests.builders.human_judges import SUITE as PEOPLE_SUITE
from tests.builders.human_judges import write_world as write_people_world
from tests.builders.judged_runs import write_labels
from tests.builders.seeds import write_seeded_world

N_SHARDS = 3


def rules_judge(folder: Path) -> tuple[str, str]:
    write_world(folder, 40)
    return "small.yaml", "recorded.yaml"


def several_seeds(folder: Path) -> tuple[str, str]:
    write_seeded_world(folder, n=40)
    return "small.yaml", "seeds.yaml"


def people_judge(folder: Path) -> tuple[str, str]:
    rows = [{"item": f"q{i}", "annotator": "Ada", "winner": "candidate"} for i in range(100)]
    write_labels(folder / "labels.csv", rows)
    write_people_world(folder, "{people: {labels: labels.csv}}")
    suite = PEOPLE_SUITE.format(name="knees", judge="physicians", extra="max_unscored: 0.5")
    write(folder / "knees.yaml", suite)
    return "knees.yaml", "profile.yaml"


@pytest.mark.parametrize("write_files", [rules_judge, several_seeds, people_judge])
def test_merged_shards_decide_as_one_run(
    tmp_path: Path, write_files: Callable[[Path], tuple[str, str]]
) -> None:
    suite, profile = write_files(tmp_path)
    request = load_request(str(tmp_path / suite), str(tmp_path / profile), ["sft", "dpo"])
    stores = [tmp_path / f"store-{number + 1}" for number in range(N_SHARDS)]
    for number, store in enumerate(stores):
        run_shard(request, Shard(number + 1, N_SHARDS), make_context(store, QuietProgress()))
    merge_stores(stores, tmp_path / "merged")
    whole, merged = (
        run_suite(
            request, make_context(tmp_path / name, QuietProgress()), out=tmp_path / f"{name}-runs"
        ).result
        for name in ("whole", "merged")
    )
    assert merged.run_id == whole.run_id
    for part in ("decision", "comparisons", "coverage", "caveats", "tables", "tries"):
        assert getattr(merged, part) == getattr(whole, part), part
