"""Whether models were trained on what they are measured on, told before anything is scored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.errors import HarnessError
from harness.prepare import Prepared
from harness.types import Exposure, Task
from trainers.contamination import Contamination, find_contamination

N_NAMED = 3  # items that a message names


def find_exposures(tasks: Iterable[Task], models: Mapping[str, Prepared]) -> list[Exposure]:
    """Every set of items against what each trained model learnt from, as far as recipes tell.

    What a base model read before, or a model behind an endpoint, nobody here knows.
    """
    return [
        _exposure(task, name, find_contamination(prepared.learnt, task.samples))
        for task in tasks
        for name, prepared in models.items()
        if prepared.learnt
    ]


def refuse_contamination(exposures: Sequence[Exposure]) -> None:
    """Stop before scores that would tell what was remembered.

    Raises:
        HarnessError: items stand in a model's training data; names some of them.
    """
    found = [exposure for exposure in exposures if exposure.contaminated]
    if found:
        raise HarnessError(
            " ".join(_told(found))
            + " A score on such items tells what was remembered. Take them out of the training data "
            "(`harness convert --split` keeps questions apart), or say --allow-contamination; the "
            "report will say so."
        )


def _told(exposures: Iterable[Exposure]) -> Iterator[str]:
    for e in exposures:
        yield (
            f"{e.contaminated} of {e.n_items} items of '{e.task}' stand in what '{e.model}' was "
            f"trained on, {e.exact} of them word for word ({', '.join(e.worst[:N_NAMED])})."
        )


def _exposure(task: Task, model: str, found: Contamination) -> Exposure:
    return Exposure(
        task=task.name,
        model=model,
        n_rows=found.n_training_rows,
        n_items=found.n_items,
        exact=found.exact,
        contaminated=found.contaminated,
        touched=found.touched,
        unchecked=found.unchecked,
        worst=tuple(
            f"item '{overlap.sample_id}' in row '{overlap.row}'" for overlap in found.worst
        ),
    )
