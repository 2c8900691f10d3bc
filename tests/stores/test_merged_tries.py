"""A merge loses no try and no look."""

import json
from pathlib import Path

from harness.config.request import load_request
from harness.core.progress import QuietProgress
from harness.core.store import LEDGER
from harness.planning.ledger import read_ledger
from harness.release.registry import Registry
from harness.runs.run import run_suite
from harness.stores.merge import merge_stores
from harness.training.context import make_context
from harness.types.training import Look
from tests.builders.recorded import write_study


def try_in(store: Path, world: Path, models: str) -> None:
    request = load_request(
        str(world / "suite.yaml"), str(world / "profile.yaml"), models.split(",")
    )
    run_suite(request, make_context(store, QuietProgress()), out=world / "runs")


def test_the_tries_of_all_stores_are_counted_together(tmp_path: Path) -> None:
    world = write_study(tmp_path / "world", shifts={"base": 0, "one": 1, "two": 1})
    try_in(tmp_path / "a", world, "base,one")
    try_in(tmp_path / "b", world, "base,two")
    merged = merge_stores([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    again = merge_stores([tmp_path / "b", tmp_path / "a"], tmp_path / "c")
    assert (merged.tries, again.tries, merged.plans) == (2, 2, 2)
    ledger = read_ledger(tmp_path / "c" / LEDGER)
    assert [ledger.count_for(one).number for one in ledger.tries] == [1, 2]


def test_looks_at_held_out_items_keep_their_order(tmp_path: Path) -> None:
    def look(candidate: str, when: str) -> Look:
        return Look(items_hash="i", candidate=candidate, baseline="b", claims="c", when=when)

    world = write_study(tmp_path / "world", shifts={"base": 0, "one": 1})
    for store, name, when in (("a", "late", "2026-03-02"), ("b", "early", "2026-03-01")):
        try_in(tmp_path / store, world, "base,one")
        Registry(tmp_path / store).begin_look("model", look(name, when))
    merge_stores([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    registry = Registry(tmp_path / "c")
    assert registry.begin_look("model", look("early", "")) == 1
    assert registry.begin_look("model", look("late", "")) == 2
    lines = (tmp_path / "c" / "models" / "model" / "looks.jsonl").read_text().splitlines()
    assert [json.loads(line)["candidate"] for line in lines] == ["early", "late"]
