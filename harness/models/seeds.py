"""Models of several training seeds: each seed's model answers its own copies of the items.

q1@seed1, q1@seed2    by `dpo` of seed 1 and of seed 2; a model without seeds answers q1 once
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from harness.core.progress import Progress
from harness.core.store import Store
from harness.models.generate import StopSignal, generate_responses
from harness.models.model_kinds import CheckpointModel, Model
from harness.types import Response, Sample, Task
from harness.types.samples import seed_suffix


class SeededModel(NamedTuple):
    """One recipe's models by training seed, under one name."""

    name: str
    by_seed: Mapping[int, Model]


class Part(NamedTuple):
    """Items that one model answers, each once, and the seeds of the copies that it answers for.

    The items have their own ids, so that answers are stored and found as without seeds.
    """

    task: Task
    seeds: tuple[int | None, ...]

    def model_of(self, model: Model | SeededModel) -> Model:
        """Return the one that answers this part, of the models behind a name."""
        if not isinstance(model, SeededModel):
            return model
        (seed,) = self.seeds
        assert seed is not None
        return model.by_seed[seed]

    def copies_of(self, response: Response, model: str) -> Iterator[Response]:
        """Yield the response for each copy of its item; the first has the tokens and the time."""
        if self.seeds == (None,) and response.model == model:
            yield response
            return
        for seed in self.seeds:
            name = response.sample_id + ("" if seed is None else seed_suffix(seed))
            yield response.model_copy(update={"sample_id": name, "model": model})
            response = response.model_copy(update={"exchange": None})


def split_by_seed(task: Task, model: str) -> list[Part]:
    """Return what each of the models behind a name answers: one, or one for each training seed."""
    seeds = tuple(dict.fromkeys(sample.seed for sample in task.samples))
    samples = task.samples
    if seeds != (None,):
        samples = tuple(
            sample.model_copy(update={"id": sample.own_id, "seed": None})
            for sample in task.samples
            if sample.seed == seeds[0]
        )
    items = task.model_copy(update={"samples": samples, "n_items": len(samples)})
    if model not in task.seeded:
        return [Part(items, seeds)]
    return [Part(items, (seed,)) for seed in seeds]


def asked_samples(task: Task, model: str) -> list[Sample]:
    """Return the samples that cost an answer: every copy, or one of each item without seeds."""
    first = task.samples[0].seed if task.samples else None
    return [s for s in task.samples if model in task.seeded or s.seed == first]


def models_of(model: Model | SeededModel) -> tuple[Model, ...]:
    """Return the models behind a name: one, or one for each training seed."""
    return tuple(model.by_seed.values()) if isinstance(model, SeededModel) else (model,)


def answer_copies(
    task: Task,
    model: Model | SeededModel,
    store: Store,
    progress: Progress,
    stop: StopSignal | None = None,
) -> Iterator[Response]:
    """Yield the responses to every sample as they come, as `generate_responses` does.

    A seed's weights are let go once they have answered.
    """
    for part in split_by_seed(task, model.name):
        answering = part.model_of(model)
        for response in generate_responses(part.task, answering, store, progress, stop):
            yield from part.copies_of(response, model.name)
        if answering is not model and isinstance(answering, CheckpointModel):
            answering.release()
