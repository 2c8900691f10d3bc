"""What an arm took, as the manifests of its checkpoints recorded it, and which arms are worth their cost."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from harness.training.context import TrainedModel
from harness.types.study import ArmCost, StudyArm
from trainers.checkpoint import CheckpointManifest, load_manifest, trace_manifests

COSTS = ("trainable_parameters", "peak_memory_bytes", "training_seconds", "training_tokens", "training_cost")  # fmt: skip
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


class Facts(NamedTuple):
    """What one training took; None for what its checkpoint does not tell."""

    parameters: float | None
    memory: float | None
    seconds: float | None
    tokens: float | None


def facts_of(trained: TrainedModel) -> Facts:
    """Read what a training took from its checkpoint's manifest."""
    return _facts(load_manifest(Path(trained.directory)))


def seconds_spent(trainings: Iterable[TrainedModel]) -> float:
    """Sum the seconds of trainings and of those that they started from, each checkpoint once."""
    manifests = {
        manifest.fingerprint: manifest
        for trained in trainings
        for manifest in trace_manifests(Path(trained.directory))
    }
    return sum(_facts(manifest).seconds or 0 for manifest in manifests.values())


def _facts(manifest: CheckpointManifest) -> Facts:
    facts = manifest.facts
    mebibytes = _first_number(facts, "peak memory")
    return Facts(
        _first_number(facts, "trainable parameters"),
        None if mebibytes is None else mebibytes * 2**20,
        _first_number(facts, "seconds"),
        _first_number(facts, "tokens"),
    )


def _first_number(facts: Mapping[str, str], name: str) -> float | None:
    found = _NUMBER.match(facts.get(name, ""))
    return None if found is None else float(found.group().replace(",", ""))


def cost_of_arm(trainings: Sequence[TrainedModel], price_per_hour: float | None) -> ArmCost:
    """Return what an arm took: means over its trainings, and the largest memory of any."""
    every = [facts_of(trained) for trained in trainings]
    parameters, memory, seconds, tokens = (
        [value for value in column if value is not None] for column in zip(*every, strict=True)
    ) if every else ([], [], [], [])  # fmt: skip
    return ArmCost(
        trainable_parameters=int(max(parameters)) if parameters else None,
        peak_memory_bytes=int(max(memory)) if memory else None,
        training_seconds=fmean(seconds) if seconds else None,
        training_tokens=round(fmean(tokens)) if tokens else None,
        training_cost=fmean(seconds) / 3600 * price_per_hour
        if seconds and price_per_hour is not None
        else None,
    )


def mark_fronts(
    arms: Sequence[StudyArm], better: Mapping[str, frozenset[str]]
) -> Iterator[StudyArm]:
    """Yield the arms with the costs at which each is on the Pareto front.

    An arm is off the front where another costs no more and is shown to be `better`, not where its mean alone
    is higher: two arms that are not told apart may both be on it.
    """
    by_name = {arm.name: arm for arm in arms}
    for arm in arms:
        fronts = {}
        for cost in COSTS:
            own = getattr(arm.cost, cost)
            if own is None or arm.problem:
                continue
            others = (getattr(by_name[name].cost, cost) for name in better.get(arm.name, ()))
            fronts[cost] = not any(other is not None and other <= own for other in others)
        yield arm.model_copy(update={"on_front": fronts})
