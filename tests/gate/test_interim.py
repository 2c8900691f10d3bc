"""In which order items are judged where judging may stop early, and when they are looked at."""

from itertools import pairwise

import pytest
from pydantic import ValidationError

from harness.config import Claim, Gate, Generation
from harness.config.request import load_request
from harness.core.errors import HarnessError
from harness.gate.interim import items_of_look, items_until_look, plan_looks, shuffle_items
from harness.planning.plan import make_plan
from harness.stats.group_sequential import obrien_fleming
from harness.types import Sample, Task
from tests.builders.files import write, write_world

CLAIM = Claim(metric="m", claim="superior")
GATE = Gate(claims=(CLAIM,), stop_early=True)


def task(n: int, per_cluster: int | None = None) -> Task:
    samples = tuple(
        Sample(
            id=f"q{i}", input="?", row=i, cluster=f"c{i // per_cluster}" if per_cluster else None
        )
        for i in range(n)
    )
    return Task(
        name="items", source="s", items_hash="h", n_items=n, samples=samples,
        generation=Generation(), system=None, metrics={},
    )  # fmt: skip


def test_the_order_is_random_but_the_same_for_the_same_seed() -> None:
    first, again, other = (shuffle_items(task(50), seed).samples for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first != task(50).samples
    assert sorted(first, key=lambda sample: sample.row) == list(task(50).samples)


def test_items_of_one_cluster_stay_together() -> None:
    clusters = [s.cluster for s in shuffle_items(task(40, per_cluster=4), 1).samples]
    changes = sum(a != b for a, b in pairwise(clusters))
    assert changes == 9


def test_looks_come_after_even_shares_of_the_items() -> None:
    looks = plan_looks(task(500), GATE)
    assert looks.sizes == (100, 200, 300, 400, 500)
    assert looks.z == pytest.approx(obrien_fleming((0.2, 0.4, 0.6, 0.8, 1.0)))
    assert looks.alphas[-1] == pytest.approx(0.04, abs=0.001)


def test_a_look_never_cuts_a_cluster() -> None:
    looks = plan_looks(task(35, per_cluster=7), Gate(claims=(CLAIM,), stop_early=True, looks=2))
    assert looks.sizes == (21, 35)


def test_the_parts_of_all_looks_are_the_items() -> None:
    shuffled = shuffle_items(task(33), 1)
    looks = plan_looks(shuffled, GATE)
    parts = [items_of_look(shuffled, looks, number) for number in range(1, 6)]
    assert tuple(s for part in parts for s in part.samples) == shuffled.samples
    assert items_until_look(shuffled, looks, 2).samples == parts[0].samples + parts[1].samples
    assert items_until_look(shuffled, looks, 2).n_items == looks.sizes[1]


def test_fewer_items_than_looks_are_refused() -> None:
    with pytest.raises(HarnessError, match="cannot be cut into that many parts"):
        plan_looks(task(4), GATE)
    with pytest.raises(HarnessError, match="smaller clusters"):
        plan_looks(task(40, per_cluster=10), GATE)


def test_many_looks_ask_for_no_level_that_floats_cannot_hold() -> None:
    looks = plan_looks(task(400), Gate(alpha=0.001, claims=(CLAIM,), stop_early=True, looks=20))
    assert min(looks.alphas) > 1e-10


@pytest.mark.parametrize("family", ["any", "ordered"])
def test_other_families_may_not_stop_early(family: str) -> None:
    with pytest.raises(ValidationError, match="goes with 'require: all' only"):
        Gate.model_validate({"claims": (CLAIM,), "require": family, "stop_early": True})


def test_looks_without_stopping_early_are_a_mistake() -> None:
    with pytest.raises(ValidationError, match="have no effect without 'stop_early: true'"):
        Gate.model_validate({"claims": (CLAIM,), "looks": 4})


def test_a_plan_states_order_looks_and_boundaries(tmp_path) -> None:
    suite, profile = write_world(tmp_path, n=150)
    plain = make_plan(load_request(suite, profile, ["sft", "dpo"]), {})
    text = (tmp_path / "small.yaml").read_text()
    hashes = {plain.hash}
    for option in ("", "  order_seed: 2\n", "  looks: 4\n"):
        write(tmp_path / "small.yaml", f"{text}  stop_early: true\n{option}")
        plan = make_plan(load_request(suite, profile, ["sft", "dpo"]), {})
        hashes.add(plan.hash)
        assert plan.looks[0].sizes[-1] == 150
        assert plan.tasks[0].items_hash == plain.tasks[0].items_hash
    assert len(hashes) == 4
