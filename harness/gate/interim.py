"""The looks of a run that may stop early: in which order items are judged, and how far each goes.

A verdict on the first items is one on all of them only if chance alone chose which come first. So
the order is random, with a stated seed; items of one cluster stay together, because it is whole
clusters that are independent.
"""

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise

from harness.config import Gate
from harness.core.errors import HarnessError
from harness.stats.group_sequential import LEAST_STEP, nominal_levels, obrien_fleming
from harness.types import Sample, Task, TaskLooks

FIGURES = 9  # of what is stated in a plan, so that every machine states the same


LARGEST_Z = 6.0  # asking for more, as many looks would, saves less than 1e-9 of alpha a look


def shuffle_items(task: Task, seed: int) -> Task:
    """The task with its items in the random order in which they are judged."""
    groups = list(_groups(task.samples))
    random.Random(seed).shuffle(groups)
    return task.model_copy(update={"samples": tuple(s for group in groups for s in group)})


def plan_looks(task: Task, gate: Gate) -> TaskLooks:
    """The looks at a shuffled task: even shares of its items, to the end of a cluster each.

    Raises:
        HarnessError: there are too few items, or clusters, for so many looks.
    """
    found = schedule_looks(task.name, [len(group) for group in _groups(task.samples)], gate)
    if found is None:
        raise HarnessError(
            f"gate: 'stop_early' with {gate.looks} looks needs more items in '{task.name}' (or "
            f"smaller clusters): {task.n_items} cannot be cut into that many parts. Use fewer "
            "'looks', a larger --limit if there is one, or leave 'stop_early' out."
        )
    return found


def schedule_looks(name: str, groups: Sequence[int], gate: Gate) -> TaskLooks | None:
    """Looks at groups of so many items each, which stay together; None where they are too few."""
    sizes = _sizes(groups, gate.looks)
    if sizes is None:
        return None
    critical = _critical(sizes, gate.alpha)
    return TaskLooks(
        task=name,
        order_seed=gate.order_seed,
        sizes=sizes,
        z=_rounded(critical),
        alphas=_rounded(nominal_levels(critical)),
    )


def items_of_look(task: Task, looks: TaskLooks, number: int) -> Task:
    """The task with only the items that are new at look `number`, counted from 1."""
    start = looks.sizes[number - 2] if number > 1 else 0
    return _with_samples(task, task.samples[start : looks.sizes[number - 1]])


def items_until_look(task: Task, looks: TaskLooks, number: int) -> Task:
    """The task with all items judged by look `number`."""
    return _with_samples(task, task.samples[: looks.sizes[number - 1]])


def level_of_look(looks: TaskLooks, number: int, alpha: float) -> float:
    """The one-sided level at look `number`, counted from 1, of a test that spends `alpha` on all.

    It holds for whatever is tested on the items judged so far, whatever made judging end there.
    """
    return nominal_levels(_critical(looks.sizes, alpha))[number - 1]


def final_look_gate(gate: Gate, looks: Sequence[TaskLooks]) -> Gate:
    """The gate at what its last look leaves of alpha: what the items must at least be able to show."""
    return gate.model_copy(update={"alpha": min(each.alphas[-1] for each in looks)})


def _with_samples(task: Task, samples: tuple[Sample, ...]) -> Task:
    return task.model_copy(update={"samples": samples, "n_items": len(samples)})


def _groups(samples: Iterable[Sample]) -> Iterable[list[Sample]]:
    """Items that stay together, in the order of their first one."""
    samples = tuple(samples)
    clustered = all(sample.cluster is not None for sample in samples)
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(str(sample.cluster) if clustered else sample.id, []).append(sample)
    return groups.values()


def _sizes(groups: Sequence[int], looks: int) -> tuple[int, ...] | None:
    """Items up to each look; None where two looks would be all but the same."""
    n, seen, sizes = sum(groups), 0, list[int]()
    for size in groups:
        seen += size
        if seen * looks >= n * (len(sizes) + 1):
            sizes.append(seen)
    apart = all(b - a >= LEAST_STEP * n for a, b in pairwise([0, *sizes]))
    return tuple(sizes) if len(sizes) == looks and apart else None


def _critical(sizes: Sequence[int], alpha: float) -> list[float]:
    fractions = [size / sizes[-1] for size in sizes]
    return [min(z, LARGEST_Z) for z in obrien_fleming(fractions, alpha=alpha)]


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{FIGURES}g}") for value in values)


LEAST_CHANCE = 0.1  # of a pass or a fail, below which it is not worth going on for
