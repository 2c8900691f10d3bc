"""Every training seed's model answers its own copies of the items; one model answers for all."""

from harness.data.samples import repeat_by_seed
from harness.models.seeds import asked_samples, split_by_seed
from harness.types import Exchange, Response, Sample, Task
from tests.builders.score_tasks import RUBRIC, task

SEEDS = (1, 2)


def seeded_task() -> Task:
    samples = [Sample(id=name, input=name, row=row) for row, name in enumerate("ab")]
    copies = repeat_by_seed(samples, SEEDS)
    update = {"samples": copies, "n_items": 4, "seeded": ("dpo",), "seeds": SEEDS}
    return task(RUBRIC).model_copy(update=update)


def test_a_copy_for_each_seed_is_of_the_items_cluster() -> None:
    made = seeded_task()
    assert [s.id for s in made.samples] == ["a@seed1", "a@seed2", "b@seed1", "b@seed2"]
    assert [s.cluster for s in made.samples] == ["a", "a", "b", "b"]
    assert made.n_distinct == 2


def test_items_without_seeds_stay_as_they_are() -> None:
    (sample,) = repeat_by_seed([Sample(id="a", input="?", row=0)], ())
    assert (sample.id, sample.cluster) == ("a", None)


def test_each_seed_answers_the_items_under_their_own_ids() -> None:
    parts = split_by_seed(seeded_task(), "dpo")
    assert [part.seeds for part in parts] == [(1,), (2,)]
    assert all([s.id for s in part.task.samples] == ["a", "b"] for part in parts)


def test_a_model_without_seeds_is_asked_once_and_its_tokens_are_counted_once() -> None:
    made = seeded_task()
    (part,) = split_by_seed(made, "sft")
    exchange = Exchange(replies=("x",), input_tokens=1, output_tokens=1, seconds=0.1)
    answer = Response(sample_id="a", model="m", text="x", finish="stop", exchange=exchange)
    first, second = part.copies_of(answer, "sft")
    assert [first.sample_id, second.sample_id] == ["a@seed1", "a@seed2"]
    assert (first.exchange, second.exchange) == (exchange, None)
    assert (len(asked_samples(made, "sft")), len(asked_samples(made, "dpo"))) == (2, 4)
