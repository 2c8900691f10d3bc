"""The looks of a run that may stop early: the order of the items, and how many each look has.

A verdict on the first items holds for all of them only if chance alone chose which come first. So
the order is random, with a stated seed; items of one cluster stay together, because whole clusters
are independent.
"""

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise

from harness.config import Gate
from harness.core.errors import HarnessError
from harness.stats.group_sequential import LEAST_STEP, nominal_levels, obrien_fleming
from harness.types import Sample, Task, TaskLooks

FIGURES = 9  # significant figures in a plan, so that every machine writes the same
LARGEST_Z = 6.0  # larger boundaries, as with many looks, save less than 1e-9 of alpha a look
LEAST_CHANCE = 0.1  # of a pass or a fail, below which judging on is not worthwhile


def shuffle_items(task: Task, seed: int) -> Task:
    """Return the task with its items in the random order in which they are judged."""
    groups = list(_group_by_cluster(task.samples))
    random.Random(seed).shuffle(groups)
    return task.model_copy(update={"samples": tuple(s for group in groups for s in group)})


def plan_looks(task: Task, gate: Gate) -> TaskLooks:
    """Plan the looks at a shuffled task: even shares of its items, to the end of a cluster each.

    Raises:
        HarnessError: there are too few items, or clusters, for so many looks.
    """
    looks = schedule_looks(
        task.name, [len(group) for group in _group_by_cluster(task.samples)], gate
    )
    if looks is None:
        raise HarnessError(
            f"gate: 'stop_early' with {gate.looks} looks needs more items in '{task.name}' (or "
            f"smaller clusters): {task.n_items} cannot be cut into that many parts. Use fewer "
            "'looks', a larger --limit if there is one, or leave 'stop_early' out."
        )
    return looks


def schedule_looks(name: str, groups: Sequence[int], gate: Gate) -> TaskLooks | None:
    """Schedule looks at groups of items that stay together; None where there are too few."""
    sizes = _look_sizes(groups, gate.looks)
    if sizes is None:
        return None
    critical = _critical_values(sizes, gate.alpha)
    return TaskLooks(
        task=name,
        order_seed=gate.order_seed,
        sizes=sizes,
        z=_round_figures(critical),
        alphas=_round_figures(nominal_levels(critical)),
    )


def look_levels(looks: TaskLooks, alpha: float) -> TaskLooks:
    """Return the same looks with the levels that they have where `alpha` is spent on them."""
    critical = _critical_values(looks.sizes, alpha)
    levels = {"z": _round_figures(critical), "alphas": _round_figures(nominal_levels(critical))}
    return looks.model_copy(update=levels)


def items_of_look(task: Task, looks: TaskLooks, number: int) -> Task:
    """Return the task with only the items that are new at look `number`, counted from 1."""
    start = looks.sizes[number - 2] if number > 1 else 0
    return _with_samples(task, task.samples[start : looks.sizes[number - 1]])


def items_until_look(task: Task, looks: TaskLooks, number: int) -> Task:
    """Return the task with all items judged by look `number`."""
    return _with_samples(task, task.samples[: looks.sizes[number - 1]])


def level_of_look(looks: TaskLooks, number: int, alpha: float) -> float:
    """Return the one-sided level at look `number`, from 1, of tests that spend `alpha` on all looks.

    It is valid for any test on the items judged so far, for any reason to stop there.
    """
    return nominal_levels(_critical_values(looks.sizes, alpha))[number - 1]


def final_look_gate(gate: Gate, looks: Sequence[TaskLooks]) -> Gate:
    """Return the gate at the last look's share of alpha, at which all items must be sufficient."""
    return gate.model_copy(update={"alpha": min(of_task.alphas[-1] for of_task in looks)})


def _with_samples(task: Task, samples: tuple[Sample, ...]) -> Task:
    return task.model_copy(update={"samples": samples, "n_items": len(samples)})


def _group_by_cluster(samples: Iterable[Sample]) -> Iterable[list[Sample]]:
    """Group the items that stay together, in the order of their first one."""
    samples = tuple(samples)
    clustered = all(sample.cluster is not None for sample in samples)
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(str(sample.cluster) if clustered else sample.id, []).append(sample)
    return groups.values()


def _look_sizes(groups: Sequence[int], looks: int) -> tuple[int, ...] | None:
    """Return the items up to each look; None where two looks would nearly coincide."""
    n, n_so_far, sizes = sum(groups), 0, list[int]()
    for size in groups:
        n_so_far += size
        if n_so_far * looks >= n * (len(sizes) + 1):
            sizes.append(n_so_far)
    apart = all(b - a >= LEAST_STEP * n for a, b in pairwise([0, *sizes]))
    return tuple(sizes) if len(sizes) == looks and apart else None


def _critical_values(sizes: Sequence[int], alpha: float) -> list[float]:
    fractions = [size / sizes[-1] for size in sizes]
    return [min(z, LARGEST_Z) for z in obrien_fleming(fractions, alpha=alpha)]


def _round_figures(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{FIGURES}g}") for value in values)
