"""Every item is in exactly one shard, and batches, equal questions and copies stay together."""

from collections import Counter

import pytest

from harness.config import Generation
from harness.config.shard import Shard
from harness.data.samples import repeat_by_seed, repeat_samples
from harness.models.generate import BATCH_SIZE, fixed_batches
from harness.models.sharding import take_shard
from harness.types import Sample, Task

SAMPLES = tuple(
    Sample(id=f"q{i}", input="Why does it hurt" + " so" * (i * 37 % 101) + "?", row=i)
    for i in range(300)
)


def task_of(samples: tuple[Sample, ...], **options: object) -> Task:
    fields = {"name": "t", "source": "s", "items_hash": "", "n_items": len(samples), "system": None}
    generation = Generation(max_new_tokens=8, temperature=0.0)
    return Task.model_validate(
        {**fields, "samples": samples, "generation": generation, "metrics": {}, **options}
    )


def cut(task: Task, total: int, *, whole_batches: bool) -> list[tuple[Sample, ...]]:
    shards = (Shard(number + 1, total) for number in range(total))
    return [take_shard(task, shard, whole_batches=whole_batches).samples for shard in shards]


@pytest.mark.parametrize("whole_batches", [True, False])
def test_every_item_is_in_exactly_one_shard(whole_batches: bool) -> None:
    parts = cut(task_of(SAMPLES), 7, whole_batches=whole_batches)
    assert Counter(s.id for part in parts for s in part) == Counter(s.id for s in SAMPLES)


def test_the_batches_of_a_shard_are_those_of_the_whole_run() -> None:
    different = tuple(s.model_copy(update={"input": f"{s.input} {s.id}"}) for s in SAMPLES)
    equal = tuple(s.model_copy(update={"id": f"again-{s.id}", "row": 900}) for s in different[::3])
    task = task_of((*different, *equal))

    def batches(samples: tuple[Sample, ...]) -> list[list[str]]:
        return [[samples[i].id for i in batch] for batch in fixed_batches(task_of(samples))]

    parts = cut(task, 4, whole_batches=True)
    assert sorted(b for part in parts for b in batches(part)) == sorted(batches(task.samples))


@pytest.mark.parametrize("whole_batches", [True, False])
def test_equal_questions_stay_together(whole_batches: bool) -> None:
    equal = tuple(s.model_copy(update={"id": f"again-{s.id}"}) for s in SAMPLES)
    parts = cut(task_of((*SAMPLES, *equal)), 5, whole_batches=whole_batches)
    texts = [{s.input for s in part} for part in parts]
    assert sum(map(len, texts)) == len(set.union(*texts))


def test_several_answers_of_an_endpoint_to_an_item_stay_together() -> None:
    task = task_of(repeat_samples(SAMPLES, 3))
    for part in cut(task, 4, whole_batches=False):
        assert set(Counter(s.cluster for s in part).values()) <= {3}


@pytest.mark.parametrize("whole_batches", [True, False])
def test_copies_by_training_seed_stay_together(whole_batches: bool) -> None:
    task = task_of(repeat_by_seed(SAMPLES, (1, 2)), seeded=("dpo",), seeds=(1, 2))
    for part in cut(task, 2, whole_batches=whole_batches):
        assert set(Counter(s.own_id for s in part).values()) == {2}


def test_a_shard_beyond_the_last_batch_is_empty() -> None:
    samples = tuple(s.model_copy(update={"input": f"{s.input} {s.id}"}) for s in SAMPLES)
    sizes = [len(part) for part in cut(task_of(samples[: BATCH_SIZE + 1]), 4, whole_batches=True)]
    assert sizes == [BATCH_SIZE, 1, 0, 0]
